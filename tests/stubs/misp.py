"""A stub of MISP's REST API with events and attributes, strict where the real one is, TLS on. No MISP runs here.

Where its facts come from:

- PyMISP 2.5, read: paths, the key alone in `Authorization`, the models' members, the types and categories that its own
  `describeTypes` names (used to validate here).
- From general knowledge, not verified: an attribute that is not valid is left out of an edit which still answers 200
  with `errors`; the same type and value may be in an event once; values lose the spaces at their ends; soft-deleted
  attributes show only when they are asked for; an edit that holds a timestamp which is not newer is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pymisp.abstract import describe_types
from stubs.https import Answer, Faults, Request, https_server

_EVENT = {"uuid", "info", "distribution", "threat_level_id", "analysis", "date", "Attribute", "Tag", "published"}
_ATTRIBUTE = {
    "uuid",
    "type",
    "category",
    "value",
    "to_ids",
    "comment",
    "distribution",
    "first_seen",
    "last_seen",
    "deleted",
    "disable_correlation",
    "Tag",
}


@dataclass
class MispStub:
    """What the server holds and does.

    Attributes:
        events: By UUID, each with its attributes by UUID.
        role: Rights of the key's user.
        refused: Values that it takes for no valid attribute.
    """

    key: str
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    role: dict[str, bool] = field(default_factory=lambda: {"perm_add": True, "perm_modify": True})
    refused: set[str] = field(default_factory=set)
    edits: int = 0
    faults: Faults = field(default_factory=Faults)

    def handle(self, request: Request) -> Answer:
        """Answer a request."""
        if request.headers.get("authorization") != self.key:
            return _error(403, "Authentication failed. Please make sure you pass the API key.")
        if request.headers.get("accept") != "application/json":
            return _error(406, "Accept has to be application/json")
        if request.body and request.headers.get("content-type") != "application/json":
            return _error(415, "Content-Type has to be application/json")
        body = json.loads(request.body) if request.body else {}
        match (request.method, *request.segments):
            case ("GET", "servers", "getVersion"):
                return _json({"version": "2.5.34", "perm_sync": False})
            case ("GET", "users", "view", "me"):
                return _json({"User": {"id": "7"}, "Role": self.role})
            case ("POST", "events", "view", name):
                return self._view(name, body) if name in self.events else _error(404, "Invalid event")
            case ("POST", "events", "add"):
                return self._add(body["Event"])
            case ("POST", "events", "edit", name):
                return self._edit(name, body["Event"]) if name in self.events else _error(404, "Invalid event")
        return _error(404, "no such path")

    def _view(self, name: str, body: dict[str, Any]) -> Answer:
        event = self.events[name]
        every = 1 in body.get("deleted", [])
        shown = [one for one in event["Attribute"].values() if every or not one["deleted"]]
        return _json({"Event": {**event, "Attribute": shown}})

    def _add(self, event: dict[str, Any]) -> Answer:
        if not self.role["perm_add"]:
            return _error(403, "You do not have permission to use this functionality.")
        if event.keys() - _EVENT or not event.get("info"):
            return _error(403, f"Could not add Event: {sorted(event.keys() - _EVENT)}")
        if event["uuid"] in self.events:
            return _error(403, "Event already exists")
        self.events[event["uuid"]] = {**event, "Attribute": {}}
        self._take(event["uuid"], event)
        return self._view(event["uuid"], {})

    def _edit(self, name: str, event: dict[str, Any]) -> Answer:
        if not self.role["perm_modify"]:
            return _error(403, "You do not have permission to use this functionality.")
        if "timestamp" in event:
            return _error(403, "Event in the request not newer than the local copy.")
        self.edits += 1
        errors = self._take(name, event)
        answer = json.loads(self._view(name, {}).body)
        return _json(answer | ({"errors": errors} if errors else {}))

    def _take(self, name: str, event: dict[str, Any]) -> list[str]:
        held = self.events[name]["Attribute"]
        self.events[name]["Tag"] = event.get("Tag", [])
        errors = []
        for one in event.get("Attribute", ()):
            problem = self._problem(one, held)
            if problem:
                errors.append(f"{one.get('value')}: {problem}")
                continue
            self.edits += 1
            stamp = str(1_700_000_000 + self.edits)
            held[one["uuid"]] = {**held.get(one["uuid"], {}), **_kept(one), "timestamp": stamp}
        return errors

    def _problem(self, one: dict[str, Any], held: dict[str, dict[str, Any]]) -> str:
        types = describe_types["category_type_mappings"].get(one.get("category"), [])
        if one.keys() - _ATTRIBUTE:
            return f"unknown members {sorted(one.keys() - _ATTRIBUTE)}"
        if one["type"] not in types or one["value"] in self.refused:
            return "is not valid"
        same = (other for name, other in held.items() if name != one["uuid"])
        if any((other["type"], other["value"]) == (one["type"], one["value"]) for other in same):
            return "A similar attribute already exists for this event."
        return ""


@contextmanager
def misp_stub(folder: Path, stub: MispStub) -> Iterator[tuple[str, Path]]:
    """Serve a stub; yield its URL and its authority's file."""
    with https_server(stub.handle, folder, stub.faults) as served:
        yield served


def _kept(one: dict[str, Any]) -> dict[str, Any]:
    times = {name: _moment(one[name]) for name in ("first_seen", "last_seen") if one.get(name)}
    return {**one, **times, "value": one["value"].strip(), "deleted": bool(one.get("deleted"))}


def _moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def _json(body: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode())


def _error(status: int, message: str) -> Answer:
    return _json({"name": message, "message": message, "url": "/"}, status)
