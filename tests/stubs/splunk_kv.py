"""The stub's KV store: typed fields, queries, limits. See splunk.py for where each fact comes from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

TYPES = {"number", "bool", "string", "time", "array", "cidr"}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda a, b: a is not None and a > b,
    "$gte": lambda a, b: a is not None and a >= b,
    "$lt": lambda a, b: a is not None and a < b,
    "$lte": lambda a, b: a is not None and a <= b,
    "$ne": lambda a, b: a != b,
}
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "time": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "cidr": lambda v: isinstance(v, str),
}


class RefusedError(Exception):
    """A request that splunkd refuses, with its status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass
class KvLimits:
    """Stanza [kvstore] of limits.conf."""

    max_documents_per_batch_save: int = 1000
    max_size_per_batch_save_mb: float = 50
    max_rows_per_query: int = 50000
    max_size_per_result_mb: float = 50
    max_accelerations_per_collection: int = 10


@dataclass
class KvCollection:
    """One collection; `accelerated` has the valid accelerations only."""

    fields: dict[str, str] = field(default_factory=dict)
    accelerated: dict[str, Any] = field(default_factory=dict)
    enforce: bool = False
    replicate: bool = False
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)

    def configure(self, arguments: Mapping[str, str], limits: KvLimits) -> None:
        """Set fields, accelerations and switches; an acceleration that is no JSON is ignored without a word."""
        for name, value in arguments.items():
            if name.startswith("field."):
                if value not in TYPES:
                    raise RefusedError(400, f"Invalid type '{value}' for field '{name[6:]}'.")
                self.fields[name[6:]] = value
            elif name.startswith("accelerated_fields."):
                try:
                    self.accelerated[name[19:]] = json.loads(value)
                except ValueError:
                    continue
            elif name == "enforceTypes":
                self.enforce = value in {"1", "true"}
            elif name == "replicate":
                self.replicate = value in {"1", "true"}
            elif name not in {"profilingEnabled", "type", "disabled"}:
                raise RefusedError(400, f'Argument "{name}" is not supported by this handler.')
        if len(self.accelerated) > limits.max_accelerations_per_collection:
            raise RefusedError(400, "Too many accelerations (max_accelerations_per_collection)")

    def insert(self, document: Any) -> str:
        """Add a document under its own key or a new one."""
        key = _key(document)
        if key in self.documents:
            raise RefusedError(409, "A document with the same key and user already exists.")
        self.documents[key] = self._typed(document, key)
        return key

    def save(self, document: Any) -> str:
        """Add a document, or replace the one of its key."""
        key = _key(document)
        self.documents[key] = self._typed(document, key)
        return key

    def batch_save(self, body: bytes, limits: KvLimits) -> list[str]:
        """Save many documents, in order, up to the limits."""
        if len(body) > limits.max_size_per_batch_save_mb * 1024 * 1024:
            raise _beyond("Batch save size is too large", "max_size_per_batch_save_mb", limits)
        documents = json.loads(body)
        if not isinstance(documents, list):
            raise RefusedError(400, "JSON in the request is not an array.")
        if len(documents) > limits.max_documents_per_batch_save:
            raise _beyond("Too many documents for a single batch save", "max_documents_per_batch_save", limits)
        return [self.save(document) for document in documents]

    def query(self, arguments: Mapping[str, str], limits: KvLimits) -> list[dict[str, Any]]:
        """Return documents; cut without a word at the limit of rows and of bytes."""
        known = {"query", "fields", "sort", "skip", "limit", "shared", "output_mode"}
        for name in set(arguments) - known:
            raise RefusedError(400, f"Unknown argument {name}")
        found = self.matching(arguments.get("query", "{}"))
        for part in reversed([p for p in arguments.get("sort", "").split(",") if p]):
            name, _, order = part.partition(":")
            found.sort(key=lambda d, n=name: (d.get(n) is not None, d.get(n)), reverse=order == "-1")  # type: ignore[misc]
        skip = int(arguments.get("skip", 0))
        limit = int(arguments.get("limit", 0)) or limits.max_rows_per_query
        found = found[skip : skip + min(limit, limits.max_rows_per_query)]
        return _cut([_projected(d, arguments.get("fields", "")) for d in found], limits)

    def matching(self, text: str) -> list[dict[str, Any]]:
        """Return documents that a query matches."""
        try:
            query = json.loads(text)
        except ValueError as error:
            raise RefusedError(400, "Query is not valid JSON") from error
        if (
            isinstance(query, dict)
            and isinstance(after := query.get("_key"), dict)
            and [*query, *after] == ["_key", "$gt"]
        ):
            # the store has an index over it
            return [d for key, d in self.documents.items() if key > after["$gt"]]
        return [d for d in self.documents.values() if _matches(d, query)]

    def _typed(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        typed: dict[str, Any] = {}
        for name, value in document.items():
            if "." in name or "$" in name:
                raise RefusedError(400, f"Invalid field name {name}")
            kind = self.fields.get(name)
            if kind is None or value is None or _CHECKS[kind](value):
                # the store holds doubles
                typed[name] = float(value) if kind in {"number", "time"} and value is not None else value
            elif self.enforce:
                raise RefusedError(400, f"Type of field '{name}' does not match the enforced type '{kind}'")
        return {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in typed.items()} | {
            "_key": key,
            "_user": "nobody",
        }


def _key(document: Any) -> str:
    if not isinstance(document, dict):
        raise RefusedError(400, "JSON in the request is not an object.")
    key = document.get("_key") or uuid4().hex[:24]
    if not isinstance(key, str):
        raise RefusedError(400, "_key must be a string")
    return key


def _beyond(what: str, name: str, limits: KvLimits) -> RefusedError:
    text = "Request exceeds API limits - see limits.conf for details."
    return RefusedError(400, f"{text} ({what}, {name}={getattr(limits, name)})")


def _matches(document: Mapping[str, Any], query: Any) -> bool:
    if not isinstance(query, dict):
        raise RefusedError(400, "Query must be an object")
    for name, wanted in query.items():
        if name in {"$and", "$or"}:
            if not (all if name == "$and" else any)(_matches(document, part) for part in wanted):
                return False
        elif not _holds(document.get(name), wanted):
            return False
    return True


def _holds(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(value == wanted)
    for name, operand in wanted.items():
        if name not in _OPERATORS:
            raise RefusedError(400, f"unknown operator: {name}")
        if not _OPERATORS[name](value, operand):
            return False
    return True


def _projected(document: Mapping[str, Any], fields: str) -> dict[str, Any]:
    names = [part.partition(":") for part in fields.split(",") if part]
    taken = {name for name, _, flag in names if flag != "0"}
    left = {name for name, _, flag in names if flag == "0"}
    return {
        name: value
        for name, value in document.items()
        if name not in left and (not taken or name in taken or name == "_key")
    }


def _cut(documents: list[dict[str, Any]], limits: KvLimits) -> list[dict[str, Any]]:
    room = limits.max_size_per_result_mb * 1024 * 1024
    for number, document in enumerate(documents):
        room -= len(json.dumps(document))
        if room < 0:
            return documents[:number]
    return documents
