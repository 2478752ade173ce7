"""Detection rules of Kibana, against the stub of tests/stubs/kibana.py; no Elasticsearch is asked here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubs.https import Answer
from stubs.kibana import KibanaStub, check_rule, kibana_stub

from keytrip.compile.required import required_fields
from keytrip.compile.scheduled import scheduled_for
from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import items_of
from keytrip.export.elastic.client import kibana_send
from keytrip.export.elastic.rules import (
    RULE,
    RULE_KIND,
    create_rule,
    delete_rule,
    normal_rule,
    read_rules,
    update_rule,
)
from keytrip.export.http import HttpSend
from keytrip.export.layout import elastic_mappings
from keytrip.export.manifest import destination_named
from keytrip.export.model import Deployment, Item, LiveItem
from keytrip.export.plan import field_changes
from keytrip.export.wire import Send, persistent
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import alerting, load_rules
from keytrip.rules.selection import Selection, choose

NAME = "6b26849c-a0a3-5d62-b479-a517562a43ad"
BODY: dict[str, Any] = {
    "rule_id": NAME,
    "name": "Cost",
    "description": "Cost of a day.",
    "type": "esql",
    "language": "esql",
    "query": "FROM logs-keytrip.usage-*\n| LIMIT 1\n",
    "risk_score": 73,
    "severity": "high",
    "interval": "300s",
    "from": "now-900s",
    "tags": ["b", "a"],
    "enabled": False,
    "version": 1,
}

OPEN: list[HttpSend] = []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KibanaStub]:
    """A Kibana with a key that was made for this run."""
    with kibana_stub(tmp_path_factory.mktemp("kibana"), key=os.urandom(8).hex()) as stub:
        yield stub


@pytest.fixture
def kibana(server: KibanaStub) -> Iterator[KibanaStub]:
    """The same, empty and well; connections to it are closed in the end."""
    server.spaces = {"default": {}, "soc": {}}
    server.role = "all"
    server.faults.storm.clear()
    server.log.clear()
    yield server
    while OPEN:
        OPEN.pop()._client.close()


def connection(kibana: KibanaStub, **options: str) -> Connection:
    """How the stub is reached."""
    credential = Credential("api_key", secret=kibana.key)
    return Connection("https://es", credential, kibana.ca_file, options={"kibana_url": kibana.url, **options})


def sender(kibana: KibanaStub, **options: str) -> Send:
    """What sends to the stub, and waits for nothing."""
    OPEN.append(kibana_send(connection(kibana, **options)))
    return persistent(OPEN[-1], sleep=lambda _: None)


def item(**fields: Any) -> Item:
    """A rule as it should be."""
    return Item(RULE, NAME, {**BODY, **fields}, NAME)


def live(send: Send, *deployments: Deployment) -> LiveItem:
    """The one rule that is there."""
    (found,) = read_rules(send, [NAME], deployments)
    return found


def changed(wanted: Item, there: LiveItem) -> list[str]:
    """The fields in which they differ."""
    return [change.field for change in field_changes(wanted, there, RULE_KIND)]


def shipped(**options: str) -> list[Item]:
    """Every rule of ours, as the destination `elastic` writes it."""
    manifest, documents = destination_named("elastic"), load_rules(())
    rules = scheduled_for(manifest.targets, choose(alerting(documents), Selection()), documents)
    lists = [{"name": "indicators", "indicators": []}]
    context = {
        "options": {**manifest.options, **options},
        "index_templates": {table: {} for table in vocabulary().tables},
        "server": [8, 19],
    }
    found = items_of(manifest, context, [rule.facts for rule in rules if rule.facts], (), lists)
    return [one for one in found if one.kind == RULE]


def test_shipped_rules_are_taken_as_they_are(kibana: KibanaStub) -> None:
    """Every rule of ours is accepted, reads back as it was sent whatever Kibana fills in, and carries our mark."""
    send = sender(kibana)
    wanted = {one.name: one for one in shipped()}
    for one in wanted.values():
        create_rule(send, one)
    there = {one.name: one for one in read_rules(send, wanted, ())}
    assert there.keys() == wanted.keys()
    assert {name: changed(wanted[name], there[name]) for name in there if changed(wanted[name], there[name])} == {}
    assert all(one.ours for one in there.values())


def test_shipped_rules_say_what_an_analyst_needs() -> None:
    """A rule of ours has a guide, names its groups, and alerts once for each of them."""
    for one in shipped():
        body = one.body
        assert body["note"].startswith("## What it means\n\n")
        assert not body["enabled"]
        if "alert_suppression" in body:
            assert body["alert_suppression"]["group_by"] == body["investigation_fields"]["field_names"][:-6]
            assert f"now-{body['alert_suppression']['duration']['value']}s" == body["from"]
        assert one.rule_id in {one.name, ""}
        if "required_fields" in body:
            fields = {field["name"]: field["type"] for field in body["required_fields"]}
            there = {**elastic_mappings("usage")["properties"], **elastic_mappings("audit")["properties"]}
            assert {name: there[name]["type"] for name in fields} == fields
            groups = body.get("investigation_fields", {"field_names": []})["field_names"]
            assert "keytrip.key_id" in fields or "key_id" not in groups
        assert "threat" in body or body["type"] == "threat_match"
        assert ("alert_suppression" in body or body["type"] == "threat_match") == ("investigation_fields" in body)


def test_required_fields() -> None:
    """Fields are told with their types, and none that only a text or a comment names."""
    query = """// keytrip.key_id
    FROM logs-keytrip.usage-* | WHERE `source.ip` IS NOT NULL AND gen_ai.request.model == "user.name \\" user.name"
      AND user_agent.original == \"\"\"source.address\"\"\" AND @timestamp > NOW() AND keytrip.key_identity == 1"""
    assert required_fields(query, "usage") == [
        {"name": "@timestamp", "type": "date"},
        {"name": "gen_ai.request.model", "type": "keyword"},
        {"name": "source.ip", "type": "ip"},
        {"name": "user_agent.original", "type": "keyword"},
    ]


