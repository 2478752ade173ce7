"""The transport of a TAXII 2.1 collection: the objects of `stix_objects`, sent in envelopes that fit.

It speaks the four requests that this takes over httpx. taxii2-client has neither time-outs nor retries, and looks at no
failure that a status names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.http import HttpSend
from keytrip.export.manifest import Manifest
from keytrip.export.records import Records
from keytrip.export.sharing.published import Change, Published
from keytrip.export.sharing.state import state_folder
from keytrip.export.sharing.stix import Clock, author_of, now
from keytrip.export.sharing.stix_objects import (
    Author,
    Object,
    need_stix,
    published_in,
    shared_objects,
    stix_objects,
)
from keytrip.export.sharing.transport import Sharing
from keytrip.export.transports import Finding
from keytrip.export.wire import Send, Sleep, checked, persistent

MEDIA_TYPE = "application/taxii+json;version=2.1"
_TYPES = "indicator,observed-data,sighting"
_PAGE = 1000
# Ids in one address: it has to stay below the 8 KiB that servers take.
_ASKED_IDS = 50
# Objects in one envelope: a server may take each through its database.
_MOST_OBJECTS = 500
_LONGEST_DEFAULT = 1_000_000
_POLLS = 60
_FIRST_POLL, _LONGEST_POLL = 0.2, 5.0


@dataclass(frozen=True)
class CollectionChannel:
    """A collection.

    Attributes:
        send: Reaches its API root, with retries.
        collection: Its id.
        author: Of what we write.
        clock: Says when an object changes.
        sleep: Waits until the server is done.
    """

    send: Send
    collection: str
    author: Author
    clock: Clock = now
    sleep: Sleep = time.sleep

    def load(self) -> Iterator[Published]:
        """Yield what the collection tells.

        Raises:
            SystemRefusedError: The server refuses.
        """
        return published_in(self._objects({"match[type]": _TYPES}), self.author)

    def tell(self, changes: Sequence[Change]) -> None:
        """Send the objects that are new or newer, referred ones first, and wait until the server took them all.

        Raises:
            SystemRefusedError: The server refuses, or one of the objects.
        """
        moment = self.clock()
        made = [one for change in changes for one in _newer(change, stix_objects(change, self.author, moment))]
        objects = {one["id"]: one for one in (*shared_objects(self.author, made), *made)}
        for envelope in envelopes(list(objects.values()), self._longest()):
            status = checked(self.send("POST", f"{self.path}objects/", envelope), f"collection {self.collection}")
            self._accepted(self._finished(status), envelope["objects"])

    @property
    def path(self) -> str:
        """Where it is below the API root."""
        return f"/collections/{quote(self.collection, safe='')}/"

    def _objects(self, which: Mapping[str, str]) -> Iterator[Object]:
        asked = {**which, "limit": str(_PAGE)}
        while True:
            what = f"reading collection {self.collection}"
            page = checked(self.send("GET", f"{self.path}objects/?{urlencode(asked)}"), what)
            yield from page.get("objects", ())
            if not page.get("more"):
                return
            if not page.get("next") or not page.get("objects"):
                raise SystemRefusedError(f"{what}: the server has more, and does not say where")
            asked["next"] = page["next"]

    def _longest(self) -> int:
        root = checked(self.send("GET", "/"), "reading the API root")
        longest = root.get("max_content_length", _LONGEST_DEFAULT)
        return int(longest) if longest > 0 else _LONGEST_DEFAULT

    def _finished(self, status: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask until the server has dealt with every object."""
        for attempt in range(_POLLS):
            if status.get("status") == "complete":
                return status
            self.sleep(min(_LONGEST_POLL, _FIRST_POLL * 2**attempt))
            path = f"/status/{quote(str(status['id']), safe='')}/"
            status = checked(self.send("GET", path), "asking whether the objects are in")
        raise SystemRefusedError(
            f"collection {self.collection}: the objects are still pending", hint="apply again later"
        )

    def _accepted(self, status: Mapping[str, Any], sent: Sequence[Object]) -> None:
        """Make sure that every object is there: some servers fail one that they have, after a lost answer too."""
        failures = {str(one.get("id")): str(one.get("message", "")) for one in status.get("failures") or ()}
        if not failures and not status.get("failure_count"):
            return
        doubtful = [one for one in sent if one["id"] in failures] or list(sent)
        lacking = [one for one in doubtful if one not in self._held(doubtful)]
        if lacking:
            named = f"{lacking[0]['id']}: {failures.get(lacking[0]['id']) or 'no reason given'}"
            raise SystemRefusedError(f"collection {self.collection} refused {len(lacking)} objects; {named}")

    def _held(self, objects: Sequence[Object]) -> list[Object]:
        """Return which of the objects the collection has, in the same version."""
        found: dict[str, Object] = {}
        names = [one["id"] for one in objects]
        for start in range(0, len(names), _ASKED_IDS):
            asked = {"match[id]": ",".join(names[start : start + _ASKED_IDS])}
            found |= {one["id"]: one for one in self._objects(asked)}
        return [one for one in objects if _version(found.get(one["id"])) == _version(one)]


