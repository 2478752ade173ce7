"""`baseline build`: reduce what is new, merge the window into a snapshot, promote it unless it fails its own checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from keytrip.baselines.guards import Bounds, objections
from keytrip.baselines.identified import ids_file, records_file, settle
from keytrip.baselines.incidents import Incident, keep_sql
from keytrip.baselines.jobs import Partial, job_inputs, partial_name, partials_of
from keytrip.baselines.kinds import Job
from keytrip.baselines.segments import (
    RECORDS,
    Entry,
    Seen,
    add_filed,
    chunk_last_days,
    fingerprint,
    look,
    read_index,
    save_partials,
    write_index,
)
from keytrip.baselines.snapshots import active_number, promote, write_snapshot
from keytrip.baselines.store import Store, new_folder, next_number, sweep
from keytrip.errors import DataError
from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import usage
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks
from keytrip.sources.select import FILE

if TYPE_CHECKING:
    import duckdb

# How long stage one keeps what it reduced: enough to rebuild any baseline of the last half year.
RETENTION_DAYS = 180
_IDENTIFIED = "kt_identified"


@dataclass(frozen=True)
class BuildRequest:
    """One build.

    Attributes:
        files: What to read.
        source: How.
        jobs: Baseline jobs by table.
        workshop, hmac_key, chunk_bytes, tick: As for reading.
        end: Last day of the window, inclusive; None: the last day with a record that is over at `now`.
        days: Length of the window.
        incidents: Days left out.
        bounds: When a snapshot is not promoted.
        now: The clock, UTC and naive.
    """

    files: Sequence[InputFile]
    source: Source
    jobs: Mapping[str, Job]
    workshop: Workshop
    hmac_key: Callable[[], bytes]
    end: date | None = None
    days: int = 30
    incidents: Sequence[Incident] = ()
    bounds: Bounds = field(default_factory=Bounds)
    chunk_bytes: int = 256 * 2**20
    tick: Callable[[int], None] = lambda _: None
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))


@dataclass(frozen=True)
class BuildResult:
    """What a build did."""

    number: int
    promoted: bool
    objections: tuple[str, ...]
    manifest: Mapping[str, Any]
    report: Report
    unchanged: int
    stale: int
    later_days: int


def build(con: duckdb.DuckDBPyConnection, store: Store, request: BuildRequest) -> BuildResult:
    """Build a snapshot. The caller holds the store.

    Raises:
        DataError: A file cannot be read, or there is no record in the window.
    """
    partials = partials_of(request.jobs)
    mark = fingerprint(partials)
    before = read_index(con, store)
    sweep(store, {e.segment: e.generation for e in before})
    report = Report()
    entries, unchanged = _reduce(con, store, request, partials, mark, before, report)
    end, later = _window_end(con, store, [e for e in entries if e.fingerprint == mark], partials, request)
    start = end - timedelta(days=request.days - 1)
    oldest = end - timedelta(days=max(RETENTION_DAYS, request.days))
    kept = [e for e in entries if e.last_day is None or e.last_day >= oldest]
    usable = [e for e in kept if e.fingerprint == mark]
    if kept != before:
        write_index(con, store, kept)
        sweep(store, {e.segment: e.generation for e in kept})
    manifest = {
        "window": {"start": str(start), "end": str(end), "days": request.days},
        "inputs": [{"path": e.path, "sha256": e.digest, "records": e.records} for e in usable],
        "excluded": [i.model_dump(mode="json", by_alias=True) for i in request.incidents],
        "rejects": len(report.rejects),
        "source": request.source.name,
    }
    _merge(con, store, usable, partials, request, (start, end))
    problems = tuple(objections(con, store, request.bounds))
    number, manifest = write_snapshot(con, store, request.jobs, manifest, problems)
    if not problems:
        promote(store, number)
    return BuildResult(
        number=number,
        promoted=not problems,
        objections=problems,
        manifest=manifest,
        report=report,
        unchanged=unchanged,
        stale=len(kept) - len(usable),
        later_days=later,
    )


def _reduce(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    request: BuildRequest,
    partials: Sequence[Partial],
    mark: str,
    before: Sequence[Entry],
    report: Report,
) -> tuple[list[Entry], int]:
    """Reduce files with new content into a segment; return the live files after it, and how many were known."""
    seen = look(request.files, before, request.source.name, mark)
    fresh = list({s.digest: s for s in reversed(seen) if s.known is None}.values())[::-1]
    made: dict[str, Entry] = {}
    if fresh:
        number = next_number(store.segments)
        with new_folder(store.segments, number) as folder:
            made = _segment(con, request, partials, fresh, number, mark, report, str(folder))
    entries = _live_entries(before, seen, made)
    ours = [e for e in entries if e.fingerprint == mark]
    came, went = {e.place for e in ours}, {e.place: e for e in before if e.fingerprint == mark}
    changed = [e for e in ours if e.place not in went] + [e for e in went.values() if e.place not in came]
    settled = settle(con, store, ours, changed, partials)
    others = [e for e in entries if e.fingerprint != mark]
    return sorted([*settled, *others], key=lambda e: e.path), len(seen) - len(fresh)


def _live_entries(before: Sequence[Entry], seen: Sequence[Seen], made: Mapping[str, Entry]) -> list[Entry]:
    """A path has one content. A content that lies under several paths has one place, and so counts once."""
    by_path = {e.path: e for e in before}
    for s in seen:
        entry = made.get(s.digest) or s.known
        if entry is not None:
            path = str(s.file.path.resolve())
            by_path[path] = replace(entry, path=path, size=s.size, mtime=s.mtime)
    return sorted(by_path.values(), key=lambda e: e.path)


def _segment(
    con: duckdb.DuckDBPyConnection,
    request: BuildRequest,
    partials: Sequence[Partial],
    fresh: Sequence[Seen],
    number: int,
    mark: str,
    report: Report,
    folder: str,
) -> dict[str, Entry]:
    from pathlib import Path

    reading = Request(
        source=request.source,
        columns=_columns(request),
        workshop=request.workshop,
        hmac_key=request.hmac_key,
        chunk_bytes=request.chunk_bytes,
        tick=request.tick,
    )
    made: dict[str, Entry] = {}
    by_path = {s.file.path: s for s in fresh}
    for chunk in chunks(con, [s.file for s in fresh], reading, report):
        offset = len(made)
        known = chunk_last_days(con, offset)
        for place, file in enumerate(chunk.files):
            s = by_path[file.path]
            records, last = known.get(offset + place, (0, None))
            made[s.digest] = Entry(
                str(s.file.path), s.digest, s.size, s.mtime, request.source.name, number, offset + place, records, last, mark
            )
        days = {offset + place: known.get(offset + place, (0, None))[1] for place in range(len(chunk.files))}
        _take(con, partials, days, identified=chunk.identified)
    save_partials(con, Path(folder), partials)
    if _exists(con, _IDENTIFIED):
        path = quote_text(str(Path(folder) / f"{RECORDS}.parquet"))
        con.execute(
            f"copy (select *, row_number() over () as kt_record from {_IDENTIFIED}) to {path} (format parquet, compression zstd)"
        )
        con.execute(f"drop table {_IDENTIFIED}")
    return made


def _columns(request: BuildRequest) -> frozenset[str]:
    """Return what to read: all of a record that may have a twin, since its whole text decides between equal times."""
    if "request_id" in request.source.fields:
        return frozenset(usage().fields)
    return job_inputs(list(request.jobs.values())) | {"source"}


def _take(
    con: duckdb.DuckDBPyConnection, partials: Sequence[Partial], last: Mapping[int, date | None], *, identified: bool
) -> None:
    con.execute("create or replace temp table kt_last (kt_file bigint, last_day date)")
    con.executemany("insert into kt_last values (?, ?)", list(last.items()))
    if identified:
        names = [r[0] for r in con.execute(f"describe {CHUNK}").fetchall()]
        kept = ", ".join(quote_name(n) for n in names if not n.startswith("kt_") or n == FILE)
        sql = f"select {kept} from {CHUNK} where request_id is not null"
        exists = _exists(con, _IDENTIFIED)
        con.execute(f"insert into {_IDENTIFIED} {sql}" if exists else f"create temp table {_IDENTIFIED} as {sql}")
    add_filed(con, partials, f"(select * from {CHUNK} where request_id is null)", "kt_last")


def _exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    row = con.execute("select count(*) from duckdb_tables() where table_name = ?", [table]).fetchone()
    return bool(row and row[0])


def _relation(store: Store, entries: Sequence[Entry], partial: str) -> str:
    """SQL for a partial's rows of live files, over all segments."""
    parts = []
    segments = {e.segment: e.generation for e in entries}
    for segment, generation in sorted(segments.items()):
        files = [store.segments / str(segment) / f"{partial}.parquet"]
        if generation and records_file(store, segment).is_file():
            files.append(ids_file(store, segment, generation, partial))
        numbers = sorted({e.number for e in entries if e.segment == segment})
        listed = ", ".join(map(str, numbers))
        parts += [f"select * from read_parquet({quote_text(str(f))}) where {FILE} in ({listed})" for f in files]
    return " union all by name ".join(parts)


