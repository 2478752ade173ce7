"""A stub of a TAXII 2.1 server with one collection, strict where the standard is, TLS on.

Facts are those of TAXII 2.1 (OASIS): media type with version on both sides, envelopes, 202 with a status resource,
`max_content_length` of the API root, `more` and `next`, failures by object id. Objects are validated with stix2, which
servers may do; a revoked object takes no later version. It does not do `added_after`, versions of objects, or DELETE.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import stix2
from stubs.https import Answer, Faults, Request, https_server

MEDIA_TYPE = "application/taxii+json;version=2.1"
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


@dataclass
class TaxiiStub:
    """What the server holds and does.

    Attributes:
        objects: By (id, version).
        pending: How often a status is asked for before it is complete.
        page: Most objects in an answer.
        refuse: Ids that it fails, each with its message.
        fail_known: Whether an object that is there already is a failure, as it is to medallion.
        posts: Bytes of each accepted envelope.
    """

    user: str = "writer"
    password: str = "secret"  # noqa: S105 - made up
    can_read: bool = True
    can_write: bool = True
    longest: int = 100_000
    pending: int = 0
    page: int = 1000
    refuse: dict[str, str] = field(default_factory=dict)
    fail_known: bool = False
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    posts: list[int] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    _statuses: dict[str, dict[str, Any]] = field(default_factory=dict)

    def handle(self, request: Request) -> Answer:
        """Answer a request below /root/."""
        wanted = "Basic " + b64encode(f"{self.user}:{self.password}".encode()).decode()
        if request.headers.get("authorization") != wanted:
            return _error(401, "no valid credential")
        if request.headers.get("accept") != MEDIA_TYPE:
            return _error(406, "Accept has to be the TAXII media type")
        return self._routed(request)

    def _routed(self, request: Request) -> Answer:
        match (request.method, *request.segments):
            case ("GET", "root"):
                return _json({"title": "stub", "versions": [MEDIA_TYPE], "max_content_length": self.longest})
            case ("GET", "root", "collections", name) if name == COLLECTION:
                rights = {"can_read": self.can_read, "can_write": self.can_write}
                return _json({"id": name, "title": "stub", **rights})
            case ("GET", "root", "collections", name, "objects") if name == COLLECTION:
                return self._page(request) if self.can_read else _error(403, "may not read")
            case ("POST", "root", "collections", name, "objects") if name == COLLECTION:
                return self._post(request) if self.can_write else _error(403, "may not write")
            case ("GET", "root", "status", name) if name in self._statuses:
                return _json(self._status(name))
        return _error(404, "nothing there")

    def _page(self, request: Request) -> Answer:
        unknown = request.query.keys() - {"match[type]", "match[id]", "limit", "next"}
        if unknown:
            return _error(400, f"no filter {unknown}")
        ids, types = (request.query.get(f"match[{name}]", "").split(",") for name in ("id", "type"))
        latest: dict[str, dict[str, Any]] = {}
        for (name, _), one in sorted(self.objects.items()):
            if one["type"] in types or name in ids:
                latest[name] = one
        start = int(request.query.get("next", 0))
        end = start + min(self.page, int(request.query["limit"]))
        found = list(latest.values())
        more = {"more": True, "next": str(end)} if end < len(found) else {"more": False}
        return _json({**more, "objects": found[start:end]})

    def _post(self, request: Request) -> Answer:
        if request.headers.get("content-type") != MEDIA_TYPE:
            return _error(415, "Content-Type has to be the TAXII media type")
        if len(request.body) > self.longest:
            return _error(413, "longer than max_content_length")
        envelope = json.loads(request.body)
        if envelope.keys() != {"objects"}:
            return _error(422, "an envelope holds objects")
        self.posts.append(len(request.body))
        failures = [failure for one in envelope["objects"] if (failure := self._failure(one))]
        status: dict[str, Any] = {"id": str(uuid4()), "total_count": len(envelope["objects"])}
        status |= {"failure_count": len(failures), "failures": failures, "left": self.pending}
        status |= {"success_count": len(envelope["objects"]) - len(failures)}
        self._statuses[status["id"]] = status
        return _json(self._status(status["id"]), 202)

    def _failure(self, one: dict[str, Any]) -> dict[str, str] | None:
        """Take an object; return why not."""
        message = self.refuse.get(one["id"])
        try:
            stix2.parse(one)
        except (stix2.exceptions.STIXError, ValueError) as error:
            message = str(error)
        version = one.get("modified", one.get("created", ""))
        earlier = [old for (name, _), old in self.objects.items() if name == one["id"]]
        if any(old.get("revoked") and old["modified"] != version for old in earlier):
            message = "it was revoked"
        if any(old.get("modified", "") > version for old in earlier):
            message = "there is a newer version"
        if self.fail_known and (one["id"], version) in self.objects:
            message = "Unable to process object"
        if message:
            return {"id": one["id"], "version": version, "message": message}
        self.objects[one["id"], version] = one
        return None

    def _status(self, name: str) -> dict[str, Any]:
        status = self._statuses[name]
        status["left"] -= 1
        shown = {key: value for key, value in status.items() if key != "left"}
        if status["left"] >= 0:
            return {"id": name, "status": "pending", "total_count": status["total_count"], "pending_count": 1}
        return {**shown, "status": "complete", "pending_count": 0}


@contextmanager
def taxii_stub(folder: Path, stub: TaxiiStub) -> Iterator[tuple[str, Path]]:
    """Serve a stub; yield the URL of its API root, and its authority's file."""
    with https_server(stub.handle, folder, stub.faults) as (url, authority):
        yield f"{url}/root", authority


def _json(body: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode(), MEDIA_TYPE)


def _error(status: int, title: str) -> Answer:
    return _json({"title": title, "http_status": str(status)}, status)
