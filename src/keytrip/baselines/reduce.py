"""Stage one: reduces chunks of records to partials, and drops duplicates by request_id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keytrip.baselines.jobs import Partial
from keytrip.records.sql import quote_name

if TYPE_CHECKING:
    import duckdb


def add_partials(con: duckdb.DuckDBPyConnection, partials: Sequence[Partial], relation: str) -> None:
    """Reduce `relation` and add the rows to the temporary tables named after the partials."""
    for partial in partials:
        columns = ", ".join(quote_name(c) for c in partial.columns)
        sql = f"select {columns} from ({partial.reduce(relation)})"
        if _exists(con, partial.name):
            con.execute(f"insert into {partial.name} {sql}")
        else:
            con.execute(f"create temp table {partial.name} as {sql}")


def _exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    row = con.execute("select count(*) from duckdb_tables() where table_name = ? and temporary", [table]).fetchone()
    return bool(row and row[0])


def drop_duplicates(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Keep one record of each (source, request_id): the earliest, then the smallest canonical JSON (SEMANTICS 1).

    Records without a request_id are never duplicates. Only records that share theirs are compared at all.
    """
    names = sorted(row[0] for row in con.execute(f"describe {table}").fetchall() if not row[0].startswith("kt_"))
    text = "to_json(struct_pack(" + ", ".join(f"{quote_name(n)} := {quote_name(n)}" for n in names) + "))"
    con.execute(
        f"create or replace temp table kt_twins as select source, request_id from {table} "
        "where request_id is not null group by all having count(*) > 1"
    )
    con.execute(
        f"""delete from {table} where rowid in (select kt_row from (
  select r.rowid as kt_row, row_number() over (
      partition by r.source, r.request_id order by r.timestamp nulls last, {text.replace(':= "', ':= r."')}, r.rowid
    ) as kt_place from {table} r join kt_twins t on r.request_id = t.request_id and r.source = t.source)
  where kt_place > 1)"""
    )
    con.execute("drop table kt_twins")
