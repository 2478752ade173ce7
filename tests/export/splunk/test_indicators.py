"""The list of indicators in Splunk, against the stub of splunkd."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from export.sharing.examples import an_agent
from hostile import hostile_texts

from keytrip.errors import SystemRefusedError
from keytrip.export.desired import Desired, items_of
from keytrip.export.engine import apply, destroy, read_plan
from keytrip.export.manifest import destination_named
from keytrip.export.model import Item
from keytrip.export.splunk.indicators import NAME

from .conftest import Start, transport_of


def indicator(value: str, **changes: Any) -> dict[str, Any]:
    """Return the facts of an indicator."""
    seen = {"first_seen": "2026-04-01T00:00:00Z", "last_seen": "2026-04-02T00:00:00Z"}
    about = {"count": 2, "confidence": 80, "tlp": "amber", "description": "", "revoked": False}
    return {"kind": "ipv4", "value": value, **seen, **about, "rules": ["a", "b"], "sources": [], **changes}


def made(*found: dict[str, Any]) -> tuple[Item, ...]:
    """Return the items that the manifest makes of a list."""
    manifest = destination_named("splunk")
    context = {"snapshot": 1, "window": {}, "version": "0", "options": dict(manifest.options)}
    lists = [{"name": "indicators", "indicators": list(found)}] if found else []
    return tuple(items_of(manifest, context, [], [], lists))


def test_a_list_is_a_lookup_and_a_search(start: Start) -> None:
    """Written, found as it should be, changed row by row, and removed."""
    stub = start()
    transport = transport_of(stub)
    first = Desired(made(indicator("203.0.113.7"), indicator('x" | delete', kind="user_agent"), indicator("192.0.2.1")))
    apply(transport, first)
    assert read_plan(transport, first).empty
    held = stub.kv["keytrip", NAME].documents
    assert {d["value"] for d in held.values()} == {"203.0.113.7", 'x" | delete', "192.0.2.1"}
    assert {d["rules"] for d in held.values()} == {"a;b"}
    assert stub.objects["lookups"]["keytrip", NAME].values["collection"] == NAME
    second = Desired(made(indicator("203.0.113.7", count=9), indicator("192.0.2.1", revoked=True)))
    assert not read_plan(transport, second).empty
    apply(transport, second)
    assert [(d["value"], d["count"]) for d in held.values()] == [("203.0.113.7", 9)]
    assert read_plan(transport, second).empty
    destroy(transport)
    assert not any(stub.objects.values())


def test_hostile_lists_arrive(start: Start) -> None:
    """Hostile user agents are in the lookup as they were told, and a second plan is empty."""
    stub = start()
    texts = hostile_texts(fit=an_agent)
    wanted = Desired(made(*(indicator(text, kind="user_agent") for text in texts)))
    apply(transport_of(stub), wanted)
    assert sorted(d["value"] for d in stub.kv["keytrip", NAME].documents.values()) == sorted(texts)
    assert read_plan(transport_of(stub), wanted).empty


def test_a_list_without_its_definition_is_written_anew(start: Start) -> None:
    """Nobody reads it, so it counts as empty; one that leads elsewhere is someone else's."""
    stub = start()
    transport = transport_of(stub)
    wanted = Desired(made(indicator("203.0.113.7")))
    apply(transport, wanted)
    del stub.objects["lookups"]["keytrip", NAME]
    apply(transport, wanted)
    stub.objects["lookups"]["keytrip", NAME].values["collection"] = "theirs"
    with pytest.raises(SystemRefusedError, match="not made by keytrip"):
        read_plan(transport, replace(wanted))


def test_without_a_list_there_is_none() -> None:
    """No item is made of nothing."""
    assert made() == ()
