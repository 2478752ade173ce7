"""Indicators as STIX 2.1 objects and back: an indicator, what was observed, and the sighting that ties the two.

What is read back is what was written, whatever text a value holds; only then a second plan is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from keytrip.errors import UsageError
from keytrip.export.indicators import Indicator
from keytrip.export.sharing.published import Change, Published, body_of

Object = Mapping[str, Any]
NAMESPACE = UUID("6c1f3ba0-4f0e-5d0c-9a55-2f4b8f0f7d1e")
# OASIS gives each level of TLP 2.0 its id (cti-stix-common-objects).
TLP_IDS = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
_TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_TLP_MADE = "2022-10-01T00:00:00.000Z"
# An identity is a function of its name, so its times are too.
_IDENTITY_MADE = "2026-01-01T00:00:00.000Z"
_AGENT = "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'"
_PATHS = {
    "ipv4": "ipv4-addr:value",
    "ipv6": "ipv6-addr:value",
    "user_agent": _AGENT,
    "domain": "domain-name:value",
    "url": "url:value",
    "key_id_sha256": "user-account:user_id",
}
_KINDS = {path: kind for kind, path in _PATHS.items()}
_PATTERN = re.compile(r"\[(\S+) (=|ISSUBSET) '((?:[^'\\]|\\['\\])*)'\]", re.DOTALL)
_KEY_PREFIX = "sha256:"
_RULE, _SOURCE, _REVISION = "keytrip rule", "keytrip source", "keytrip revision"


@dataclass(frozen=True)
class Author:
    """Who says it.

    Attributes:
        name: Of the organisation, as the others read it.
    """

    name: str

    @property
    def id(self) -> str:
        """The id of its identity object."""
        return f"identity--{_uuid('identity', self.name)}"


def stix_objects(change: Change, author: Author, now: datetime) -> Iterator[Object]:
    """Yield the objects that carry out a change: each is new, or a newer version of itself.

    Args:
        change: An indicator to tell, or one to revoke.
        author: Of all objects.
        now: When; a version is never older than the one before it.
    """
    before, indicator = change.before, change.indicator
    if indicator is None:
        if before is not None:
            yield from (_revoked(one, now) for one in before.raw if one["type"] in _VERSIONED)
        return
    # a revoked object stays revoked: the standard allows no later version
    again = before is not None and bool(before.body.get("revoked")) and not indicator.revoked
    revision = (before.revision + again) if before else 0
    old = {one["id"]: one for one in before.raw} if before else {}
    for made in _made(indicator, author, revision):
        yield _dated(made, old.get(made["id"]), now)


def shared_objects(author: Author, objects: Iterable[Object]) -> Iterator[Object]:
    """Yield the identity and the markings that other objects refer to."""
    import stix2

    yield _plain(
        stix2.Identity(
            id=author.id,
            name=author.name,
            identity_class="organization",
            created=_IDENTITY_MADE,
            modified=_IDENTITY_MADE,
        )
    )
    used = {ref for one in objects for ref in one.get("object_marking_refs", ())}
    yield from (_marking(level) for level, name in TLP_IDS.items() if name in used)


def published_in(objects: Iterable[Object], author: Author) -> Iterator[Published]:
    """Yield what an author's objects tell, the latest version of each; one for each kind and value.

    Args:
        objects: Of a bundle or a collection, several versions of an object too.
        author: Objects of others are passed over.
    """
    latest = _latest(objects)
    sightings = {one["sighting_of_ref"]: one for one in latest.values() if one["type"] == "sighting"}
    found: dict[str, Published] = {}
    for one in latest.values():
        if one["type"] != "indicator" or one.get("created_by_ref") != author.id:
            continue
        made = _published(one, sightings.get(one["id"]), latest)
        if made.name not in found or made.revision > found[made.name].revision:
            found[made.name] = made
    yield from found.values()


def pattern_of(indicator: Indicator) -> str:
    """Return the STIX pattern that an indicator is."""
    kind, value = indicator.kind, indicator.value
    if kind == "cidr":
        path = _PATHS["ipv6" if ":" in value else "ipv4"]
        return f"[{path} ISSUBSET '{value}']"
    prefix = _KEY_PREFIX if kind == "key_id_sha256" else ""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"[{_PATHS[kind]} = '{prefix}{escaped}']"


def value_of(pattern: str) -> tuple[str, str] | None:
    """Return (kind, value) of a pattern of ours, or None for another one."""
    found = _PATTERN.fullmatch(pattern)
    if not found or found[1] not in _KINDS:
        return None
    value = re.sub(r"\\(.)", r"\1", found[3])
    kind = _KINDS[found[1]]
    if found[2] == "ISSUBSET":
        return "cidr", value
    return kind, value.removeprefix(_KEY_PREFIX) if kind == "key_id_sha256" else value


def need_stix() -> None:
    """Make sure that the library is there.

    Raises:
        UsageError: It is not.
    """
    try:
        import stix2  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        raise UsageError("STIX needs the package stix2", hint="pip install 'keytrip[stix]'") from None


_VERSIONED = frozenset({"indicator", "observed-data", "sighting"})


def _made(indicator: Indicator, author: Author, revision: int) -> Iterator[dict[str, Any]]:
    """Yield an indicator's objects without the times of their versions."""
    told, seen = _id("indicator", indicator, revision), _id("observed-data", indicator, revision)
    common = {
        "spec_version": "2.1",
        "created_by_ref": author.id,
        "revoked": indicator.revoked,
        "object_marking_refs": [TLP_IDS[indicator.tlp]],
    }
    yield {
        **common,
        "type": "indicator",
        "id": told,
        "name": indicator.name,
        **({"description": indicator.description} if indicator.description else {}),
        "indicator_types": ["compromised" if indicator.kind == "key_id_sha256" else "malicious-activity"],
        "pattern": pattern_of(indicator),
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": _time(indicator.first_seen),
        "confidence": indicator.confidence,
        "labels": ["keytrip"],
        "external_references": list(_references(indicator, revision)),
    }
    observable = _observable(indicator)
    if observable:
        yield {**observable, "object_marking_refs": common["object_marking_refs"]}
        yield {
            **common,
            "type": "observed-data",
            "id": seen,
            "first_observed": _time(indicator.first_seen),
            "last_observed": _time(indicator.last_seen),
            "number_observed": indicator.count,
            "object_refs": [observable["id"]],
        }
    yield {
        **common,
        "type": "sighting",
        "id": _id("sighting", indicator, revision),
        "first_seen": _time(indicator.first_seen),
        "last_seen": _time(indicator.last_seen),
        "count": indicator.count,
        "sighting_of_ref": told,
        **({"observed_data_refs": [seen]} if observable else {}),
        "where_sighted_refs": [author.id],
    }


