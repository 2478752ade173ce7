"""Where the records of a destination lie that cannot hold them itself."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from keytrip.export.connection import Connection
from keytrip.export.manifest import Manifest

DEFAULT = ".keytrip/deployments"


def state_folder(connection: Connection, manifest: Manifest, place: str) -> Path:
    """Return the folder of records for one place of one server; the option `state` says below which folder.

    Args:
        connection: Its address.
        manifest: The destination's.
        place: The collection or event there.
    """
    below = Path(connection.options.get("state") or DEFAULT)
    return below / f"{manifest.name}-{sha256(f'{connection.url} {place}'.encode()).hexdigest()[:16]}"
