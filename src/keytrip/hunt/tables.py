"""Baseline tables for a hunt: from a snapshot's Parquet, or from a folder that `baseline export` (or a user) wrote."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.baselines.kinds import Job
from keytrip.errors import DataError, Place
from keytrip.records.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

SUFFIXES = (".parquet", ".csv", ".ndjson")


def table_file(folder: Path, table: str) -> Path | None:
    """Return the file that holds `table` in a folder of tables, or None."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{table}{suffix}").is_file()), None)


def load_tables(
    con: duckdb.DuckDBPyConnection, folder: Path, jobs: Mapping[str, Job], wanted: Collection[str]
) -> set[str]:
    """Make each wanted table that the folder holds; return their names.

    Raises:
        DataError: A file is no such table, or holds a key twice.
    """
    found = set()
    for table in sorted(wanted):
        path = table_file(folder, table)
        if path is not None:
            _load(con, path, table, jobs[table])
            found.add(table)
    return found


def link_tables(con: duckdb.DuckDBPyConnection, folder: Path, wanted: Collection[str]) -> set[str]:
    """Make a view over each wanted table of a snapshot (typed and unique already); return their names."""
    found = set()
    for table in sorted(wanted):
        path = table_file(folder, table)
        if path is not None:
            relation = f"read_parquet({quote_text(str(path))})"
            con.execute(f"create or replace temp view {quote_name(table)} as select * from {relation}")
            found.add(table)
    return found


def _load(con: duckdb.DuckDBPyConnection, path: Path, table: str, job: Job) -> None:
    import duckdb

    columns = job.columns
    try:
        present = _columns(con, path, [*columns])
        missing = [c for c in job.table_key if c not in present]
        if missing:
            hint = "see `keytrip baseline export`"
            raise DataError(f"has no column {missing[0]!r}", place=Place(str(path)), hint=hint)
        parts = ", ".join(_cast(name, kind, present) for name, kind in columns.items())
        sql = f"select {parts} from {_relation(path, present)}"
        con.execute(f"create or replace temp table {quote_name(table)} as {sql}")
    except duckdb.Error as error:
        raise DataError(f"is no table {table} ({str(error).splitlines()[0]})", place=Place(str(path))) from error
    _unique(con, path, table, job)


def _cast(name: str, kind: str, present: Collection[str]) -> str:
    if name not in present:
        return f"cast(null as {kind}) as {quote_name(name)}"
    if kind == "TIMESTAMP":
        return f"kt_time(cast({quote_name(name)} as varchar)) as {quote_name(name)}"
    return f"cast({quote_name(name)} as {kind}) as {quote_name(name)}"


def _columns(con: duckdb.DuckDBPyConnection, path: Path, columns: list[str]) -> list[str]:
    """Return the columns that a file has; an empty NDJSON is an empty table."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    if path.suffix == ".ndjson":
        return columns if path.stat().st_size == 0 else _members(con, path)
    return [row[0] for row in con.execute(f"describe select * from {_relation(path, [])}").fetchall()]


def _members(con: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """Return the members that objects of an NDJSON file have."""
    sql = "select distinct unnest(json_keys(json)) from read_json_objects(?, format = 'newline_delimited')"
    return [name for (name,) in con.execute(sql, [str(path)]).fetchall()]


def _relation(path: Path, header: Collection[str]) -> str:
    """A CSV is never sniffed: `0042`, `1e3` and `NA` are key ids; an empty cell is null, `""` the empty string."""
    text = quote_text(str(path))
    if path.suffix == ".csv":
        columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header)
        return (
            f"read_csv({text}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
            f"nullstr = '', allow_quoted_nulls = false, columns = {{{columns}}})"
        )
    if path.suffix == ".ndjson":
        columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header)
        return f"read_json({text}, format = 'newline_delimited', columns = {{{columns}}})"
    return f"read_parquet({text})"


def _unique(con: duckdb.DuckDBPyConnection, path: Path, table: str, job: Job) -> None:
    keys = ", ".join(quote_name(c) for c in job.table_key)
    row = con.execute(f"select {keys} from {quote_name(table)} group by all having count(*) > 1 limit 1").fetchone()
    if row is not None:
        shown = ", ".join(map(repr, row))
        raise DataError(f"holds the key {shown} twice", place=Place(str(path)), hint="one row a key")
