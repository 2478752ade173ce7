"""A stub of Kibana's detection engine API, strict where the real one is, TLS on. No Kibana can run in the tests.

Where its facts come from:

- Vendor's API description (version 2023-10-31) and public issues: paths, required fields, value ranges, defaults that
  answers hold, `kbn-xsrf` on everything but GET, the version header, spaces, parameters of `_find`, statuses 400, 401,
  403, 404 and 409, a PUT that puts back to its default what it does not name (exceptions, actions and whether the rule
  is on, too), a `revision` that rises with each change, a `version` that only the caller raises, a type that stays.
- From general knowledge, not verified: the texts of the messages, that unknown fields are refused for every rule type,
  the exact set of fields in an answer.

Value lists are in `stubs/kibana_lists.py`. It runs no rules. Suppression takes three fields, as in 8.19 (9.2: five).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from stubs.https import Answer, Faults, Request, https_server
from stubs.kibana_errors import RefusedError
from stubs.kibana_lists import LISTS, Lists

API_VERSION = "2023-10-31"
_RULES = ("api", "detection_engine", "rules")
_REQUIRED = {"name": str, "description": str, "risk_score": int, "severity": str, "type": str}
_DEFAULTS: dict[str, Any] = {
    "actions": [], "author": [], "enabled": True, "exceptions_list": [], "false_positives": [], "from": "now-6m",
    "interval": "5m", "license": "", "max_signals": 100, "note": None, "output_index": "", "references": [],
    "related_integrations": [], "required_fields": [], "risk_score_mapping": [], "setup": "", "severity_mapping": [],
    "tags": [], "threat": [], "to": "now", "version": 1,
}  # fmt: skip
_OPTIONAL = {
    "alert_suppression", "building_block_type", "investigation_fields", "meta", "namespace", "response_actions",
    "rule_id", "rule_name_override", "throttle", "timeline_id", "timeline_title", "timestamp_override",
    "timestamp_override_fallback_disabled",
}  # fmt: skip
_EVENTS = {"index", "filters", "data_view_id"}
_OF_TYPE = {
    "esql": {"query", "language"},
    "eql": {"query", "language", "event_category_override", "tiebreaker_field", "timestamp_field"} | _EVENTS,
    "query": {"query", "language", "saved_id"} | _EVENTS,
    "threat_match": {
        "query", "language", "threat_index", "threat_query", "threat_mapping", "threat_filters", "threat_language",
        "threat_indicator_path", "concurrent_searches", "items_per_search",
    } | _EVENTS,
}  # fmt: skip
_LANGUAGES = {"esql": {"esql"}, "eql": {"eql"}, "query": {"kuery", "lucene"}, "threat_match": {"kuery", "lucene"}}
_LENGTH = re.compile(r"[1-9]\d*[smh]")
_MOST_SUPPRESSION_FIELDS = 3


@dataclass
class KibanaStub:
    """One Kibana.

    Attributes:
        key: API key that it knows.
        role: `all`, `read` or `none`, of the security solution.
        spaces: Space -> rule_id -> rule.
        lists: Space -> its value lists.
        clock: Rises with each change; stands for the time.
        log: (method, path) of each request.
    """

    key: str
    role: str = "all"
    spaces: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {"default": {}})
    lists: dict[str, Lists] = field(default_factory=lambda: {"default": Lists()})
    clock: int = 0
    faults: Faults = field(default_factory=Faults)
    log: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    ca_file: Path = Path()

    @property
    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules of the default space."""
        return self.spaces["default"]

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        self.log.append((request.method, "/".join(request.segments)))
        try:
            return _json(200, self._route(request))
        except RefusedError as error:
            return _json(error.status, {"statusCode": error.status, "error": "refused", "message": error.text})

    def change(self, rule_id: str, **fields: Any) -> None:
        """Change a rule as somebody would in the browser."""
        self._stored(self.rules, {**self.rules[rule_id], **fields}, "analyst")

    def _route(self, request: Request) -> Any:
        self._check_headers(request)
        segments, space = request.segments, "default"
        if segments[:1] == ("s",):
            space, segments = segments[1], segments[2:]
        if space not in self.spaces:
            raise RefusedError(404, "Not Found")
        if segments[: len(LISTS)] == LISTS:
            self._permit(*(("read", "all") if request.method == "GET" else ("all",)))
            return self.lists[space].route(request, segments[len(LISTS) :])
        if segments[: len(_RULES)] != _RULES:
            raise RefusedError(404, "Not Found")
        rules, rest = self.spaces[space], segments[len(_RULES) :]
        if request.method == "GET":
            self._permit("read", "all")
            return _find(rules, request.query) if rest == ("_find",) else _named(rules, request.query)
        self._permit("all")
        if rest:
            raise RefusedError(404, "Not Found")
        return self._write(request, rules)

    def _check_headers(self, request: Request) -> None:
        if request.headers.get("authorization") != f"ApiKey {self.key}":
            raise RefusedError(401, "Unauthorized")
        if request.headers.get("elastic-api-version", API_VERSION) != API_VERSION:
            raise RefusedError(400, f"No version is available. Available versions are: [{API_VERSION}]")
        if request.method != "GET" and "kbn-xsrf" not in request.headers:
            raise RefusedError(400, "Request must contain a kbn-xsrf header.")
        wanted = "multipart/form-data" if request.segments[-1] == "_import" else "application/json"
        if request.body and not request.headers.get("content-type", "").startswith(wanted):
            raise RefusedError(415, "Unsupported Media Type")

    def _permit(self, *roles: str) -> None:
        if self.role not in roles:
            raise RefusedError(403, "API [/api/detection_engine/rules] is unauthorized for this user")

    def _write(self, request: Request, rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
        if request.method == "DELETE":
            return rules.pop(_named(rules, request.query)["rule_id"])
        body = json.loads(request.body)
        check_rule(body)
        if request.method == "POST":
            if body.get("rule_id") in rules:
                raise RefusedError(409, f'rule_id: "{body["rule_id"]}" already exists')
            return self._stored(rules, {"rule_id": str(uuid4()), **body}, "keytrip")
        if request.method == "PUT":
            old = _named(rules, {"rule_id": body.get("rule_id", "")})
            if old["type"] != body["type"]:
                raise RefusedError(400, "the type of a rule cannot be changed")
            return self._stored(rules, body, "keytrip")
        raise RefusedError(404, "Not Found")

    def _stored(self, rules: dict[str, dict[str, Any]], body: Mapping[str, Any], user: str) -> dict[str, Any]:
        """Keep a rule whole, with what Kibana fills in."""
        self.clock += 1
        moment = f"2026-11-01T00:00:{self.clock % 60:02}.000Z"
        old = rules.get(body["rule_id"])
        filled = {name: value for name, value in {**_DEFAULTS, **body}.items() if value is not None}
        filled["required_fields"] = [{**one, "ecs": False} for one in filled["required_fields"]]
        filled["query"] = filled.get("query", "")
        rules[body["rule_id"]] = filled | {
            "id": old["id"] if old else str(uuid4()),
            "created_at": old["created_at"] if old else moment,
            "created_by": old["created_by"] if old else user,
            "updated_at": moment,
            "updated_by": user,
            "immutable": False,
            "rule_source": {"type": "internal"},
            "revision": old["revision"] + 1 if old else 0,
        }
        return rules[body["rule_id"]]


@contextmanager
def kibana_stub(folder: Path, **settings: Any) -> Iterator[KibanaStub]:
    """Run a stub for as long as the `with` lasts."""
    stub = KibanaStub(**settings)
    with https_server(stub.handle, folder, stub.faults) as (stub.url, stub.ca_file):
        yield stub


def check_rule(body: Mapping[str, Any]) -> None:
    """Refuse a rule that the API refuses.

    Raises:
        RefusedError: It does.
    """
    for name, kind in _REQUIRED.items():
        if not isinstance(body.get(name), kind) or isinstance(body[name], bool):
            raise RefusedError(400, f"[request body]: {name}: Required")
    if body["type"] not in _OF_TYPE:
        raise RefusedError(400, "[request body]: type: Invalid discriminator value")
    known = _OF_TYPE[body["type"]] | _REQUIRED.keys() | _DEFAULTS.keys() | _OPTIONAL
    for name in body.keys() - known:
        raise RefusedError(400, f"[request body]: Unrecognized key(s) in object: '{name}'")
    _check_values(body)
    _check_fields(body)
    _check_threat(body.get("threat", []))
    if "alert_suppression" in body:
        _check_suppression(body["alert_suppression"])


def _check_values(body: Mapping[str, Any]) -> None:
    tests = {
        "risk_score": 0 <= body["risk_score"] <= 100,
        "severity": body["severity"] in {"low", "medium", "high", "critical"},
        "name": bool(body["name"]),
        "language": body.get("language", "kuery") in _LANGUAGES[body["type"]],
        "query": body["type"] == "query" or bool(body.get("query")),
        "max_signals": isinstance(body.get("max_signals", 1), int) and body.get("max_signals", 1) >= 1,
        "version": isinstance(body.get("version", 1), int) and body.get("version", 1) >= 1,
        "interval": bool(_LENGTH.fullmatch(body.get("interval", "5m"))),
        "from": bool(re.fullmatch(r"now-\d+[smhd]", body.get("from", "now-6m"))),
        "investigation_fields": "investigation_fields" not in body or bool(body["investigation_fields"]["field_names"]),
        "tags": all(isinstance(tag, str) for tag in body.get("tags", [])),
        "enabled": isinstance(body.get("enabled", True), bool),
    }
    for name, fits in tests.items():
        if not fits:
            raise RefusedError(400, f"[request body]: {name}: Invalid value")


def _check_fields(body: Mapping[str, Any]) -> None:
    for one in body.get("related_integrations", []):
        if not one.get("package") or not one.get("version") or one.keys() - {"package", "version", "integration"}:
            raise RefusedError(400, "[request body]: related_integrations: Invalid value")
    for one in body.get("required_fields", []):
        if not one.get("name") or not one.get("type") or one.keys() - {"name", "type"}:
            raise RefusedError(400, "[request body]: required_fields: Invalid value")


def _check_threat(threats: Any) -> None:
    for entry in threats:
        named = [entry.get("tactic", {}), *entry.get("technique", [])]
        named += [sub for technique in entry.get("technique", []) for sub in technique.get("subtechnique", [])]
        if not entry.get("framework") or not all({"id", "name", "reference"} <= one.keys() for one in named):
            raise RefusedError(400, "[request body]: threat: Invalid value")


def _check_suppression(suppression: Mapping[str, Any]) -> None:
    fields, duration = suppression.get("group_by", []), suppression.get("duration", {"value": 1, "unit": "s"})
    if not 1 <= len(fields) <= _MOST_SUPPRESSION_FIELDS:
        raise RefusedError(400, "[request body]: alert_suppression.group_by: Array must contain at most 3 element(s)")
    if duration["unit"] not in {"s", "m", "h"} or duration["value"] < 1:
        raise RefusedError(400, "[request body]: alert_suppression.duration: Invalid value")


def _named(rules: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    name = query.get("rule_id", "")
    if not name:
        raise RefusedError(400, 'either "id" or "rule_id" must be set')
    if name not in rules:
        raise RefusedError(404, f'rule_id: "{name}" not found')
    return rules[name]


def _find(rules: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    for name in query.keys() - {"page", "per_page", "filter", "sort_field", "sort_order", "fields"}:
        raise RefusedError(400, f"[request query]: Unrecognized key(s) in object: '{name}'")
    page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
    if not 1 <= size <= 10_000 or page < 1 or ("sort_field" in query) != ("sort_order" in query):
        raise RefusedError(400, "[request query]: Invalid value")
    if query.get("sort_field", "name") not in {"name", "enabled", "createdAt", "created_at", "updatedAt", "updated_at"}:
        raise RefusedError(400, "[request query]: sort_field: Invalid enum value")
    found = [rule for rule in rules.values() if _matches(rule, query.get("filter", ""))]
    return {"page": page, "perPage": size, "total": len(found), "data": found[(page - 1) * size : page * size]}


def _matches(rule: Mapping[str, Any], kuery: str) -> bool:
    """Whether a rule matches a filter on its tags, the only one that is understood here."""
    if not kuery:
        return True
    wanted = re.fullmatch(r'alert\.attributes\.tags:\s*"([^"]+)"', kuery)
    if not wanted:
        raise RefusedError(400, "KQLSyntaxError")
    return wanted[1] in rule["tags"]


def _json(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body).encode())
