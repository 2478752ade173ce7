"""Reads files of one source into DuckDB, chunk by chunk: quick where the file allows, thorough where it has faults."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.errors import DataError, Place
from keytrip.records.sql import SETUP
from keytrip.sources.base import Source
from keytrip.sources.convert import Prepared, Workshop, convert, quick
from keytrip.sources.files import InputFile
from keytrip.sources.lines import LINE, Reject
from keytrip.sources.passes import CHUNK, finish
from keytrip.sources.secrets import mask
from keytrip.sources.select import ALWAYS, BAD, FILE, FLAGS, IDENTIFIED, batches, select_sql

if TYPE_CHECKING:
    import duckdb

_TICK = b"\n"
# Columns that pricing needs beside the ones asked for.
PRICING = ("provider", "model", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "list_price")


@dataclass(frozen=True)
class Chunk:
    """Records that lie in the temporary table `kt_chunk` until the next chunk is asked for.

    Attributes:
        files: The files they come from.
        records: How many.
        identified: Whether some carry a request_id, so that duplicates are possible.
    """

    files: tuple[InputFile, ...]
    records: int
    identified: bool


@dataclass
class Report:
    """What reading met: counts, and what was set aside."""

    records: int = 0
    undated: int = 0
    files: int = 0
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """What to read and how.

    Attributes:
        source: How raw records map.
        columns: Canonical columns wanted.
        workshop: Where and how faulty or packed files are converted.
        hmac_key: Gives the key for pseudonyms, asked for only when a log carries a secret.
        chunk_bytes: Files are read together up to this size.
        tick: Called with the bytes done.
    """

    source: Source
    columns: frozenset[str]
    workshop: Workshop
    hmac_key: Callable[[], bytes]
    chunk_bytes: int = 256 * 2**20
    tick: Callable[[int], None] = lambda _: None

    @property
    def wanted(self) -> frozenset[str]:
        """The columns to read, with those that pricing needs."""
        priced = self.source.priced and {"cost_usd", "list_price", "cost_source"} & self.columns
        return self.columns | set(ALWAYS) | (set(PRICING) if priced else set())


def chunks(
    con: duckdb.DuckDBPyConnection, files: Sequence[InputFile], request: Request, report: Report
) -> Iterator[Chunk]:
    """Read `files` and yield each chunk while its records lie in `kt_chunk`; fill `report`.

    Raises:
        DataError: A file is not what its suffix says.
    """
    con.execute(SETUP)
    for group in _groups(files, request.chunk_bytes):
        _load(con, group, request, report)
        flags = finish(con, request.wanted, request.hmac_key)
        records, undated = con.execute(
            f"select count(*), count(*) filter (timestamp is null) from {CHUNK}"
        ).fetchone() or (0, 0)
        report.records += records
        report.undated += undated
        report.files += len(group)
        yield Chunk(tuple(group), records, bool(flags & IDENTIFIED))
        con.execute(f"drop table {CHUNK}")  # before the next is made, or memory would hold both
        request.tick(sum(file.size for file in group))


def _groups(files: Sequence[InputFile], limit: int) -> Iterator[list[InputFile]]:
    group: list[InputFile] = []
    size = 0
    for file in files:
        if group and size + file.size > limit:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group


def _load(con: duckdb.DuckDBPyConnection, group: Sequence[InputFile], request: Request, report: Report) -> None:
    prepared = [quick(file, request.workshop) or _convert(file, request, report) for file in group]
    if not _insert(con, prepared, request):
        prepared = [p if p.numbered or _sound(con, p, request) else _convert(p.file, request, report) for p in prepared]
        _insert(con, prepared, request)
    _set_aside(con, prepared, report)
    for one in request.workshop.folder.glob("*.numbered.ndjson"):
        one.unlink()


def _convert(file: InputFile, request: Request, report: Report) -> Prepared:
    prepared = convert(file, request.workshop)
    report.rejects += prepared.rejects
    return prepared


def _insert(con: duckdb.DuckDBPyConnection, files: Sequence[Prepared], request: Request) -> bool:
    """Put the records of `files` into the chunk; return whether all those without line numbers were sound."""
    import duckdb

    try:
        parts = (select_sql(batch, request.source, request.wanted) for batch in batches(files))
        con.execute(f"create or replace temp table {CHUNK} as {' union all by name '.join(parts)}")
    except duckdb.Error as error:
        _refuse(files, error)
        return False
    told = " and kt_reason is null" if any(p.numbered for p in files) else ""
    row = con.execute(f"select count(*) from {CHUNK} where {FLAGS} & {BAD} = {BAD}{told}").fetchone()
    return not (row and row[0])


def _refuse(files: Sequence[Prepared], error: Exception) -> None:
    """Raise what converting the files cannot help: no room, or a file that is not what it says."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException | duckdb.FatalException) or "No space left" in str(error):
        raise error
    stuck = [p for p in files if p.form == "parquet" or p.numbered]
    if len(stuck) == len(files):
        file = _first_broken(stuck)
        raise DataError(f"cannot be read as {file.form} ({_first_line(error)})", place=Place(file.file.name)) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _first_broken(files: Sequence[Prepared]) -> Prepared:
    import duckdb

    for file in files:
        if file.form == "parquet":
            try:
                duckdb.connect().execute("select count(*) from read_parquet(?)", [str(file.path)])
            except duckdb.Error:
                return file
    return files[0]


def _sound(con: duckdb.DuckDBPyConnection, prepared: Prepared, request: Request) -> bool:
    import duckdb

    try:
        sql = select_sql([(0, prepared)], request.source, request.wanted)
        row = con.execute(f"select bit_or({FLAGS}) & {BAD} from ({sql})").fetchone()
    except duckdb.Error as error:
        if prepared.form == "parquet":
            raise DataError(f"cannot be read as parquet ({_first_line(error)})", place=Place(prepared.file.name)) from error
        return False
    return not (row and row[0])


def _set_aside(con: duckdb.DuckDBPyConnection, files: Sequence[Prepared], report: Report) -> None:
    if not any(p.numbered for p in files):
        return
    rows = con.execute(
        f"select {FILE}, {LINE}, kt_reason from {CHUNK} where kt_reason is not null order by 1, 2"
    ).fetchall()
    if rows:
        report.rejects += [Reject(files[number].file.name, line, reason, "") for number, line, reason in rows]
        con.execute(f"delete from {CHUNK} where kt_reason is not null")


def write_rejects(rejects: Sequence[Reject], path: Path) -> None:
    """Write what was set aside as NDJSON: file, line, reason and how it began."""
    import orjson

    lines = (
        orjson.dumps({"file": r.file, "line": r.line, "reason": mask(r.reason), "text": r.text}) + _TICK
        for r in sorted(rejects, key=lambda r: (r.file, r.line))
    )
    path.write_bytes(b"".join(lines))
