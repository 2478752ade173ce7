"""Elastic: lookup indices and index templates in Elasticsearch, detection rules in Kibana."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keytrip.export.wire import Sleep, persistent

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.elastic.transport import Elastic
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Server
    from keytrip.export.transports import Finding


def open_transport(connection: Connection, manifest: Manifest, sleep: Sleep = time.sleep) -> Elastic:
    """Return the transport; nothing is sent yet. Kibana is needed only where the manifest has rules.

    Raises:
        UsageError: The connection lacks Kibana's address, or a certificate cannot be read.
    """
    from keytrip.export.elastic.client import ElasticSend, kibana_send
    from keytrip.export.elastic.pages import pages
    from keytrip.export.elastic.transport import IN_KIBANA, Elastic
    from keytrip.export.indices.generations import Indices

    indices = Indices(persistent(ElasticSend(connection), sleep), lookup_mode=True, pages=pages, sleep=sleep)
    rules = any(item.kind in IN_KIBANA for item in manifest.items)
    return Elastic(indices, persistent(kibana_send(connection), sleep) if rules else None)


def server_of(connection: Connection, sleep: Sleep = time.sleep) -> Server:
    """Return the server that is there.

    Raises:
        SystemRefusedError: It refuses, or cannot be reached.
    """
    from keytrip.export.elastic.client import ElasticSend
    from keytrip.export.elastic.versions import server_at

    return server_at(persistent(ElasticSend(connection), sleep))


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of the cluster and of Kibana."""
    from keytrip.export.elastic.doctor import examine

    yield from examine(connection, manifest)


__all__ = ["diagnose", "open_transport", "server_of"]
