"""Commands on records: read, hunt, demo."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import Format, harmless, note, show, write
from keytrip.cli.reading import Inputs, inputs, progress, report_rejects
from keytrip.errors import DataError, UsageError

_PANEL = "Data"
ALERT_COLUMNS = (
    "alert_id", "rule", "rule_id", "title", "level", "key_id", "window_start", "window_end", "group", "observed",
    "baseline", "snapshot", "first_seen", "last_seen", "events",
)  # fmt: skip
_TABLE_COLUMNS = ("level", "rule", "key_id", "window_start", "observed", "baseline", "events", "group")


_FIRST = date(1970, 1, 1)  # SEMANTICS, section 1


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("read", rich_help_panel=_PANEL)(read)
    app.command("hunt", rich_help_panel=_PANEL)(hunt)
    app.command("demo", rich_help_panel=_PANEL)(demo)


def day_of(text: str | None, option: str) -> date | None:
    """Return an option's day.

    Raises:
        UsageError: It is none.
    """
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no day", hint="write it as 2026-04-01") from None
    if day < _FIRST:
        raise UsageError(f"{option} {text} is before all records", hint=f"they begin with {_FIRST}")
    return day


def read(
    paths: opt.Paths,
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    source: opt.Source = None,
    store: opt.StoreDir = None,
    form: opt.FormatOption = Format.table,
    max_line: opt.MaxLine = opt.DEFAULT_MAX_LINE,
    memory: opt.Memory = opt.DEFAULT_MEMORY,
    strict: opt.Strict = False,
    rejects: opt.Rejects = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Read logs into canonical records (Parquet), and say what was read.

    \b
    Examples:
      keytrip read logs/ --source litellm --out records.parquet
      cat access.log.ndjson | keytrip read - --source canonical --out records.parquet --format json
    """
    from keytrip.hunt.records import write_records
    from keytrip.sources.secrets import hmac_key

    key_file = opt.hmac_file(store or opt.STORE)
    _check_out(out)
    with inputs(paths, source, max_line, quiet=quiet, out=out) as found, progress(_size(found), quiet=quiet) as tick:
        part = out.with_name(f".{out.name}.{os.getpid()}.part")
        try:
            summary, report = write_records(
                found.files,
                found.source,
                found.workshop,
                lambda: hmac_key(key_file),
                opt.memory_checked(memory),
                part,
                tick,
            )
            place = report_rejects(report, rejects or out.with_name(out.name + ".rejects.ndjson"), quiet=quiet)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    row = {**summary, "rejects_file": place}
    show([row], list(row), form)
    return 1 if strict and report.rejects else 0


def _check_out(out: Path) -> None:
    """Refuse a result that cannot be written before anything is read."""
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder", hint="name a file")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}", hint="make it first")
    try:
        str(out).encode()
    except UnicodeEncodeError:
        raise UsageError("--out: the name is no UTF-8", hint="choose another") from None


def _size(found: Inputs) -> int:
    return sum(file.size for file in found.files)


