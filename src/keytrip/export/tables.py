"""The tables of a snapshot as a destination gets them: counted, digested, and read a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import Job
from keytrip.baselines.snapshots import Snapshot, table_path
from keytrip.baselines.store import Store
from keytrip.errors import DataError, Place
from keytrip.export.layout import SEPARATOR, lookup_name
from keytrip.export.model import Row, Table
from keytrip.records.sql import quote_name, quote_text

_BATCH = 5_000
# Of a table that is read: what a batch and Parquet's own buffers need, whatever the table's size.
_MEMORY = "128MB"


def snapshot_tables(store: Store, snapshot: Snapshot, packs: tuple[Path, ...] = ()) -> list[Table]:
    """Return every table that a snapshot has and a job declares, by name.

    Raises:
        DataError: A table cannot be read.
    """
    found = []
    for name, job in sorted(load_jobs(packs).items()):
        path = table_path(store, snapshot.number, name)
        if path.is_file():
            found.append(parquet_table(name, job, path))
    return found


def parquet_table(name: str, job: Job, path: Path) -> Table:
    """Return a baseline table that lies in a Parquet file, sorted by its key as snapshots are.

    Raises:
        DataError: It cannot be read.
    """
    return table_of(lookup_name(name), job.table_key, job.columns, lambda: _rows(path, job.columns))


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
    """Return a row as one line of canonical JSON."""
    return orjson.dumps(row, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def row_identity(key: tuple[str, ...], row: Row) -> str:
    """Return the first 32 hex digits of the SHA-256 of a row's key values, joined by U+001F.

    Values that hold the separator, and nulls, are hashed as a JSON list, so that no two keys are one.
    """
    values = [row[name] for name in key]
    texts = [str(value) for value in values]
    plain = all(value is not None and SEPARATOR not in text for value, text in zip(values, texts, strict=True))
    whole = SEPARATOR.join(texts).encode("utf-8", "surrogatepass") if plain else canonical({"key": values})
    return hashlib.sha256(whole).hexdigest()[:32]


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[Row]:
    import duckdb

    names = tuple(columns)
    con = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1})
    try:
        listed = ", ".join(map(quote_name, names))
        con.execute(f"select {listed} from read_parquet({quote_text(str(path))})")
        while batch := con.fetchmany(_BATCH):
            for values in batch:
                yield dict(zip(names, values, strict=True))
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise DataError(f"cannot be read ({first})", place=Place(str(path)), hint="build a new snapshot") from error
    finally:
        con.close()
