"""Snapshots: immutable, numbered, each with its manifest; and which one is in use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keytrip import __version__
from keytrip.baselines.kinds import Job
from keytrip.baselines.store import Store, new_folder, next_number, read_json, write_json
from keytrip.errors import DataError, Place
from keytrip.records.sql import quote_name, quote_text

if TYPE_CHECKING:
    import duckdb

MANIFEST = "manifest.json"
Format = Literal["parquet", "csv", "ndjson"]


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as `baseline list` shows it."""

    number: int
    manifest: Mapping[str, Any]
    active: bool

    @property
    def end(self) -> datetime:
        """The first moment that the snapshot has not seen (UTC, naive)."""
        day = date.fromisoformat(self.manifest["window"]["end"]) + timedelta(days=1)
        return datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)


def folder_of(store: Store, number: int) -> Path:
    """Return a snapshot's folder."""
    return store.snapshots / str(number)


def table_path(store: Store, number: int, table: str) -> Path:
    """Return a snapshot's table."""
    return folder_of(store, number) / f"{table}.parquet"


def write_snapshot(
    con: duckdb.DuckDBPyConnection,
    store: Store,
    jobs: Mapping[str, Job],
    manifest: Mapping[str, Any],
    problems: Sequence[str],
) -> tuple[int, dict[str, Any]]:
    """Write the connection's tables as a new snapshot; return its number and manifest."""
    number = next_number(store.snapshots)
    with new_folder(store.snapshots, number) as folder:
        rows = {}
        for table, job in sorted(jobs.items()):
            keys = ", ".join(quote_name(c) for c in job.table_key)
            typed = (f"cast({quote_name(c)} as {kind}) as {quote_name(c)}" for c, kind in job.columns.items())
            columns = ", ".join(typed)
            path = quote_text(str(folder / f"{table}.parquet"))
            con.execute(f"copy (select {columns} from {quote_name(table)} order by {keys}) to {path} (format parquet)")
            rows[table] = (con.execute(f"select count(*) from {quote_name(table)}").fetchone() or (0,))[0]
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        full = {**manifest, "rows": rows, "made": now, "version": __version__, "objections": list(problems)}
        write_json(folder / MANIFEST, {"number": number, **full})
    return number, full


def snapshot(store: Store, number: int) -> Snapshot:
    """Return a snapshot.

    Raises:
        DataError: There is none of that number.
    """
    path = folder_of(store, number) / MANIFEST
    if not path.is_file():
        numbers = ", ".join(str(s.number) for s in snapshots(store)) or "none"
        raise DataError(f"no snapshot {number}", place=Place(str(store.root)), hint=f"there are: {numbers}")
    return Snapshot(number, read_json(path), active_number(store) == number)


def snapshots(store: Store) -> Iterator[Snapshot]:
    """Yield all snapshots, oldest first."""
    if store.snapshots.is_dir():
        for number in sorted(int(p.name) for p in store.snapshots.iterdir() if p.name.isdigit()):
            yield snapshot(store, number)


def active_number(store: Store) -> int | None:
    """Return the active snapshot's number, or None before the first promotion."""
    return int(read_json(store.active)["active"]) if store.active.is_file() else None


def active_snapshot(store: Store) -> Snapshot:
    """Return the active snapshot.

    Raises:
        DataError: No snapshot was promoted yet.
    """
    number = active_number(store)
    if number is None:
        raise DataError("has no baseline yet", place=Place(str(store.root)), hint="run `keytrip baseline build`")
    return snapshot(store, number)


def promote(store: Store, number: int) -> None:
    """Make a snapshot the active one; the one before stays in the history for `rollback`.

    Raises:
        DataError: There is none of that number.
    """
    snapshot(store, number)
    before = read_json(store.active) if store.active.is_file() else {"active": None, "history": []}
    if before["active"] == number:
        return
    history = [n for n in [*before["history"], before["active"]] if n is not None]
    write_json(store.active, {"active": number, "history": history[-100:]})


def roll_back(store: Store) -> int:
    """Make the snapshot active that was before; return its number.

    Raises:
        DataError: There was none before.
    """
    state = read_json(store.active) if store.active.is_file() else {"history": []}
    if not state["history"]:
        raise DataError("no snapshot was active before", place=Place(str(store.root)))
    *history, number = state["history"]
    snapshot(store, number)
    write_json(store.active, {"active": number, "history": history})
    return int(number)


def prune(store: Store, keep: int) -> list[int]:
    """Remove all but the newest `keep` snapshots; the active one and the one before it stay. Return their numbers.

    The store must be held. A kill leaves each snapshot whole, or out of sight for the next build to sweep.
    """
    state = read_json(store.active) if store.active.is_file() else {"active": None, "history": []}
    numbers = [s.number for s in snapshots(store)]
    kept = {*numbers[-keep:], state["active"], *state["history"][-1:]}
    doomed = [n for n in numbers if n not in kept]
    if not doomed:
        return []
    left = [n for n in [*state["history"], state["active"]] if n not in doomed]
    history = [n for n, after in pairwise(left) if n != after]
    if history != state["history"]:  # first, so that `rollback` never names what is gone
        write_json(store.active, {**state, "history": history})
    for number in doomed:
        folder = folder_of(store, number)
        gone = folder.with_name(f".{number}.{os.getpid()}.part")
        folder.rename(gone)
        shutil.rmtree(gone)
    return doomed


def export_tables(
    con: duckdb.DuckDBPyConnection, store: Store, number: int, jobs: Mapping[str, Job], folder: Path, form: Format
) -> list[Path]:
    """Write each table of a snapshot into `folder` (one file a table, named after it); return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table, job in sorted(jobs.items()):
        source = table_path(store, number, table)
        if not source.is_file():
            continue
        path = folder / f"{table}.{form}"
        part = path.with_name(f".{path.name}.part")
        keys = ", ".join(quote_name(c) for c in job.table_key)
        sql = f"select {_columns(job, form)} from read_parquet({quote_text(str(source))}) order by {keys}"
        con.execute(f"copy ({sql}) to {quote_text(str(part))} ({_options(job, form)})")
        part.replace(path)
        written.append(path)
    return written


def _columns(job: Job, form: Format) -> str:
    if form == "parquet":
        return "*"
    text = "strftime({0}, '%Y-%m-%dT%H:%M:%S.%fZ')"
    parts = []
    for name, kind in job.columns.items():
        quoted = quote_name(name)
        value = text.format(quoted) if kind == "TIMESTAMP" else quoted
        parts.append(f"{value} as {quoted}")
    return ", ".join(parts)


def _options(job: Job, form: Format) -> str:
    """A CSV quotes every text, so that an empty cell is null and `""` the empty string."""
    texts = ", ".join(quote_name(c) for c, kind in job.columns.items() if kind == "VARCHAR")
    return {
        "parquet": "format parquet",
        "ndjson": "format json",
        "csv": f"format csv, header, force_quote ({texts})",
    }[form]
