"""`keytrip new`: files with every required part, to be filled in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import Annotated
from uuid import uuid4

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import note, write
from keytrip.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,79}")
_TEMPLATES = Path(__file__).parent / "templates"
# What logs differ in: the rest is left out of `lacks` where there is nothing to say of it.
_ASKED = ("model", "source_ip", "user_agent", "input_tokens", "output_tokens", "cost_usd", "request_id")


class Kind(StrEnum):
    """What can be begun."""

    rule = "rule"
    source = "source"
    baseline = "baseline"
    exporter = "exporter"


_FILES = {
    Kind.rule: {"rules/{name}.yml": "rule.yml"},
    Kind.source: {"src/keytrip/sources/{name}.py": "source.py"},
    Kind.baseline: {"baselines/{name}.py": "baseline.py"},
    Kind.exporter: {"exporters/{name}/manifest.yml": "manifest.yml", "exporters/{name}/README.md.j2": "README.md.j2"},
}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("new", rich_help_panel="Content")(new)


def new(
    kind: Annotated[Kind, typer.Argument(help="rule, source, baseline or exporter.", show_default=False)],
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and _.", show_default=False)],
    pack: Annotated[Path, typer.Option("--pack", help="Folder of your content; made if it is not there.")] = Path(),
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> int:
    """Begin a rule, source, baseline job or exporter: a file with every required part, to be filled in.

    What is yours to write begins with FILL IN; `keytrip check` names each such line until none is left. Nothing is ever
    overwritten. A rule's first line tells editors of the JSON Schema, which is put into the folder beside it.

    \b
    Examples:
      keytrip new rule key_at_night --pack mypack
      keytrip new baseline key_pages_daily --pack mypack
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name", hint="lower-case letters, digits and _, such as key_at_night")
    _refuse_known(kind, name)
    if kind is Kind.source and not (pack / "src/keytrip/sources").is_dir():
        raise UsageError("a source is a part of keytrip itself", hint="give its checkout with --pack")
    files = {pack / path.format(name=name): template for path, template in _FILES[kind].items()}
    for path in files:
        if path.exists():
            raise UsageError(f"{path} is there already", hint="choose another name; nothing is overwritten")
    for path, template in files.items():
        text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
        _create(path, Template(text).substitute(_values(name, path, pack)))
        write(f"{path}\n")
    first = next(iter(files))
    note(f"fill in what `keytrip check {first if len(files) == 1 else first.parent}` names", quiet=quiet)
    return 0


def _refuse_known(kind: Kind, name: str) -> None:
    from keytrip.baselines.jobs import load_jobs
    from keytrip.records.vocabulary import vocabulary
    from keytrip.rules.load import load_rules

    taken = {
        Kind.rule: lambda: {rule.name for rule in load_rules()},
        Kind.baseline: lambda: {*load_jobs(), *vocabulary().tables},
    }
    if kind in taken and name in taken[kind]():
        raise UsageError(f"{name!r} is the name of a {kind} of ours", hint="choose another one")


def _values(name: str, path: Path, pack: Path) -> dict[str, str]:
    return {
        "name": name,
        "id": str(uuid4()),
        "other": str(uuid4()),
        "today": datetime.now(UTC).date().isoformat(),
        "schema": _schema(path, pack) if path.suffix == ".yml" and path.parent.name == "rules" else "",
        "lacks": "\n".join(map(_lacking, _ASKED)),
    }


def _lacking(field: str) -> str:
    return f'        "{field}": "FILL IN: why {field} is not there, or map it above",'


def _schema(path: Path, pack: Path) -> str:
    """Return where the schema is from a rule's folder; a pack gets a copy, so that editors need no network."""
    from keytrip.rules.json_schema import SCHEMA

    there = pack / "src/keytrip/rules" / SCHEMA.name
    if not there.is_file():
        there = pack / SCHEMA.name
        if not there.exists():
            _create(there, SCHEMA.read_text(encoding="utf-8"))
    ups = len(path.parent.relative_to(pack).parts)
    return "../" * ups + there.relative_to(pack).as_posix()


def _create(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:  # `x`: also if it came into being just now
        file.write(text)
