"""Monitors and Security Analytics, against our stub of the plugins: they run on no server of the tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from compile.rules import base, counted, document
from export.sharing.examples import made, one_of_each
from stubs.https import Answer
from stubs.opensearch_plugins import PluginStub, plugin_stub

from keytrip.compile.scheduled import scheduled_for
from keytrip.errors import ContentError, SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import items_of
from keytrip.export.layout import elastic_index_template
from keytrip.export.manifest import destination_named
from keytrip.export.model import Item, LiveItem
from keytrip.export.opensearch import open_transport
from keytrip.export.opensearch.analytics import Analytics, plugin_indicators
from keytrip.export.opensearch.client import OpensearchSend
from keytrip.export.opensearch.monitors import create_monitor, delete_monitor, read_monitors, update_monitor
from keytrip.export.opensearch.queries import normal_search
from keytrip.export.opensearch.transport import KINDS, Opensearch
from keytrip.export.wire import persistent
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

MANIFEST = destination_named("opensearch")
LOGS = {"category": "ai_usage"}


@pytest.fixture
def stub() -> PluginStub:
    """A stub with nothing behind it."""
    return PluginStub()


@pytest.fixture
def connection(tmp_path: Path, stub: PluginStub) -> Iterator[Connection]:
    """How the stub is reached."""
    with plugin_stub(tmp_path / "tls", stub) as (url, authority):
        yield Connection(url, Credential("bearer", "", "token", "test"), ca_file=authority, timeout=5)


@pytest.fixture
def send(connection: Connection) -> OpensearchSend:
    """Sends to the stub."""
    return OpensearchSend(connection)


def rules() -> list[Document]:
    """Return a plain rule of each kind of test, and a counting one of each type."""
    tests = {
        "exact": {"model": "gpt-4", "user_agent|contains": "o'b\\rien | {{x}}"},
        "numbers": {"cost_usd|gt": 5, "source_ip|cidr": "203.0.113.0/24"},
        "absent": {"user": None, "operation|re": "cha?t.*"},
    }
    plain = [
        document({"name": n, "title": f"Plain {n}", "tags": ["attack.t1078.004"], "logsource": LOGS, "detection": d})
        for n, d in ((name, {"selection": test, "condition": "selection"}) for name, test in tests.items())
    ]
    kinds = {
        "event_count": {"gte": 5},
        "value_count": {"field": "model", "gt": 3},
        "value_sum": {"field": "cost_usd", "gt": 5.5},
        "value_median": {"field": "input_tokens", "gt": 5},
    }
    counting = [replace(counted(), data=_named(kind, condition)) for kind, condition in kinds.items()]
    alone = counted(group_by=())
    return [*plain, *counting, replace(alone, data={**alone.data, "name": "alone", "title": "Alone"})]


def _named(kind: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a counting rule under a name of its own."""
    made_of = counted(kind, condition, ("key_id", "model"), timespan="7d" if kind == "value_sum" else "1h")
    return {**made_of.data, "name": kind, "title": f"Counted {kind}", "id": str(uuid5(NAMESPACE_URL, kind))}


@cache
def items(analytics: str = "false") -> tuple[Item, ...]:
    """Return the items of our manifest for those rules."""
    chosen = rules()
    found = scheduled_for(["opensearch"], chosen, [*chosen, base()])
    assert [rule.reason for rule in found if not rule.facts] == []
    context: dict[str, Any] = {"options": {**MANIFEST.options, "analytics": analytics}, "snapshot": 1, "version": "1"}
    context["index_templates"] = {table: elastic_index_template(table) for table in vocabulary().tables}
    lists = [{"name": "indicators", "indicators": [one.model_dump(mode="json") for one in one_of_each()]}]
    return tuple(items_of(MANIFEST, context, [rule.facts for rule in found], [], lists))


def monitors() -> list[Item]:
    """Return those that are monitors."""
    return [item for item in items() if item.kind == "monitor"]


def differences(item: Item, live: LiveItem) -> dict[str, tuple[Any, Any]]:
    """Return the fields of ours that differ, before and after."""
    kind = KINDS[item.kind]
    ours, theirs = kind.normal(item.body), kind.normal(live.body)
    left_out = {*kind.kept, kind.version}
    return {n: (theirs.get(n), ours[n]) for n in ours if n not in left_out and theirs.get(n) != ours[n]}


def test_every_monitor_is_read_back_unchanged(send: OpensearchSend, stub: PluginStub) -> None:
    """What the plugin writes out by itself is no difference, for any rule; both types are there and none is enabled."""
    monitors = [item for item in items() if item.kind == "monitor"]
    for item in monitors:
        create_monitor(send, item)
    live = {one.name: one for one in read_monitors(send, [])}
    assert {item.name: differences(item, live[item.name]) for item in monitors} == {item.name: {} for item in monitors}
    sources = [one["_source"] for one in stub.objects["monitor"].values()]
    assert {one["monitor_type"] for one in sources} == {"query_level_monitor", "bucket_level_monitor"}
    assert not any(one["enabled"] for one in sources)
    assert all(one.ours for one in live.values())


