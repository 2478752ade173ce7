"""Runs rules over records: reads each file once, keeps what the rules need, joins with the baselines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from keytrip.baselines.jobs import Partial, columns_needed, job_inputs, partial_name, partials_of
from keytrip.baselines.kinds import Job
from keytrip.baselines.reduce import add_partials, columns_of, disputed, drop_duplicates
from keytrip.baselines.segments import digest_of
from keytrip.compile.compiled import SCORED_FROM, CompiledRule
from keytrip.errors import DataError
from keytrip.hunt.alerts import Alert, correlation_alerts, in_order, plain_alerts
from keytrip.hunt.tables import link_tables, load_tables
from keytrip.records.sql import SETUP, derived_sql, fetched, quote_name
from keytrip.records.vocabulary import usage
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks
from keytrip.sources.select import FILE

if TYPE_CHECKING:
    import duckdb

HISTORY_DAYS = 30
EVENTS = "kt_events"
WAITING = "kt_waiting"
# The canonical tables that sources give records of.
_READ = ("usage",)
# File number -> the last time in it, of files that hold undated records; None: they hold nothing else.
Homes: TypeAlias = Mapping[int, datetime | None]


@dataclass(frozen=True)
class Against:
    """What the records are compared with; neither of the two: in memory, with the 30 days before `HuntRequest.since`.

    Attributes:
        snapshot: (folder of the tables, number, end: the first moment that it has not seen).
        tables: A folder of tables, not checked for time.
    """

    snapshot: tuple[Path, int, datetime] | None = None
    tables: Path | None = None

    @property
    def number(self) -> int | None:
        """The snapshot's number, or None."""
        return self.snapshot[1] if self.snapshot else None


@dataclass(frozen=True)
class HuntRequest:
    """One hunt.

    Attributes:
        files: What to read.
        source: How.
        rules: What to look for.
        jobs: Baseline jobs by table.
        against: The baselines.
        since, until: Only alerts whose window ends after / not after that midnight (UTC).
        workshop: Folder and limits for conversion.
        hmac_key: Gives the key for pseudonyms.
        threads: Threads of DuckDB.
        memory: DuckDB's memory limit, such as `500MB`.
        tick: Called with the bytes done.
    """

    files: Sequence[InputFile]
    source: Source
    rules: Sequence[CompiledRule]
    jobs: Mapping[str, Job]
    against: Against
    workshop: Workshop
    hmac_key: Callable[[], bytes]
    since: date | None = None
    until: date | None = None
    threads: int | None = None
    memory: str = "500MB"
    tick: Callable[[int], None] = lambda _: None


@dataclass
class HuntResult:
    """Alerts in order, what reading met, and what was not scored and why."""

    alerts: list[Alert] = field(default_factory=list)
    report: Report = field(default_factory=Report)
    left_out: int = 0
    scored: int = 0
    skipped: dict[str, str] = field(default_factory=dict)


def midnight(day: date) -> datetime:
    """Return the UTC midnight that begins `day`, naive as DuckDB's timestamps are."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)


def hunt(request: HuntRequest) -> HuntResult:
    """Return the alerts of `request`.

    Raises:
        DataError: A file or table cannot be read.
    """
    result = HuntResult()
    con = connect(request.threads, request.memory, request.workshop.folder)
    try:
        history = _History(con, request) if _in_memory(request) and wanted_tables(request.rules) else None
        _read(con, request, history, result.report)
        available = _tables(con, request, history)
        _view(con)
        _score(con, request, available, result)
    finally:
        con.close()
    return result


def connect(threads: int | None, memory: str, folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB connection with our settings: UTC, bounded memory that spills into `folder`."""
    import duckdb

    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.execute("set preserve_insertion_order = false")
    con.execute("set enable_progress_bar = false")
    con.execute(f"set temp_directory = '{str(folder / 'spill').replace(chr(39), chr(39) * 2)}'")
    con.execute(f"set memory_limit = '{memory}'")
    if threads:
        con.execute(f"set threads = {int(threads)}")
    con.execute(SETUP)
    return con


