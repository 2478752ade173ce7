"""Correlations that SEMANTICS refuses are refused by name, and plans say what targets need of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from compile.rules import document

from keytrip.compile.compiled import CompiledRule, compile_rule
from keytrip.compile.targets import compile_to
from keytrip.rules.load import Document, alerting

Mapped = Mapping[str, Any]


def plain(name: str, category: str = "ai_usage") -> Document:
    """Return a plain rule that every record with a provider meets."""
    detection = {"selection": {"provider|exists": True}, "condition": "selection"}
    return document({"name": name, "logsource": {"category": category}, "detection": detection})


def correlation(name: str, rules: Sequence[str], kind: str = "temporal", **more: Any) -> Document:
    """Return a correlation of an hour; members of `more` have `_` for `-`."""
    attributes = {"baseline": more.pop("baseline")} if "baseline" in more else {}
    members = {key.replace("_", "-"): value for key, value in more.items()}
    if kind == "event_count":
        members = {"condition": {"gte": 1}, **members}
    made = {"type": kind, "rules": list(rules), "timespan": "1h", **members}
    return document({"name": name, "correlation": made, **attributes})


BASES = (plain("one"), plain("two"), plain("act", "ai_audit"))


def compiled(*rules: Document) -> CompiledRule:
    """Return the last rule, compiled."""
    return compile_rule(rules[-1], [*BASES, *rules])


@pytest.mark.parametrize(
    "condition", [None, {"gte": 2}, {"eq": 2}, {"gt": 1}, "one and two", "two and (one)"], ids=repr
)
def test_conditions_that_ask_for_all_rules(condition: object) -> None:
    """A temporal correlation may say that it wants all its rules, in any of Sigma's ways."""
    members = {} if condition is None else {"condition": condition}
    assert compiled(correlation("both", ["one", "two"], **members)).refused == ""


@pytest.mark.parametrize(
    "condition",
    [{"gte": 1}, {"gte": 3}, {"gte": 2.5}, {"neq": 1}, {"gte": 2, "field": "model"}, "one or two", "one and not two"],
    ids=repr,
)
def test_conditions_that_do_not(condition: object) -> None:
    """Any other condition on a temporal correlation is refused."""
    assert "other than all its rules" in compiled(correlation("both", ["one", "two"], condition=condition)).refused


def test_extended_condition_names_the_rules() -> None:
    """Without `rules`, Sigma's extended condition says which rules it is about, and they stay quiet."""
    rule = document({"name": "both", "correlation": {"type": "temporal", "condition": "one and two", "timespan": "1h"}})
    assert compiled(rule).refused == ""
    assert [d.name for d in alerting([*BASES, rule])] == ["act", "both"]


