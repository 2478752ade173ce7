"""Stage one: reduces chunks of records to partials, and drops duplicates by request_id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from keytrip.baselines.jobs import Partial
from keytrip.records.sql import quote_name
from keytrip.sources.select import FILE

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


def fill(
    con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[object]]
) -> None:
    """Make a temporary table of these columns (name -> type) and rows, in one statement, however many they are."""
    typed = ", ".join(f"{quote_name(name)} {kind}" for name, kind in columns.items())
    con.execute(f"create or replace temp table {table} ({typed})")
    if rows:
        values = ", ".join(f"unnest(cast(? as {kind}[]))" for kind in columns.values())
        con.execute(f"insert into {table} select {values}", [list(column) for column in zip(*rows, strict=True)])


def json_text(names: Iterable[str]) -> str:
    """Return SQL for the canonical JSON of the record `r`; a null counts as greater than any value."""
    return "to_json(struct_pack(" + ", ".join(f"{quote_name(n)} := r.{quote_name(n)}" for n in sorted(names)) + "))"


def columns_of(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Return a table's canonical columns."""
    names = (row[0] for row in con.execute(f"describe {table}").fetchall())
    return [name for name in names if not name.startswith("kt_")]


def _twins(con: duckdb.DuckDBPyConnection, table: str) -> str:
    """Find the request_ids that stand there more than once; return SQL that joins them to the record `r`."""
    con.execute(
        f"create or replace temp table kt_twins as select source, request_id, min(timestamp) as earliest from {table} "
        "where request_id is not null group by source, request_id having count(*) > 1"
    )
    return "join kt_twins t on r.request_id = t.request_id and r.source = t.source"


def disputed(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Make `kt_disputed`, the (source, request_id) whose earliest records differ; return whether there are any.

    Among these the smallest JSON of the whole record decides, which `table` may not hold.
    """
    join, text = _twins(con, table), json_text(columns_of(con, table))
    con.execute(
        f"create or replace temp table kt_disputed as select r.source, r.request_id from {table} r {join} "
        f"where r.timestamp is not distinct from t.earliest group by all having count(distinct {text}) > 1"
    )
    return bool((con.execute("select count(*) from kt_disputed").fetchone() or (0,))[0])


def drop_duplicates(
    con: duckdb.DuckDBPyConnection, table: str, homes: Mapping[int, datetime | None] | None = None
) -> None:
    """Keep one record of each (source, request_id): the earliest, then the smallest canonical JSON (SEMANTICS 1).

    Records without a request_id are never duplicates. Only records that share theirs are compared at all.

    Args:
        con: The connection.
        table: Records.
        homes: File number -> what its undated records count as; of equal ones, that of the earliest stays.
    """
    join, text = _twins(con, table), json_text(columns_of(con, table))
    home = ""
    if homes:
        fill(con, "kt_homes", {FILE: "bigint", "kt_home": "timestamp"}, list(homes.items()))
        join, home = f"{join} left join kt_homes h on r.kt_file = h.kt_file", "h.kt_home nulls last, "
    con.execute(
        f"""delete from {table} where rowid in (select kt_row from (
  select r.rowid as kt_row, row_number() over (
      partition by r.source, r.request_id order by r.timestamp nulls last, {text}, {home}r.rowid
    ) as kt_place from {table} r {join})
  where kt_place > 1)"""
    )
    con.execute("drop table kt_twins")
