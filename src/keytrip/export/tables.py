"""The tables of a snapshot as a destination gets them: counted, digested, and read a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import Job
from keytrip.baselines.snapshots import Snapshot, table_path
from keytrip.baselines.store import Store
from keytrip.errors import DataError, Place
from keytrip.export.layout import SEPARATOR, lookup_name
from keytrip.export.model import Row, Table
from keytrip.records.sql import fetched, quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

# Of a table that is read: what a batch and Parquet's own buffers need, whatever the table's size.
_MEMORY = "128MB"


def snapshot_tables(store: Store, snapshot: Snapshot, packs: tuple[Path, ...] = ()) -> list[Table]:
    """Return every table that a snapshot has and a job declares, by name.

    Raises:
        DataError: A table cannot be read.
    """
    jobs = ((name, job, table_path(store, snapshot.number, name)) for name, job in sorted(load_jobs(packs).items()))
    with _connected() as con:
        return [parquet_table(name, job, path, con) for name, job, path in jobs if path.is_file()]


def parquet_table(name: str, job: Job, path: Path, con: duckdb.DuckDBPyConnection) -> Table:
    """Return a baseline table that lies in a Parquet file, sorted by its key as snapshots are.

    Args:
        name: The job's.
        job: It.
        path: The file.
        con: Reads it now; whoever reads the rows later opens another.

    Raises:
        DataError: It cannot be read.
    """
    count, digest = digest_of_rows(_read(con, path, job.columns))
    columns = dict(job.columns)
    return Table(lookup_name(name), tuple(job.table_key), columns, count, digest, lambda: _rows(path, columns))


def table_of(name: str, key: tuple[str, ...], columns: Mapping[str, str], rows: Callable[[], Iterable[Row]]) -> Table:
    """Return a table of rows that are sorted by their key; they are read once, to count and digest them."""
    count, digest = digest_of_rows(rows())
    return Table(name, tuple(key), dict(columns), count, digest, lambda: iter(rows()))


def digest_of_rows(rows: Iterable[Row]) -> tuple[int, str]:
    """Return (count, digest) of rows in the order of their key.

    The digest is the SHA-256 of the rows' canonical JSON, one a line, with sorted names. As keys are unique there is
    one such order, so equal tables have equal digests.
    """
    count, digest = 0, hashlib.sha256()
    for row in rows:
        digest.update(canonical(row))
        count += 1
    return count, digest.hexdigest()


def canonical(row: Row) -> bytes:
    """Return a row as one line of canonical JSON.

    Raises:
        DataError: It holds half a character, or a number of more than 64 bits: no destination holds that.
    """
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        hint = "build a new snapshot: keytrip reads no such values"
        raise DataError(f"a row cannot be told to anyone ({error}): {ascii(dict(row))[:200]}", hint=hint) from error


def row_identity(key: tuple[str, ...], row: Row) -> str:
    """Return the first 32 hex digits of the SHA-256 of a row's key values, joined by U+001F.

    Values that hold the separator, and nulls, are hashed as a JSON list, so that no two keys are one.
    """
    values = [row[name] for name in key]
    try:
        text = SEPARATOR.join(values)
    except TypeError:
        text = SEPARATOR.join(map(str, values))
    plain = text.count(SEPARATOR) == len(values) - 1 and None not in values
    whole = text.encode("utf-8", "surrogatepass") if plain else canonical({"key": values})
    return hashlib.sha256(whole).digest()[:16].hex()


@contextmanager
def _connected() -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    con = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1})
    try:
        yield con
    finally:
        con.close()


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    with _connected() as con:
        yield from _read(con, path, columns)


def _read(con: duckdb.DuckDBPyConnection, path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    import duckdb

    try:
        con.execute(f"select {', '.join(map(quote_name, columns))} from read_parquet({quote_text(str(path))})")
        for values in fetched(con):
            yield dict(zip(columns, values, strict=True))
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise DataError(f"cannot be read ({first})", place=Place(str(path)), hint="build a new snapshot") from error
