"""Puts the records of a group of files into one table: quickly where every file allows it, only the others again."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.errors import DataError, Place
from keytrip.sources.convert import Prepared, Workshop, convert, told
from keytrip.sources.lean import lacking
from keytrip.sources.lines import LINE, Reject, reject
from keytrip.sources.passes import BASE
from keytrip.sources.quick import quick
from keytrip.sources.request import Request
from keytrip.sources.select import BAD, FILE, FLAGS, MISSED, REASON, batches, select_sql
from keytrip.sources.streams import unpack

if TYPE_CHECKING:
    import duckdb

    from keytrip.sources.files import InputFile

_TRIAL = "kt_trial"
_SHOWN = 1200


@dataclass(frozen=True)
class Loaded:
    """What was no record, and which wanted columns the table lacks, since no record has them."""

    rejects: list[Reject]
    omitted: frozenset[str]


def load(con: duckdb.DuckDBPyConnection, group: Sequence[InputFile], request: Request) -> Loaded:
    """Make the table `kt_base` of the records of `group`.

    Raises:
        DataError: A file is not what its suffix says.
    """
    with tempfile.TemporaryDirectory(dir=request.workshop.folder) as name:
        bench = replace(request.workshop, folder=Path(name))
        files: Sequence[Prepared] = [_prepared(file, bench) for file in group]
        omitted = lacking(files, request)
        sound = _tried(con, BASE, files, request, omitted)
        if sound and omitted and _missed(con):
            omitted = frozenset()
            sound = _tried(con, BASE, files, request)
        if not sound:
            omitted = frozenset()
            files = _sound(con, files, request, bench)
        rejects = [r for file in files for r in file.rejects]
        rejects += _set_aside(con, files) if any(file.numbered for file in files) else []
        return Loaded(rejects, omitted)


def _prepared(file: InputFile, bench: Workshop) -> Prepared:
    plain = unpack(file, bench.folder)
    return quick(plain, bench) or convert(plain, bench)


def _insert(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Prepared],
    request: Request,
    omitted: Collection[str] = (),
) -> None:
    parts = (select_sql(batch, request.source, request.wanted, omitted) for batch in batches(files))
    con.execute(f"create or replace temp table {table} as {' union all by name '.join(parts)}")


def _missed(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether a record has a column that was left out."""
    row = con.execute(f"select count(*) from {BASE} where {FLAGS} & {MISSED} > 0").fetchone()
    return bool(row and row[0])


def _tried(
    con: duckdb.DuckDBPyConnection,
    table: str,
    files: Sequence[Prepared],
    request: Request,
    omitted: Collection[str] = (),
) -> bool:
    """Insert; return whether DuckDB could read it all, and each record without a line number is sound."""
    import duckdb

    try:
        _insert(con, table, files, request, omitted)
    except duckdb.Error as error:
        _raise_unless_of_data(error)
        return False
    told_why = f" and {REASON} is null" if any(f.numbered for f in files) else ""
    row = con.execute(f"select count(*) from {table} where {FLAGS} & {BAD} = {BAD}{told_why}").fetchone()
    return not (row and row[0])


def _raise_unless_of_data(error: duckdb.Error) -> None:
    """Raise what is no fault of a file: no room, an interrupt, or a mistake in our own SQL."""
    import duckdb

    ours = (
        duckdb.OutOfMemoryException,
        duckdb.FatalException,
        duckdb.InterruptException,
        duckdb.InternalException,
        duckdb.BinderException,
        duckdb.CatalogException,
        duckdb.ParserException,
    )
    if isinstance(error, ours) or "No space left" in str(error) or "File too large" in str(error):
        raise error


def _sound(
    con: duckdb.DuckDBPyConnection, files: Sequence[Prepared], request: Request, bench: Workshop
) -> Sequence[Prepared]:
    """Fill the table after all: only what is faulty is converted; return the files as they were read then."""
    files = [file if _is_sound(con, file, files, request) else _converted(con, file, request, bench) for file in files]
    if not _tried(con, BASE, files, request):
        files = [file if _tried(con, _TRIAL, [file], request) else _anew(con, file, request, bench) for file in files]
        _insert(con, BASE, files, request)
    con.execute(f"drop table if exists {_TRIAL}")
    return files


def _is_sound(con: duckdb.DuckDBPyConnection, file: Prepared, files: Sequence[Prepared], request: Request) -> bool:
    """Whether a file need not be converted; it is asked of DuckDB only where another file may be the faulty one."""
    if file.numbered and file.form != "parquet":
        return True
    suspects = [f for f in files if not f.numbered or f.form == "parquet"]
    return len(suspects) > 1 and _tried(con, _TRIAL, [file], request)


def _converted(con: duckdb.DuckDBPyConnection, file: Prepared, request: Request, bench: Workshop) -> Prepared:
    if file.form == "parquet":
        raise DataError(f"cannot be read as Parquet ({_why(con, file, request)})", place=Place(file.file.name))
    return convert(file.file, bench)


def _anew(con: duckdb.DuckDBPyConnection, file: Prepared, request: Request, bench: Workshop) -> Prepared:
    """Write every record anew: DuckDB refuses an object that has a name twice."""
    anew = convert(file.file, bench, rewrite=True)
    if not _tried(con, _TRIAL, [anew], request):
        raise DataError(f"cannot be read ({_why(con, anew, request)})", place=Place(file.file.name))
    return anew


def _why(con: duckdb.DuckDBPyConnection, file: Prepared, request: Request) -> str:
    import duckdb

    try:
        _insert(con, _TRIAL, [file], request)
    except duckdb.Error as error:
        return told(error, file.file)
    return "it changed while it was read"


def _set_aside(con: duckdb.DuckDBPyConnection, files: Sequence[Prepared]) -> list[Reject]:
    rows = con.execute(f"select {FILE}, {LINE}, {REASON} from {BASE} where {REASON} is not null").fetchall()
    if rows:
        con.execute(f"delete from {BASE} where {REASON} is not null")
    found: list[Reject] = []
    for number, group in groupby(sorted(rows), key=itemgetter(0)):
        reasons = {line: reason for _, line, reason in group}
        starts = _starts(files[number], reasons.keys())
        found += [reject(files[number].file.name, line, why, starts.get(line, b"")) for line, why in reasons.items()]
    return found


def _starts(file: Prepared, numbers: Collection[int]) -> dict[int, bytes]:
    """Return how the records with these line numbers begin, without the number."""
    if file.form != "ndjson":
        return {}
    with file.path.open("rb") as lines:
        parts = (line[:_SHOWN].partition(b":")[2].partition(b",") for line in lines)
        found = ((int(number.rstrip(b"}\n")), rest) for number, _, rest in parts)
        return {number: b"{" + (rest.rstrip() or b"}") for number, rest in found if number in numbers}
