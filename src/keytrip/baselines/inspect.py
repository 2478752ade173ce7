"""Looks into snapshots: the rows of one key, and what changed between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keytrip.baselines.kinds import Job
from keytrip.baselines.snapshots import table_path
from keytrip.baselines.store import Store
from keytrip.records.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

# A statistic that moved by less than this share is not worth a line.
_MOVED = 0.01


def key_rows(
    con: duckdb.DuckDBPyConnection, store: Store, number: int, jobs: Mapping[str, Job], key: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (table, row) of one key, in the order of tables and of their keys."""
    for table, job in sorted(jobs.items()):
        path = table_path(store, number, table)
        if "key_id" not in job.table_key or not path.is_file():
            continue
        order = ", ".join(quote_name(c) for c in job.table_key)
        cursor = con.execute(f"select * from read_parquet(?) where key_id = ? order by {order}", [str(path), key])
        names = [d[0] for d in cursor.description or ()]
        yield from ((table, dict(zip(names, row, strict=True))) for row in cursor.fetchall())


def changes(
    con: duckdb.DuckDBPyConnection, store: Store, a: int, b: int, jobs: Mapping[str, Job]
) -> Iterator[dict[str, Any]]:
    """Yield what came, went, or moved (means by more than 1 %), sorted by table and key."""
    for table, job in sorted(jobs.items()):
        paths = [table_path(store, number, table) for number in (a, b)]
        if all(path.is_file() for path in paths):
            yield from _table_changes(con, table, job, *(quote_text(str(path)) for path in paths))


def _table_changes(
    con: duckdb.DuckDBPyConnection, table: str, job: Job, before: str, after: str
) -> Iterator[dict[str, Any]]:
    match = " and ".join(f"o.{quote_name(c)} = n.{quote_name(c)}" for c in job.table_key)
    key = " || ' ' || ".join(f"cast(coalesce(o.{quote_name(c)}, n.{quote_name(c)}) as varchar)" for c in job.table_key)
    first = quote_name(job.table_key[0])
    value = "mean" if "mean" in job.columns else None
    shown = f"o.{value}, n.{value}" if value else "null, null"
    moved = f"abs(n.{value} - o.{value}) > {_MOVED} * abs(o.{value})" if value else "false"
    rows = con.execute(
        f"""select {key} as k,
  case when o.{first} is null then 'new' when n.{first} is null then 'gone' else 'moved' end, {shown}
from read_parquet({before}) o full outer join read_parquet({after}) n on {match}
where o.{first} is null or n.{first} is null or {moved} order by k"""
    ).fetchall()
    for name, change, old, new in rows:
        yield {"table": table, "key": name, "change": change, "before": old, "after": new}
