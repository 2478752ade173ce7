"""The transport of MISP: one event, an attribute for each indicator.

PyMISP's models say what an attribute may be; the three requests that it takes go over httpx. PyMISP's own client asks
the server four things before the first request, waits for ever, tries nothing again, and hands errors back as answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from keytrip.errors import ContentError, SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.http import HttpSend, header_text
from keytrip.export.indicators import Indicator
from keytrip.export.manifest import Manifest
from keytrip.export.records import Records
from keytrip.export.sharing.published import Change, Published, body_of
from keytrip.export.sharing.state import state_folder
from keytrip.export.sharing.stix_objects import NAMESPACE
from keytrip.export.sharing.transport import Sharing
from keytrip.export.transports import Finding
from keytrip.export.wire import NOT_FOUND, Send, Sleep, checked, persistent

INFO = "Theft of AI API keys: indicators (keytrip)"
# What MISP's copy of ATT&CK calls the technique that a stolen key is.
GALAXY = 'misp-galaxy:mitre-attack-pattern="Cloud Accounts - T1078.004"'
_TAIL = "keytrip "
_KEY_PREFIX = "sha256:"
_INHERIT, _OWN_ORGANISATION = "5", "0"
_HIGH, _ONGOING = "1", "1"
# Others' tools block these without a look. User agents are shared with honest clients, and keys are the victim's.
_BLOCKED = frozenset({"ipv4", "ipv6", "cidr", "domain", "url"})
_TYPES = {
    "ipv4": ("ip-src", "Network activity"),
    "ipv6": ("ip-src", "Network activity"),
    "cidr": ("ip-src", "Network activity"),
    "user_agent": ("user-agent", "Network activity"),
    "domain": ("domain", "Network activity"),
    "url": ("url", "Network activity"),
    "key_id_sha256": ("other", "Internal reference"),
}
_STRICTEST = ("clear", "green", "amber", "amber+strict", "red")
_CHUNK = 1000


@dataclass(frozen=True)
class EventChannel:
    """An event.

    Attributes:
        send: Reaches MISP, with retries.
        event: Its UUID.
        info: Its title, for the day it is made.
    """

    send: Send
    event: UUID
    info: str = INFO

    def load(self) -> Iterator[Published]:
        """Yield what the event tells by attributes of ours; soft-deleted ones are revoked.

        Raises:
            SystemRefusedError: MISP refuses.
        """
        for attribute in (self._event() or {}).get("Attribute", ()):
            found = _published(attribute)
            if str(attribute["uuid"]).lower() == str(attribute_id(self.event, found.name)):
                yield found

    def tell(self, changes: Sequence[Change]) -> None:
        """Make the event if need be, and write attributes into it; it is not published.

        Raises:
            ContentError: MISP would not keep a value as it is.
            SystemRefusedError: MISP refuses, or one of the attributes.
        """
        attributes = [_attribute(self.event, change) for change in changes]
        now = self._event()
        if now is None:
            self._add(attributes)
            now = self._event() or {}
        levels = [tag for one in attributes for tag in one.get("Tag", ())]
        for start in range(0, len(attributes), _CHUNK):
            chunk = attributes[start : start + _CHUNK]
            body = {"uuid": str(self.event), "info": now["info"], "Attribute": chunk, "Tag": _tags(levels, now)}
            answer = self.send("POST", f"/events/edit/{self.event}", {"Event": body})
            _complete(checked(answer, f"event {self.event}"), chunk)

    def _event(self) -> Mapping[str, Any] | None:
        answer = self.send("POST", f"/events/view/{self.event}", {"deleted": [0, 1]})
        if answer.status == NOT_FOUND:
            return None
        found: Mapping[str, Any] = checked(answer, f"reading event {self.event}")["Event"]
        return found

    def _add(self, attributes: Sequence[Mapping[str, Any]]) -> None:
        from pymisp import MISPEvent

        event = MISPEvent()
        event.from_dict(
            uuid=str(self.event),
            info=self.info,
            distribution=_OWN_ORGANISATION,
            threat_level_id=_HIGH,
            analysis=_ONGOING,
            date=min(str(one.get("first_seen", "9999"))[:10] for one in attributes),
        )
        for tag in _tags([tag for one in attributes for tag in one.get("Tag", ())], {}):
            event.add_tag(tag["name"])
        checked(self.send("POST", "/events/add", {"Event": json.loads(event.to_json())}), "making the event")


def attribute_id(event: UUID, name: str) -> UUID:
    """Return the UUID of the attribute that tells of the indicator `name`."""
    return uuid5(event, name)


def open_transport(connection: Connection, manifest: Manifest) -> Sharing:
    """Return the transport of an event.

    Raises:
        UsageError: A library or the key is missing, or the event's UUID is none.
    """
    channel = _channel(connection, manifest, time.sleep)
    return Sharing(channel, Records(state_folder(connection, manifest, str(channel.event))))


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of MISP: its version, and what our role may do.

    Raises:
        UsageError: A library or the key is missing.
        SystemRefusedError: MISP does not answer.
    """
    channel = _channel(connection, manifest, time.sleep)
    about = checked(channel.send("GET", "/servers/getVersion"), "reading the version")
    yield Finding("version", ok=True, found=str(about.get("version")))
    me = checked(channel.send("GET", "/users/view/me"), "reading our own user")
    role = me.get("Role", {})
    for right, why in (("perm_add", "to make the event"), ("perm_modify", "to write its attributes")):
        allowed = bool(role.get(right))
        yield Finding(f"permission {right}", allowed, str(allowed).lower(), "" if allowed else f"it takes it {why}")
    for right in ("perm_site_admin", "perm_admin"):
        more = bool(role.get(right))
        yield Finding(f"not {right}", not more, str(more).lower(), "use a key of a lesser role" if more else "")


