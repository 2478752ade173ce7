"""Kibana's value lists, against the stub of tests/stubs/kibana_lists.py; no Elasticsearch is asked here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stubs.https import Answer
from stubs.kibana import KibanaStub, kibana_stub
from stubs.kibana_lists import Lists

from keytrip.errors import SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import items_of
from keytrip.export.elastic import value_lists
from keytrip.export.elastic.client import kibana_send
from keytrip.export.elastic.value_lists import (
    VALUE_LIST,
    VALUE_LIST_KIND,
    create_list,
    delete_list,
    read_lists,
    update_list,
)
from keytrip.export.indicators import indicator_of
from keytrip.export.manifest import destination_named
from keytrip.export.model import Deployment, Item, LiveItem
from keytrip.export.plan import field_changes
from keytrip.export.wire import Send, persistent

NAME = "keytrip-addresses"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KibanaStub, Send]]:
    """A Kibana, and what sends to it without waiting."""
    with kibana_stub(tmp_path_factory.mktemp("kibana"), key=os.urandom(8).hex()) as stub:
        credential = Credential("api_key", secret=stub.key)
        send = kibana_send(Connection("https://es", credential, stub.ca_file, options={"kibana_url": stub.url}))
        yield stub, persistent(send, sleep=lambda _: None)
        send._client.close()


@pytest.fixture
def kibana(server: tuple[KibanaStub, Send]) -> KibanaStub:
    """The stub without lists, and well."""
    stub, _ = server
    stub.lists = {"default": Lists()}
    stub.role = "all"
    stub.faults.storm.clear()
    stub.log.clear()
    return stub


@pytest.fixture
def send(server: tuple[KibanaStub, Send]) -> Send:
    """What sends to the stub."""
    return server[1]


def item(*values: str, **fields: str) -> Item:
    """A list as it should be."""
    head = {"name": NAME, "description": "Addresses.", "type": "ip", **fields}
    return Item(VALUE_LIST, NAME, {**head, "values": list(values)})


def live(send: Send) -> LiveItem:
    """The one list that is there."""
    (found,) = read_lists(send, [NAME], ())
    return found


def changed(wanted: Item, there: LiveItem) -> list[str]:
    """The fields in which they differ."""
    return [change.field for change in field_changes(wanted, there, VALUE_LIST_KIND)]


def test_a_list_is_made_and_reads_back(kibana: KibanaStub, send: Send) -> None:
    """The data streams are made first; what was written is no change afterwards."""
    wanted = item("203.0.113.7", "2001:db8::1")
    create_list(send, wanted)
    assert kibana.lists["default"].values(NAME) == ["2001:db8::1", "203.0.113.7"]
    assert changed(wanted, live(send)) == []
    assert live(send).ours


def test_only_what_differs_is_sent(kibana: KibanaStub, send: Send) -> None:
    """A value that is there stays under its id; new ones are added and the others go, each told by itself."""
    create_list(send, item("203.0.113.7", "203.0.113.8"))
    before = {value: number for number, value in kibana.lists["default"].items[NAME].items()}
    wanted = item("203.0.113.7", "203.0.113.9")
    assert changed(wanted, live(send)) == ["values.203.0.113.8", "values.203.0.113.9"]
    update_list(send, wanted, live(send))
    after = {value: number for number, value in kibana.lists["default"].items[NAME].items()}
    assert after.keys() == {"203.0.113.7", "203.0.113.9"}
    assert after["203.0.113.7"] == before["203.0.113.7"]
    assert not any(method == "PUT" for method, _ in kibana.log)


def test_a_head_that_somebody_changed(kibana: KibanaStub, send: Send) -> None:
    """It is a change and set back, unless it changes once more in between."""
    create_list(send, item())
    kibana.lists["default"].heads[NAME] |= {"description": "Theirs.", "_version": "W1"}
    there = live(send)
    assert changed(item(), there) == ["description"]
    kibana.lists["default"].heads[NAME]["_version"] = "W2"
    with pytest.raises(SystemRefusedError, match=r"changing value list.*409"):
        update_list(send, item(), there)
    update_list(send, item(), live(send))
    assert kibana.lists["default"].heads[NAME]["description"] == "Addresses."


def test_an_import_whose_answer_was_lost(kibana: KibanaStub, send: Send) -> None:
    """Kibana adds values a second time then; the doubles are removed in the same run."""
    create_list(send, item())
    kibana.faults.cut_every = 4  # the fourth request is the first import
    kibana.faults.seen, kibana.faults.cuts = 2, 1
    update_list(send, item("203.0.113.7"), live_at(item()))
    kibana.faults.cut_every = 0
    assert ("POST", "api/lists/items/_import") in kibana.log
    assert kibana.log.count(("POST", "api/lists/items/_import")) == 2
    assert kibana.lists["default"].values(NAME) == ["203.0.113.7"]


def live_at(wanted: Item) -> LiveItem:
    """A list that was read as it should be."""
    return LiveItem(VALUE_LIST, wanted.name, wanted.body)


def test_doubles_are_a_change(kibana: KibanaStub, send: Send) -> None:
    """A value that is in a list twice is told and mended."""
    create_list(send, item("203.0.113.7"))
    kibana.lists["default"].items[NAME]["x"] = "203.0.113.7"
    assert changed(item("203.0.113.7"), live(send)) == ["values.203.0.113.7"]
    update_list(send, item("203.0.113.7"), live(send))
    assert changed(item("203.0.113.7"), live(send)) == []


def test_made_twice(kibana: KibanaStub, send: Send) -> None:
    """A list of ours that an earlier run made is filled; another's of the name is refused and stays as it is."""
    create_list(send, item("203.0.113.7"))
    kibana.faults.storm += [Answer(503), Answer(429, headers={"Retry-After": "1"})]
    create_list(send, item("203.0.113.8"))
    assert kibana.lists["default"].values(NAME) == ["203.0.113.8"]
    kibana.lists["default"].heads[NAME]["meta"] = {}
    assert not live(send).ours
    with pytest.raises(SystemRefusedError, match="not ours"):
        create_list(send, item("203.0.113.9"))
    assert kibana.lists["default"].values(NAME) == ["203.0.113.8"]