def _in_memory(request: HuntRequest) -> bool:
    return request.against.snapshot is None and request.against.tables is None


def wanted_tables(rules: Sequence[CompiledRule]) -> dict[str, frozenset[str]]:
    """Return baseline table -> columns that the rules use."""
    wanted: dict[str, set[str]] = {}
    for rule in rules:
        for table, columns in rule.tables:
            wanted.setdefault(table, set()).update(columns)
    return {table: frozenset(columns) for table, columns in wanted.items()}


class _History:
    """In-memory baselines: reduces the records of the days before `since` chunk by chunk."""

    def __init__(self, con: duckdb.DuckDBPyConnection, request: HuntRequest) -> None:
        assert request.since is not None  # noqa: S101 - the command line demands it in this mode
        self.con = con
        self.end = midnight(request.since)
        self.start = self.end - timedelta(days=HISTORY_DAYS)
        self.wanted = wanted_tables(request.rules)
        self.jobs = {table: request.jobs[table] for table in self.wanted}
        self.partials: list[Partial] = partials_of(self.jobs, self.wanted)

    def where(self, homes: Homes) -> str:
        """SQL for the records of the window; undated ones belong to their file's last dated day."""
        window = f"timestamp >= timestamp '{self.start}' and timestamp < timestamp '{self.end}'"
        files = [number for number, last in homes.items() if last is None or self.start <= last < self.end]
        undated = f" or (timestamp is null and {FILE} in ({', '.join(map(str, files))}))" if files else ""
        return window + undated

    def add(self, table: str, homes: Homes) -> None:
        """Reduce the records of the window in `table`."""
        add_partials(self.con, self.partials, f"(select * from {table} where {self.where(homes)})")

    def tables(self) -> set[str]:
        """Merge the partials into the tables that the rules need."""
        for table, job in self.jobs.items():
            columns = ", ".join(quote_name(c) for c in job.columns if c in self.wanted[table] or c in job.table_key)
            sql = job.merge(table, partial_name(job), self.wanted[table])
            self.con.execute(f"create or replace temp table {quote_name(table)} as select {columns} from ({sql})")
        return set(self.jobs)


def _columns(request: HuntRequest, history: _History | None) -> frozenset[str]:
    fields = {name for rule in request.rules if rule.reads == _READ for name in rule.fields}
    inputs = job_inputs(list(history.jobs.values())) if history else frozenset()
    return columns_needed(fields) | inputs | {"source"}


def _read(con: duckdb.DuckDBPyConnection, request: HuntRequest, history: _History | None, report: Report) -> None:
    reading = Request(
        source=request.source,
        columns=_columns(request, history),
        workshop=request.workshop,
        hmac_key=request.hmac_key,
        chunk_bytes=chunk_bytes(request.memory),
        tick=request.tick,
    )
    files = distinct_files(request.files)
    homes: dict[int, datetime | None] = {}
    for chunk in chunks(con, files, reading, report):
        offset = report.files - len(chunk.files)
        found = _homes(con) if history is not None else {}
        if chunk.identified:
            homes |= {number + offset: last for number, last in found.items()}
            append(con, WAITING, _numbered(con, offset))
        else:
            _take(con, CHUNK, request, history, found)
    if table_exists(con, WAITING):
        if not set(usage().fields) <= reading.columns and disputed(con, WAITING):
            _read_disputed(con, files, reading, homes)
        drop_duplicates(con, WAITING, homes)
        _take(con, WAITING, request, history, homes)
        con.execute(f"drop table {WAITING}")


def distinct_files(files: Sequence[InputFile]) -> list[InputFile]:
    """Return files, of equal ones only the first: a file given twice counts once, as in a store."""
    sizes = Counter(file.size for file in files)
    marked = [(file.path if sizes[file.size] == 1 else digest_of(file.path), file) for file in files]
    return list(dict(reversed(marked)).values())[::-1]


