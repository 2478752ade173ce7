"""Security Analytics as items: a log type of our own, Sigma rules, detectors over them, and a source of indicators.

The plugin chooses the ids of rules. Detectors name them by Sigma id here, and are written with the plugin's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from keytrip.errors import ContentError, SystemRefusedError
from keytrip.export.model import Body, Item, Kind, LiveItem
from keytrip.export.wire import NOT_FOUND, Raw, Send, checked

BASE = "/_plugins/_security_analytics"
LOG_TYPE, RULE, DETECTOR, SOURCE = "log_type", "analytics_rule", "detector", "threat_source"
# The log type that our rules are of: a rule in it that has our tag is ours.
CATEGORY = "keytrip"
TAG = "keytrip.managed"
_MANAGED = "managed by keytrip"
_PAGE = 1000
_IOC_TYPES = {"ipv4": "ipv4-addr", "ipv6": "ipv6-addr", "domain": "domain-name"}
_DETECTOR_KEPT = ("enabled", "schedule", "triggers")


def _as_rule(body: Body) -> Body:
    """Return a rule without what YAML readers give in several forms: empty members, and dates."""
    return {
        name: str(value) if name == "date" else value for name, value in body.items() if value not in ("", [], None)
    }


def _as_detector(body: Body) -> Body:
    return {**body, "rules": sorted(body.get("rules", ()))}


def _as_source(body: Body) -> Body:
    """Return what is compared of a source: the plugin hands back no indicators, so a digest stands for them."""
    if "indicators" not in body:
        return body
    others = {name: value for name, value in body.items() if name != "indicators"}
    return {**others, "digest": source_digest(body["indicators"])}


KINDS = (
    Kind(LOG_TYPE, 0),
    Kind(RULE, 1, normal=_as_rule),
    Kind(DETECTOR, 2, frozenset(_DETECTOR_KEPT), _as_detector),
    Kind(SOURCE, 3, frozenset({"enabled"}), _as_source),
)


@dataclass(frozen=True)
class Analytics:
    """The plugin's objects.

    Attributes:
        send: Reaches the plugin, with retries.
        once: The same without, for what makes an object under an id of the plugin's choice.
    """

    send: Send
    once: Send

    def read(self, names: Iterable[tuple[str, str]]) -> Iterator[LiveItem]:
        """Yield what is ours, and others' that have one of the (kind, name).

        Raises:
            SystemRefusedError: The server refuses.
        """
        wanted = set(names)
        found = (*self._log_types(), *self._rules(), *self._detectors(), *self._sources())
        yield from (one for one in found if one.ours or (one.kind, one.name) in wanted)

    def create(self, item: Item) -> None:
        """Make an object."""
        checked(self.once("POST", self._place(item), self._body(item, item.body)), f"{item.kind} {item.name!r}")

    def update(self, item: Item, live: LiveItem) -> None:
        """Write an object anew; rules that a detector uses too."""
        kept = {name: live.body[name] for name in _kept(item.kind) if name in live.body}
        path = self._place(item, live)
        checked(self.send("PUT", path, self._body(item, {**item.body, **kept})), f"{item.kind} {item.name!r}")

    def delete(self, live: LiveItem) -> None:
        """Remove an object."""
        forced = "?forced=true" if live.kind == RULE else ""
        answer = self.send("DELETE", f"{BASE}/{_PATHS[live.kind]}/{quote(live.lock['id'], safe='')}{forced}")
        if answer.status != NOT_FOUND:
            checked(answer, f"{live.kind} {live.name!r}")

    def _place(self, item: Item, live: LiveItem | None = None) -> str:
        below = f"/{quote(live.lock['id'], safe='')}" if live else ""
        asked = {"category": CATEGORY, **({"forced": "true"} if live else {})} if item.kind == RULE else {}
        return f"{BASE}/{_PATHS[item.kind]}{below}{'?' if asked else ''}{urlencode(asked)}"

    def _body(self, item: Item, body: Body) -> Any:
        if item.kind == DETECTOR:
            return _detector(item, body, self._rule_ids(item))
        makers: dict[str, Callable[[Item, Body], Any]] = {LOG_TYPE: _log_type, RULE: _rule, SOURCE: _source}
        return makers[item.kind](item, body)

    def _rule_ids(self, item: Item) -> dict[str, str]:
        """Return Sigma id -> the plugin's id of every rule that a detector names.

        Raises:
            SystemRefusedError: One is not there.
        """
        found = {one.body["id"]: one.lock["id"] for one in self._rules() if one.ours}
        lacking = [name for name in item.body["rules"] if name not in found]
        if lacking:
            raise SystemRefusedError(f"detector {item.name!r}: rule {lacking[0]} is not there", hint="apply again")
        return found

    def _log_types(self) -> Iterator[LiveItem]:
        for hit in self._hits(f"{BASE}/logtype/_search"):
            source = hit["_source"]
            description = str(source.get("description", ""))
            body = {"description": description.removesuffix(f" ({_MANAGED})")}
            yield LiveItem(LOG_TYPE, source["name"], body, _MANAGED in description, {"id": hit["_id"]})

    def _rules(self) -> Iterator[LiveItem]:
        for hit in self._hits(f"{BASE}/rules/_search?pre_packaged=false"):
            data = _yaml(hit["_source"].get("rule"))
            tags = list(data.get("tags") or ())
            ours = TAG in tags and hit["_source"].get("category") == CATEGORY
            body = {**data, "tags": [tag for tag in tags if tag != TAG]}
            lock = {"id": hit["_id"], "version": hit.get("_version")}
            yield LiveItem(RULE, str(data.get("title", hit["_id"])), body, ours, lock)

    def _detectors(self) -> Iterator[LiveItem]:
        hits = list(self._hits(f"{BASE}/detectors/_search"))
        names = {one.lock["id"]: one.body["id"] for one in self._rules() if one.ours} if hits else {}
        for hit in hits:
            source = hit["_source"].get("detector", hit["_source"])
            given = source["inputs"][0]["detector_input"] if source.get("inputs") else {}
            rules = [names.get(one["id"], one["id"]) for one in given.get("custom_rules", ())]
            body = {
                "description": str(given.get("description", "")).removesuffix(f" ({_MANAGED})"),
                "indices": list(given.get("indices", ())),
                "rules": rules,
                **{name: source[name] for name in _DETECTOR_KEPT if name in source},
            }
            ours = source.get("detector_type") == CATEGORY and _MANAGED in given.get("description", "")
            yield LiveItem(DETECTOR, source["name"], body, ours, {"id": hit["_id"]})

    def _sources(self) -> Iterator[LiveItem]:
        for hit in self._hits(f"{BASE}/threat_intel/sources/_search"):
            source = hit["_source"].get("source_config", hit["_source"])
            description = str(source.get("description", ""))
            body = {"digest": description.rpartition(" ")[2].rstrip(")"), "enabled": source.get("enabled")}
            yield LiveItem(SOURCE, source["name"], body, _MANAGED in description, {"id": hit["_id"]})

    def _hits(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield every hit of a search; none where the plugin has not made its index yet."""
        start = 0
        while True:
            body = {"from": start, "size": _PAGE, "query": {"match_all": {}}}
            answer = self.send("POST", path, body)
            if answer.status == NOT_FOUND:
                return
            hits = checked(answer, f"reading {path.removeprefix(BASE + '/')}")["hits"]["hits"]
            yield from hits
            start += _PAGE
            if len(hits) < _PAGE:
                return


