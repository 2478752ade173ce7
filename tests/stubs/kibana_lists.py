"""A stub of Kibana's lists API (value lists), a part of `stubs/kibana.py`.

Where its facts come from:

- Vendor's API description (version 2023-10-31): paths, parameters, required fields, types of lists, statuses, files of
  9 million bytes at most.
- Kibana's public source: the data streams have to be made first (400 on an import, 404 where they are asked for); a
  file needs a name that ends in .txt or .csv; its lines are taken as they are, blank ones are skipped, equal lines of
  one file count once, and a value that is in the list already is added a second time; a network that is written with a
  prefix length reads back so; pages are led by a cursor.
- From general knowledge, not verified: the texts of the messages; 409 where exceptions refer to a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import uuid4

from stubs.https import Request
from stubs.kibana_errors import RefusedError

LISTS = ("api", "lists")
_MOST_BYTES = 9_000_000
_LINES = re.compile("\r\n|[\n\r\u2028\u2029]")
_VALID = {"ip": ip_address, "ip_range": ip_network, "keyword": str}


@dataclass
class Lists:
    """The value lists of a space.

    Attributes:
        there: Whether their data streams are.
        heads: Id -> list.
        items: Id of a list -> id of an item -> value.
        used: Ids of lists that exceptions name.
    """

    there: bool = False
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def values(self, name: str) -> list[str]:
        """The values of a list, in order."""
        return sorted(self.items[name].values())

    def route(self, request: Request, rest: tuple[str, ...]) -> Any:
        """Carry out a request below /api/lists."""
        query = dict(request.query)
        match request.method, rest:
            case "GET", ("index",):
                return self._index()
            case "POST", ("index",):
                return self._make_index()
            case "GET", ():
                return self._head(_only(query, "id"))
            case "POST", ():
                return self._make(json.loads(request.body))
            case "PUT", ():
                return self._change(json.loads(request.body))
            case "DELETE", ():
                return self._remove(_only(query, "id"))
            case "GET", ("items", "_find"):
                return self._find(_only(query, "list_id", "page", "per_page", "cursor", "sort_field", "sort_order"))
            case "POST", ("items", "_import"):
                return self._import(_only(query, "list_id", "refresh", "type"), request)
            case "DELETE", ("items",):
                return self._remove_item(_only(query, "id", "refresh"))
            case _:
                raise RefusedError(404, "Not Found")

    def _index(self) -> dict[str, bool]:
        if not self.there:
            raise RefusedError(404, "data stream .lists-default and data stream .items-default does not exist")
        return {"list_index": True, "list_item_index": True}

    def _make_index(self) -> dict[str, bool]:
        if self.there:
            raise RefusedError(409, "data stream: .lists-default and .items-default already exists")
        self.there = True
        return {"acknowledged": True}

    def _head(self, query: Mapping[str, str]) -> dict[str, Any]:
        if query.get("id") not in self.heads:
            raise RefusedError(404, f'list id: "{query.get("id")}" does not exist')
        return self.heads[query["id"]]

    def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        _check(body, {"name", "description", "type"}, {"id", "meta", "version", "serializer", "deserializer"})
        if not self.there:
            raise RefusedError(400, "To create a list, the data stream must exist first.")
        if body["type"] not in _VALID:
            raise RefusedError(400, "[request body]: type: Invalid enum value")
        name = body.setdefault("id", str(uuid4()))
        if name in self.heads:
            raise RefusedError(409, f'list id: "{name}" already exists')
        self.items[name] = {}
        self.heads[name] = {
            **body, "version": 1, "immutable": False, "_version": "WzAsMV0=", "created_by": "keytrip",
            "updated_by": "keytrip", "updated_at": "2026-11-01T00:00:00.000Z",
        }  # fmt: skip
        return self.heads[name]

    def _change(self, body: dict[str, Any]) -> dict[str, Any]:
        _check(body, {"id", "name", "description"}, {"meta", "version", "_version"})
        head = self._head(body)
        if body.get("_version", head["_version"]) != head["_version"]:
            raise RefusedError(409, "version conflict")
        head.update(body, version=head["version"] + 1, _version=f"W{head['version']}")
        return head

    def _remove(self, query: Mapping[str, str]) -> dict[str, Any]:
        head = self._head(query)
        if query["id"] in self.used:
            raise RefusedError(409, "Value list is referenced in existing exception list(s)")
        del self.heads[query["id"]], self.items[query["id"]]
        return head

    def _find(self, query: Mapping[str, str]) -> dict[str, Any]:
        self._head({"id": query["list_id"]})
        page, size = int(query.get("page", 1)), int(query.get("per_page", 20))
        if (f"c{page}" if page > 1 else None) != query.get("cursor") or size > 10_000:
            raise RefusedError(400, "cursor is no page before this one")
        found = sorted(self.items[query["list_id"]].items())
        data = [{"id": number, "value": value} for number, value in found[(page - 1) * size : page * size]]
        return {"data": data, "page": page, "per_page": size, "total": len(found), "cursor": f"c{page + 1}"}

    def _import(self, query: Mapping[str, str], request: Request) -> dict[str, Any]:
        if query.get("list_id") not in self.heads:
            raise RefusedError(409, f'list id: "{query.get("list_id")}" does not exist')
        if len(request.body) > _MOST_BYTES:
            raise RefusedError(413, "Payload content length greater than maximum allowed: 9000000")
        head = self.heads[query["list_id"]]
        for line in dict.fromkeys(_LINES.split(_file_of(request))):
            if line.strip():
                try:
                    _VALID[head["type"]](line)
                except ValueError:
                    raise RefusedError(400, f"failed to parse field [{head['type']}]") from None
                self.items[head["id"]][str(uuid4())] = line
        return head

    def _remove_item(self, query: Mapping[str, str]) -> dict[str, Any]:
        for items in self.items.values():
            if query["id"] in items:
                return {"id": query["id"], "value": items.pop(query["id"])}
        raise RefusedError(404, f'list item with id: "{query["id"]}" not found')


def _file_of(request: Request) -> str:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    (part,) = BytesParser().parsebytes(head + request.body).get_payload()
    name = part.get_filename() or ""
    if not name.endswith((".txt", ".csv")):
        raise RefusedError(415, "Unsupported media type. File must be one of the following types: [.csv, .txt]")
    return str(part.get_payload(decode=True).decode())


def _check(body: Mapping[str, Any], required: set[str], optional: set[str]) -> None:
    for name in required:
        if not isinstance(body.get(name), str) or not body[name]:
            raise RefusedError(400, f"[request body]: {name}: Required")
    for name in body.keys() - required - optional:
        raise RefusedError(400, f"[request body]: Unrecognized key(s) in object: '{name}'")


def _only(query: dict[str, str], *names: str) -> dict[str, str]:
    for name in query.keys() - set(names):
        raise RefusedError(400, f"[request query]: Unrecognized key(s) in object: '{name}'")
    return query
