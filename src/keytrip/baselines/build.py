"""`baseline build`: reduce what is new, merge the window into a snapshot, promote it unless it fails its own checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from keytrip.baselines.guards import objections
from keytrip.baselines.incidents import keep_sql
from keytrip.baselines.jobs import Partial, partial_name, partials_of
from keytrip.baselines.request import BuildRequest
from keytrip.baselines.segments import Entry, fingerprint, read_index, write_index
from keytrip.baselines.snapshots import promote, write_snapshot
from keytrip.baselines.stage_one import Run, live_rows, reduce_new
from keytrip.baselines.store import Store, sweep
from keytrip.errors import DataError
from keytrip.records.sql import quote_name
from keytrip.sources.read import Report

if TYPE_CHECKING:
    import duckdb

__all__ = ["BuildRequest", "BuildResult", "build"]

# How long stage one keeps what it reduced: enough to rebuild any baseline of the last half year.
RETENTION_DAYS = 180


@dataclass(frozen=True)
class BuildResult:
    """What a build did."""

    number: int
    promoted: bool
    objections: tuple[str, ...]
    manifest: Mapping[str, Any]
    report: Report
    unchanged: int
    stale: int
    later_days: int


def build(con: duckdb.DuckDBPyConnection, store: Store, request: BuildRequest) -> BuildResult:
    """Build a snapshot. The caller holds the store.

    Raises:
        DataError: A file cannot be read, or there is no record in the window.
    """
    partials = partials_of(request.jobs)
    mark = fingerprint(partials)
    before = read_index(con, store)
    sweep(store, {e.segment: e.generation for e in before})
    report = Report()
    entries, unchanged = reduce_new(Run(con, store, request, partials, mark, report), before)
    end, later = _window_end(con, store, [e for e in entries if e.fingerprint == mark], partials, request)
    start = end - timedelta(days=request.days - 1)
    oldest = end - timedelta(days=max(RETENTION_DAYS, request.days))
    kept = [e for e in entries if e.last_day is None or e.last_day >= oldest]
    usable = [e for e in kept if e.fingerprint == mark]
    if kept != before:
        write_index(con, store, kept)
        sweep(store, {e.segment: e.generation for e in kept})
    manifest = {
        "window": {"start": str(start), "end": str(end), "days": request.days},
        "inputs": [{"path": e.path, "sha256": e.digest, "records": e.records} for e in usable],
        "excluded": [i.model_dump(mode="json", by_alias=True) for i in request.incidents],
        "rejects": len(report.rejects),
        "source": request.source.name,
    }
    _merge(con, store, usable, partials, request, (start, end))
    problems = tuple(objections(con, store, request.bounds))
    number, manifest = write_snapshot(con, store, request.jobs, manifest, problems)
    if not problems:
        promote(store, number)
    return BuildResult(
        number=number,
        promoted=not problems,
        objections=problems,
        manifest=manifest,
        report=report,
        unchanged=unchanged,
        stale=len(kept) - len(usable),
        later_days=later,
    )


def _window_end(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    entries: Sequence[Entry],
    partials: Sequence[Partial],
    request: BuildRequest,
) -> tuple[date, int]:
    """Return the window's last day, and how many later days have records."""
    if not entries:
        raise DataError("there is no record to learn from", hint="give the logs of at least one day that is over")
    name = next(p.name for p in partials if p.grain == ("key_id",))
    relation = live_rows(store, entries, name)
    rows = con.execute(f"select distinct day from ({relation}) where day is not null order by day").fetchall()
    days = [day for (day,) in rows]
    over = [day for day in days if day < request.now.date()]
    end = request.end or (over[-1] if over else None)
    if end is None:
        raise DataError("no day with a record is over yet", hint="wait for the UTC day to end, or say --end")
    start = end - timedelta(days=request.days - 1)
    if not any(start <= day <= end for day in days):
        raise DataError(f"no record lies between {start} and {end}", hint="check --end, and the dates of the logs")
    return end, sum(day > end for day in days)


def _merge(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    entries: Sequence[Entry],
    partials: Sequence[Partial],
    request: BuildRequest,
    window_days: tuple[date, date],
) -> None:
    """Stage two: make every table as a temporary one."""
    keep, parameters = keep_sql(request.incidents)
    # undated records of a file without a dated one belong to no day, and so to every window
    within = f"(kt_at is null or kt_at between ? and ?) and {keep}"
    for partial in partials:
        tables = [t for t, job in request.jobs.items() if partial_name(job) == partial.name]
        window = f"(select * from ({live_rows(store, entries, partial.name)}) where {within})"
        values = [*window_days, *parameters]
        if len(tables) > 1:  # read the files once for several tables
            con.execute(f"create or replace temp table kt_window as select * from {window}", values)
            window, values = "kt_window", []
        for table in tables:
            sql = request.jobs[table].merge(table, window)
            con.execute(f"create or replace temp table {quote_name(table)} as {sql}", values)
    con.execute("drop table if exists kt_window")