def envelopes(objects: Sequence[Object], longest: int) -> Iterator[dict[str, Any]]:
    """Yield envelopes of at most `longest` bytes.

    Raises:
        SystemRefusedError: One object alone is longer than the server takes.
    """
    chunk: list[Object] = []
    size = room = len('{"objects": []}')
    for one in objects:
        length = len(json.dumps(one)) + len(", ")
        if length + room > longest:
            name = one.get("name", one["id"])
            raise SystemRefusedError(f"{name!r} has {length:,} bytes, the server takes {longest:,}")
        if chunk and (size + length > longest or len(chunk) >= _MOST_OBJECTS):
            yield {"objects": chunk}
            chunk, size = [], room
        chunk.append(one)
        size += length
    if chunk:
        yield {"objects": chunk}


def open_transport(connection: Connection, manifest: Manifest) -> Sharing:
    """Return the transport of a collection.

    Raises:
        UsageError: A library is missing, or nobody says which collection.
    """
    channel = _channel(connection, manifest, time.sleep)
    return Sharing(channel, Records(state_folder(connection, manifest, channel.collection)))


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of the server: its versions, its limit, and what we may do with the collection.

    Raises:
        UsageError: A library is missing, or nobody says which collection.
        SystemRefusedError: The server does not answer.
    """
    channel = _channel(connection, manifest, time.sleep)
    root = checked(channel.send("GET", "/"), "reading the API root")
    versions = [str(version) for version in root.get("versions", ())]
    speaks = MEDIA_TYPE in {version.replace(" ", "") for version in versions}
    yield Finding("version", speaks, ", ".join(versions) or "none", "" if speaks else "TAXII 2.1 is needed")
    longest = root.get("max_content_length")
    yield Finding("max_content_length", ok=True, found=str(longest))
    about = checked(channel.send("GET", channel.path), f"collection {channel.collection}")
    for right in ("can_read", "can_write"):
        allowed = bool(about.get(right))
        hint = "" if allowed else f"let this user {right.removeprefix('can_')} the collection"
        yield Finding(f"permission {right}", allowed, str(allowed).lower(), hint)


def _channel(connection: Connection, manifest: Manifest, sleep: Sleep) -> CollectionChannel:
    need_stix()
    _need_httpx()
    collection = connection.options.get("collection", "")
    try:
        UUID(collection)
    except ValueError:
        hint = "say --option collection=ID; the server lists its own under /collections/"
        raise UsageError(f"{manifest.name}: {collection!r} is no id of a collection", hint=hint) from None
    send = HttpSend(connection, {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE})
    return CollectionChannel(persistent(send, sleep), collection, author_of(connection), now, sleep)


def _need_httpx() -> None:
    try:
        import httpx  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        raise UsageError("TAXII needs the package httpx", hint="pip install 'keytrip[taxii]'") from None


def _version(one: Object | None) -> str | None:
    """Return an object's version; what is never changed has one."""
    return None if one is None else str(one.get("modified", one.get("created", "1")))


def _newer(change: Change, objects: Iterator[Object]) -> Iterator[Object]:
    old = change.before.raw if change.before else ()
    return (one for one in objects if one not in old)