_PATHS = {LOG_TYPE: "logtype", RULE: "rules", DETECTOR: "detectors", SOURCE: "threat_intel/sources"}


def source_digest(indicators: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of what a source of indicators holds: the plugin does not hand them back."""
    return sha256(json.dumps(plugin_indicators(indicators), sort_keys=True).encode()).hexdigest()


def plugin_indicators(indicators: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the indicators that the plugin can hold, in its words: addresses and domains that are not revoked."""
    return [
        {
            "id": sha256(f"{one['kind']} {one['value']}".encode()).hexdigest()[:32],
            "name": f"{one['kind']} {one['value']}",
            "type": _IOC_TYPES[one["kind"]],
            "value": one["value"],
            "severity": "high",
            "created": one["first_seen"],
            "modified": one["last_seen"],
            "description": one.get("description", ""),
            "labels": ["keytrip"],
            "feed_id": "keytrip",
            "spec_version": "2.1",
        }
        for one in indicators
        if one["kind"] in _IOC_TYPES and not one.get("revoked")
    ]


def _kept(kind: str) -> frozenset[str]:
    return next(one.kept for one in KINDS if one.name == kind)


def _log_type(item: Item, body: Body) -> dict[str, Any]:
    return {"name": item.name, "description": f"{body['description']} ({_MANAGED})", "source": "Custom", "tags": None}


def _rule(item: Item, body: Body) -> Raw:
    """Return a rule's YAML with our tag: the plugin takes it under the content type of JSON."""
    if body.get("title") != item.name:
        raise ContentError(f"analytics_rule {item.name!r} has the title {body.get('title')!r}", hint="name it so")
    tagged = {**body, "tags": [*body.get("tags", ()), TAG]}
    return Raw(yaml.safe_dump(tagged, sort_keys=False, allow_unicode=True))


def _detector(item: Item, body: Body, ids: Mapping[str, str]) -> dict[str, Any]:
    given = {
        "description": f"{body['description']} ({_MANAGED})",
        "indices": list(body["indices"]),
        "custom_rules": [{"id": ids[name]} for name in body["rules"]],
        "pre_packaged_rules": [],
    }
    return {
        "type": "detector",
        "name": item.name,
        "detector_type": CATEGORY,
        "enabled": body.get("enabled", False),
        "schedule": body["schedule"],
        "inputs": [{"detector_input": given}],
        "triggers": body.get("triggers", []),
    }


def _source(item: Item, body: Body) -> dict[str, Any]:
    found = plugin_indicators(body["indicators"])
    return {
        "type": "IOC_UPLOAD",
        "name": item.name,
        "format": "STIX2",
        "description": f"Indicators ({_MANAGED}, {source_digest(body['indicators'])})",
        "enabled": body.get("enabled", False),
        "ioc_types": sorted({one["type"] for one in found}),
        "source": {"ioc_upload": {"file_name": "keytrip", "iocs": found}},
    }


def _yaml(text: object) -> dict[str, Any]:
    try:
        data = yaml.safe_load(str(text or ""))
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}
