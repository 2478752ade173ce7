"""What a version of Elasticsearch can do with our tables and rules."""

from __future__ import annotations

from dataclasses import replace

from keytrip.export.model import Server
from keytrip.export.wire import Send, checked

OLDEST = (8, 19)
# The only one from OLDEST on whose LOOKUP JOIN takes no alias.
_WITHOUT_ALIASES = (9, 0)
# Elastic's own service says a version that means nothing; it is never older than this.
_SERVERLESS, _SERVERLESS_IS = "serverless", "9.2"
_TABLES = "it has no lookup indices to rely on: 8.19 or later has"
_LOOKUPS = "LOOKUP JOIN follows no alias there, and tables are behind aliases: 8.19, or 9.1 and later"


def server_at(send: Send) -> Server:
    """Return what is there; of a cluster with several versions, the oldest counts.

    Raises:
        SystemRefusedError: The server does not say its version.
    """
    answer = send("GET", "/_nodes/_all/version")
    if not answer.ok and _serverless(send):
        return Server("Elasticsearch Serverless", _SERVERLESS_IS)
    nodes = checked(answer, "reading the nodes' versions")["nodes"].values()
    versions = sorted({str(node["version"]) for node in nodes}, key=version_of)
    return replace(server_of_version(versions[0]), name=f"Elasticsearch {', '.join(versions)}")


def _serverless(send: Send) -> bool:
    """Whether this is Elastic's own service, whose nodes nobody sees."""
    answer = send("GET", "/")
    return answer.ok and answer.body["version"].get("build_flavor") == _SERVERLESS


def server_of_version(version: str) -> Server:
    """Return what a version means for tables and rules."""
    number = version_of(version)
    return Server(
        f"Elasticsearch {version}",
        f"{number[0]}.{number[1]}",
        no_tables=_TABLES if number < OLDEST else "",
        no_lookups=_LOOKUPS if number == _WITHOUT_ALIASES else "",
    )


def version_of(text: str) -> tuple[int, int]:
    """Return (major, minor) of a version such as `9.1.0-SNAPSHOT`."""
    major, minor, *_ = text.split(".")
    return int(major), int(minor)