def _references(indicator: Indicator, revision: int) -> Iterator[Object]:
    yield from ({"source_name": _RULE, "external_id": rule} for rule in indicator.rules)
    yield from ({"source_name": _SOURCE, "external_id": source} for source in indicator.sources)
    yield {"source_name": _REVISION, "external_id": str(revision)}


def _observable(indicator: Indicator) -> dict[str, Any] | None:
    """Return what was observed; STIX has no object for a user agent without the addresses of its traffic."""
    import stix2

    kind, value = indicator.kind, indicator.value
    if kind == "user_agent":
        return None
    if kind == "key_id_sha256":
        return dict(_plain(stix2.UserAccount(user_id=_KEY_PREFIX + value)))
    if kind == "cidr":
        kind = "ipv6" if ":" in value else "ipv4"
    classes = {"ipv4": stix2.IPv4Address, "ipv6": stix2.IPv6Address, "domain": stix2.DomainName, "url": stix2.URL}
    return dict(_plain(classes[kind](value=value)))


def _dated(made: dict[str, Any], old: Object | None, now: datetime) -> Object:
    """Return an object with its version's times, checked by the library; the old one if nothing changed."""
    import stix2

    if made["type"] not in _VERSIONED:
        return made
    if old is None:
        return _plain(stix2.parse({**made, "created": _time(now), "modified": _time(now)}))
    if _content(old) == _content(_plain(stix2.parse({**made, "created": old["created"], "modified": old["modified"]}))):
        return old
    return _plain(stix2.parse({**made, "created": old["created"], "modified": _after(old, now)}))


def _revoked(old: Object, now: datetime) -> Object:
    return {**old, "revoked": True, "modified": _after(old, now)}


def _after(old: Object, now: datetime) -> str:
    """Return a time of change: now, or just after the last one where clocks disagree."""
    from datetime import timedelta

    last = datetime.fromisoformat(old["modified"])
    return _time(max(now, last + timedelta(milliseconds=1)))


def _content(one: Object) -> Object:
    return {name: value for name, value in one.items() if name != "modified" and value is not False}


def _latest(objects: Iterable[Object]) -> dict[str, Object]:
    found: dict[str, Object] = {}
    for one in objects:
        seen = found.get(one["id"])
        if seen is None or _moment(one) >= _moment(seen):
            found[one["id"]] = one
    return found


def _moment(one: Object) -> datetime:
    return datetime.fromisoformat(one.get("modified") or _TLP_MADE)


def _published(one: Object, sighting: Object | None, latest: Mapping[str, Object]) -> Published:
    references = [(r["source_name"], r.get("external_id", "")) for r in one.get("external_references", ())]
    kind, value = value_of(one["pattern"]) or ("pattern", one["pattern"])
    tlp = {name: level for level, name in TLP_IDS.items()}
    seen = sighting or {}
    body = {
        "kind": kind,
        "value": value,
        "first_seen": seen.get("first_seen", one["valid_from"]),
        "last_seen": seen.get("last_seen", one["valid_from"]),
        "count": seen.get("count"),
        "confidence": one.get("confidence"),
        "tlp": next((tlp[ref] for ref in one.get("object_marking_refs", ()) if ref in tlp), None),
        "description": one.get("description", ""),
        "rules": [name for source, name in references if source == _RULE],
        "sources": [name for source, name in references if source == _SOURCE],
        "revoked": one.get("revoked", False),
    }
    revision = next((int(number) for source, number in references if source == _REVISION and number.isdecimal()), 0)
    observed = [latest[ref] for ref in seen.get("observed_data_refs", ()) if ref in latest]
    raw = (one, *observed, *((sighting,) if sighting else ()))
    return Published(f"{kind} {value}", body_of(body), revision, raw, one.get("modified"))


def _marking(level: str) -> Object:
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": TLP_IDS[level],
        "created": _TLP_MADE,
        "name": f"TLP:{level.upper()}",
        "extensions": {_TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level}},
    }


def _plain(one: Any) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(one.serialize())
    return found


def _id(type_: str, indicator: Indicator, revision: int) -> str:
    return f"{type_}--{_uuid(type_, indicator.kind, indicator.value, str(revision))}"


def _uuid(*parts: str) -> UUID:
    return uuid5(NAMESPACE, "\x1f".join(parts))


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