def hunt(
    paths: opt.Paths,
    source: opt.Source = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", help="Report from this UTC day on; without a store, the 30 days before are the baseline."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Report windows that end by this UTC midnight.")] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", "-r", help="Rule name or pattern; repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Rules with this tag; repeatable.")] = None,
    level: Annotated[str | None, typer.Option("--level", help="Rules of this level and above.")] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Folder of tables as `baseline export` writes them.")
    ] = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="Exit 1 if an alert has this level or above.")
    ] = None,
    max_line: opt.MaxLine = opt.DEFAULT_MAX_LINE,
    memory: opt.Memory = opt.DEFAULT_MEMORY,
    threads: opt.Threads = None,
    strict: opt.Strict = False,
    rejects: opt.Rejects = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Look for stolen keys: records against rules and each key's own past.

    \b
    Examples:
      keytrip hunt logs/ --since 2026-04-01 --rule 'reference_*' --format json
      keytrip hunt today.ndjson --source litellm --store .keytrip --fail-on high
    """
    from keytrip.rules.selection import Selection

    packs = tuple(pack or ())
    days = (day_of(since, "--since"), day_of(until, "--until"))
    _known_level(fail_on)
    rules = _rules(packs, opt.variables(var), Selection(tuple(rule or ()), tuple(tag or ()), level))
    against, mode = _against(store, days[0], baseline, rules)
    note(mode, quiet=quiet)
    folder = store or opt.STORE
    with inputs(paths, source, max_line, quiet=quiet) as found, progress(_size(found), quiet=quiet) as tick:
        options = {"threads": threads, "memory": opt.memory_checked(memory), "tick": tick}
        result = _hunted(found, rules, packs, days, opt.hmac_file(folder), against=against, **options)
    place = rejects or (folder if folder.is_dir() else Path()) / "keytrip.rejects.ndjson"
    report_rejects(result.report, place, quiet=quiet)
    _show_alerts(result.alerts, form)
    return _verdict(result, rules, fail_on, strict=strict, quiet=quiet)


def _known_level(level: str | None) -> None:
    from keytrip.rules.selection import LEVELS

    if level and level not in LEVELS:
        raise UsageError(f"no level {level!r}", hint="one of: " + ", ".join(LEVELS))


def _hunted(
    found: Inputs,
    rules: Sequence[Any],
    packs: tuple[Path, ...],
    days: tuple[date | None, date | None],
    key_file: Path,
    **options: Any,
) -> Any:
    from keytrip.baselines.jobs import load_jobs
    from keytrip.hunt.engine import HuntRequest
    from keytrip.hunt.engine import hunt as run_hunt
    from keytrip.sources.secrets import hmac_key

    return run_hunt(
        HuntRequest(
            files=found.files,
            source=found.source,
            rules=rules,
            jobs=load_jobs(packs),
            workshop=found.workshop,
            hmac_key=lambda: hmac_key(key_file),
            since=days[0],
            until=days[1],
            **options,
        )
    )


def _rules(packs: Sequence[Path], variables: Mapping[str, Sequence[str]], selection: Any) -> list[Any]:
    from keytrip.compile.compiled import compiled_rules
    from keytrip.rules.selection import choose

    return choose(compiled_rules(packs, opt.cache_dir(), variables), selection)


def _against(store: Path | None, since: date | None, tables: Path | None, rules: Sequence[Any]) -> tuple[Any, str]:
    from keytrip.hunt.engine import Against

    if tables is not None:
        return Against(tables=tables), f"mode: against the tables in {tables}"
    named = store is not None
    if named or (since is None and (opt.STORE / "active.json").is_file()):
        return _from_store(store or opt.STORE)
    if since is not None:
        return Against(), f"mode: the 30 days before {since} are the baseline, in memory"
    if not any(rule.tables for rule in rules):
        return Against(), "mode: no baseline (the chosen rules need none)"
    raise UsageError(
        "there is no baseline to compare with", hint="say --since DAY, or run `keytrip baseline build` first"
    )


def _from_store(folder: Path) -> tuple[Any, str]:
    from keytrip.baselines.snapshots import active_snapshot, folder_of
    from keytrip.baselines.store import Store
    from keytrip.hunt.engine import Against

    store = Store(folder)
    snapshot = active_snapshot(store)
    old = _aged(snapshot.end, opt.now())
    mode = f"mode: against snapshot {snapshot.number} of {folder} (to {snapshot.manifest['window']['end']}){old}"
    return Against(snapshot=(folder_of(store, snapshot.number), snapshot.number, snapshot.end)), mode


_OLD = timedelta(days=10)  # an older active snapshot is reported (INTERFACE)


def _aged(end: datetime, now: datetime) -> str:
    """Return what to say of a snapshot that has seen nothing from `end` on (both UTC, naive)."""
    age = now - end
    if age <= _OLD:
        return ""
    days = f"over {age.days} days" if age.days == _OLD.days else f"{age.days} days"
    return f"; it is {days} old: build a new one"


def _show_alerts(alerts: Sequence[Any], form: Format) -> None:
    rows = (alert.as_json() for alert in alerts)
    if alerts or form is not Format.table:
        show(rows, _TABLE_COLUMNS if form is Format.table else ALERT_COLUMNS, form)
    else:
        write("no alerts\n")


def _verdict(result: Any, rules: Sequence[Any], fail_on: str | None, *, strict: bool, quiet: bool) -> int:
    from keytrip.rules.selection import LEVELS

    for name, why in sorted(result.skipped.items()):
        note(f"skipped {name}: {why}", quiet=quiet)
    if result.left_out:
        note(f"{result.left_out} windows begin before the snapshot's end and were not scored", quiet=quiet)
    note(f"{len(result.alerts)} alerts from {result.report.records} records", quiet=quiet)
    if rules and len(result.skipped) == len(rules):
        tables = any(why.endswith(" is missing") for why in result.skipped.values())
        hint = "build the missing tables: `keytrip baseline build`" if tables else "each line above says why"
        raise DataError("no rule could run", hint=hint)
    if result.left_out and not result.scored:
        raise DataError("no window is left to score: all records are within the baseline", hint="give newer records")
    if strict and result.report.rejects:
        return 1
    return int(bool(fail_on) and any(LEVELS.index(a.level) >= LEVELS.index(fail_on or "") for a in result.alerts))


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the logs, the store and the report.")] = Path("demo"),
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show the whole of it on logs it makes: 31 days of a gateway with 60 keys, four of which are stolen.

    \b
    Examples:
      keytrip demo
      keytrip demo --out theft-demo
    """
    from keytrip.demo.run import run_demo

    switches = (*(("--quiet",) if quiet else ()), *(("--verbose",) if verbose else ()))
    return run_demo(out, lambda line: write(harmless(line) + "\n"), note, switches)
