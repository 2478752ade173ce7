"""Puts the records of a group of files into one table: quickly where every file allows it, and only the others again."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.errors import DataError, Place
from keytrip.sources.convert import Prepared, Workshop, convert, told
from keytrip.sources.lines import LINE, Reject, reject
from keytrip.sources.passes import CHUNK
from keytrip.sources.quick import quick
from keytrip.sources.request import Request
from keytrip.sources.select import BAD, FILE, FLAGS, REASON, batches, select_sql
from keytrip.sources.streams import unpack

if TYPE_CHECKING:
    import duckdb

    from keytrip.sources.files import InputFile

_TRIAL = "kt_trial"


def load(con: duckdb.DuckDBPyConnection, group: Sequence[InputFile], request: Request) -> list[Reject]:
    """Make the table `kt_chunk` of the records of `group`; return what was none.

    Raises:
        DataError: A file is not what its suffix says.
    """
    with tempfile.TemporaryDirectory(dir=request.workshop.folder) as name:
        bench = replace(request.workshop, folder=Path(name))
        files = [_prepared(file, bench) for file in group]
        if not _tried(con, CHUNK, files, request):
            files = [_mended(con, file, request, bench) for file in files]
            _insert(con, CHUNK, files, request)
        return [r for file in files for r in file.rejects] + _set_aside(con, files)


def _prepared(file: InputFile, bench: Workshop) -> Prepared:
    plain = unpack(file, bench.folder)
    return quick(plain, bench) or convert(plain, bench)


def _insert(con: duckdb.DuckDBPyConnection, table: str, files: Sequence[Prepared], request: Request) -> None:
    parts = (select_sql(batch, request.source, request.wanted) for batch in batches(files))
    con.execute(f"create or replace temp table {table} as {' union all by name '.join(parts)}")


def _tried(con: duckdb.DuckDBPyConnection, table: str, files: Sequence[Prepared], request: Request) -> bool:
    """Insert; return whether DuckDB could read it all, and each record without a line number is sound."""
    import duckdb

    try:
        _insert(con, table, files, request)
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


def _mended(con: duckdb.DuckDBPyConnection, file: Prepared, request: Request, bench: Workshop) -> Prepared:
    """Return `file` if it can be read as it is, else converted, else converted with every record written anew."""
    if _tried(con, _TRIAL, [file], request):
        return file
    if file.form == "parquet":
        raise DataError(f"cannot be read as Parquet ({_why(con, file, request)})", place=Place(file.file.name))
    plain = convert(file.file, bench)
    if _tried(con, _TRIAL, [plain], request):
        return plain
    anew = convert(file.file, bench, rewrite=True)
    if _tried(con, _TRIAL, [anew], request):
        return anew
    raise DataError(f"cannot be read ({_why(con, anew, request)})", place=Place(file.file.name))


def _why(con: duckdb.DuckDBPyConnection, file: Prepared, request: Request) -> str:
    import duckdb

    try:
        _insert(con, _TRIAL, [file], request)
    except duckdb.Error as error:
        return told(error, file.file)
    return "it changed while it was read"


def _set_aside(con: duckdb.DuckDBPyConnection, files: Sequence[Prepared]) -> list[Reject]:
    con.execute(f"drop table if exists {_TRIAL}")
    if not any(file.numbered for file in files):
        return []
    rows = con.execute(f"select {FILE}, {LINE}, {REASON} from {CHUNK} where {REASON} is not null order by 1, 2").fetchall()
    if rows:
        con.execute(f"delete from {CHUNK} where {REASON} is not null")
    return [reject(files[number].file.name, line, reason, b"") for number, line, reason in rows]