def _homes(con: duckdb.DuckDBPyConnection) -> dict[int, datetime | None]:
    """Return the last time of each of the chunk's files that has undated records; None: it has no other."""
    sql = f"select {FILE}, max(timestamp) from {CHUNK} group by all having count(*) > count(timestamp)"
    return dict(con.execute(sql).fetchall())


def _numbered(con: duckdb.DuckDBPyConnection, offset: int) -> str:
    """SQL for the chunk's records, their files numbered through the whole run."""
    names = ", ".join(quote_name(name) for name in columns_of(con, CHUNK))
    return f"select {names}, cast({FILE} as bigint) + {offset} as {FILE} from {CHUNK}"


def _read_disputed(con: duckdb.DuckDBPyConnection, files: Sequence[InputFile], reading: Request, homes: Homes) -> None:
    """Read whole the records between whose equal times the JSON decides, and put the right ones in their place."""
    report = Report()
    whole = replace(reading, columns=frozenset(usage().fields), tick=lambda _: None)
    for chunk in chunks(con, files, whole, report):
        sql = _numbered(con, report.files - len(chunk.files))
        append(con, "kt_whole", f"select * from ({sql}) semi join kt_disputed using (source, request_id)")
    drop_duplicates(con, "kt_whole", homes)
    same = f"{WAITING}.source = d.source and {WAITING}.request_id = d.request_id"
    con.execute(f"delete from {WAITING} using kt_disputed d where {same}")
    names = ", ".join(quote_name(name) for name in [*columns_of(con, WAITING), FILE])
    con.execute(f"insert into {WAITING} by name select {names} from kt_whole")
    con.execute("drop table kt_whole")


def chunk_bytes(memory: str) -> int:
    """Return how much to read at once: text takes half as much room in a table as on disk, groups need the rest."""
    digits = "".join(c for c in memory if c.isdigit() or c == ".")
    unit = {"K": 2**10, "M": 2**20, "G": 2**30}.get(memory[len(digits) :].strip()[:1].upper(), 1)
    return max(2**24, int(0.6 * float(digits or 0) * unit))


def _take(
    con: duckdb.DuckDBPyConnection, table: str, request: HuntRequest, history: _History | None, homes: Homes
) -> None:
    """Reduce what is history, and keep the events that a window of the report can hold."""
    if history is not None:
        history.add(table, homes)
    kept = ", ".join(quote_name(c) for c in columns_of(con, table))
    append(con, EVENTS, f"select {kept} from {table} where {_recent(request)}")


def _recent(request: HuntRequest) -> str:
    if request.since is None:
        return "timestamp is not null"
    # a window may begin before the midnight after which it ends
    reaches = [rule.reach for rule in request.rules]
    longest = max((reach for reach in reaches if reach is not None), default=0)
    if None in reaches:
        return "timestamp is not null"  # completions that follow each other closely are one alert, however long
    return f"timestamp >= timestamp '{midnight(request.since) - timedelta(seconds=longest)}'"


def append(con: duckdb.DuckDBPyConnection, table: str, sql: str) -> None:
    """Add rows to a temporary table, which is made by the first."""
    if table_exists(con, table):
        con.execute(f"insert into {table} {sql}")
    else:
        con.execute(f"create temp table {table} as {sql}")


