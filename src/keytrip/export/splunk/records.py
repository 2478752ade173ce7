"""What keytrip remembers in the destination: deployments, finished generations and the lock, in one KV collection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from keytrip.export.model import Deployment, Generation, Holder
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text
from keytrip.export.splunk.client import Client
from keytrip.export.splunk.kv import (
    Limits,
    delete_keys,
    drop_collection,
    ensure_collection,
    find_one,
    insert_one,
    list_collections,
    pages,
    save_all,
)

COLLECTION = "keytrip_deployments"
# Types of the fields that are searched; all else is text that nobody searches.
_SETTINGS = {"field.kind": "string", "field.number": "number", "field.state": "string", "replicate": "false"}
_KEPT = 10
# A document may have 16 MB; what a record holds is cut into parts.
_PART = 1_000_000
_LOCK = "lock"


def ensure_records(client: Client) -> None:
    """Make the collection unless it is there."""
    ensure_collection(client, COLLECTION, _SETTINGS)


def _known(client: Client) -> bool:
    return COLLECTION in list_collections(client)


def read_generations(client: Client) -> dict[tuple[str, int], Generation]:
    """Return the generations that were written whole."""
    found = [document for page in pages(client, COLLECTION, where={"kind": "generation"}) for document in page]
    return {
        (d["table"], int(d["number"])): Generation(d["table"], int(d["number"]), int(d["count"]), d["digest"])
        for d in found
    }


def remember_generation(client: Client, generation: Generation) -> None:
    """Say that a generation is whole."""
    document = {
        "_key": _generation_key(generation.table, generation.number),
        "kind": "generation",
        "table": generation.table,
        "number": generation.number,
        "count": generation.count,
        "digest": generation.digest,
    }
    save_all(client, COLLECTION, [orjson.dumps(document)], Limits())


def forget_generation(client: Client, table: str, number: int) -> None:
    """Take a generation's word back, before it is removed or written anew."""
    delete_keys(client, COLLECTION, [_generation_key(table, number)])


def _generation_key(table: str, number: int) -> str:
    return f"generation_{table}_g{number}"


def read_deployments(client: Client) -> tuple[Deployment, ...]:
    """Return the newest records, down to the second one that was finished."""
    heads = [d for page in pages(client, COLLECTION, "_key,number,state", {"kind": "deployment"}) for d in page]
    heads.sort(key=lambda d: -int(d["number"]))
    found: list[Deployment] = []
    for head in heads:
        document = find_one(client, COLLECTION, head["_key"])
        if document is not None:
            found.append(_deployment(client, document))
        if sum(d.state == "done" for d in found) > 1:
            break
    return tuple(found)


def save_deployment(client: Client, deployment: Deployment) -> None:
    """Write a record: its parts first, so that a record which is there is whole; then drop those that are old."""
    key = _deployment_key(deployment.number)
    text = deployment_text(deployment)
    parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    # a record is written over by the same deployment only, whose parts are told apart by its state
    names = [f"part_{key}_{deployment.state}_{n:04d}" for n in range(len(parts))]
    lines = [{"_key": name, "kind": "part", "text": part} for name, part in zip(names, parts, strict=True)]
    head = {"_key": key, "kind": "deployment", "number": deployment.number, "state": deployment.state, "parts": names}
    save_all(client, COLLECTION, map(orjson.dumps, [*lines, head]), Limits())
    _sweep(client, deployment)


def _sweep(client: Client, newest: Deployment) -> None:
    if newest.state != "done":
        return
    oldest = newest.number - _KEPT
    heads = [d for page in pages(client, COLLECTION, "_key,number,parts", {"kind": "deployment"}) for d in page]
    wanted = {name for d in heads if int(d["number"]) > oldest for name in d["parts"]}
    parts = {d["_key"] for page in pages(client, COLLECTION, "_key,kind", {"kind": "part"}) for d in page}
    delete_keys(client, COLLECTION, [d["_key"] for d in heads if int(d["number"]) <= oldest])
    delete_keys(client, COLLECTION, sorted(parts - wanted))


def _deployment_key(number: int) -> str:
    return f"deployment_{number:09d}"


def _deployment(client: Client, head: dict[str, Any]) -> Deployment:
    parts = (find_one(client, COLLECTION, name) or {"text": ""} for name in head["parts"])
    return deployment_of("".join(part["text"] for part in parts))


def take_lock(client: Client, holder: Holder, dead: Holder | None) -> Holder | None:
    """Take the lock, over `dead` if given; return who holds it instead, or None when it is ours now.

    Taking over is an insert under the dead holder's token, which only one can win; whoever did holds the lock from
    there on, even if it dies before it has written its name into the lock itself.
    """
    ensure_records(client)
    if insert_one(client, COLLECTION, {"_key": _LOCK, **_holder(holder)}):
        return None
    current = _current(client)
    if current is None:
        # it was let go in between
        return take_lock(client, holder, dead)
    if current.token == holder.token:
        return None
    if dead is None or (current.token, current.beat) != (dead.token, dead.beat):
        return current
    insert_one(client, COLLECTION, {"_key": f"takeover_{dead.token}", **_holder(holder)})
    current = _current(client)
    return None if current is not None and current.token == holder.token else current or dead


def _current(client: Client) -> Holder | None:
    return next(iter(list(_chain(client))[-1:]), None)


def _chain(client: Client) -> Iterator[Holder]:
    """Yield the lock's holder, and whoever took over from the one before."""
    document = find_one(client, COLLECTION, _LOCK)
    while document is not None:
        holder = holder_of(document["holder"])
        yield holder
        document = find_one(client, COLLECTION, f"takeover_{holder.token}")


def _place_of(client: Client, holder: Holder) -> str | None:
    """Return the key of the document that makes `holder` the lock's holder, or None when it is not."""
    key, last = _LOCK, None
    for one in _chain(client):
        key = _LOCK if last is None else f"takeover_{last.token}"
        last = one
    return key if last is not None and last.token == holder.token else None


def beat_lock(client: Client, holder: Holder) -> bool:
    """Write the holder's beat; whether the lock is still ours."""
    key = _place_of(client, holder)
    if key is None:
        return False
    save_all(client, COLLECTION, [orjson.dumps({"_key": key, **_holder(holder)})], Limits())
    return _place_of(client, holder) is not None


def release_lock(client: Client, holder: Holder) -> None:
    """Let go of the lock if it is ours; without its first document, those that took over lead nowhere."""
    if not _known(client) or _place_of(client, holder) is None:
        return
    chain = list(_chain(client))
    delete_keys(client, COLLECTION, [_LOCK])
    delete_keys(client, COLLECTION, [f"takeover_{one.token}" for one in chain])


def _holder(holder: Holder) -> dict[str, Any]:
    return {"kind": "lock", "holder": holder_text(holder)}


def wipe_records(client: Client) -> None:
    """Remove all of it."""
    drop_collection(client, COLLECTION)
