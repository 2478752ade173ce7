"""Options that several commands share, each declared once."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from keytrip.cli.output import Format
from keytrip.errors import UsageError
from keytrip.sources.lines import MAX_LINE

STORE = Path(".keytrip")

Paths = Annotated[list[str], typer.Argument(help="Files, globs, folders, or - for standard input.", show_default=False)]
Source = Annotated[
    str | None, typer.Option("--source", "-s", help="canonical, litellm, nginx_egress; recognised if left out.")
]
StoreDir = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of baselines and cases.", show_default=".keytrip", envvar="KEYTRIP_STORE"),
]
Packs = Annotated[
    list[Path] | None, typer.Option("--pack", help="Folder with your own rules/ and baselines/; repeatable.")
]
Vars = Annotated[
    list[str] | None, typer.Option("--var", help="NAME=VALUE for `expand`, over the packs' variables; repeatable.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-O", help="NAME=VALUE for the target, such as data_model=keytrip; repeatable."),
]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="table, json (one object a line) or csv.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on standard error but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show where an error was raised.")]
MaxLine = Annotated[int, typer.Option("--max-line", help="Longest line in bytes; longer ones are set aside.", min=1)]
Memory = Annotated[str, typer.Option("--memory", help="DuckDB's memory; beyond it, work spills to disk.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Threads; all cores if left out.", min=1, max=1024)]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 if anything was set aside.")]
Rejects = Annotated[Path | None, typer.Option("--rejects", help="Where to put what was no record.")]

DEFAULT_MEMORY = "500MB"
DEFAULT_MAX_LINE = MAX_LINE
# A month of daily builds: as far as the window of a baseline reaches, `diff` can compare and `use` go back.
DEFAULT_KEEP = 30
_MEMORY = re.compile(r"\d{1,9}(\.\d+)?\s*(KB|MB|GB|KiB|MiB|GiB)")


def variables(given: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Return the values of each name among NAME=VALUE texts.

    Raises:
        UsageError: One of them has no name, or no value, or one that is no UTF-8.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or not equals or "%" in name:
            raise UsageError(f"--var {text!r} is no NAME=VALUE", hint="such as --var office=192.0.2.0/24")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise UsageError(f"--var {text!r} is no UTF-8", hint="such a text is in no record")
        found[name] = (*found.get(name, ()), value)
    return found


def target_options(given: list[str] | None) -> dict[str, str]:
    """Return NAME=VALUE texts as a mapping.

    Raises:
        UsageError: One of them has no name, or no value.
    """
    found: dict[str, str] = {}
    for text in given or ():
        name, _, value = text.partition("=")
        if not name or not value:
            raise UsageError(f"--option {text!r} is no NAME=VALUE", hint="such as -O data_model=keytrip")
        found[name] = value
    return found


def memory_checked(text: str) -> str:
    """Return a memory size that DuckDB takes.

    Raises:
        UsageError: It is none.
    """
    if not _MEMORY.fullmatch(text):
        raise UsageError(f"--memory {text!r} is no size", hint="such as 512MB or 2GB")
    return text


def now() -> datetime:
    """Return the time, UTC and naive: KEYTRIP_NOW where that is set, so that old logs are looked at as they were then.

    Raises:
        UsageError: KEYTRIP_NOW is no time.
    """
    named = os.environ.get("KEYTRIP_NOW")
    if not named:
        return datetime.now(UTC).replace(tzinfo=None)
    try:
        moment = datetime.fromisoformat(named)
    except ValueError:
        raise UsageError(f"KEYTRIP_NOW {named!r} is no time", hint="write it as 2026-04-01T12:00:00Z") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def hmac_file(store: Path) -> Path:
    """Return where the key of the pseudonyms is: KEYTRIP_HMAC_KEY_FILE, or in the store."""
    named = os.environ.get("KEYTRIP_HMAC_KEY_FILE")
    return Path(named) if named else store / "hmac.key"


def cache_dir() -> Path:
    """Return the folder for what can be made again: KEYTRIP_CACHE, or the user's cache folder."""
    named = os.environ.get("KEYTRIP_CACHE")
    if named:
        return Path(named)
    from platformdirs import user_cache_path

    return user_cache_path("keytrip", appauthor=False)
