"""A stub of splunkd's management port, strict where the real one is, TLS on. No Splunk can run in the tests.

Where its facts come from:

- Vendor's configuration files and REST reference, read for version 10.2: the limits of stanza [kvstore] and their
  defaults; types of KV fields; `accelerated_fields` that are no JSON are ignored; `search/v2/parser`; `_key` owned by
  the client; `data/transforms/lookups`, `configs/conf-*`, `/acl` with owner and sharing both required.
- Public issues: the text "Request exceeds API limits - see limits.conf for details. (Too many documents for a single
  batch save, max_documents_per_batch_save=200)" with status 400; queries cut without a word at max_rows_per_query;
  'Argument "x" is not supported by this handler.' with status 400; sending schedule_priority needs a capability.
- splunk-sdk 2.1.1, read and tried: paths, namespaces, form bodies, the three kinds of Authorization header.
- From general knowledge, not verified: the exact texts of the other messages; status 415 for a wrong content type;
  pages of 30 entries unless `count` says otherwise; that `action.*` takes any action; the timing of nothing at all.

It does not run searches, but for `| inputlookup A | outputlookup B` in a oneshot job.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from stubs.https import Answer, Faults, Request, https_server
from stubs.splunk_kv import KvCollection, KvLimits, RefusedError
from stubs.splunk_objects import Entity, check_arguments, check_search, check_values, shown, stored

ALL_CAPABILITIES = frozenset({"search", "rest_properties_get", "schedule_search", "list_settings", "edit_kvstore"})
_KINDS = {
    ("saved", "searches"): "searches",
    ("data", "transforms", "lookups"): "lookups",
    ("data", "macros"): "macros",
    ("configs", "conf-macros"): "macros",
    ("configs", "conf-transforms"): "transforms",
    ("storage", "collections", "config"): "collections",
}


@dataclass
class User:
    """A user with the token, the session or the password that proves it."""

    name: str
    secret: str
    kind: str = "bearer"
    capabilities: frozenset[str] = ALL_CAPABILITIES
    writes: bool = True
    requests_left: int | None = None


@dataclass
class SplunkStub:
    """One search head.

    Attributes:
        user: Who may talk to it.
        limits: Of the KV store.
        version: Of Splunk.
        apps: That are installed.
        digits: Significant digits that numbers keep on their way through a search.
        kv: (app, collection) -> collection.
        objects: kind -> (app, name) -> object.
    """

    user: User
    limits: KvLimits = field(default_factory=KvLimits)
    version: str = "10.2.3"
    apps: set[str] = field(default_factory=lambda: {"search", "keytrip"})
    digits: int = 17
    faults: Faults = field(default_factory=Faults)
    kv_status: str = "ready"
    kv: dict[tuple[str, str], KvCollection] = field(default_factory=dict)
    objects: dict[str, dict[tuple[str, str], Entity]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    documents_sent: int = 0
    url: str = ""
    ca_file: Path = Path()

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        self.log.append((request.method, "/".join(request.segments)))
        try:
            return self._route(request)
        except RefusedError as error:
            return _refusal(error.status, error.text, request)

    def _route(self, request: Request) -> Answer:
        if request.segments == ("services", "auth", "login"):
            return self._login(request)
        self._authenticate(request)
        owner, app, path = self._namespace(request.segments)
        arguments = self._arguments(request, path)
        if path[:3] == ("storage", "collections", "data"):
            return _json(*self._data(request, app, path[3:], arguments))
        for length in (2, 3):
            kind = _KINDS.get(path[:length])
            if kind is not None:
                return self._object(request, kind, (owner, app), path[length:], arguments)
        return self._other(request, app, path, arguments)

    def _login(self, request: Request) -> Answer:
        form = dict(parse_qsl(request.body.decode()))
        if self.user.kind == "basic" and (form.get("username"), form.get("password")) == tuple(
            self.user.secret.split(":", 1)
        ):
            self.user = User(self.user.name, uuid4().hex, "session", self.user.capabilities)
            return _json({"sessionKey": self.user.secret})
        raise RefusedError(401, "Login failed")

    def _authenticate(self, request: Request) -> None:
        header, user = request.headers.get("authorization", ""), self.user
        wanted = {
            "bearer": f"Bearer {user.secret}",
            "session": f"Splunk {user.secret}",
            "basic": "Basic " + base64.b64encode(user.secret.encode()).decode(),
        }[user.kind]
        if user.requests_left is not None:
            user.requests_left -= 1
        if header != wanted or (user.requests_left is not None and user.requests_left < 0):
            raise RefusedError(401, "call not properly authenticated")

    def _namespace(self, segments: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
        if segments[:1] == ("services",):
            return "nobody", "search", segments[1:]
        if segments[:1] != ("servicesNS",) or len(segments) < 4:
            raise RefusedError(404, "Not Found")
        if segments[2] not in self.apps | {"-", "system"}:
            raise RefusedError(404, f"Application does not exist: {segments[2]}")
        return segments[1], segments[2], segments[3:]

    def _arguments(self, request: Request, path: tuple[str, ...]) -> dict[str, str]:
        if request.method != "POST" or path[:3] == ("storage", "collections", "data"):
            return dict(request.query)
        if request.body and request.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise RefusedError(415, "Unsupported Media Type")
        text = request.body.decode("utf-8", errors="strict")
        return {**request.query, **dict(parse_qsl(text, keep_blank_values=True))}

    def _needs(self, capability: str) -> None:
        if capability not in self.user.capabilities:
            raise RefusedError(403, f"insufficient permission to access this resource: requires {capability}")

    def _writes(self) -> None:
        if not self.user.writes:
            raise RefusedError(403, "User does not have write access to this app.")

    def _data(self, request: Request, app: str, path: tuple[str, ...], query: Mapping[str, str]) -> tuple[Any, int]:
        collection = self.kv.get((app, path[0])) if path else None
        if collection is None:
            raise RefusedError(404, "Could not find object.")
        key = path[1] if len(path) > 1 else None
        if request.method == "GET":
            if key is None:
                return collection.query(query, self.limits), 200
            if key not in collection.documents:
                raise RefusedError(404, "Could not find object.")
            return collection.documents[key], 200
        self._writes()
        if request.method == "DELETE":
            return self._remove(collection, key, query), 200
        if request.headers.get("content-type") != "application/json":
            raise RefusedError(415, "Unsupported Media Type")
        return self._save(collection, key, request.body)

    def _remove(self, collection: KvCollection, key: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        if key is not None and collection.documents.pop(key, None) is None:
            raise RefusedError(404, "Could not find object.")
        if key is None:
            for document in collection.matching(query.get("query", "{}")):
                del collection.documents[document["_key"]]
        return {}

    def _save(self, collection: KvCollection, key: str | None, body: bytes) -> tuple[Any, int]:
        if key == "batch_save":
            keys = collection.batch_save(body, self.limits)
            self.documents_sent += len(keys)
            return keys, 200
        document = json.loads(body)
        if key is None:
            return {"_key": collection.insert(document)}, 201
        if key not in collection.documents:
            raise RefusedError(404, "Could not find object.")
        return {"_key": collection.save({**document, "_key": key})}, 200

    def _object(
        self, request: Request, kind: str, space: tuple[str, str], path: tuple[str, ...], arguments: dict[str, str]
    ) -> Answer:
        owner, app = space
        if kind == "transforms":
            kind = "lookups"
        if request.method != "GET":
            self._writes()
        if not path:
            return (
                self._list(request, kind, app, arguments)
                if request.method == "GET"
                else self._create(request, kind, (owner, app), arguments)
            )
        entity = self._find(kind, app, path[0])
        if path[1:] == ("acl",) and request.method == "POST":
            _set_acl(entity, arguments)
        elif request.method == "POST":
            self._update(kind, path[0], entity, arguments)
        elif request.method == "DELETE":
            del self.objects[kind][entity.app, path[0]]
            self.kv.pop((entity.app, path[0]), None) if kind == "collections" else None
            return _entries([], 0, request)
        return _entries([(path[0], kind, entity)], 1, request)

    def _find(self, kind: str, app: str, name: str) -> Entity:
        found = self._visible(kind, app)
        if name not in found:
            raise RefusedError(404, f"Could not find object id={name}")
        return found[name]

    def _visible(self, kind: str, app: str) -> dict[str, Entity]:
        every = self.objects.setdefault(kind, {}).items()
        return {name: e for (home, name), e in every if app in {home, "-"} or e.sharing == "global"}

    def _list(self, request: Request, kind: str, app: str, arguments: Mapping[str, str]) -> Answer:
        found = sorted(self._visible(kind, app).items())
        words = arguments.get("search", "")
        if words:
            found = [(name, e) for name, e in found if words.removeprefix("name=").strip('"*') in name]
        count, offset = int(arguments.get("count", 30)), int(arguments.get("offset", 0))
        page = found[offset : offset + count] if count > 0 else found[offset:]
        return _entries([(name, kind, e) for name, e in page], len(found), request)

    def _create(self, request: Request, kind: str, space: tuple[str, str], arguments: dict[str, str]) -> Answer:
        owner, app = space
        name = arguments.get("name", "")
        if not name or app == "-":
            raise RefusedError(400, "Cannot create an object without a name and an app.")
        if (app, name) in self.objects.setdefault(kind, {}):
            raise RefusedError(409, f"Unable to create saved object with name='{name}': it already exists.")
        values = {k: v for k, v in arguments.items() if k not in {"name", "output_mode"}}
        if kind == "collections":
            collection = KvCollection()
            collection.configure(values, self.limits)
            self.kv[app, name] = collection
        else:
            self._check(kind, arguments, stored(values), new=True)
        sharing = "app" if owner == "nobody" else "user"
        entity = Entity(owner, app, stored(values), sharing, author=self.user.name)
        self.objects[kind][app, name] = entity
        return _entries([(name, kind, entity)], 1, request, status=201)

    def _update(self, kind: str, name: str, entity: Entity, arguments: dict[str, str]) -> None:
        values = {k: v for k, v in arguments.items() if k != "output_mode"}
        if kind == "collections":
            self.kv[entity.app, name].configure(values, self.limits)
        else:
            self._check(kind, values, {**entity.values, **stored(values)}, new=False)
        entity.values.update(stored(values))
        entity.changes += 1
        entity.author = self.user.name

    def _check(self, kind: str, arguments: Mapping[str, str], values: Mapping[str, str], *, new: bool) -> None:
        check_arguments(kind, arguments, new=new)
        if "schedule_priority" in arguments:
            self._needs("edit_search_schedule_priority")
        check_values(kind, values)

    def _other(self, request: Request, app: str, path: tuple[str, ...], arguments: Mapping[str, str]) -> Answer:
        if path == ("server", "info"):
            info = {"version": self.version, "serverName": "stub", "kvStoreStatus": self.kv_status}
            return _content("server-info", info, request)
        if path == ("authentication", "current-context"):
            who = {"username": self.user.name, "roles": ["keytrip"], "capabilities": sorted(self.user.capabilities)}
            return _content("context", who, request)
        if path == ("configs", "conf-limits", "kvstore"):
            self._needs("rest_properties_get")
            return _content("kvstore", {k: str(v) for k, v in vars(self.limits).items()}, request)
        if path in {("search", "v2", "parser"), ("search", "parser")} and request.method == "POST":
            self._needs("search")
            check_search(arguments["q"], set(self._visible("macros", app)))
            return _json({"commands": []})
        if path in {("search", "jobs"), ("search", "v2", "jobs")} and request.method == "POST":
            return self._job(app, arguments)
        if path[:2] == ("apps", "local") and len(path) == 3:
            if path[2] in self.apps:
                return _content(path[2], {"label": path[2]}, request)
            raise RefusedError(404, f"Could not find object id={path[2]}")
        raise RefusedError(404, "Not Found")

    def _job(self, app: str, arguments: Mapping[str, str]) -> Answer:
        self._needs("search")
        self._writes()
        form = r"\| inputlookup (\S+) \| outputlookup (key_field=_key )?(\S+)"
        match = re.fullmatch(form, arguments.get("search", ""))
        if arguments.get("exec_mode") != "oneshot" or match is None:
            raise RefusedError(400, "The stub runs no such search.")
        source, target = (self._lookup_data(app, match[number]) for number in (1, 3))
        target[1].documents.clear()
        fields = [f.strip() for f in target[0].values["fields_list"].split(",")]
        for document in list(source[1].documents.values()):
            kept = {k: self._rounded(v) for k, v in document.items() if k in fields and (k != "_key" or match[2])}
            target[1].save(kept)
        return _json({"results": [], "messages": []})

    def _rounded(self, value: Any) -> Any:
        if isinstance(value, int | float):
            return float(f"{value:.{self.digits}g}")
        return value

    def _lookup_data(self, app: str, name: str) -> tuple[Entity, KvCollection]:
        entity = self._find("lookups", app, name)
        return entity, self.kv[entity.app, entity.values["collection"]]


def _set_acl(entity: Entity, arguments: Mapping[str, str]) -> None:
    for name in arguments:
        if name not in {"owner", "sharing", "perms.read", "perms.write", "output_mode", "app"}:
            raise RefusedError(400, f'Argument "{name}" is not supported by this handler.')
    if "owner" not in arguments or arguments.get("sharing") not in {"user", "app", "global"}:
        raise RefusedError(400, "owner and sharing are required.")
    entity.owner, entity.sharing = arguments["owner"], arguments["sharing"]
    entity.read = arguments.get("perms.read", entity.read)
    entity.write = arguments.get("perms.write", entity.write)


def _json(data: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(data).encode(), "application/json; charset=UTF-8")


def _content(name: str, content: Mapping[str, Any], request: Request) -> Answer:
    if request.query.get("output_mode") != "json":
        return _atom(name)
    return _json({"entry": [{"name": name, "content": content}], "messages": []})


def _entries(found: list[tuple[str, str, Entity]], total: int, request: Request, status: int = 200) -> Answer:
    form = dict(parse_qsl(request.body.decode())) if request.method == "POST" else {}
    if "json" not in {request.query.get("output_mode"), form.get("output_mode")}:
        return _atom(*(name for name, _, _ in found))
    entries = [
        {
            "name": name,
            "author": e.author,
            "updated": e.updated,
            "acl": e.acl(),
            "content": shown(kind, e.values) | {"eai:acl": None},
        }
        for name, kind, e in found
    ]
    return _json({"entry": entries, "paging": {"total": total, "perPage": 30, "offset": 0}, "messages": []}, status)


def _atom(*names: str) -> Answer:
    entries = "".join(f"<entry><title>{escape(name)}</title></entry>" for name in names)
    return Answer(200, f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'.encode(), "text/xml")


def _refusal(status: int, text: str, request: Request) -> Answer:
    as_json = "output_mode=json" in str(request.body) or request.query.get("output_mode") == "json"
    if as_json or "collections" in request.segments:
        message = {"messages": [{"type": "ERROR", "text": text}]}
        return Answer(status, json.dumps(message).encode())
    xml = f'<response><messages><msg type="ERROR">{escape(text)}</msg></messages></response>'
    return Answer(status, xml.encode(), "text/xml")


@contextmanager
def running(stub: SplunkStub, folder: Path) -> Iterator[SplunkStub]:
    """Serve the stub; its `url` and `ca_file` are set."""
    with https_server(stub.handle, folder, stub.faults) as (stub.url, stub.ca_file):
        yield stub
