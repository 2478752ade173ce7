"""Collections of Splunk's KV store: made, filled in batches, read in pages, removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Progress
from keytrip.export.splunk.client import Client, SplunkRefusedError

_CONFIG = ("storage", "collections", "config")
_DATA = ("storage", "collections", "data")
_MEGABYTE = 1024 * 1024
# Of whole rows, and of keys alone: what Splunk gives at most by default.
_PAGE, _KEYS = 10_000, 50_000
# Keys stand in the address of the request, which servers cap at some 8,000 bytes.
_DELETED_AT_ONCE = 50
# A server that says 400 for another reason is not asked for ever.
_FORBIDDEN, _BAD, _TAKEN, _GONE = 403, 400, 409, 404
_SAID = re.compile(r"(max_documents_per_batch_save|max_size_per_batch_save_mb)=(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Limits:
    """Of one `batch_save`: Splunk's defaults, of the bytes only what a client can hold in memory with ease."""

    documents: int = 1000
    size: int = 8 * _MEGABYTE


def read_limits(client: Client) -> Limits:
    """Return the limits as the server has them, or the defaults where we may not see them."""
    try:
        found = client.get("configs", "conf-limits", "kvstore")["entry"][0]["content"]
    except SplunkRefusedError as error:
        if error.status in {_FORBIDDEN, _GONE}:
            return Limits()
        raise
    return _lowered(Limits(), found)


def _lowered(limits: Limits, said: Mapping[str, Any]) -> Limits:
    documents = int(float(said.get("max_documents_per_batch_save", limits.documents)))
    # a fifth stays free: the server may count otherwise
    size = int(float(said.get("max_size_per_batch_save_mb", limits.size / _MEGABYTE * 1.25)) * _MEGABYTE * 0.8)
    return Limits(max(1, documents), max(1, min(size, limits.size)))


def list_collections(client: Client) -> list[str]:
    """Return the names of the app's collections."""
    found = client.get(*_CONFIG, query={"count": "0"})["entry"]
    return [entry["name"] for entry in found if entry["acl"]["app"] == client.app]


def make_collection(client: Client, name: str, settings: Mapping[str, str]) -> None:
    """Make an empty collection; one of that name goes first."""
    drop_collection(client, name)
    try:
        client.post(*_CONFIG, form={"name": name, **settings})
    except SplunkRefusedError as error:
        # it was made, and the answer was lost
        if error.status != _TAKEN or not client.repeated:
            raise


def ensure_collection(client: Client, name: str, settings: Mapping[str, str]) -> None:
    """Make a collection unless it is there."""
    try:
        client.post(*_CONFIG, form={"name": name, **settings})
    except SplunkRefusedError as error:
        if error.status != _TAKEN:
            raise


def drop_collection(client: Client, name: str) -> None:
    """Remove a collection and, first, all that is in it: one of the same name must not find it again."""
    client.delete(*_DATA, name)
    client.delete(*_CONFIG, name)


def save_all(
    client: Client, name: str, items: Iterable[bytes], limits: Limits, progress: Progress | None = None
) -> Limits:
    """Save documents, each JSON with its `_key`, in batches; return the limits that the server was found to have.

    Saving is by `_key`, so a batch that is sent again, because its answer was lost, does no harm.

    Raises:
        SystemRefusedError: One document alone is beyond the limits, or Splunk refuses.
    """
    waiting: list[bytes] = []
    size = 0
    for item in items:
        if waiting and (len(waiting) >= limits.documents or size + len(item) + 1 > limits.size):
            limits = _save(client, name, waiting, limits, progress)
            waiting, size = [], 0
        waiting.append(item)
        size += len(item) + 1
    return _save(client, name, waiting, limits, progress) if waiting else limits


def _save(client: Client, name: str, batch: list[bytes], limits: Limits, progress: Progress | None) -> Limits:
    """Save one batch, in parts where the server says that it takes less."""
    try:
        client.post(*_DATA, name, "batch_save", data=b"[" + b",".join(batch) + b"]")
    except SplunkRefusedError as error:
        lower = _told(error, limits, len(batch))
        if lower is None:
            raise
        if len(batch) == 1:
            hint = "raise max_size_per_batch_save_mb in limits.conf, or leave that key out of the baselines"
            raise SystemRefusedError(f"{name}: a row of {len(batch[0])} bytes is too large", hint=hint) from error
        return _in_parts(client, name, batch, lower, progress)
    if progress:
        progress(len(batch))
    return limits


def _in_parts(client: Client, name: str, batch: list[bytes], limits: Limits, progress: Progress | None) -> Limits:
    step = min(limits.documents, max(1, len(batch) // 2))
    for start in range(0, len(batch), step):
        limits = _save(client, name, batch[start : start + step], limits, progress)
    return limits


def _told(error: SplunkRefusedError, limits: Limits, count: int) -> Limits | None:
    """Return the limits that a refusal names, or None where it is another refusal."""
    match = _SAID.search(error.text) if error.status == _BAD else None
    if match is None:
        return None
    lower = _lowered(limits, {match[1]: match[2]})
    # a server that names what we kept to already means something lower
    return lower if lower != limits else replace(limits, documents=max(1, count // 2))


def pages(client: Client, name: str, fields: str = "", where: Mapping[str, Any] | None = None) -> Iterator[list[Any]]:
    """Yield all documents of a collection in order of `_key`, a page at a time.

    A query is cut without a word at the server's limits of rows and bytes. So the next page begins behind the last key
    that came, and only an empty one is the end.
    """
    last = ""
    while True:
        query: dict[str, Any] = {**(where or {}), "_key": {"$gt": last}}
        arguments = {
            "query": orjson.dumps(query).decode(),
            "sort": "_key",
            "limit": str(_KEYS if fields == "_key" else _PAGE),
        }
        found = client.get(*_DATA, name, query={**arguments, **({"fields": fields} if fields else {})})
        if not found:
            return
        yield found
        last = found[-1]["_key"]


def count_all(client: Client, name: str) -> int:
    """Return how many documents a collection holds."""
    return sum(map(len, pages(client, name, "_key")))


def find_one(client: Client, name: str, key: str) -> dict[str, Any] | None:
    """Return a document by its key, or None where there is none, or no such collection."""
    try:
        found: dict[str, Any] = client.get(*_DATA, name, key)
    except SplunkRefusedError as error:
        if error.status != _GONE:
            raise
        return None
    return found


def insert_one(client: Client, name: str, document: Mapping[str, Any]) -> bool:
    """Add a document; whether it could be: no other has its key."""
    try:
        client.post(*_DATA, name, data=orjson.dumps(document))
    except SplunkRefusedError as error:
        if error.status != _TAKEN:
            raise
        return False
    return True


def save_one(client: Client, name: str, document: Mapping[str, Any]) -> None:
    """Add a document, or put it over the one of its key."""
    client.post(*_DATA, name, "batch_save", data=orjson.dumps([document]))


def delete_keys(client: Client, name: str, keys: Iterable[str]) -> None:
    """Remove documents by their keys."""
    waiting = list(keys)
    for start in range(0, len(waiting), _DELETED_AT_ONCE):
        some = [{"_key": key} for key in waiting[start : start + _DELETED_AT_ONCE]]
        client.delete(*_DATA, name, query={"query": orjson.dumps({"$or": some}).decode()})