def _channel(connection: Connection, manifest: Manifest, sleep: Sleep) -> EventChannel:
    _need_pymisp()
    if not connection.credential.secret:
        raise UsageError(f"{manifest.name}: MISP takes no request without a key", hint="set KEYTRIP_MISP_API_KEY")
    said = connection.options.get("event")
    try:
        event = UUID(said) if said else uuid5(NAMESPACE, f"misp {manifest.name}")
    except ValueError:
        raise UsageError(f"{manifest.name}: {said!r} is no UUID of an event", hint="say --option event=UUID") from None
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    send = HttpSend(connection, headers, lambda credential: {"Authorization": header_text(credential)})
    return EventChannel(persistent(send, sleep), event, connection.options.get("info") or INFO)


def _need_pymisp() -> None:
    try:
        import httpx  # noqa: F401 - whether it is there
        import pymisp  # noqa: F401 - the same
    except ModuleNotFoundError:
        raise UsageError("MISP needs the packages pymisp and httpx", hint="pip install 'keytrip[misp]'") from None


def _attribute(event: UUID, change: Change) -> Mapping[str, Any]:
    """Return the attribute that carries out a change, as PyMISP's model lets it pass."""
    from pymisp import MISPAttribute

    indicator = change.indicator
    if indicator is None:
        before = change.before.raw[0] if change.before else {}
        kept = ("uuid", "type", "category", "value", "to_ids", "comment")
        return {**{name: before[name] for name in kept if name in before}, "deleted": True}
    if indicator.value != indicator.value.strip():
        raise ContentError(
            f"{indicator.name!r}: MISP cuts spaces off its ends", hint="leave it out, or send it as STIX"
        )
    kind, category = _TYPES[indicator.kind]
    attribute = MISPAttribute()
    attribute.from_dict(
        uuid=str(attribute_id(event, indicator.name)),
        type=kind,
        category=category,
        value=(_KEY_PREFIX if indicator.kind == "key_id_sha256" else "") + indicator.value,
        to_ids=indicator.kind in _BLOCKED,
        comment=_comment(indicator),
        distribution=_INHERIT,
        first_seen=indicator.first_seen,
        last_seen=indicator.last_seen,
        deleted=indicator.revoked,
    )
    attribute.add_tag(f"tlp:{indicator.tlp}")
    made: dict[str, Any] = json.loads(attribute.to_json())
    return {**made, "deleted": indicator.revoked}


def _comment(indicator: Indicator) -> str:
    """Return a description for people, and a last line with what MISP has no field for."""
    facts = indicator.model_dump(mode="json", include={"kind", "count", "confidence", "rules", "sources"})
    tail = f"{_TAIL}{json.dumps(facts, separators=(',', ':'))}"
    # MISP cuts a line break off the beginning
    return f"{indicator.description}\n{tail}" if indicator.description else tail


def _published(attribute: Mapping[str, Any]) -> Published:
    description, _, tail = f"\n{attribute.get('comment') or ''}".rpartition(f"\n{_TAIL}")
    facts = _facts(tail)
    kind = str(facts.get("kind") or attribute["type"])
    value = str(attribute["value"])
    value = value.removeprefix(_KEY_PREFIX) if kind == "key_id_sha256" else value
    tags = [str(tag["name"]) for tag in attribute.get("Tag") or ()]
    body = {
        **facts,
        "kind": kind,
        "value": value,
        "first_seen": attribute.get("first_seen"),
        "last_seen": attribute.get("last_seen"),
        "description": description.removeprefix("\n"),
        "tlp": next((tag.removeprefix("tlp:") for tag in tags if tag.startswith("tlp:")), None),
        "revoked": bool(attribute.get("deleted")),
    }
    changed = str(attribute.get("timestamp") or "")
    when = datetime.fromtimestamp(int(changed), UTC).isoformat() if changed.isdecimal() else None
    return Published(f"{kind} {value}", body_of(body), 0, (attribute,), when)


def _facts(tail: str) -> dict[str, Any]:
    try:
        found = json.loads(tail)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tags(tags: Sequence[Mapping[str, Any]], event: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the event's tags: the strictest TLP of all that is in it, and the technique."""
    names = {str(tag["name"]) for tag in (*tags, *event.get("Tag", ()))}
    levels = [level for level in _STRICTEST if f"tlp:{level}" in names]
    return [{"name": name} for name in (*(f"tlp:{level}" for level in levels[-1:]), GALAXY)]


def _complete(answer: Mapping[str, Any], sent: Sequence[Mapping[str, Any]]) -> None:
    """Make sure that every attribute is in the event: MISP leaves out one that it does not like, and says 200.

    Raises:
        SystemRefusedError: One is not.
    """
    event = answer.get("Event", {})
    held = {str(one["uuid"]).lower() for one in event.get("Attribute", ())}
    lacking = [one for one in sent if not one.get("deleted") and one["uuid"] not in held]
    if lacking:
        why = answer.get("errors") or "no reason given"
        raise SystemRefusedError(f"MISP left out {len(lacking)} attributes, such as {lacking[0]['value']!r}: {why}")