def test_removed(kibana: KibanaStub, send: Send) -> None:
    """A list goes, without an error when it is gone already; one that exceptions name stays, with the reason."""
    create_list(send, item("203.0.113.7"))
    there = live(send)
    kibana.lists["default"].used.add(NAME)
    with pytest.raises(SystemRefusedError, match="used by exceptions"):
        delete_list(send, there)
    kibana.lists["default"].used.clear()
    delete_list(send, there)
    delete_list(send, there)
    assert kibana.lists["default"].heads == {}


def test_nobody_wants_lists(kibana: KibanaStub, send: Send) -> None:
    """Without lists in the content and the records nothing is asked; a recorded one is found, so that it can go."""
    assert list(read_lists(send, (), ())) == []
    assert kibana.log == []
    create_list(send, item())
    record = Deployment(1, "applying", "2026-11-01T00:00:00Z", "x@y", "1", (item(),), ())
    assert [one.name for one in read_lists(send, (), [record])] == [NAME]


def test_a_role_that_reads(kibana: KibanaStub, send: Send) -> None:
    """A plan needs the right to read alone."""
    create_list(send, item("203.0.113.7"))
    kibana.role = "read"
    assert changed(item("203.0.113.7"), live(send)) == []
    with pytest.raises(SystemRefusedError, match="403"):
        update_list(send, item(), live(send))


def test_long_lists(kibana: KibanaStub, send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list goes in several files where it is too long for one, and is read in pages."""
    monkeypatch.setattr(value_lists, "_MOST_BYTES", 20_000)
    values = [f"203.0.{number // 250}.{number % 250}" for number in range(2_100)]
    create_list(send, item(*values))
    assert kibana.log.count(("POST", "api/lists/items/_import")) == 2
    assert live(send).body["values"] == dict.fromkeys(values, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=40), max_size=5))
def test_any_user_agent_arrives_as_it_is(kibana: KibanaStub, send: Send, texts: list[str]) -> None:
    """What an indicator can hold reads back the same, whatever it is: boundaries, quotes, other scripts."""
    kibana.lists = {"default": Lists()}
    agents = [agent for text in ["--x", *texts] if (agent := _agent(text))]
    wanted = item(*dict.fromkeys(agents), type="keyword")
    create_list(send, wanted)
    assert changed(wanted, live(send)) == []


def _agent(text: str) -> str:
    """A text as an indicator has it, or nothing where none can."""
    moment = "2026-11-01T00:00:00Z"
    try:
        return indicator_of({"kind": "user_agent", "value": text, "first_seen": moment, "last_seen": moment}).value
    except ValueError:
        return ""


def test_lists_of_the_destination() -> None:
    """With the option there is a list of each type, without revoked ones; otherwise there is none."""
    told: list[dict[str, Any]] = [
        {"kind": kind, "value": value, "revoked": revoked}
        for kind, value, revoked in [
            ("ipv4", "203.0.113.7", False), ("ipv6", "2001:db8::1", False), ("ipv4", "203.0.113.8", True),
            ("cidr", "203.0.113.0/24", False), ("user_agent", "evil/1", False), ("url", "https://x.test/", False),
            ("key_id_sha256", "0" * 64, False),
        ]
    ]  # fmt: skip
    manifest = destination_named("elastic")
    only = manifest.model_copy(update={"items": [one for one in manifest.items if one.kind == VALUE_LIST]})
    lists = [{"name": "indicators", "indicators": told}]
    options = dict(manifest.options)
    assert items_of(only, {"options": options}, (), (), lists) == []
    made = items_of(only, {"options": {**options, "value_lists": "true"}}, (), (), lists)
    assert {one.name: (one.body["type"], one.body["values"]) for one in made} == {
        "keytrip-addresses": ("ip", ["203.0.113.7", "2001:db8::1"]),
        "keytrip-networks": ("ip_range", ["203.0.113.0/24"]),
        "keytrip-user-agents": ("keyword", ["evil/1"]),
        "keytrip-domains": ("keyword", []),
        "keytrip-urls": ("keyword", ["https://x.test/"]),
    }
