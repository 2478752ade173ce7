"""Stage one on disk: what each build reduced, and the index of the input files that are live."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip import __version__
from keytrip.baselines.jobs import Partial
from keytrip.baselines.reduce import fill
from keytrip.baselines.store import Store, replace_file
from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import usage
from keytrip.sources.files import InputFile
from keytrip.sources.passes import CHUNK
from keytrip.sources.select import FILE

if TYPE_CHECKING:
    import duckdb

RECORDS = "records"
FILED = "kt_filed"
_BLOCK = 2**22
# A file changed within this many nanoseconds of being indexed may have changed again without a new time.
_RACY = 2 * 10**9


@dataclass(frozen=True)
class Entry:
    """A live input file.

    Attributes:
        path: Resolved path.
        digest: SHA-256 of its content.
        size, mtime: As when it was hashed (mtime: last change in nanoseconds; 0 if it may have changed since).
        source: The source it was read as.
        segment, number: Where its rows are.
        records: How many records.
        last_day: Its last dated day.
        fingerprint: Of the partials' definitions.
        generation: Which partials of the segment's identified records are in force; 0 where it has none.
    """

    path: str
    digest: str
    size: int
    mtime: int
    source: str
    segment: int
    number: int
    records: int
    last_day: date | None
    fingerprint: str
    generation: int = 0

    @property
    def place(self) -> tuple[int, int]:
        """Where its rows are."""
        return self.segment, self.number


COLUMNS = {
    "path": "varchar",
    "digest": "varchar",
    "size": "bigint",
    "mtime": "bigint",
    "source": "varchar",
    "segment": "bigint",
    "number": "bigint",
    "records": "bigint",
    "last_day": "date",
    "fingerprint": "varchar",
    "generation": "bigint",
}


def fingerprint(partials: Sequence[Partial]) -> str:
    """Return a digest of what the partials hold: a new or changed job needs the logs once more."""
    derived = {name: field.sql for name, field in usage().derived.items()}
    text = repr([(p.name, p.grain, sorted(p.measures.items())) for p in partials])
    return hashlib.sha256(f"{__version__} {text} {derived} {[*usage().fields]}".encode()).hexdigest()[:16]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def read_index(con: duckdb.DuckDBPyConnection, store: Store) -> list[Entry]:
    """Return the live files; none where there is no index yet."""
    if not store.index.is_file():
        return []
    rows = con.execute("select * from read_parquet(?) order by path", [str(store.index)]).fetchall()
    return [Entry(*row) for row in rows]


def write_index(con: duckdb.DuckDBPyConnection, store: Store, entries: Iterable[Entry]) -> None:
    """Replace the index at once: the commit point of stage one."""
    fill(con, "kt_index", COLUMNS, [tuple(vars(e).values()) for e in entries])
    part = store.root / f".index.{os.getpid()}.part"
    con.execute(f"copy (select * from kt_index order by path) to {quote_text(str(part))} (format parquet)")
    con.execute("drop table kt_index")
    replace_file(part, store.index)


@dataclass(frozen=True)
class Seen:
    """A file of this run with its content's digest; `known` where the index holds that content already."""

    file: InputFile
    digest: str
    size: int
    mtime: int
    known: Entry | None


def look(files: Sequence[InputFile], entries: Sequence[Entry], source: str, mark: str) -> list[Seen]:
    """Return each file with its digest; files that did not change since they were indexed are not read again."""
    by_path = {e.path: e for e in entries}
    usable = {e.digest: e for e in entries if e.source == source and e.fingerprint == mark}
    found = []
    for file in files:
        stat = file.path.stat()
        before = by_path.get(str(file.path.resolve()))
        # a file's content can be given any time, the change of anything about the file cannot
        touched = max(stat.st_mtime_ns, stat.st_ctime_ns)
        same = before and before.mtime and (before.size, before.mtime) == (stat.st_size, touched)
        digest = before.digest if before and same else digest_of(file.path)
        mtime = touched if time.time_ns() - touched > _RACY else 0
        found.append(Seen(file, digest, stat.st_size, mtime, usable.get(digest)))
    return found


def save_partials(con: duckdb.DuckDBPyConnection, folder: Path, partials: Sequence[Partial]) -> None:
    """Write the temporary partial tables of this build as Parquet, one a partial, and drop them."""
    for partial in partials:
        path = quote_text(str(folder / f"{partial.name}.parquet"))
        con.execute(f"copy {partial.name} to {path} (format parquet, compression zstd)")
        con.execute(f"drop table {partial.name}")


def add_filed(
    con: duckdb.DuckDBPyConnection, partials: Sequence[Partial], relation: str, base: str, prefix: str = ""
) -> None:
    """Reduce `relation` by file; `kt_at` is the day that a row belongs to, undated ones to their file's last day.

    Args:
        con: The connection.
        partials: What to reduce to.
        relation: Records with `kt_file`.
        base: A relation (kt_file, last_day).
        prefix: Of the temporary tables' names.
    """
    for partial in partials:
        names = ", ".join(quote_name(c) for c in partial.columns)
        sql = partial.reduce(relation).replace("select ", f"select {FILE}, ", 1)
        dated = f"{FILE}, coalesce(p.day, l.last_day) as kt_at"
        joined = f"select {dated}, {names} from ({sql}) p left join {base} l using ({FILE})"
        name = prefix + partial.name
        exists = table_exists(con, name)
        con.execute(f"insert into {name} {joined}" if exists else f"create temp table {name} as {joined}")


def table_exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Return whether a table exists."""
    row = con.execute("select count(*) from duckdb_tables() where table_name = ?", [table]).fetchone()
    return bool(row and row[0])


def chunk_last_days(con: duckdb.DuckDBPyConnection, offset: int) -> dict[int, tuple[int, date | None]]:
    """Number the chunk's files within the segment (view `kt_filed`); return number -> (records, last dated day)."""
    numbered = f"select * replace (cast({FILE} as bigint) + {offset} as {FILE}) from {CHUNK}"
    con.execute(f"create or replace temp view {FILED} as {numbered}")
    rows = con.execute(f"select {FILE}, count(*), max(cast(timestamp as date)) from {FILED} group by all").fetchall()
    return {number: (records, last) for number, records, last in rows}