REFUSED: Mapping[str, tuple[Document, str]] = {
    "a field that a base has not": (
        correlation("x", ["one", "act"], group_by=["key_id"]),
        "act has no field 'key_id'",
    ),
    "a field of an alias that is not there": (
        correlation("x", ["one"], group_by=["who"], aliases={"who": {"one": "nobody"}}),
        "one has no field 'nobody'",
    ),
    "an alias of another rule": (
        correlation("x", ["one"], group_by=["who"], aliases={"who": {"two": "user"}}),
        "none of its rules",
    ),
    "an alias like a result's column": (
        correlation("x", ["one"], group_by=["value"], aliases={"value": {"one": "user"}}),
        "is the name of a result's column",
    ),
    "an alias that is no name": (
        correlation("x", ["one"], group_by=['a"b'], aliases={'a"b': {"one": "user"}}),
        "cannot be an alias",
    ),
    "fields of two types": (
        correlation("x", ["one", "two"], group_by=["who"], aliases={"who": {"one": "user", "two": "asn"}}),
        "varchar in one and bigint in two",
    ),
    "a value that a temporal correlation has not": (
        correlation("x", ["one"], group_by=["key_id"], baseline={"table": "key_requests_daily", "exceeds": "mean"}),
        "need a counting correlation",
    ),
    "months": (correlation("x", ["one"], timespan="1M"), "timespan '1M' is refused"),
    "itself": (correlation("x", ["x"]), "x -> x"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """What cannot mean anything is refused, with the rule's place and the words that name it."""
    rule, words = REFUSED[case]
    refused = compiled(rule).refused
    assert words in refused
    assert refused.startswith("made.yml:1")


def test_a_circle_is_refused_and_not_silent() -> None:
    """Correlations that build on each other alert as far as anybody knows, and are refused by all their names."""
    rules = [correlation("left", ["right"]), correlation("right", ["left"])]
    assert [d.name for d in alerting(rules)] == ["left", "right"]
    assert "right -> left -> right" in compiled(*rules).refused


INNER = correlation("inner", ["one"], "event_count", group_by=["source_ip"])
SLID = correlation("slid", ["one", "two"])
CANNOT: Mapping[str, tuple[str, list[Document], str]] = {
    "alerts of a window beside records": ("splunk", [SLID, correlation("x", ["slid", "two"])], "beside other events"),
    "alerts beside records, esql": ("esql", [INNER, correlation("x", ["inner", "two"])], "beside other events"),
    "two correlations": ("splunk", [INNER, SLID, correlation("x", ["inner", "slid"])], "inner, slid"),
    "a window over alerts": ("esql", [INNER, correlation("x", ["inner"])], "no sliding window"),
    "alerts of a window": ("esql", [SLID, correlation("x", ["slid"], "event_count")], "no sliding window"),
    "networks, splunk": (
        "splunk",
        [INNER, correlation("x", ["inner"], group_by=["source_net"])],
        "the source_net of inner's",
    ),
    "networks, esql": (
        "esql",
        [INNER, correlation("x", ["inner"], "event_count", group_by=["source_net"])],
        "the source_net of inner's",
    ),
}


@pytest.mark.parametrize("case", CANNOT)
def test_targets_that_cannot(case: str) -> None:
    """A target that cannot say a correlation refuses it, with the rule's place, a reason and a target that can."""
    target, rules, words = CANNOT[case]
    (result,) = compile_to(target, rules[-1:], [*BASES, *rules])
    assert words in result.reason
    assert "duckdb" in result.reason
    assert result.reason.startswith("made.yml:1")
    assert (result.line, result.text) == (1, "")


HOURLY = correlation("hourly", ["one"], "event_count")
RANGES: Mapping[str, tuple[list[Document], str, str]] = {
    "a window": ([HOURLY], "current_window: 1h", "current_window: 1h"),
    "weeks from a Monday": ([correlation("x", ["one"], "event_count", timespan="2w")], *["current_window: 2w"] * 2),
    "days from a Thursday": ([correlation("x", ["one"], "event_count", timespan="7d")], *["current_window: 7d"] * 2),
    "a sliding window": ([correlation("x", ["one"], timespan="90m")], "last: 3h", "last: 90m"),
    "windows within windows": (
        [HOURLY, correlation("x", ["hourly"], "event_count", timespan="1d")],
        *["current_window: 1d"] * 2,
    ),
    "windows across windows": (
        [HOURLY, correlation("x", ["hourly"], "event_count", timespan="90m")],
        *["last: 150m"] * 2,
    ),
    "windows before a sliding one": ([HOURLY, correlation("x", ["hourly"])], "last: 3h", ""),
    "sliding windows before a window": (
        [SLID, correlation("x", ["slid"], "event_count", timespan="1d")],
        "last: 26h",
        "",
    ),
    "a plain rule": ([plain("x")], "last: interval", "last: interval"),
}


@pytest.mark.parametrize("case", RANGES)
def test_ranges(case: str) -> None:
    """The index says what time range the schedule has to give, the same for each target that slides windows."""
    rules, sliding, scheduled = RANGES[case]
    for target, expected in (("splunk", sliding), ("duckdb", sliding), ("esql", scheduled)):
        (result,) = compile_to(target, rules[-1:], [*BASES, *rules])
        assert result.range == expected, target


def test_what_a_hunt_needs_to_know() -> None:
    """A chain reads all tables of its bases, reaches back over each window below it, and needs their baselines."""
    block = {"table": "key_models", "absent": True}
    inner = correlation("inner", ["one"], "event_count", group_by=["key_id", "model"], baseline=block)
    counts = correlation("counts", ["inner"], "event_count", group_by=["key_id"], timespan="1d")
    outer = correlation("outer", ["counts", "act"], group_by=["key_id"], aliases={"key_id": {"act": "target_key_id"}})
    rule = compiled(inner, counts)
    assert (rule.reach, rule.baselined, rule.scored) == (86400 + 3600, False, ((3600, 0),))
    assert rule.tables == (("key_models", ("key_id", "model")),)
    rule = compiled(inner, counts, outer)
    assert (rule.refused, rule.reach, rule.reads) == ("", None, ("usage", "audit"))
    assert {"key_id", "model", "provider"} <= set(rule.fields)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"kind": "value_sum", "condition": {"field": "model", "gt": 1}}, "model is no number: value_sum needs one"),
        ({"kind": "value_avg", "condition": {"field": "timestamp", "gt": 1}}, "timestamp is no number"),
        ({"kind": "value_sum", "condition": {"field": ["asn", "cost_usd"], "gt": 1}}, "value_sum needs one field"),
        *(
            ({"kind": "value_percentile", "condition": {"field": "asn", "gt": 1, **more}}, "from 0 to 100")
            for more in ({}, {"percentile": 33.3}, {"percentile": 101}, {"percentile": -1})
        ),
        ({"kind": "event_count", "rules": []}, "refers to no rule"),
        (
            {
                "kind": "event_count",
                "group_by": ["key_id"],
                "baseline": {"table": "key_cost_daily", "exceeds": "mean", "missing": "maybe"},
            },
            "`missing` is 'maybe'; `ignore` or `fire`",
        ),
        (
            {
                "kind": "event_count",
                "group_by": ["provider"],
                "baseline": {"table": "org_cost_daily", "absent": True, "requires": "keys"},
            },
            "`requires: keys` needs a key column of that table in group-by; group by key_id",
        ),
    ],
    ids=str,
)
def test_what_has_no_value_is_refused(members: dict[str, Any], problem: str) -> None:
    """With the rule's place, not by an engine's error."""
    rules = members.pop("rules", ["one"])
    reason = compiled(correlation("counted", rules, **members)).refused
    assert reason.startswith("made.yml:1: counted: ")
    assert problem in reason