def test_integrations_that_bring_the_records(kibana: KibanaStub) -> None:
    """The packages of the option are named by each rule, with the integration where there are several in one."""
    one = shipped(integrations="filestream@^1.0.0, aws@^2.0.0/bedrock")[0]
    assert one.body["related_integrations"] == [
        {"package": "filestream", "version": "^1.0.0"},
        {"package": "aws", "version": "^2.0.0", "integration": "bedrock"},
    ]
    create_rule(sender(kibana), one)
    with pytest.raises(SystemRefusedError, match="related_integrations"):
        create_rule(sender(kibana), shipped(integrations="filestream")[1])


def test_users_fields_stay(kibana: KibanaStub) -> None:
    """Whether a rule is on, its exceptions and its actions are the user's: never a change, never overwritten."""
    send = sender(kibana)
    create_rule(send, item())
    theirs = {"enabled": True, "exceptions_list": [{"id": "x"}], "actions": [{"id": "y"}], "meta": {"from": "1m"}}
    kibana.change(NAME, **theirs)
    assert changed(item(), live(send)) == []
    update_rule(send, item(query="FROM x", version=2), live(send))
    rule = kibana.rules[NAME]
    assert {name: rule[name] for name in theirs} == theirs
    assert (rule["query"], rule["version"], rule["rule_id"]) == ("FROM x", 2, NAME)


def test_schedule_that_the_user_changed(kibana: KibanaStub) -> None:
    """A schedule that we wrote follows the rule; one that the user set stays, and is no change."""
    send = sender(kibana)
    create_rule(send, item())
    record = deployment(item())
    longer = item(**{"from": "now-1800s"})
    assert changed(longer, live(send, record)) == ["schedule.from"]
    kibana.change(NAME, interval="1h")
    assert changed(item(), live(send, record)) == []
    update_rule(send, item(name="Costs"), live(send, record))
    assert (kibana.rules[NAME]["interval"], kibana.rules[NAME]["name"]) == ("1h", "Costs")


def test_schedule_after_a_crash(kibana: KibanaStub) -> None:
    """A schedule of the deployment before the one that was cut off is ours too, and is written anew."""
    send = sender(kibana)
    create_rule(send, item())
    longer = item(**{"from": "now-1800s"})
    records = [deployment(longer, 2, "applying"), deployment(item())]
    assert changed(longer, live(send, *records)) == ["schedule.from"]
    update_rule(send, longer, live(send, *records))
    assert kibana.rules[NAME]["from"] == "now-1800s"


