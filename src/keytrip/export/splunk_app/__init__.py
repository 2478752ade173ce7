"""The transport of Splunk app packages: for installations that take changes as apps, Splunk Cloud among them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.export.transports import Finding

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Transport


def open_transport(connection: Connection, manifest: Manifest) -> Transport:
    """Return the transport; the connection's URL is the folder of the package."""
    from keytrip.export.splunk_app.transport import AppTransport

    return AppTransport(Path(connection.url), manifest, {**manifest.options, **connection.options})


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield whether the folder can be written, and whether a package that is there can be read."""
    from keytrip.errors import KeytripError

    folder = Path(connection.url)
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    fit = there.is_dir() and os.access(there, os.W_OK)
    yield Finding("folder", ok=fit, found=str(folder), hint="" if fit else "name one that you may write, with --url")
    try:
        live = open_transport(connection, manifest).read((), ())
    except KeytripError as error:
        yield Finding("package", ok=False, found=error.message, hint=error.hint)
        return
    yield Finding("package", ok=True, found=f"{len(live.items)} items and {len(live.tables)} tables")