def test_a_percentile_may_be_written_in_any_way() -> None:
    """As a text, or with a fraction of nothing."""
    written = [{"field": "asn", "gt": 1, "percentile": percentile} for percentile in (90, "90", 90.0)]
    made = [compiled(correlation("counted", ["one"], "value_percentile", condition=one)) for one in written]
    assert made[0].sql
    assert [one.sql for one in made] == [made[0].sql] * 3


def test_a_fault_that_pysigma_finds_has_its_place() -> None:
    """So a hunt that skips the rule says where it is."""
    rule = document(
        {
            "name": "bad",
            "logsource": {"category": "ai_usage"},
            "detection": {"a": {"model|cidr": "x"}, "condition": "a"},
        }
    )
    assert compile_rule(rule, [rule]).refused.startswith("made.yml:1: bad: Invalid CIDR")


@pytest.mark.parametrize("target", ["duckdb", "esql", "spark", "splunk"])
def test_a_key_is_required_of_the_group(target: str) -> None:
    """Also where the columns that may be absent do not name it."""
    baseline = {"table": "org_cost_daily", "absent": True, "requires": "keys"}
    rule = correlation("new", ["one"], "event_count", group_by=["key_id", "provider"], baseline=baseline)
    (made,) = compile_to(target, [rule], [*BASES, rule])
    assert made.text.count("keys") > 1
