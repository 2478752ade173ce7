"""A stub of OpenSearch's Alerting and Security Analytics plugins before a real OpenSearch, which gets all else. TLS on.

Where its facts come from:

- Source of the plugins, read (common-utils' Monitor, security-analytics' Detector and STIX2IOCDto): members of monitors
  and what the server adds to them (ids of triggers, `schema_version`, `owner`, `data_sources`, times), duplicate ids of
  triggers, trigger types by monitor type, `ui_metadata` kept as it is, members of detectors, 10 triggers at most.
- The vendor's documentation: paths; `if_seq_no` and `if_primary_term`; raw Sigma YAML under the content type of JSON;
  `category` of a rule, `forced`; names of detectors; the search of a monitor is handed back with its defaults and with
  `from`/`to` for ranges; sources of type IOC_UPLOAD.
- From general knowledge, not verified: 404 of a search before the first object; the texts of the messages; that a rule
  which a detector uses is refused without `forced`.

It runs no monitor and no detector.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID, uuid4

import yaml
from stubs.https import Answer, Faults, Request, https_server

_ANALYTICS = ("_plugins", "_security_analytics")
_MONITOR = {"type", "name", "monitor_type", "enabled", "schedule", "inputs", "triggers", "ui_metadata"}
_TRIGGER = {"id", "name", "severity", "condition", "actions"}
_TYPES = {"query_level_monitor": "query_level_trigger", "bucket_level_monitor": "bucket_level_trigger"}
_DETECTOR = {"type", "name", "detector_type", "enabled", "schedule", "inputs", "triggers"}
_SOURCE = {"type", "name", "format", "description", "enabled", "ioc_types", "source"}
_MODIFIERS = {"contains", "startswith", "endswith", "base64", "base64offset", "wide", "windash", "re", "cidr", "all"}
_MODIFIERS |= {"lt", "lte", "gt", "gte"}
_STATUSES = {"stable", "experimental", "test", "deprecated", "unsupported"}


@dataclass
class PluginStub:
    """What the plugins hold, and what the user may do.

    Attributes:
        behind: URL of the real OpenSearch; empty where a test needs none.
        token: Of the only user.
        roles: `alerting` and `analytics`, each for reading, with `+` for writing too.
        objects: By kind, then by id.
        changed: Is told each path that was written to.
    """

    behind: str = ""
    token: str = "token"  # noqa: S105 - made up
    roles: frozenset[str] = frozenset({"alerting+", "analytics+"})
    plugins: frozenset[str] = frozenset({"alerting", "analytics"})
    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    _clock: int = 0

    def handle(self, request: Request) -> Answer:
        """Answer a request, or hand it on."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "Unauthorized")
        if request.segments[:2] == ("_plugins", "_alerting"):
            return self._guarded("alerting", request, self._alerting)
        if request.segments[:2] == _ANALYTICS:
            return self._guarded("analytics", request, self._analytics)
        return self._forwarded(request)

    def _guarded(self, plugin: str, request: Request, answer: Callable[[Request], Answer]) -> Answer:
        if plugin not in self.plugins:
            return _error(400, "no handler found for uri")
        if request.body and request.headers.get("content-type") != "application/json":
            return _error(406, "Content-Type header is not supported")
        searches = request.segments[-1] == "_search"
        if not ({plugin, f"{plugin}+"} if searches else {f"{plugin}+"}) & self.roles:
            return _error(403, "no permissions for [cluster:admin/opensearch]")
        if not searches:
            self.changed.append("/".join(request.segments))
        return answer(request)

    def _alerting(self, request: Request) -> Answer:
        match (request.method, *request.segments[2:]):
            case ("POST", "monitors", "_search"):
                return self._search("monitor", json.loads(request.body))
            case ("POST", "monitors"):
                return self._put("monitor", str(uuid4()), self._monitor(json.loads(request.body)))
            case ("PUT", "monitors", name) if name in self._of("monitor"):
                held = self._of("monitor")[name]
                guard = (request.query.get("if_seq_no"), request.query.get("if_primary_term"))
                if guard != (str(held["_seq_no"]), "1"):
                    return _error(409, "version conflict")
                return self._put("monitor", name, self._monitor(json.loads(request.body)))
            case ("DELETE", "monitors", name):
                return self._delete("monitor", name)
        return _error(404, "no such monitor")

    def _monitor(self, body: dict[str, Any]) -> dict[str, Any] | str:
        """Return a monitor as the plugin keeps it, or why it does not take it."""
        unknown = body.keys() - _MONITOR
        kind = _TYPES.get(body.get("monitor_type", ""))
        if unknown or kind is None or len(body["triggers"]) > 10 or len(body["inputs"]) != 1:
            return f"illegal monitor: {sorted(unknown)}"
        triggers = []
        for trigger in body["triggers"]:
            ((name, inner),) = trigger.items()
            if name != kind or inner.keys() - _TRIGGER or inner["severity"] not in {"1", "2", "3", "4", "5"}:
                return f"Incompatible trigger [{name}] for monitor type"
            triggers.append({name: {"id": inner.get("id") or uuid4().hex, **_written_out(inner)}})
        if len({next(iter(one.values()))["id"] for one in triggers}) != len(triggers):
            return "Duplicate trigger id"
        added = {"schema_version": 8, "last_update_time": 1_700_000_000_000 + self._clock, "owner": "alerting"}
        times = {"enabled_time": 1_700_000_000_000 if body["enabled"] else None, "user": {"name": "me"}}
        inputs = [_written_out(one) for one in body["inputs"]]
        return {**body, **added, **times, "triggers": triggers, "inputs": inputs, "data_sources": {}}

    def _analytics(self, request: Request) -> Answer:
        *path, last = request.segments[2:]
        kinds = {"logtype": self._log_type, "rules": self._rule, "detectors": self._detector, "sources": self._source}
        if last == "_search":
            return self._search(path[-1], json.loads(request.body))
        if request.method == "POST" and last in kinds:
            return self._taken(last, str(uuid4()), request, kinds[last])
        kind = path[-1]
        if request.method == "PUT" and last in self._of(kind):
            return self._taken(kind, last, request, kinds[kind])
        if request.method == "DELETE":
            if kind == "rules" and self._used(last) and request.query.get("forced") != "true":
                return _error(400, "rule is used by a detector")
            return self._delete(kind, last)
        return _error(404, "nothing there")

    def _taken(self, kind: str, name: str, request: Request, made: Callable[[Request], dict[str, Any] | str]) -> Answer:
        if kind == "rules" and request.method == "PUT" and self._used(name) and request.query.get("forced") != "true":
            return _error(400, "rule is used by a detector")
        return self._put(kind, name, made(request))

    def _used(self, rule: str) -> bool:
        inputs = [one["_source"]["inputs"][0]["detector_input"] for one in self._of("detectors").values()]
        return any(rule == used["id"] for one in inputs for used in one["custom_rules"])

    def _log_type(self, request: Request) -> dict[str, Any] | str:
        body: dict[str, Any] = json.loads(request.body)
        good = re.fullmatch(r"[a-z0-9_-]{2,50}", body["name"]) and body["source"] == "Custom" and body["description"]
        return body if good else "Invalid log type"

    def _rule(self, request: Request) -> dict[str, Any] | str:
        rule = yaml.safe_load(request.body)
        category = request.query.get("category", "")
        known = {one["_source"]["name"] for one in self._of("logtype").values()}
        needed = {"title", "id", "status", "description", "author", "level", "logsource", "detection"}
        if category not in known or needed - rule.keys() or len(rule["title"]) > 256 or rule["status"] not in _STATUSES:
            return f"illegal rule: category {category!r}, without {sorted(needed - rule.keys())}"
        UUID(rule["id"])
        fields = (name for test in rule["detection"].values() if isinstance(test, dict) for name in test)
        unknown = {modifier for name in fields for modifier in name.split("|")[1:]} - _MODIFIERS
        if unknown or any("." not in tag for tag in rule["tags"]):
            return f"illegal modifiers or tags: {unknown}"
        return {"category": category, "rule": request.body.decode(), "title": rule["title"]}

    def _detector(self, request: Request) -> dict[str, Any] | str:
        body: dict[str, Any] = json.loads(request.body)
        given = body["inputs"][0]["detector_input"]
        name = re.fullmatch(r"[A-Za-z0-9 _-]{5,50}", body["name"])
        lacking = {one["id"] for one in given["custom_rules"]} - self._of("rules").keys()
        if body.keys() - _DETECTOR or not name or lacking or len(given["indices"]) != 1 or len(body["inputs"]) != 1:
            return f"illegal detector: rules {lacking} are not there"
        return {
            **body,
            "monitor_id": [uuid4().hex],
            "last_update_time": 1,
            "enabled_time": None,
            "user": {"name": "me"},
        }

    def _source(self, request: Request) -> dict[str, Any] | str:
        body: dict[str, Any] = json.loads(request.body)
        iocs = body["source"]["ioc_upload"]["iocs"]
        types = {"ipv4-addr", "ipv6-addr", "domain-name", "hashes"}
        if body.keys() - _SOURCE or not iocs or {one["type"] for one in iocs} - types or body["type"] != "IOC_UPLOAD":
            return "illegal source"
        shown = {**body["source"]["ioc_upload"], "iocs": []}
        return {**body, "source": {"ioc_upload": shown}, "state": "AVAILABLE", "ioc_count": len(iocs)}

    def _of(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.objects.setdefault(kind, {})

    def _put(self, kind: str, name: str, source: dict[str, Any] | str) -> Answer:
        if isinstance(source, str):
            return _error(400, source)
        self._clock += 1
        version = self._of(kind).get(name, {}).get("_version", 0) + 1
        self._of(kind)[name] = {
            "_id": name,
            "_version": version,
            "_seq_no": self._clock,
            "_primary_term": 1,
            "_source": source,
        }
        return _json({"_id": name, "_version": version, kind: source}, 201 if version == 1 else 200)

    def _delete(self, kind: str, name: str) -> Answer:
        if name not in self._of(kind):
            return _error(404, "not found")
        del self._of(kind)[name]
        return _json({"_id": name, "result": "deleted"})

    def _search(self, kind: str, body: Mapping[str, Any]) -> Answer:
        if not self.objects.get(kind):
            return _error(404, "Configured indices are not found")
        held = sorted(self._of(kind).values(), key=lambda one: one["_seq_no"])
        after = body.get("search_after", [-1])[0]
        found = [one for one in held if one["_seq_no"] > after]
        start = body.get("from", 0)
        page = found[start : start + body["size"]]
        return _json({"hits": {"hits": [{**one, "sort": [one["_seq_no"]]} for one in page]}})

    def _forwarded(self, request: Request) -> Answer:
        """Hand a request on to the real server."""
        connection = HTTPConnection(urlsplit(self.behind).netloc, timeout=60)
        path = "/" + "/".join(quote(part, safe="*,") for part in request.segments)
        path += f"?{urlencode(request.query)}" if request.query else ""
        headers = {"Content-Type": request.headers["content-type"]} if request.body else {}
        try:
            connection.request(request.method, path, request.body or None, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.headers.get("content-type", "text/plain"))
        finally:
            connection.close()


@contextmanager
def plugin_stub(folder: Path, stub: PluginStub) -> Iterator[tuple[str, Path]]:
    """Serve a stub; yield its URL and its authority's file."""
    with https_server(stub.handle, folder, stub.faults) as served:
        yield served


def _written_out(value: Any) -> Any:
    """Return a search as the server hands it back: defaults in every clause, `from` and `to` in ranges."""
    if isinstance(value, list):
        return [_written_out(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() & {"gt", "gte", "lt", "lte"}:
        lower, upper = ("gt" if "gt" in value else "gte"), ("lt" if "lt" in value else "lte")
        others = {name: one for name, one in value.items() if name not in {"gt", "gte", "lt", "lte"}}
        included = {"include_lower": lower == "gte", "include_upper": upper == "lte"}
        return {"from": value.get(lower), "to": value.get(upper), **included, "boost": 1.0, **others}
    found = {name: _written_out(one) for name, one in value.items()}
    for name, defaults in _ADDED.items():
        if isinstance(found.get(name), dict):
            found[name] = {**defaults, **found[name]}
    for name in [name for name, one in found.items() if name.endswith("_script") and isinstance(one, str)]:
        found[name] = {"source": found[name]}
    if isinstance(found.get("sort"), list):
        found["sort"] = [{key: {"order": order} for key, order in one.items()} for one in found["sort"]]
    if "fixed_interval" in found:
        found["offset"] = int(found.get("offset", "0s").removesuffix("s")) * 1000
    if "aggs" in found:
        found["aggregations"] = found.pop("aggs")
    return found


_ADDED: dict[str, dict[str, Any]] = {
    "bool": {"adjust_pure_negative": True, "boost": 1.0},
    "exists": {"boost": 1.0},
    "script": {},
    "bucket_selector": {"gap_policy": "skip"},
    "date_histogram": {"missing_bucket": False, "order": "asc"},
    "terms": {"missing_bucket": False, "order": "asc"},
}


def _json(body: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def _error(status: int, reason: str) -> Answer:
    return _json({"error": {"type": "status_exception", "reason": reason}, "status": status}, status)
