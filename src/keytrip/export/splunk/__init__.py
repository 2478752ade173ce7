"""The transport of Splunk: a splunkd with its management port open to us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keytrip.export.splunk.doctor import diagnose

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Transport

__all__ = ["diagnose", "open_transport"]


def open_transport(connection: Connection, manifest: Manifest) -> Transport:
    """Return the transport; nothing is asked of the server yet.

    Raises:
        UsageError: The connection is none that Splunk has.
        SystemRefusedError: A certificate cannot be read.
    """
    from keytrip.export.splunk.client import Client
    from keytrip.export.splunk.transport import SplunkTransport

    return SplunkTransport(Client(connection), {**manifest.options, **connection.options})