def test_an_update_keeps_what_is_the_users(send: OpensearchSend, stub: PluginStub) -> None:
    """Enabled, the schedule and the actions of triggers stay, and a trigger keeps its id; the search is ours."""
    item = next(item for item in items() if item.kind == "monitor")
    create_monitor(send, item)
    (held,) = stub.objects["monitor"].values()
    (trigger,) = held["_source"]["triggers"][0].values()
    trigger["actions"] = [{"name": "mail", "destination_id": "d"}]
    held["_source"] |= {"enabled": True, "schedule": {"cron": {"expression": "0 * * * *", "timezone": "UTC"}}}
    (live,) = read_monitors(send, [])
    assert live.changed_by == "me"
    changed = replace(item, body={**item.body, "inputs": [{"search": {"indices": ["x"], "query": {}}}], "version": 2})
    assert differences(changed, live).keys() == {"inputs"}
    update_monitor(send, changed, live)
    (held,) = stub.objects["monitor"].values()
    (after,) = held["_source"]["triggers"][0].values()
    assert (after["actions"], after["id"]) == (trigger["actions"], trigger["id"])
    assert held["_source"]["enabled"] is True
    assert held["_source"]["schedule"] == {"cron": {"expression": "0 * * * *", "timezone": "UTC"}}
    assert held["_source"]["ui_metadata"]["keytrip"] == {"rule_id": item.rule_id, "version": 2}
    (again,) = read_monitors(send, [])
    assert again.body["version"] == 2
    with pytest.raises(SystemRefusedError, match="version conflict"):
        update_monitor(send, replace(changed, body={**changed.body, "version": 3}), live)
    delete_monitor(send, again)
    # the same rule under another title: the engine hands what is the user's to the new monitor
    theirs = {name: again.body[name] for name in KINDS["monitor"].kept}
    other = [{**item.body["triggers"][0], "name": "other"}]
    create_monitor(send, replace(item, name="other", body={**item.body, "triggers": other, **theirs}))
    (again,) = read_monitors(send, [])
    assert again.body["actions"] == {"other": trigger["actions"]}
    delete_monitor(send, again)
    delete_monitor(send, again)
    assert list(read_monitors(send, [])) == []