def table_exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Return whether a temporary table exists."""
    row = con.execute("select count(*) from duckdb_tables() where table_name = ? and temporary", [table]).fetchone()
    return bool(row and row[0])


def _tables(con: duckdb.DuckDBPyConnection, request: HuntRequest, history: _History | None) -> set[str]:
    wanted = wanted_tables(request.rules)
    if not wanted:
        return set()
    if history is not None:
        return history.tables()
    if request.against.snapshot is not None:
        return link_tables(con, request.against.snapshot[0], wanted)
    if request.against.tables is None or not request.against.tables.is_dir():
        hint = "`keytrip baseline export DIR` writes one"
        raise DataError(f"{request.against.tables}: no folder of tables", hint=hint)
    return load_tables(con, request.against.tables, request.jobs, wanted)


def _view(con: duckdb.DuckDBPyConnection) -> None:
    present = {row[0] for row in con.execute(f"describe {EVENTS}").fetchall()}
    fields = [
        quote_name(name) if name in present else f"cast(null as {_type(name)}) as {quote_name(name)}"
        for name in usage().fields
    ]
    derived = [f"{derived_sql(name)} as {quote_name(name)}" for name in usage().derived]
    con.execute(
        f"create or replace temp view usage as select *, {', '.join(derived)} "
        f"from (select {', '.join(fields)} from {EVENTS})"
    )


def _type(name: str) -> str:
    from keytrip.records.model import duckdb_columns

    return duckdb_columns("usage")[name]


def _score(con: duckdb.DuckDBPyConnection, request: HuntRequest, available: set[str], result: HuntResult) -> None:
    end = request.against.snapshot[2] if request.against.snapshot else None
    if end is None and _in_memory(request) and request.since is not None:
        end = midnight(request.since)
    scored_from = f"timestamp '{end}'" if end is not None else "null"
    con.execute(f"set variable {SCORED_FROM} = {scored_from}")
    alerts: list[Alert] = []
    for rule in request.rules:
        missing = [table for table, _ in rule.tables if table not in available]
        if rule.refused or missing or rule.reads != _READ:
            result.skipped[rule.name] = rule.refused or _why(rule, missing)
            continue
        alerts += _run(con, rule, request, end if rule.baselined else None)
    result.left_out, result.scored = _windows(con, request, end)
    result.alerts = in_order(alerts)


def _why(rule: CompiledRule, missing: list[str]) -> str:
    return f"the table {missing[0]} is missing" if missing else f"no source gives {_other(rule)} records yet"


def _other(rule: CompiledRule) -> str:
    return next(table for table in rule.reads if table not in _READ)


def _run(
    con: duckdb.DuckDBPyConnection, rule: CompiledRule, request: HuntRequest, baseline_end: datetime | None
) -> list[Alert]:
    where, parameters = [], []
    start, stop = ("timestamp", "timestamp") if rule.plain else ("window_start", "window_end")
    if baseline_end is not None:
        where.append(f"{start} >= ?")
        parameters.append(baseline_end)
    if request.since is not None:
        where.append(f"{stop} > ?")
        parameters.append(midnight(request.since))
    if request.until is not None:
        where.append(f"{stop} <= ?")
        parameters.append(midnight(request.until))
    condition = f" where {' and '.join(where)}" if where else ""
    cursor = con.execute(f"select * from ({rule.sql}\n){condition}", parameters)
    columns = [d[0] for d in cursor.description or ()]
    make = plain_alerts if rule.plain else correlation_alerts
    return make(rule, columns, fetched(cursor), request.against.number)


def _windows(con: duckdb.DuckDBPyConnection, request: HuntRequest, end: datetime | None) -> tuple[int, int]:
    """Return how many windows of rules with a baseline were left out for time, and how many were scored."""
    widths = {window for rule in request.rules for window in rule.scored}
    if end is None or not widths:
        return 0, 1
    since, until = (f"timestamp '{midnight(day)}'" if day else "null" for day in (request.since, request.until))
    left_out = scored = 0
    for seconds, offset in widths:
        start = f"floor((epoch_us(timestamp) - {offset}000000) / {seconds}000000) * {seconds} + {offset}"
        stop = f"w + to_seconds({seconds})"
        row = con.execute(
            f"""select count(*) filter (w < ?), count(*) filter (w >= ?)
from (select distinct make_timestamp(cast({start} as bigint) * 1000000) as w from usage)
where coalesce({stop} > {since}, true) and coalesce({stop} <= {until}, true)""",
            [end, end],
        ).fetchone()
        left_out, scored = left_out + (row[0] if row else 0), scored + (row[1] if row else 0)
    return left_out, scored
