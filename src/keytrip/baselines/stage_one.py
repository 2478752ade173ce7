"""Stage one of a build: files with new content become a segment of partials; the index says which files are live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.baselines.identified import ids_file, records_file, settle
from keytrip.baselines.jobs import Partial, job_inputs
from keytrip.baselines.reduce import columns_of, fill
from keytrip.baselines.request import BuildRequest
from keytrip.baselines.segments import (
    FILED,
    RECORDS,
    Entry,
    Seen,
    add_filed,
    chunk_last_days,
    look,
    save_partials,
    table_exists,
)
from keytrip.baselines.store import Store, new_folder, next_number
from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import usage
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks
from keytrip.sources.select import FILE

if TYPE_CHECKING:
    import duckdb

_IDENTIFIED = "kt_identified"


@dataclass(frozen=True)
class Run:
    """One run of stage one.

    Attributes:
        con: The connection.
        store: The store, held.
        request: What was asked for.
        partials: What records are reduced to.
        mark: The partials' fingerprint.
        report: Filled with what reading met.
    """

    con: duckdb.DuckDBPyConnection
    store: Store
    request: BuildRequest
    partials: Sequence[Partial]
    mark: str
    report: Report


def reduce_new(run: Run, before: Sequence[Entry]) -> tuple[list[Entry], int]:
    """Reduce files with new content into a segment; return the live files after it, and how many were known.

    Raises:
        DataError: A file cannot be read.
    """
    seen = look(run.request.files, before, run.request.source.name, run.mark)
    fresh = list({s.digest: s for s in reversed(seen) if s.known is None}.values())[::-1]
    entries = _live_entries(before, seen, _segment(run, fresh) if fresh else {})
    ours = [e for e in entries if e.fingerprint == run.mark]
    came, went = {e.place for e in ours}, {e.place: e for e in before if e.fingerprint == run.mark}
    changed = [e for e in ours if e.place not in went] + [e for e in went.values() if e.place not in came]
    settled = settle(run.con, run.store, ours, changed, run.partials)
    others = [e for e in entries if e.fingerprint != run.mark]
    return sorted([*settled, *others], key=lambda e: e.path), len(seen) - len(fresh)


def _live_entries(before: Sequence[Entry], seen: Sequence[Seen], made: Mapping[str, Entry]) -> list[Entry]:
    """A path has one content. A content that lies under several paths has one place, and so counts once."""
    by_path = {e.path: e for e in before}
    for s in seen:
        entry = made.get(s.digest) or s.known
        if entry is not None:
            path = str(s.file.path.resolve())
            by_path[path] = replace(entry, path=path, size=s.size, mtime=s.mtime)
    return sorted(by_path.values(), key=lambda e: e.path)


def _segment(run: Run, fresh: Sequence[Seen]) -> dict[str, Entry]:
    """Write a segment of these files; return its entries by digest."""
    request, number = run.request, next_number(run.store.segments)
    made: dict[str, Entry] = {}
    with new_folder(run.store.segments, number) as folder:
        for chunk in chunks(run.con, [s.file for s in fresh], _reading(request), run.report):
            offset = len(made)
            known = chunk_last_days(run.con, offset)
            # chunks come in the order of the files
            for place, s in enumerate(fresh[offset : offset + len(chunk.files)], offset):
                records, last = known.get(place, (0, None))
                source = request.source.name
                made[s.digest] = Entry(
                    str(s.file.path), s.digest, s.size, s.mtime, source, number, place, records, last, run.mark
                )
            days = {e.number: e.last_day for e in [*made.values()][offset:]}
            _take(run, days, identified=chunk.identified)
        run.con.execute(f"drop view if exists {FILED}")
        save_partials(run.con, folder, run.partials)
        _save_identified(run.con, folder)
    return made


def _reading(request: BuildRequest) -> Request:
    return Request(
        source=request.source,
        columns=_columns(request),
        workshop=request.workshop,
        hmac_key=request.hmac_key,
        chunk_bytes=request.chunk_bytes,
        tick=request.tick,
    )


def _columns(request: BuildRequest) -> frozenset[str]:
    """Return what to read: all of a record that may have a twin, since its whole text decides between equal times."""
    if "request_id" in request.source.fields:
        return frozenset(usage().fields)
    return job_inputs(list(request.jobs.values())) | {"source"}


def _take(run: Run, last: Mapping[int, date | None], *, identified: bool) -> None:
    """Reduce the chunk's records but for those that carry a request_id, which are put aside."""
    con = run.con
    fill(con, "kt_last", {FILE: "bigint", "last_day": "date"}, list(last.items()))
    if identified:
        kept = ", ".join(quote_name(n) for n in [*columns_of(con, CHUNK), FILE])
        sql = f"select {kept} from {FILED} where request_id is not null"
        exists = table_exists(con, _IDENTIFIED)
        con.execute(f"insert into {_IDENTIFIED} {sql}" if exists else f"create temp table {_IDENTIFIED} as {sql}")
    add_filed(con, run.partials, f"(select * from {FILED} where request_id is null)", "kt_last")


def _save_identified(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    if table_exists(con, _IDENTIFIED):
        path = quote_text(str(folder / f"{RECORDS}.parquet"))
        numbered = f"select *, row_number() over () as kt_record from {_IDENTIFIED}"
        con.execute(f"copy ({numbered}) to {path} (format parquet, compression zstd)")
        con.execute(f"drop table {_IDENTIFIED}")


def live_rows(store: Store, entries: Sequence[Entry], partial: str) -> str:
    """Return SQL for a partial's rows of live files, over all segments."""
    parts = []
    segments = {e.segment: e.generation for e in entries}
    for segment, generation in sorted(segments.items()):
        files = [store.segments / str(segment) / f"{partial}.parquet"]
        if generation and records_file(store, segment).is_file():
            files.append(ids_file(store, segment, generation, partial))
        numbers = sorted({e.number for e in entries if e.segment == segment})
        listed = ", ".join(map(str, numbers))
        parts += [f"select * from read_parquet({quote_text(str(f))}) where {FILE} in ({listed})" for f in files]
    return " union all by name ".join(parts)
