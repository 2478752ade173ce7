"""Commands that put rules and tables where they are used: plan and apply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from keytrip.cli import destination as to
from keytrip.cli import options as opt
from keytrip.cli.output import Format, note
from keytrip.errors import DataError, Place, UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan", rich_help_panel=to.PANEL)(plan)
    app.command("apply", rich_help_panel=to.PANEL)(apply)


def plan(
    destination: to.Destination,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File for `apply` to hold itself to.")] = None,
    prune: to.Prune = False,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    rule: to.Rules = None,
    tag: to.Tags = None,
    iocs: to.Iocs = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Show what apply would change, field by field and with the rows of each table.

    It only reads, and needs no permission to write.

    \b
    Examples:
      keytrip plan csv --url export/
      keytrip plan csv --url export/ --out plan.json
    """
    from keytrip.cli.plan_text import plan_rows, show_plan
    from keytrip.export.engine import read_plan
    from keytrip.export.plan_file import write_plan

    given = to.given_by(url, ca_file, (token_file, token_command), proxy, option, insecure=insecure)
    there = to.open_there(destination, given, pack)
    arguments = to.arguments_of(there, ca_file, store, rule, tag, var, iocs, prune=prune)
    found = read_plan(there.transport, to.desired_in(there, arguments), prune=prune)
    show_plan(found, form)
    if out is not None:
        write_plan(out, found, plan_rows(found), destination, arguments)
        note(f"`keytrip apply {out}` does this, and nothing else", quiet=quiet)
    return 0


def apply(
    destination: Annotated[
        str, typer.Argument(help="A folder of exporters/, such as csv, or a file of `plan --out`.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder, where the destination is one.")] = None,
    wait: to.Wait = 0,
    prune: to.Prune = False,
    url: to.Url = None,
    ca_file: to.CaFile = None,
    insecure: to.Insecure = False,
    token_file: to.TokenFile = None,
    token_command: to.TokenCommand = None,
    proxy: to.Proxy = None,
    option: to.Options = None,
    rule: to.Rules = None,
    tag: to.Tags = None,
    iocs: to.Iocs = None,
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    var: opt.Vars = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Put tables and rules into a destination, or do what a plan file says.

    Tables are written whole beside the old ones and counted before anything reads them. What you changed yourself stays
    (which fields these are, docs/exporters.md says). An apply that was cut off is finished by the next one.

    \b
    Examples:
      keytrip apply csv --out export/
      keytrip apply plan.json
    """
    if out is not None and url is not None:
        raise UsageError("--out and --url both say where", hint="leave one of them out")
    given = to.given_by(
        str(out) if out else url, ca_file, (token_file, token_command), proxy, option, insecure=insecure
    )
    if destination.endswith(".json"):
        if any((prune, rule, tag, iocs, store, pack, var, option)):
            raise UsageError("a plan file says what is applied", hint="leave out what follows it, but for the secret")
        return _apply_plan(Path(destination), given, wait, form, quiet=quiet)
    there = to.open_there(destination, given, pack)
    arguments = to.arguments_of(there, ca_file, store, rule, tag, var, iocs, prune=prune)
    return _applied(there, arguments, None, wait, form, quiet=quiet)


def _apply_plan(path: Path, given: Any, wait: float, form: Format, *, quiet: bool) -> int:
    from dataclasses import replace

    from keytrip.export.plan_file import read_agreed

    agreed = read_agreed(path)
    arguments = dict(agreed.arguments)
    try:
        given = replace(
            given,
            url=given.url or arguments["url"],
            ca_file=given.ca_file or (Path(arguments["ca_file"]) if arguments["ca_file"] else None),
            options=tuple(arguments["options"]),
        )
        there = to.open_there(agreed.destination, given, [Path(pack) for pack in arguments["packs"]])
        return _applied(there, arguments, agreed, wait, form, quiet=quiet)
    except (KeyError, TypeError) as error:
        raise DataError("is no plan", place=Place(str(path)), hint="make a new one") from error


def _applied(there: to.There, arguments: dict[str, Any], agreed: Any, wait: float, form: Format, *, quiet: bool) -> int:
    from keytrip.cli.plan_text import show_plan
    from keytrip.export.engine import apply as run

    wanted = to.desired_in(there, arguments)
    check = agreed.check if agreed is not None else None
    with to.told_by("applying", quiet=quiet) as told:
        done = run(there.transport, wanted, prune=arguments["prune"], wait=wait, agreed=check, told=told)
    show_plan(done, form, done=True)
    note(f"{there.manifest.name}: applied to {there.connection.url}", quiet=quiet)
    return 0
