"""Commands on what was applied: drift, rollback, destroy; and doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keytrip.cli import destination as to
from keytrip.cli import options as opt
from keytrip.cli.output import Format, harmless, note, show
from keytrip.errors import DataError, UsageError

if TYPE_CHECKING:
    from keytrip.export.model import Table, Transport


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("drift", rich_help_panel=to.PANEL)(drift)
    app.command("rollback", rich_help_panel=to.PANEL)(rollback)
    app.command("destroy", rich_help_panel=to.PANEL)(destroy)
    app.command("doctor", rich_help_panel=to.PANEL)(doctor)


def drift(
    destination: to.Destination,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show what someone changed there since the last apply.

    With who and when, where the destination knows. Rows are compared where the store still has the snapshot that was
    applied. Exits 1 if something drifted.

    \b
    Examples:
      keytrip drift csv --url export/
      keytrip drift csv --url export/ --format json
    """
    from keytrip.cli.plan_text import show_drift
    from keytrip.export.drift import drift as compare
    from keytrip.export.drift import recorded

    given = to.given_by(url, ca_file, (token_file, token_command), proxy, option, insecure=insecure)
    there = to.open_there(destination, given, pack)
    transport = there.transport
    number = recorded(transport).snapshot
    tables = _tables_of(number, store or opt.STORE, there.packs)
    if not tables and number is not None:
        note(f"{store or opt.STORE} has no snapshot {number}: rows are counted, not compared", quiet=quiet)
    found = compare(transport, tables)
    show_drift(found, form)
    return int(any(one.what != "unread" for one in found))


def _tables_of(number: int | None, store: Path, packs: tuple[Path, ...]) -> dict[str, Table]:
    from keytrip.baselines.snapshots import snapshot
    from keytrip.baselines.store import Store
    from keytrip.export.tables import snapshot_tables

    if number is None:
        return {}
    try:
        found = snapshot(Store(store), number)
    except DataError:
        return {}
    return {table.name: table for table in snapshot_tables(Store(store), found, packs)}


def rollback(
    destination: to.Destination,
    wait: to.Wait = 0,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Put the deployment before the last one back.

    Its rules, and its tables as they were. After an apply that was cut off, that is the last one that was finished. A
    second rollback undoes the first.

    \b
    Examples:
      keytrip rollback csv --url export/
      keytrip rollback csv --url export/ --format json
    """
    from keytrip.cli.plan_text import show_plan
    from keytrip.export.engine import roll_back

    given = to.given_by(url, ca_file, (token_file, token_command), proxy, option, insecure=insecure)
    there = to.open_there(destination, given, pack)
    with to.told_by("rolling back", quiet=quiet) as told:
        done = roll_back(there.transport, wait=wait, told=told)
    show_plan(done, form, done=True)
    return 0


def destroy(
    destination: to.Destination,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: to.Wait = 0,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Remove what keytrip made in a destination, nothing else; it asks first.

    \b
    Examples:
      keytrip destroy csv --url export/ --yes
      keytrip destroy csv --url export/ --yes --format json
    """
    from keytrip.cli.plan_text import show_plan
    from keytrip.export.engine import destroy as run

    given = to.given_by(url, ca_file, (token_file, token_command), proxy, option, insecure=insecure)
    there = to.open_there(destination, given, pack)
    transport = there.transport
    if not yes:
        _confirm(transport, there)
    with to.told_by("removing", quiet=quiet) as told:
        done = run(transport, wait=wait, told=told)
    show_plan(done, form, done=True)
    return 0


def _confirm(transport: Transport, there: to.There) -> None:
    """Ask a person.

    Raises:
        UsageError: Nobody is there to answer.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("destroy asks first, and nobody is there to answer", hint="say --yes")
    live = transport.read((), ())
    count = sum(one.ours for one in live.items.values())
    what = f"{count} items and {len(live.tables)} tables in {there.connection.url}"
    typer.confirm(harmless(f"{there.manifest.name}: remove {what}?"), abort=True, err=True)


def doctor(
    destination: to.Destination,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Test a destination, and say what to fix.

    Connection, version, permissions, limits. Exits 1 if something is to fix.

    \b
    Examples:
      keytrip doctor csv --url export/
      keytrip doctor csv --url export/ --format json
    """
    from keytrip.export.transports import diagnose

    given = to.given_by(url, ca_file, (token_file, token_command), proxy, option, insecure=insecure)
    there = to.open_there(destination, given, pack)
    findings = list(diagnose(there.connection, there.manifest))
    rows = [{"ok": one.ok, "subject": one.subject, "found": one.found, "hint": one.hint} for one in findings]
    if form is Format.table:
        rows = [{**row, "ok": "ok" if row["ok"] else "NO"} for row in rows]
    show(rows, ("ok", "subject", "found", "hint"), form, styles={"ok": "green", "NO": "bold red"})
    bad = sum(not one.ok for one in findings)
    note(f"{bad} to fix" if bad else f"credential: {there.connection.credential.source}", quiet=quiet)
    return int(bool(bad))
