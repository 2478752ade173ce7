"""`keytrip baseline`: build, list, show, diff, use, rollback, export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from keytrip.cli import options as opt
from keytrip.cli.data import day_of
from keytrip.cli.output import Format, note, show
from keytrip.cli.reading import Inputs, inputs, progress, report_rejects
from keytrip.errors import DataError, UsageError

app = typer.Typer(help="Learn each key's habits: build, list, show, diff, use, rollback, export.", no_args_is_help=True)
End = Annotated[
    str | None, typer.Option("--end", help="Last UTC day, inclusive; default: the last with a record that is over.")
]
Keep = Annotated[
    int, typer.Option("--keep", help="Snapshots to keep; the active one and the one before stay anyway.", min=1)
]
Lost = Annotated[float, typer.Option("--max-lost", help="Share of keys that may be gone.")]
Moved = Annotated[float, typer.Option("--max-moved", help="Share of kept keys whose mean may have moved threefold.")]
Snapshot = Annotated[int | None, typer.Option("--snapshot", help="Which snapshot; the active one if left out.")]


def register(parent: typer.Typer) -> None:
    """Add the group of commands to the application."""
    parent.add_typer(app, name="baseline", rich_help_panel="Data")


@app.command()
def build(
    paths: opt.Paths,
    source: opt.Source = None,
    end: End = None,
    days: Annotated[int, typer.Option("--days", help="Length of the window.", min=1, max=400)] = 30,
    exclude: Annotated[Path | None, typer.Option("--exclude", help="incidents.yml: days of keys to leave out.")] = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    max_line: opt.MaxLine = opt.DEFAULT_MAX_LINE,
    memory: opt.Memory = opt.DEFAULT_MEMORY,
    threads: opt.Threads = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for another build.")] = 60,
    keep: Keep = opt.DEFAULT_KEEP,
    lost: Lost = 0.2,
    moved: Moved = 0.2,
    strict: opt.Strict = False,
    rejects: opt.Rejects = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Reduce what is new, and merge the window into a snapshot, the active one unless it fails its checks.

    \b
    Examples:
      keytrip baseline build logs/ --source litellm
      keytrip baseline build logs/ --end 2026-11-18 --exclude incidents.yml
    """
    from keytrip.baselines.guards import Bounds
    from keytrip.baselines.incidents import read_incidents
    from keytrip.baselines.jobs import load_jobs
    from keytrip.baselines.store import Store, held
    from keytrip.sources.secrets import hmac_key

    folder = store or opt.STORE
    place, key_file = Store(folder), opt.hmac_file(folder)
    last, incidents = day_of(end, "--end"), read_incidents(exclude) if exclude else ()
    with (
        inputs(paths, source, max_line, quiet=quiet) as found,
        held(place, wait),
        progress(sum(f.size for f in found.files), quiet=quiet) as tick,
    ):
        result = _built(
            found,
            place,
            keep,
            (threads, opt.memory_checked(memory)),
            jobs=load_jobs(tuple(pack or ())),
            hmac_key=lambda: hmac_key(key_file),
            end=last,
            days=days,
            incidents=incidents,
            bounds=Bounds(lost, moved),
            tick=tick,
        )
    report_rejects(result.report, rejects or folder / "keytrip.rejects.ndjson", quiet=quiet)
    return _say(result, form, strict=strict, quiet=quiet)


def _built(found: Inputs, store: Any, keep: int, limits: tuple[int | None, str], **options: Any) -> Any:
    """Build within the limits (threads, memory), and remove the snapshots that are too old to keep."""
    from keytrip.baselines.build import BuildRequest
    from keytrip.baselines.build import build as run_build
    from keytrip.baselines.snapshots import prune
    from keytrip.hunt.engine import chunk_bytes, connect

    request = BuildRequest(
        files=found.files,
        source=found.source,
        workshop=found.workshop,
        chunk_bytes=chunk_bytes(limits[1]),
        now=opt.now(),
        **options,
    )
    result = run_build(connect(*limits, found.workshop.folder), store, request)
    prune(store, keep)
    return result


def _say(result: Any, form: Format, *, strict: bool, quiet: bool) -> int:
    window = result.manifest["window"]
    if result.later_days:
        note(f"{result.later_days} days after {window['end']} were left out", quiet=quiet)
    if result.stale:
        note(f"{result.stale} files were reduced by an older version: give them again to count them", quiet=quiet)
    row = {
        "snapshot": result.number,
        "promoted": result.promoted,
        "start": window["start"],
        "end": window["end"],
        "keys": result.manifest["rows"].get("keys", 0),
        "records": result.report.records,
        "files": result.report.files,
        "unchanged": result.unchanged,
        "rejected": len(result.report.rejects),
    }
    show([row], list(row), form)
    for objection in result.objections:
        note(f"snapshot {result.number} was built, but not promoted: {objection}")
    if result.objections:
        note(f"look at it with `keytrip baseline diff`, then `keytrip baseline use {result.number}` if it is right")
    return int(bool(result.objections) or (strict and bool(result.report.rejects)))