def deployment(one: Item, number: int = 1, state: Any = "done") -> Deployment:
    """A record that says `one` was written."""
    return Deployment(number, state, "2026-11-01T00:00:00Z", "x@y", "1", (one,), ())


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Other"},
        {"query": "FROM y"},
        {"tags": ["a"]},
        {"risk_score": 99},
        {"references": ["https://x"]},
        {"threat": [{"framework": "MITRE ATT&CK", "tactic": {"id": "TA1", "name": "n", "reference": "r"}}]},
        {"alert_suppression": {"group_by": ["key_id"]}},
        {"max_signals": 5},
    ],
)
def test_changes_are_seen_both_ways(kibana: KibanaStub, fields: Mapping[str, Any]) -> None:
    """What somebody changed, added or took away in the browser is a change; an update puts it right."""
    send = sender(kibana)
    create_rule(send, item())
    (name,) = fields
    kibana.change(NAME, **fields)
    assert [path.partition(".")[0] for path in changed(item(), live(send))] == [name]
    update_rule(send, item(), live(send))
    assert changed(item(), live(send)) == []


def test_what_is_no_change(kibana: KibanaStub) -> None:
    """Order of tags, spaces around a query, empty lists and Kibana's defaults are no changes."""
    send = sender(kibana)
    create_rule(send, item())
    query = "\n\nFROM logs-keytrip.usage-*\n| LIMIT 1  "
    same = item(query=query, tags=["a", "b", "a"], references=[], setup="", to="now")
    assert changed(same, live(send)) == []


def test_somebody_was_quicker(kibana: KibanaStub) -> None:
    """A rule that changed between the plan and the write is not written over."""
    send = sender(kibana)
    create_rule(send, item())
    before = live(send)
    kibana.change(NAME, name="Theirs")
    with pytest.raises(SystemRefusedError, match="changed or removed"):
        update_rule(send, item(name="Ours"), before)
    del kibana.rules[NAME]
    with pytest.raises(SystemRefusedError, match="changed or removed"):
        update_rule(send, item(name="Ours"), before)


def test_type_that_changed(kibana: KibanaStub) -> None:
    """Kibana never changes a rule's type: the rule is made anew under its id, with the user's fields."""
    send = sender(kibana)
    create_rule(send, item())
    kibana.change(NAME, enabled=True, actions=[{"id": "y"}])
    update_rule(send, item(type="query", language="lucene", query="a:b", version=2), live(send))
    rule = kibana.rules[NAME]
    assert (rule["type"], rule["enabled"], rule["actions"], rule["version"]) == ("query", True, [{"id": "y"}], 2)


def test_rules_of_others(kibana: KibanaStub) -> None:
    """A rule without our tag is told as another's, and neither made nor taken over."""
    send = sender(kibana)
    kibana._stored(kibana.rules, {**BODY, "name": "Theirs"}, "analyst")
    assert not live(send).ours
    with pytest.raises(SystemRefusedError, match="not ours"):
        create_rule(send, item())
    assert kibana.rules[NAME]["name"] == "Theirs"


def test_copy_of_our_rule(kibana: KibanaStub) -> None:
    """A copy that somebody made of our rule has our tag and is theirs: it is not listed, so nothing removes it."""
    send = sender(kibana)
    create_rule(send, item())
    kibana._stored(kibana.rules, {**kibana.rules[NAME], "rule_id": "a b&c", "name": "Cost [Duplicate]"}, "analyst")
    assert [one.name for one in read_rules(send, (), [deployment(item())])] == [NAME]
    assert [one.name for one in read_rules(send, ["a b&c"], [deployment(item())])] == [NAME, "a b&c"]


@pytest.mark.parametrize("work_is_done", [False, True])
def test_answer_that_got_lost(kibana: KibanaStub, *, work_is_done: bool) -> None:
    """A rule whose making was not answered is there once, whether or not it was made the first time."""
    send = sender(kibana)
    if work_is_done:
        create_rule(send, item())
    kibana.faults.storm += [Answer(503), Answer(429, headers={"Retry-After": "1"})]
    create_rule(send, item(name="Again"))
    assert [rule["name"] for rule in kibana.rules.values()] == ["Again"]


