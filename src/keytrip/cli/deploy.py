"""Commands that put rules and tables where they are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import Format, note, show

_PANEL = "Deploy"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("apply", rich_help_panel=_PANEL)(apply)


def apply(
    destination: Annotated[str, typer.Argument(help="A folder of exporters/: csv.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write into.")],
    store: opt.StoreDir = None,
    pack: opt.Packs = None,
    form: opt.FormatOption = Format.table,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Write baseline tables and compiled rules to a destination.

    \b
    Examples:
      keytrip apply csv --out export/
      keytrip apply csv --store .keytrip --out export/ --format json
    """
    from keytrip.baselines.store import Store
    from keytrip.export.files import apply_files
    from keytrip.export.manifest import destination_named

    packs = tuple(pack or ())
    manifest = destination_named(destination, packs)
    rows = apply_files(manifest, Store(store or opt.STORE), packs, out)
    show(rows, ("file", "rows", "what"), form)
    note(f"{len(rows)} files in {out}", quiet=quiet)
    return 0
