"""The transport of folders: tables, compiled rules and texts as files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from keytrip.export.connection import Connection
from keytrip.export.manifest import Manifest
from keytrip.export.model import Transport
from keytrip.export.transports import Finding


def open_transport(connection: Connection, manifest: Manifest) -> Transport:
    """Return the transport of a folder."""
    from keytrip.export.files.transport import FileTransport

    return FileTransport(Path(connection.url), manifest.tables or "csv")


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield whether the folder can be written, and what is there."""
    from keytrip.export.files.transport import STATE

    del manifest
    root = Path(connection.url)
    nearest = next(path for path in (root, *root.absolute().parents) if path.exists())
    there = nearest.is_dir()
    writable = there and os.access(nearest, os.W_OK | os.X_OK)
    what = "is there" if root.is_dir() else "will be made" if there else f"{nearest} is no folder"
    yield Finding(f"folder {root}", there, what, "" if there else "name another one with --url")
    yield Finding(
        "permission to write", writable, "yes" if writable else "no", "" if writable else f"chmod u+wx {nearest}"
    )
    records = sorted(root.glob(f"{STATE}/deployments/*.json"))
    yield Finding("deployments", ok=True, found=f"{len(records)} on record")
