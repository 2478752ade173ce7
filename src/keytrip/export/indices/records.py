"""Deployment records and the lock as documents of one index; a change that somebody else made in between is noticed."""

from __future__ import annotations

from typing import Any

from keytrip.export.indices.documents import MARK, RECORDS
from keytrip.export.model import Deployment, Holder
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text
from keytrip.export.wire import Answer, Send, checked

_CONFLICT, _MISSING, _BAD = 409, 404, 400
_LOCK = "lock"
# Newest records that are read; the last two finished ones are read besides.
_NEWEST = 10
_TEXT = {"type": "keyword", "index": False, "doc_values": False}
_INDEX = {
    "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    "mappings": {
        "dynamic": False,
        "properties": {"number": {"type": "long"}, "state": {"type": "keyword"}, "text": _TEXT},
        "_meta": MARK,
    },
}


def read_deployments(send: Send) -> tuple[Deployment, ...]:
    """Return the newest records, and the last two finished ones however old, newest first.

    Raises:
        SystemRefusedError: The server refuses.
        DataError: A record is none.
    """
    newest = _found(send, {"exists": {"field": "number"}}, _NEWEST)
    finished = _found(send, {"term": {"state": "done"}}, 2)
    texts = {**finished, **newest}
    return tuple(deployment_of(texts[name]) for name in sorted(texts, reverse=True))


def save_deployment(send: Send, deployment: Deployment) -> None:
    """Write a record, over one of the same number."""
    _made(send)
    document = {"number": deployment.number, "state": deployment.state, "text": deployment_text(deployment)}
    path = f"/{RECORDS}/_doc/{_name(deployment.number)}?refresh=true"
    checked(send("PUT", path, document), "writing the deployment record")


def take_lock(send: Send, holder: Holder, dead: Holder | None = None) -> Holder | None:
    """Take the lock, over `dead` if given; return who holds it instead."""
    _made(send)
    now, guard = _read(send)
    if now is None:
        answer = send("PUT", f"/{RECORDS}/_create/{_LOCK}", _document(holder))
    elif now.token == holder.token:
        return None
    elif now == dead:
        answer = send("PUT", f"/{RECORDS}/_doc/{_LOCK}?{guard}", _document(holder))
    else:
        return now
    if answer.status != _CONFLICT:
        checked(answer, "taking the lock")
        return None
    # somebody was quicker, or it was ourselves and the answer got lost: whoever holds it now says which
    return take_lock(send, holder, dead)


def beat_lock(send: Send, holder: Holder) -> bool:
    """Write the holder's new beat; whether the lock is still ours."""
    now, guard = _read(send)
    if now is None or now.token != holder.token:
        return False
    answer = send("PUT", f"/{RECORDS}/_doc/{_LOCK}?{guard}", _document(holder))
    if answer.status == _CONFLICT:
        now, _ = _read(send)
        return now is not None and now.token == holder.token
    checked(answer, "keeping the lock")
    return True


def free_lock(send: Send, holder: Holder) -> None:
    """Let go of the lock if it is ours."""
    now, guard = _read(send)
    if now is not None and now.token == holder.token:
        answer = send("DELETE", f"/{RECORDS}/_doc/{_LOCK}?{guard}")
        if answer.status not in {_CONFLICT, _MISSING}:
            checked(answer, "letting go of the lock")


def wipe_records(send: Send) -> None:
    """Remove the index of records and lock."""
    checked(send("DELETE", f"/{RECORDS}?ignore_unavailable=true"), "removing the deployment records")


def _made(send: Send) -> None:
    """Make the index where it is not there yet."""
    there = send("GET", f"/{RECORDS}")
    if there.status != _MISSING:
        checked(there, f"looking for the index {RECORDS}")
        return
    answer = send("PUT", f"/{RECORDS}", _INDEX)
    if not (answer.status == _BAD and "already exists" in answer.reason):
        checked(answer, f"making the index {RECORDS}")


def _found(send: Send, query: Any, size: int) -> dict[str, str]:
    """Return document id -> text of the newest records that a query finds."""
    body = {"query": query, "sort": [{"number": "desc"}], "size": size, "_source": ["text"]}
    answer = send("POST", f"/{RECORDS}/_search", body)
    if answer.status == _MISSING:
        return {}
    hits = checked(answer, "reading the deployment records")["hits"]["hits"]
    return {hit["_id"]: hit["_source"]["text"] for hit in hits}


def _read(send: Send) -> tuple[Holder | None, str]:
    """Return the holder, and what a change of the lock must match."""
    answer: Answer = send("GET", f"/{RECORDS}/_doc/{_LOCK}")
    if answer.status == _MISSING:
        return None, ""
    found = checked(answer, "reading the lock")
    return holder_of(found["_source"]["text"]), f"if_seq_no={found['_seq_no']}&if_primary_term={found['_primary_term']}"


def _document(holder: Holder) -> dict[str, str]:
    return {"text": holder_text(holder)}


def _name(number: int) -> str:
    return f"deployment-{number:08d}"
