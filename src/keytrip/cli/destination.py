"""What the commands on destinations share: where it is, who we are there, what it should hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keytrip.cli import options as opt
from keytrip.cli.output import note
from keytrip.cli.progress import work_bar
from keytrip.errors import UsageError

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.desired import Desired
    from keytrip.export.engine import Told
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Transport

PANEL = "Deploy"

Destination = Annotated[str, typer.Argument(help="A folder of exporters/, such as csv.", show_default=False)]
Url = Annotated[str | None, typer.Option("--url", help="Where it is; else KEYTRIP_<DESTINATION>_URL.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="PEM file of certificates to trust.")]
Insecure = Annotated[bool, typer.Option("--insecure", help="Take plain HTTP and certificates of nobody.")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="File that holds the token or API key.")]
TokenCommand = Annotated[str | None, typer.Option("--token-command", help="Command that writes it.")]
Proxy = Annotated[str | None, typer.Option("--proxy", help="URL of a proxy.")]
Options = Annotated[list[str] | None, typer.Option("--option", help="NAME=VALUE of the destination; repeatable.")]
Rules = Annotated[list[str] | None, typer.Option("--rule", "-r", help="Rule name or pattern; repeatable.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Rules with this tag; repeatable.")]
Iocs = Annotated[Path | None, typer.Option("--iocs", help="CSV or NDJSON file of indicators.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what we made and no rule or table needs any more.")]
Wait = Annotated[float, typer.Option("--wait", help="Seconds to wait for another apply.", min=0, max=86400)]


@dataclass(frozen=True)
class There:
    """A destination that is open."""

    manifest: Manifest
    connection: Connection
    packs: tuple[Path, ...]

    @property
    def transport(self) -> Transport:
        """The way to it, opened anew at each call.

        Raises:
            SystemRefusedError: It refuses.
        """
        from keytrip.export.transports import transport_to

        return transport_to(self.connection, self.manifest)


def given_by(
    url: str | None,
    ca_file: Path | None,
    token: tuple[Path | None, str | None],
    proxy: str | None,
    options: list[str] | None,
    *,
    insecure: bool,
) -> Any:
    """Return what the command line says of a connection."""
    from keytrip.export.connection import Given
    from keytrip.export.credentials import SecretPlace

    return Given(url, ca_file, insecure, proxy, SecretPlace(*token), tuple(options or ()))


def open_there(destination: str, given: Any, pack: list[Path] | None) -> There:
    """Return a destination and how it is reached.

    Raises:
        UsageError: There is none of that name, or nobody says where it is.
        SystemRefusedError: Its secret cannot be read.
    """
    from keytrip.export.connection import connection_to
    from keytrip.export.manifest import destination_named
    from keytrip.export.transports import TRANSPORTS

    packs = tuple(pack or ())
    manifest = destination_named(destination, packs)
    local = TRANSPORTS[manifest.transport].local
    return There(manifest, connection_to(manifest, given, os.environ, local=local), packs)


def desired_in(there: There, arguments: dict[str, Any]) -> Desired:
    """Return what a destination should hold.

    Raises:
        KeytripError: The content is wrong, the store has no snapshot, or the selection cannot be meant.
    """
    from keytrip.baselines.store import Store
    from keytrip.export.desired import Request, desired_for
    from keytrip.export.indicators import read_indicators
    from keytrip.export.manifest import SHARING
    from keytrip.export.transports import server_at
    from keytrip.rules.selection import Selection

    selection = Selection(tuple(arguments["rules"]), tuple(arguments["tags"]))
    if arguments["prune"] and (selection.names or selection.tags):
        raise UsageError("--prune with --rule or --tag would delete all other rules", hint="leave one of them out")
    if there.manifest.transport in SHARING and not arguments["iocs"]:
        raise UsageError(f"{there.manifest.name}: which indicators?", hint="say --iocs FILE")
    request = Request(
        store=Store(Path(arguments["store"])),
        packs=there.packs,
        variables=opt.variables(arguments["vars"]),
        selection=selection,
        options=there.connection.options,
        cache=opt.cache_dir(),
        indicators=read_indicators(Path(arguments["iocs"])) if arguments["iocs"] else (),
        server=server_at(there.connection, there.manifest),
    )
    return desired_for(there.manifest, request)


def arguments_of(
    there: There,
    ca_file: Path | None,
    store: Path | None,
    rules: list[str] | None,
    tags: list[str] | None,
    variables: list[str] | None,
    iocs: Path | None,
    *,
    prune: bool,
) -> dict[str, Any]:
    """Return what a plan is made with, as a plan file keeps it: no secret, no proxy."""
    return {
        "url": there.connection.url,
        "ca_file": str(ca_file) if ca_file else None,
        "options": [f"{name}={value}" for name, value in there.connection.options.items()],
        "packs": [str(pack) for pack in there.packs],
        "store": str(store or opt.STORE),
        "rules": list(rules or ()),
        "tags": list(tags or ()),
        "vars": list(variables or ()),
        "iocs": str(iocs) if iocs else None,
        "prune": prune,
    }


@contextmanager
def told_by(what: str, *, quiet: bool) -> Iterator[Told]:
    """Yield who listens to a run: a bar on a terminal, and lines on standard error."""
    from keytrip.export.engine import Told

    with work_bar(what, quiet=quiet) as bar:
        yield Told(bar.total, bar.step, lambda text: note(text, quiet=quiet))