@app.command("list")
def list_(
    store: opt.StoreDir = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """List the snapshots.

    \b
    Examples:
      keytrip baseline list
      keytrip baseline list --format json
    """
    from keytrip.baselines.snapshots import snapshots

    rows = [
        {
            "snapshot": s.number,
            "active": s.active,
            "start": s.manifest["window"]["start"],
            "end": s.manifest["window"]["end"],
            "keys": s.manifest["rows"].get("keys", 0),
            "excluded": len(s.manifest["excluded"]),
            "made": s.manifest["made"],
            "objections": "; ".join(s.manifest["objections"]),
        }
        for s in snapshots(_store(store))
    ]
    show(rows, ("snapshot", "active", "start", "end", "keys", "excluded", "made", "objections"), form)
    return 0


def _store(folder: Path | None) -> Any:
    from keytrip.baselines.store import Store

    store = Store(folder or opt.STORE)
    if not store.root.is_dir():
        raise DataError(f"{store.root}: no such store", hint="run `keytrip baseline build`, or say --store")
    return store


@contextmanager
def _database() -> Iterator[Any]:
    from keytrip.hunt.engine import connect
    from keytrip.sources.work import work_folder

    with work_folder() as folder:
        con = connect(None, opt.DEFAULT_MEMORY, folder)
        try:
            yield con
        finally:
            con.close()


@app.command("show")
def show_(
    key: Annotated[str, typer.Argument(help="Key id.")],
    number: Snapshot = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show what is known of a key: every table's rows.

    \b
    Examples:
      keytrip baseline show key_abc
      keytrip baseline show key_abc --snapshot 3 --format json
    """
    from keytrip.baselines.inspect import key_rows
    from keytrip.baselines.jobs import load_jobs
    from keytrip.baselines.snapshots import active_snapshot, snapshot

    place = _store(store)
    chosen = snapshot(place, number) if number else active_snapshot(place)
    with _database() as con:
        rows = [
            {"table": table, **{k: _plain(v) for k, v in row.items() if k != "key_id"}}
            for table, row in key_rows(con, place, chosen.number, load_jobs(tuple(pack or ())), key)
        ]
    if not rows:
        raise DataError(f"snapshot {chosen.number} knows no key {key!r}")
    if form is Format.table:
        cells = [{"table": r["table"], "values": {k: v for k, v in r.items() if k != "table"}} for r in rows]
        show(cells, ("table", "values"), form)
    else:
        show(rows, list(dict.fromkeys(name for row in rows for name in row)), form)
    return 0


def _plain(value: Any) -> Any:
    from keytrip.hunt.alerts import number, time_text

    return time_text(value) if isinstance(value, datetime) else number(value)


@app.command()
def diff(
    a: Annotated[int, typer.Argument(help="Snapshot.")],
    b: Annotated[int, typer.Argument(help="Snapshot to compare with.")],
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show what changed from one snapshot to another, table by table and key by key.

    \b
    Examples:
      keytrip baseline diff 1 2
      keytrip baseline diff 1 2 --format csv
    """
    from keytrip.baselines.inspect import changes
    from keytrip.baselines.jobs import load_jobs
    from keytrip.baselines.snapshots import snapshot

    place = _store(store)
    for number in (a, b):
        snapshot(place, number)
    with _database() as con:
        rows = [
            {k: _plain(v) for k, v in row.items()} for row in changes(con, place, a, b, load_jobs(tuple(pack or ())))
        ]
    show(rows, ("table", "key", "change", "before", "after"), form)
    return 0


@app.command()
def use(
    number: Annotated[int, typer.Argument(help="Snapshot.")],
    store: opt.StoreDir = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Make a snapshot the active one.

    \b
    Examples:
      keytrip baseline use 3
      keytrip baseline use 3 --store team-store
    """
    from keytrip.baselines.snapshots import promote
    from keytrip.baselines.store import held

    place = _store(store)
    with held(place, 10):
        promote(place, number)
    note(f"snapshot {number} is active", quiet=quiet)
    return 0


@app.command()
def rollback(store: opt.StoreDir = None, quiet: opt.Quiet = False, verbose: opt.Verbose = False) -> int:
    """Make the snapshot active again that was before.

    \b
    Examples:
      keytrip baseline rollback
      keytrip baseline rollback --store team-store
    """
    from keytrip.baselines.snapshots import roll_back
    from keytrip.baselines.store import held

    place = _store(store)
    with held(place, 10):
        number = roll_back(place)
    note(f"snapshot {number} is active", quiet=quiet)
    return 0


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write into.")],
    kind: Annotated[str, typer.Option("--as", help="csv, ndjson or parquet.")] = "csv",
    number: Snapshot = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Write each baseline table as a file named after it.

    \b
    Examples:
      keytrip baseline export tables/
      keytrip baseline export tables/ --as parquet --snapshot 3
    """
    from keytrip.baselines.jobs import load_jobs
    from keytrip.baselines.snapshots import active_snapshot, export_tables, snapshot

    if kind not in {"csv", "ndjson", "parquet"}:
        raise UsageError(f"--as {kind!r} is no format", hint="csv, ndjson or parquet")
    place = _store(store)
    chosen = snapshot(place, number) if number else active_snapshot(place)
    with _database() as con:
        files = export_tables(con, place, chosen.number, load_jobs(tuple(pack or ())), folder, kind)  # type: ignore[arg-type]
    show([{"file": str(path)} for path in files], ("file",), form)
    return 0
