"""What `keytrip doctor` says of Elasticsearch and Kibana: version, licence, privileges, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keytrip.errors import KeytripError
from keytrip.export.connection import Connection
from keytrip.export.elastic.client import ElasticSend, kibana_send
from keytrip.export.elastic.rules import RULE
from keytrip.export.elastic.versions import server_at
from keytrip.export.manifest import Manifest
from keytrip.export.transports import Finding
from keytrip.export.wire import Send

# What apply needs, as the role in exporters/elastic/roles says it; plan needs what reads alone.
CLUSTER = ("manage_index_templates", "monitor")
LOOKUPS = ("create_index", "delete_index", "manage", "read", "write")
RECORDS = ("read",)
_NOT_THERE = {400, 404, 405}
_PAID = {"trial", "platinum", "enterprise"}
# Below this share of free disk a node takes no new shard, by default.
_LOW_WATERMARK = 85


def examine(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield a finding for each thing that was looked at; the rest is not asked where the server is not reached."""
    send = ElasticSend(connection)
    reached = _connection(send)
    yield reached
    if reached.ok:
        yield from _version(send)
        yield from _licence(send, connection)
        yield from _privileges(send)
        yield from _limits(send)
    if any(item.kind == RULE for item in manifest.items):
        yield from _kibana(connection)


def _connection(send: Send) -> Finding:
    try:
        answer = send("GET", "/_cluster/health")
    except KeytripError as error:
        return Finding("Elasticsearch", ok=False, found=error.message, hint=error.hint)
    if answer.ok:
        return Finding("Elasticsearch", ok=answer.body["status"] != "red", found=f"status {answer.body['status']}")
    hints = {0: "check --url, --ca-file and --proxy", 401: "make a new API key", 403: "give the role `monitor`"}
    return Finding("Elasticsearch", ok=False, found=answer.reason, hint=hints.get(answer.status, ""))


def _version(send: Send) -> Iterator[Finding]:
    try:
        server = server_at(send)
    except KeytripError as error:
        yield Finding("version", ok=False, found=error.message, hint="give the role `monitor`")
        return
    lacking = server.no_tables or server.no_lookups
    yield Finding(
        "version", ok=not lacking, found=server.name, hint=f"rules are left out: {lacking}" if lacking else ""
    )


def _licence(send: Send, connection: Connection) -> Iterator[Finding]:
    answer = send("GET", "/_license")
    if not answer.ok:
        if answer.status not in _NOT_THERE:
            yield Finding("licence", ok=False, found=answer.reason, hint="give the role `monitor`")
        return
    kind = str(answer.body["license"]["type"])
    wanted = connection.options.get("suppression", "on") == "on"
    fits = kind in _PAID or not wanted
    yield Finding("licence", ok=fits, found=kind, hint="" if fits else "suppression is paid: --option suppression=off")


def _privileges(send: Send) -> Iterator[Finding]:
    asked = {
        "cluster": CLUSTER,
        "index": [
            {"names": ["keytrip_*"], "privileges": LOOKUPS},
            {"names": ["logs-keytrip.*"], "privileges": RECORDS},
        ],
    }
    answer = send("POST", "/_security/user/_has_privileges", asked)
    if answer.status in _NOT_THERE:
        yield Finding("privileges", ok=True, found="security is off")
        return
    if not answer.ok:
        yield Finding("privileges", ok=False, found=answer.reason, hint="make a new API key")
        return
    for place, granted in _granted(answer.body):
        lacking = sorted(name for name, given in granted.items() if not given)
        found = "lacks " + ", ".join(lacking) if lacking else "all there"
        hint = "see exporters/elastic/role.json" if lacking else ""
        yield Finding(f"privileges on {place}", ok=not lacking, found=found, hint=hint)


def _granted(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, bool]]]:
    yield "the cluster", body["cluster"]
    yield from sorted(body["index"].items())


def _limits(send: Send) -> Iterator[Finding]:
    """Yield what keeps a new generation from being written: read-only indices, full disks, too many shards."""
    blocked = send("GET", "/keytrip_*/_settings/index.blocks.read_only*?expand_wildcards=open")
    names = sorted(blocked.body) if blocked.ok else []
    hint = "free disk; Elasticsearch then lifts the block itself" if names else ""
    yield Finding("indices that take writes", ok=not names, found=", ".join(names) or "all", hint=hint)
    nodes = send("GET", "/_nodes/stats/fs")
    if nodes.ok:
        used = max((_used(node["fs"]["total"]) for node in nodes.body["nodes"].values()), default=0)
        full = used >= _LOW_WATERMARK
        hint = "a node this full takes no new index by default: free disk" if full else ""
        yield Finding("disk", ok=not full, found=f"{used} % used on the fullest node", hint=hint)


def _used(total: Mapping[str, int]) -> int:
    whole = total.get("total_in_bytes", 0)
    return round(100 * (whole - total.get("available_in_bytes", 0)) / whole) if whole else 0


def _kibana(connection: Connection) -> Iterator[Finding]:
    try:
        answer = kibana_send(connection)("GET", "/api/detection_engine/rules/_find?per_page=1")
    except KeytripError as error:
        yield Finding("Kibana", ok=False, found=error.message, hint=error.hint)
        return
    if answer.ok:
        yield Finding("Kibana", ok=True, found=f"{answer.body['total']} rules in this space")
        return
    hints = {
        403: "give the role Kibana's privilege Security: all, or from 9.4 Rules: all, in this space",
        404: "check kibana_url and space",
    }
    yield Finding("Kibana", ok=False, found=answer.reason, hint=hints.get(answer.status, "check kibana_url"))
