"""Records that carry a request_id, kept per segment: a duplicate in another file counts once.

It does whichever of the two comes first, changes or goes: partials leave out the records that lose to another file's.
A segment's partials of identified records have a generation; the index names the one in force, so that a build that
is killed leaves the old one in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.baselines.jobs import Partial
from keytrip.baselines.reduce import columns_of, fill, json_text
from keytrip.baselines.segments import RECORDS, Entry, add_filed
from keytrip.baselines.store import GENERATION, Store, generation_prefix, replace_file
from keytrip.records.sql import quote_text
from keytrip.sources.select import FILE

if TYPE_CHECKING:
    import duckdb


def records_file(store: Store, segment: int) -> Path:
    """Return where a segment keeps its identified records."""
    return store.segments / str(segment) / f"{RECORDS}.parquet"


def ids_file(store: Store, segment: int, generation: int, partial: str) -> Path:
    """Return where a segment keeps a partial of its identified records."""
    return store.segments / str(segment) / f"{generation_prefix(generation)}{partial}.parquet"


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
    moved = [e for e in changed if records_file(store, e.segment).is_file()]
    if not segments or not moved:
        return list(entries)
    _files(con, "kt_live", entries)
    _files(con, "kt_gone", moved)
    con.execute(f"create or replace temp view kt_all as {_records(store, segments, 'kt_live')}")
    changed_records = _records(store, sorted({e.segment for e in moved}), "kt_gone")
    con.execute(f"create or replace temp table kt_moved as select distinct source, request_id from ({changed_records})")
    touched = "select distinct kt_segment from kt_all semi join kt_moved using (source, request_id)"
    generations = {segment: _next(entries, segment) for (segment,) in con.execute(touched).fetchall()}
    for segment, generation in sorted(generations.items()):
        _reduce(con, store, segment, generation, partials)
    con.execute("drop view kt_all")
    return [replace(e, generation=generations.get(e.segment, e.generation)) for e in entries]


def _next(entries: Sequence[Entry], segment: int) -> int:
    return max(e.generation for e in entries if e.segment == segment) + 1


def _records(store: Store, segments: Sequence[int], listed: str) -> str:
    """SQL for the identified records of the listed files of some segments, with the day of each file's undated ones."""
    return " union all by name ".join(
        f"select r.*, {segment} as kt_segment, l.last_day as kt_home "
        f"from read_parquet({quote_text(str(records_file(store, segment)))}) r "
        f"join {listed} l on l.kt_segment = {segment} and l.kt_file = r.kt_file"
        for segment in segments
    )


def _files(con: duckdb.DuckDBPyConnection, table: str, entries: Sequence[Entry]) -> None:
    """Make a table of files; one that lies under several paths stands there once."""
    days = {e.place: e.last_day for e in entries}
    columns = {"kt_segment": "bigint", FILE: "bigint", "last_day": "date"}
    fill(con, table, columns, [(*place, days[place]) for place in sorted(days)])


def _reduce(
    con: duckdb.DuckDBPyConnection, store: Store, segment: int, generation: int, partials: Sequence[Partial]
) -> None:
    relation = f"(select * from kt_all where kt_segment = {segment})"
    if _losers(con, segment):
        relation = f"(select * from {relation} anti join kt_losers using (kt_file, kt_record))"
    for partial in partials:
        con.execute(f"drop table if exists {GENERATION}{partial.name}")
    base = f"(select kt_file, last_day from kt_live where kt_segment = {segment})"
    add_filed(con, partials, relation, base, GENERATION)
    for partial in partials:
        path = ids_file(store, segment, generation, partial.name)
        part = path.with_name(f".{path.name}.part")
        con.execute(f"copy {GENERATION}{partial.name} to {quote_text(str(part))} (format parquet, compression zstd)")
        con.execute(f"drop table {GENERATION}{partial.name}")
        replace_file(part, path)


def _losers(con: duckdb.DuckDBPyConnection, segment: int) -> int:
    """Make `kt_losers`, the segment's records that are not the first of their twins; return how many there are."""
    text = json_text(columns_of(con, "kt_all"))
    con.execute(
        f"""create or replace temp table kt_losers as select kt_file, kt_record from (
  select r.kt_segment, r.kt_file, r.kt_record, row_number() over (partition by r.source, r.request_id
    order by r.timestamp nulls last, {text}, r.kt_home nulls last, r.kt_segment, r.kt_file, r.kt_record) as kt_place
  from kt_all r semi join (select source, request_id from kt_all semi join
    (select distinct source, request_id from kt_all where kt_segment = {segment}) using (source, request_id)
    group by all having count(*) > 1) using (source, request_id))
where kt_place > 1 and kt_segment = {segment}"""
    )
    return int((con.execute("select count(*) from kt_losers").fetchone() or (0,))[0])
