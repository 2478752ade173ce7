"""What `keytrip doctor` finds out about a Splunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keytrip.export.transports import Finding

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.manifest import Manifest
    from keytrip.export.splunk.client import Client

_OLDEST = 9
# Capability -> what it is for.
CAPABILITIES = {
    "search": "copy a table inside Splunk, and run the rules",
    "schedule_search": "have the rules run on their schedules",
    "rest_properties_get": "read the limits of the KV store; without it they are found out by trying",
}
_NEEDED = frozenset({"schedule_search"})


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what there is to say of the connection, the version, the user, the app and the KV store."""
    del manifest  # its options are in the connection
    from keytrip.errors import KeytripError
    from keytrip.export.splunk.client import Client

    try:
        client = Client(connection)
        info = client.get("server", "info", app="-")["entry"][0]["content"]
    except KeytripError as error:
        yield Finding("connection", ok=False, found=error.message, hint=error.hint)
        return
    yield Finding("connection", ok=True, found=f"Splunk {info.get('version')} ({info.get('serverName')})")
    yield from _server(info)
    try:
        yield from _user(client)
        yield from _app(client)
    except KeytripError as error:
        yield Finding("permission", ok=False, found=error.message, hint=error.hint)


def _server(info: dict[str, Any]) -> Iterator[Finding]:
    version = str(info.get("version") or "0")
    major = version.partition(".")[0]
    fit = major.isdigit() and int(major) >= _OLDEST
    yield Finding("version", ok=fit, found=version, hint="" if fit else f"keytrip is written for Splunk {_OLDEST} on")
    status = str(info.get("kvStoreStatus") or "unknown")
    ready = status in {"ready", "unknown"}
    hint = "" if ready else "see `splunk show kvstore-status` on the search head"
    yield Finding("KV store", ok=ready, found=status, hint=hint)


def _user(client: Client) -> Iterator[Finding]:
    content = client.get("authentication", "current-context", app="-")["entry"][0]["content"]
    yield Finding("user", ok=True, found=f"{content['username']} with roles {', '.join(content['roles'])}")
    for name, purpose in CAPABILITIES.items():
        has = name in content["capabilities"]
        hint = "" if has else f"it is there to {purpose}; see exporters/splunk/authorize.conf"
        yield Finding(f"capability {name}", ok=has or name not in _NEEDED, found="yes" if has else "no", hint=hint)


def _app(client: Client) -> Iterator[Finding]:
    from keytrip.export.splunk.client import SplunkRefusedError
    from keytrip.export.splunk.kv import read_limits

    try:
        client.get("apps", "local", client.app, app="-")
    except SplunkRefusedError as error:
        hint = "make it (Apps > Manage Apps > Create app), or name another with --option app=NAME"
        yield Finding(f"app {client.app}", ok=False, found=error.text, hint=hint)
        return
    yield Finding(f"app {client.app}", ok=True, found="installed")
    limits = read_limits(client)
    found = f"{limits.documents} documents and {limits.size // 1024 // 1024} MB a batch"
    yield Finding("limits of the KV store", ok=True, found=found)