def test_delete(kibana: KibanaStub) -> None:
    """A rule is removed, and no error when it is gone already."""
    send = sender(kibana)
    create_rule(send, item())
    there = live(send)
    delete_rule(send, there)
    delete_rule(send, there)
    assert kibana.rules == {}


def test_pages(kibana: KibanaStub) -> None:
    """More rules than one page has are all read, each once."""
    for number in range(1001):
        kibana.rules[f"r{number}"] = {**BODY, "rule_id": f"r{number}", "tags": ["keytrip"], "revision": 0}
    found = [one.name for one in read_rules(sender(kibana), (), ())]
    assert len(found) == len(set(found)) == 1001
    assert len(kibana.log) == 3


def test_space(kibana: KibanaStub) -> None:
    """A space of the options has rules of its own; a name that no space can have is refused before anything is sent."""
    create_rule(sender(kibana, space="soc"), item())
    assert kibana.spaces["soc"].keys() == {NAME}
    assert kibana.rules == {}
    with pytest.raises(UsageError, match="no space"):
        sender(kibana, space="a/b")


@pytest.mark.parametrize("url", ["", "kibana:5601", "http://kibana:5601", "ftp://kibana"])
def test_address(url: str) -> None:
    """Kibana's address is asked for where it is missing, and plain HTTP is not taken silently."""
    with pytest.raises(UsageError, match=r"Kibana|plain HTTP"):
        kibana_send(Connection("https://es", options={"kibana_url": url}))


def test_role_that_reads(kibana: KibanaStub) -> None:
    """A plan needs the right to read alone; without the right to write, a rule is refused by name."""
    send = sender(kibana)
    create_rule(send, item())
    kibana.role = "read"
    assert live(send).ours
    with pytest.raises(SystemRefusedError, match=rf"making rule {NAME}.*403"):
        create_rule(send, item())
    kibana.role = "none"
    with pytest.raises(SystemRefusedError, match=r"reading the rules.*403"):
        live(send)


def test_wrong_key(kibana: KibanaStub) -> None:
    """A key that Kibana does not know is refused, and is in no message."""
    wrong = replace(connection(kibana), credential=Credential("api_key", secret="wr0ng"))  # noqa: S106 - made up
    OPEN.append(kibana_send(wrong))
    with pytest.raises(SystemRefusedError, match="401") as refused:
        live(OPEN[-1])
    assert "wr0ng" not in str(refused.value)


TEXTS = st.text(min_size=1, max_size=60)


@given(st.lists(TEXTS, max_size=4), TEXTS, TEXTS)
def test_any_text_is_data(tags: list[str], text: str, query: str) -> None:
    """Any text in a rule survives JSON and the form that is compared, and a rule equals itself in it."""
    body = {**BODY, "tags": tags, "name": text, "note": text, "query": query}
    again = json.loads(json.dumps(body))
    assert normal_rule(again) == normal_rule(body)
    assert normal_rule(body)["name"] == text
    assert normal_rule({**body, "name": f"{text}x"}) != normal_rule(body)


def test_the_stub_is_strict() -> None:
    """The stub refuses what Kibana refuses, so that its silence says something."""
    wrong: list[dict[str, Any]] = [
        {"risk_score": 101}, {"risk_score": 7.5}, {"severity": "informational"}, {"index": ["x"]}, {"colour": "red"},
        {"language": "eql"}, {"query": ""}, {"max_signals": 0}, {"interval": "5 minutes"}, {"type": "wizard"},
        {"alert_suppression": {"group_by": ["a", "b", "c", "d"]}}, {"threat": [{"framework": "x", "tactic": {}}]},
        {"alert_suppression": {"group_by": ["a"], "duration": {"value": 1, "unit": "d"}}}, {"name": ""},
        {"required_fields": [{"name": "a"}]}, {"related_integrations": [{"package": "a"}]},
    ]  # fmt: skip
    for fields in wrong:
        with pytest.raises(Exception, match="request body"):
            check_rule({**BODY, **fields})
