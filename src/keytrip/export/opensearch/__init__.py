"""OpenSearch: tables behind aliases, monitors of the Alerting plugin, rules and detectors of Security Analytics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keytrip.export.connection import Connection
from keytrip.export.indices.generations import Indices, scrolled
from keytrip.export.manifest import Manifest
from keytrip.export.opensearch.analytics import BASE, Analytics
from keytrip.export.opensearch.client import OpensearchSend, need_opensearch
from keytrip.export.opensearch.monitors import PATH
from keytrip.export.opensearch.transport import Opensearch
from keytrip.export.transports import Finding
from keytrip.export.wire import NOT_FOUND, Send, checked, persistent

_OLDEST = (2, 0)
_FORBIDDEN = 403
_NO_PLUGIN = {400, 405}
_USED = "true"


def open_transport(connection: Connection, manifest: Manifest) -> Opensearch:  # noqa: ARG001 - as every transport has it
    """Return the transport of a cluster.

    Raises:
        UsageError: The client is missing, or a certificate cannot be read.
    """
    need_opensearch()
    once = OpensearchSend(connection)
    send = persistent(once)
    used = connection.options.get("analytics") == _USED
    return Opensearch(Indices(send, lookup_mode=False, pages=scrolled), once, Analytics(send, once) if used else None)


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of a cluster: product, version, health, plugins, and what we may read and write.

    Raises:
        UsageError: The client is missing, or a certificate cannot be read.
        SystemRefusedError: The cluster does not answer.
    """
    transport = open_transport(connection, manifest)
    send = transport.indices.send
    yield _version(checked(send("GET", "/"), "reading the version"))
    yield from _health(send)
    yield _readable(send, "read keytrip_*", "GET", "/keytrip_*/_count", "give the role read on keytrip_*")
    yield _readable(send, "aliases", "GET", "/_alias/keytrip_*", "give the role indices:admin/aliases/get on keytrip_*")
    plugins = [("Alerting", f"{PATH}/_search", "alerting_full_access")]
    if transport.analytics:
        plugins.append(("Security Analytics", f"{BASE}/detectors/_search", "security_analytics_full_access"))
    for name, path, role in plugins:
        yield _plugin(send, name, path, role)


def _version(about: Any) -> Finding:
    version = about.get("version", {})
    number = str(version.get("number", "?"))
    if version.get("distribution") != "opensearch":
        return Finding(
            "product", ok=False, found=str(version.get("build_flavor", "?")), hint="use the destination elastic"
        )
    parts = tuple(int(part) for part in number.split(".")[:2] if part.isdecimal())
    good = parts >= _OLDEST
    return Finding("version", good, f"OpenSearch {number}", "" if good else "version 2 or newer is needed")


def _health(send: Send) -> Iterator[Finding]:
    answer = send("GET", "/_cluster/health")
    if not answer.ok:
        yield Finding("health", ok=False, found=answer.reason, hint="give the role cluster:monitor/health")
        return
    status = answer.body["status"]
    hint = "" if status != "red" else "bring back the missing shards first"
    yield Finding("health", status != "red", f"{status}, {answer.body['number_of_data_nodes']} data nodes", hint)


def _readable(send: Send, subject: str, method: str, path: str, hint: str) -> Finding:
    answer = send(method, path)
    good = answer.ok or answer.status == NOT_FOUND
    return Finding(f"permission {subject}", good, "yes" if good else answer.reason, "" if good else hint)


def _plugin(send: Send, name: str, path: str, role: str) -> Finding:
    answer = send("POST", path, {"size": 0, "query": {"match_all": {}}})
    if answer.status == _FORBIDDEN:
        return Finding(f"permission {name}", ok=False, found="no", hint=f"map the user to the role {role}")
    if answer.status in _NO_PLUGIN:
        return Finding(f"plugin {name}", ok=False, found="not there", hint=f"install {name}, or leave its items out")
    good = answer.ok or answer.status == NOT_FOUND
    return Finding(f"plugin {name}", good, "there" if good else answer.reason, "" if good else "see the server's log")
