"""Records that carry a request_id: kept per segment, so that a duplicate in another file counts once, whichever of the
two files comes first, changes or goes. Partials of such records leave out those that lose to another file's.

A segment's partials of identified records have a generation; the index names the one in force, so that a build that
is killed leaves the old one in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.baselines.jobs import Partial
from keytrip.baselines.segments import RECORDS, Entry, add_filed
from keytrip.baselines.store import Store, replace_file
from keytrip.records.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

IDS = "ids_"


def records_file(store: Store, segment: int) -> Path:
    """Return where a segment keeps its identified records."""
    return store.segments / str(segment) / f"{RECORDS}.parquet"


def ids_file(store: Store, segment: int, generation: int, partial: str) -> Path:
    """Return where a segment keeps a partial of its identified records."""
    return store.segments / str(segment) / f"{IDS}{generation}_{partial}.parquet"


def settle(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    entries: Sequence[Entry],
    changed: Sequence[Entry],
    partials: Sequence[Partial],
) -> list[Entry]:
    """Reduce anew the segments in which another record may win now; return the entries with their generations.

    Args:
        con: The connection.
        store: The store, held.
        entries: The live files after this build.
        changed: Files that came or went; those gone still have their records in their segment.
        partials: All partials.
    """
    segments = sorted({e.segment for e in entries if records_file(store, e.segment).is_file()})
    moved = sorted({e.segment for e in changed if records_file(store, e.segment).is_file()})
    if not segments or not moved:
        return list(entries)
    _live(con, entries)
    con.execute(f"create or replace temp view kt_all as {_records(store, segments)}")
    con.execute(
        f"create or replace temp table kt_moved as select distinct source, request_id from ({_records(store, moved)})"
    )
    rows = con.execute("select distinct kt_segment from kt_all semi join kt_moved using (source, request_id)").fetchall()
    touched = {segment for (segment,) in rows}
    generations = {segment: _next(entries, segment) for segment in touched}
    for segment, generation in sorted(generations.items()):
        _reduce(con, store, segment, generation, partials)
    con.execute("drop view kt_all")
    return [replace(e, generation=generations.get(e.segment, e.generation)) for e in entries]


def _next(entries: Sequence[Entry], segment: int) -> int:
    return max(e.generation for e in entries if e.segment == segment) + 1


def _records(store: Store, segments: Sequence[int]) -> str:
    """SQL for the identified records of live files of some segments; of all files where a segment has no live ones."""
    return " union all by name ".join(
        f"select r.*, {segment} as kt_segment from read_parquet({quote_text(str(records_file(store, segment)))}) r "
        f"where exists (select 1 from kt_live l where l.kt_segment = {segment} and l.kt_file = r.kt_file) "
        f"or not exists (select 1 from kt_live l where l.kt_segment = {segment})"
        for segment in segments
    )


def _live(con: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> None:
    con.execute("create or replace temp table kt_live (kt_segment bigint, kt_file bigint, last_day date)")
    con.executemany("insert into kt_live values (?, ?, ?)", [(e.segment, e.number, e.last_day) for e in entries])


def _reduce(
    con: duckdb.DuckDBPyConnection, store: Store, segment: int, generation: int, partials: Sequence[Partial]
) -> None:
    columns = [r[0] for r in con.execute("describe kt_all").fetchall() if not r[0].startswith("kt_")]
    text = "to_json(struct_pack(" + ", ".join(f"{quote_name(n)} := r.{quote_name(n)}" for n in sorted(columns)) + "))"
    con.execute(
        f"""create or replace temp table kt_losers as select kt_file, kt_record from (
  select r.kt_segment, r.kt_file, r.kt_record, row_number() over (partition by r.source, r.request_id
    order by r.timestamp nulls last, {text}, r.kt_segment, r.kt_file, r.kt_record) as kt_place
  from kt_all r semi join (select source, request_id from kt_all semi join
    (select distinct source, request_id from kt_all where kt_segment = {segment}) using (source, request_id)
    group by all having count(*) > 1) using (source, request_id))
where kt_place > 1 and kt_segment = {segment}"""
    )
    relation = f"(select * from kt_all where kt_segment = {segment}) anti join kt_losers using (kt_file, kt_record)"
    for partial in partials:
        con.execute(f"drop table if exists {IDS}{partial.name}")
    base = f"(select kt_file, last_day from kt_live where kt_segment = {segment})"
    add_filed(con, partials, f"(select * from {relation})", base, IDS)
    for partial in partials:
        path = ids_file(store, segment, generation, partial.name)
        part = path.with_name(f".{path.name}.part")
        con.execute(f"copy {IDS}{partial.name} to {quote_text(str(part))} (format parquet, compression zstd)")
        con.execute(f"drop table {IDS}{partial.name}")
        replace_file(part, path)