def _window_end(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    entries: Sequence[Entry],
    partials: Sequence[Partial],
    request: BuildRequest,
) -> tuple[date, int]:
    """Return the window's last day, and how many later days have records."""
    if not entries:
        raise DataError("there is no record to learn from", hint="give the logs of at least one day that is over")
    name = next(p.name for p in partials if p.grain == ("key_id",))
    relation = _relation(store, entries, name)
    rows = con.execute(f"select distinct day from ({relation}) where day is not null order by day").fetchall()
    days = [day for (day,) in rows]
    over = [day for day in days if day < request.now.date()]
    end = request.end or (over[-1] if over else None)
    if end is None:
        raise DataError("no day with a record is over yet", hint="wait for the UTC day to end, or say --end")
    start = end - timedelta(days=request.days - 1)
    if not any(start <= day <= end for day in days):
        raise DataError(f"no record lies between {start} and {end}", hint="check --end, and the dates of the logs")
    return end, sum(day > end for day in days)


def _merge(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    entries: Sequence[Entry],
    partials: Sequence[Partial],
    request: BuildRequest,
    window_days: tuple[date, date],
) -> None:
    """Stage two: make every table as a temporary one."""
    keep, parameters = keep_sql(request.incidents)
    # undated records of a file without a dated one belong to no day, and so to every window
    within = f"(kt_at is null or kt_at between ? and ?) and {keep}"
    for partial in partials:
        tables = [t for t, job in request.jobs.items() if partial_name(job) == partial.name]
        window = f"(select * from ({_relation(store, entries, partial.name)}) where {within})"
        values = [*window_days, *parameters]
        if len(tables) > 1:  # read the files once for several tables
            con.execute(f"create or replace temp table kt_window as select * from {window}", values)
            window, values = "kt_window", []
        for table in tables:
            sql = request.jobs[table].merge(table, window)
            con.execute(f"create or replace temp table {quote_name(table)} as {sql}", values)
    con.execute("drop table if exists kt_window")
