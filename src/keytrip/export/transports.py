"""The transports by name: each is a module that is only imported when a destination uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from keytrip.errors import UsageError

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Server, Transport


@dataclass(frozen=True)
class Opener:
    """Where a transport is.

    Attributes:
        module: Has `open_transport(connection, manifest) -> Transport` and
            `diagnose(connection, manifest) -> Iterator[Finding]`.
        local: Whether the destination is a folder of this machine, which needs no address and no secret.
        versioned: Whether rules and tables depend on the server's version; has `server_of(connection) -> Server` then.
        kinds: Of the items that a manifest may list.
    """

    module: str
    local: bool = False
    versioned: bool = False
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that `keytrip doctor` looked at.

    Attributes:
        subject: Such as `permission edit_search`.
        ok: Whether it is as it has to be.
        found: What is there.
        hint: What to do where it is not.
    """

    subject: str
    ok: bool
    found: str
    hint: str = ""


TRANSPORTS: dict[str, Opener] = {
    "files": Opener("keytrip.export.files", local=True),
    "splunk": Opener("keytrip.export.splunk", kinds=("macro", "saved_search", "indicator_list", "lookup")),
    "splunk_app": Opener("keytrip.export.splunk_app", local=True, kinds=("macro", "saved_search")),
    "elastic": Opener(
        "keytrip.export.elastic",
        versioned=True,
        kinds=("index_template", "detection_rule", "indicator_index", "value_list"),
    ),
    "opensearch": Opener(
        "keytrip.export.opensearch",
        kinds=("index_template", "monitor", "log_type", "analytics_rule", "detector", "threat_source"),
    ),
    "stix": Opener("keytrip.export.sharing.stix", local=True),
    "taxii": Opener("keytrip.export.sharing.taxii"),
    "misp": Opener("keytrip.export.sharing.misp"),
}


def transport_to(connection: Connection, manifest: Manifest) -> Transport:
    """Return a destination's transport.

    Raises:
        UsageError: The transport is not a part of this version.
        SystemRefusedError: The destination refuses.
    """
    found: Transport = _module(manifest).open_transport(connection, manifest)
    return found


def server_at(connection: Connection, manifest: Manifest) -> Server | None:
    """Return the server of a destination, where rules and tables depend on it.

    Raises:
        UsageError: The transport is not a part of this version.
        SystemRefusedError: The destination refuses.
    """
    if not TRANSPORTS[manifest.transport].versioned:
        return None
    found: Server = _module(manifest).server_of(connection)
    return found


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of a destination.

    Raises:
        UsageError: The transport is not a part of this version.
    """
    yield from _module(manifest).diagnose(connection, manifest)


def _module(manifest: Manifest) -> Any:
    opener = TRANSPORTS[manifest.transport]
    try:
        return import_module(opener.module)
    except ModuleNotFoundError as error:
        if error.name is None or not opener.module.startswith(error.name):
            raise
        problem = f"{manifest.name}: the transport {manifest.transport} is not in this version"
        raise UsageError(problem, hint="see docs/exporters.md") from None