def test_monitors_of_others_are_not_ours(send: OpensearchSend, stub: PluginStub) -> None:
    """One without our mark shows only when its name is wanted, and then as not ours."""
    item = next(item for item in items() if item.kind == "monitor")
    create_monitor(send, item)
    (held,) = stub.objects["monitor"].values()
    del held["_source"]["ui_metadata"]
    assert list(read_monitors(send, [])) == []
    assert [one.ours for one in read_monitors(send, [item.name])] == [False]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"range": {"n": {"gt": 5}}}, {"range": {"n": {"from": 5, "to": None, "include_lower": False, "boost": 1.0}}}),
        ({"range": {"n": {"lte": "x"}}}, {"range": {"n": {"from": None, "to": "x", "include_upper": True}}}),
        ({"term": {"f": {"value": "v"}}}, {"term": {"f": {"value": "v", "boost": 1.0}}}),
        ({"aggs": {"a": {"max": {"field": "x"}}}}, {"aggregations": {"a": {"max": {"field": "x"}}}}),
        ({"script": {"source": "s", "lang": "painless"}}, {"script": {"source": "s", "params": {}}}),
    ],
)
def test_one_search_has_one_form(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """A search and what the server makes of it are equal; another value is not."""
    assert normal_search(ours) == normal_search(theirs)
    other = json.loads(
        json.dumps(ours).replace('"v"', '"w"').replace("5", "6").replace('"x"', '"y"').replace('"s"', '"t"')
    )
    assert normal_search(ours) != normal_search(other)


def test_analytics_are_read_back_unchanged(send: OpensearchSend, stub: PluginStub) -> None:
    """Log type, rules, detector and source of indicators arrive, and a second plan would find nothing to do."""
    analytics = Analytics(send, send)
    wanted = [item for item in items("true") if item.kind not in {"monitor", "index_template"}]
    assert {item.kind for item in wanted} == {"log_type", "analytics_rule", "detector", "threat_source"}
    for item in sorted(wanted, key=lambda item: KINDS[item.kind].rank):
        analytics.create(item)
    live = {(one.kind, one.name): one for one in analytics.read([])}
    assert {item.name: differences(item, live[item.kind, item.name]) for item in wanted} == {
        item.name: {} for item in wanted
    }
    (detector,) = stub.objects["detectors"].values()
    rules = {one["id"] for one in detector["_source"]["inputs"][0]["detector_input"]["custom_rules"]}
    assert rules <= stub.objects["rules"].keys()
    (source,) = stub.objects["sources"].values()
    assert source["_source"]["ioc_types"] == ["domain-name", "ipv4-addr", "ipv6-addr"]


def test_a_rule_that_a_detector_uses_is_changed(send: OpensearchSend, stub: PluginStub) -> None:
    """Updates and deletes are forced, and the detector's own schedule and triggers stay."""
    analytics = Analytics(send, send)
    for item in sorted(items("true"), key=lambda item: KINDS[item.kind].rank):
        if item.kind not in {"monitor", "index_template"}:
            analytics.create(item)
    live = {(one.kind, one.name): one for one in analytics.read([])}
    rule = next(item for item in items("true") if item.kind == "analytics_rule")
    changed = replace(rule, body={**rule.body, "level": "low"})
    analytics.update(changed, live[rule.kind, rule.name])
    (detector,) = stub.objects["detectors"].values()
    detector["_source"] |= {"enabled": True, "triggers": [{"name": "t"}]}
    fresh = {(one.kind, one.name): one for one in analytics.read([])}
    assert differences(changed, fresh[rule.kind, rule.name]) == {}
    wanted = next(item for item in items("true") if item.kind == "detector")
    fewer = replace(wanted, body={**wanted.body, "rules": wanted.body["rules"][:1]})
    analytics.update(fewer, fresh["detector", wanted.name])
    (detector,) = stub.objects["detectors"].values()
    assert (detector["_source"]["enabled"], detector["_source"]["triggers"]) == (True, [{"name": "t"}])
    for one in sorted(analytics.read([]), key=lambda one: -KINDS[one.kind].rank):
        analytics.delete(one)
        analytics.delete(one)
    assert not any(stub.objects[kind] for kind in ("logtype", "rules", "detectors", "sources"))


def test_rules_of_others_are_not_ours(send: OpensearchSend, stub: PluginStub) -> None:
    """A rule in our log type without our tag, or a text that is no YAML, is someone else's."""
    analytics = Analytics(send, send)
    log_type, rule = (next(i for i in items("true") if i.kind == kind) for kind in ("log_type", "analytics_rule"))
    analytics.create(log_type)
    analytics.create(rule)
    (held,) = stub.objects["rules"].values()
    held["_source"]["rule"] = held["_source"]["rule"].replace("keytrip.managed", "other.tag")
    assert [one.kind for one in analytics.read([])] == ["log_type"]
    assert [one.ours for one in analytics.read([("analytics_rule", rule.name)])] == [True, False]
    held["_source"]["rule"] = "a: ["
    assert [one.kind for one in analytics.read([])] == ["log_type"]
    detector = next(item for item in items("true") if item.kind == "detector")
    with pytest.raises(SystemRefusedError, match=r"rule .* is not there"):
        analytics.create(detector)
    with pytest.raises(ContentError, match="has the title"):
        analytics.create(replace(rule, name="other"))


def test_indicators_that_the_plugin_cannot_hold_are_left_out() -> None:
    """User agents, networks, addresses of pages and keys have no type there; revoked ones are not told."""
    told = [one.model_dump(mode="json") for one in (*one_of_each(), made("ipv4", "203.0.113.8", revoked=True))]
    assert [one["value"] for one in plugin_indicators(told)] == ["203.0.113.7", "2001:db8::1", "evil.example"]


def test_faults_and_refusals(connection: Connection, stub: PluginStub) -> None:
    """A storm is sat out, an expired token is read anew, what is forbidden is told without the token."""
    waits: list[float] = []
    patient = persistent(OpensearchSend(connection), waits.append)
    stub.faults.storm += [Answer(429, b"{}", headers={"Retry-After": "9"}), Answer(503, b"busy"), Answer(200, b"")]
    assert list(read_monitors(patient, [])) == []
    assert max(waits) == 9
    for item in monitors()[:2]:
        create_monitor(OpensearchSend(connection), item)
    stub.faults.cut_every = 3
    for number in range(2, 6):
        for live in list(read_monitors(patient, [])):
            item = next(item for item in items() if item.name == live.name)
            update_monitor(patient, replace(item, body={**item.body, "version": number}), live)
    assert [live.body["version"] for live in read_monitors(patient, [])] == [5, 5]
    stub.faults.cut_every = 0
    old = Credential("bearer", "", "expired-token", "test", again=lambda: connection.credential)
    assert list(read_monitors(OpensearchSend(replace(connection, credential=old)), [])) is not None
    stub.roles = frozenset({"alerting"})
    with pytest.raises(SystemRefusedError, match="answered 403: no permissions"):
        create_monitor(OpensearchSend(connection), monitors()[2])
    with pytest.raises(SystemRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
        list(read_monitors(OpensearchSend(replace(connection, ca_file=None)), []))


def test_a_destination_without_analytics_refuses_its_items(connection: Connection) -> None:
    """An item of Security Analytics needs the option, and an unknown kind is named."""
    transport = open_transport(connection, MANIFEST)
    assert isinstance(transport, Opensearch)
    with pytest.raises(ContentError, match="has no detector"):
        transport.create(next(item for item in items("true") if item.kind == "detector"))


def test_the_client_is_needed(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the message names it."""
    monkeypatch.setitem(__import__("sys").modules, "opensearchpy", None)
    with pytest.raises(UsageError, match=r"opensearch-py.*keytrip\[opensearch\]"):
        open_transport(connection, MANIFEST)
