"""A list of indicators as an index of ECS documents, which indicator-match rules compare events with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keytrip.export.indices.bulk import write_bulk
from keytrip.export.indices.documents import MARK, bulk_lines, document_id
from keytrip.export.indices.generations import Indices
from keytrip.export.layout import KEYWORD
from keytrip.export.model import Body, Item, Kind, LiveItem
from keytrip.export.wire import NOT_FOUND, checked

INDICATORS = "indicator_index"
# Kind -> type of the ECS, and the field below `threat.indicator` that holds the value, as ours are compared by it.
_TYPES = {
    "ipv4": ("ipv4-addr", "ip"),
    "ipv6": ("ipv6-addr", "ip"),
    "cidr": ("ipv4-addr", "network"),
    "user_agent": ("software", "user_agent"),
    "domain": ("domain-name", "domain"),
    "url": ("url", "url_full"),
    "key_id_sha256": ("user-account", "key_id_sha256"),
}
_HIGH, _MEDIUM = 70, 30
_FIELDS: dict[str, dict[str, object]] = {
    "@timestamp": {"type": "date"},
    **{f"event.{name}": KEYWORD for name in ("kind", "category", "type")},
    **{f"threat.indicator.{name}": KEYWORD for name in ("type", "name", "provider", "confidence", "marking.tlp")},
    **{f"threat.indicator.{name}": KEYWORD for _, name in _TYPES.values()},
    "threat.indicator.ip": {"type": "ip"},
    "threat.indicator.first_seen": {"type": "date"},
    "threat.indicator.last_seen": {"type": "date"},
    "threat.indicator.sightings": {"type": "long"},
}
_INDEX = {
    "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    "mappings": {"dynamic": False, "properties": _FIELDS, "_meta": MARK},
}


def normal_indicators(body: Body) -> Body:
    """Return a list as the documents that it becomes, by their names; one that was revoked is left out."""
    if "documents" in body:
        return body
    told = [one for one in body["indicators"] if not one["revoked"]]
    return {"documents": {f"{one['kind']} {one['value']}": _document(one) for one in told}}


# before the rules that compare with it
INDICATOR_KIND = Kind(INDICATORS, -5, normal=normal_indicators)


def read_indicators(indices: Indices, names: Iterable[str]) -> Iterator[LiveItem]:
    """Yield every index of indicators that has our mark, and every other index among `names`."""
    for name in sorted({"keytrip_indicators", *names}):
        answer = indices.send("GET", f"/{name}")
        if answer.status == NOT_FOUND:
            continue
        facts = checked(answer, f"reading {name}").get(name, {})
        ours = facts.get("mappings", {}).get("_meta", {}).get("managed_by") == MARK["managed_by"]
        held = [source for _, source in indices.pages(indices.send, name)] if ours else []
        documents = {source["threat"]["indicator"]["name"]: source for source in held}
        yield LiveItem(INDICATORS, name, {"documents": documents}, ours)


def put_indicators(indices: Indices, item: Item, live: LiveItem | None = None) -> None:
    """Write what differs from what is there; documents have ids of their own, so that none is there twice."""
    wanted = normal_indicators(item.body)["documents"]
    there = live.body["documents"] if live else {}
    if live is None:
        answer = indices.send("PUT", f"/{item.name}", _INDEX)
        if "already exists" not in answer.reason:
            checked(answer, f"making {item.name}")
    changed = {name: document for name, document in wanted.items() if there.get(name) != document}
    lines = [bulk_lines("index", document_id(name), document) for name, document in changed.items()]
    lines += [bulk_lines("delete", document_id(name)) for name in sorted(there.keys() - wanted.keys())]
    write_bulk(indices.send, item.name, lines, lambda _: None, indices.sleep)
    indices.call(f"refreshing {item.name}", "POST", f"/{item.name}/_refresh")


def delete_indicators(indices: Indices, live: LiveItem) -> None:
    """Remove the index."""
    indices.call(f"removing {live.name}", "DELETE", f"/{live.name}?ignore_unavailable=true")


def _document(one: Mapping[str, Any]) -> dict[str, Any]:
    kind, field = _TYPES[one["kind"]]
    indicator = {
        "type": "ipv6-addr" if one["kind"] == "cidr" and ":" in one["value"] else kind,
        "name": f"{one['kind']} {one['value']}",
        field: one["value"],
        "first_seen": one["first_seen"],
        "last_seen": one["last_seen"],
        "sightings": one["count"],
        "confidence": _confidence(one["confidence"]),
        "marking": {"tlp": one["tlp"].upper()},
        "provider": "keytrip",
        "description": one["description"],
    }
    event = {"kind": "enrichment", "category": ["threat"], "type": ["indicator"]}
    return {"@timestamp": one["last_seen"], "event": event, "threat": {"indicator": indicator}}


def _confidence(number: int) -> str:
    """Return the word for a confidence of 0 to 100, on the scale of None, Low, Medium and High that STIX lists."""
    if number == 0:
        return "None"
    return "High" if number >= _HIGH else "Medium" if number >= _MEDIUM else "Low"
