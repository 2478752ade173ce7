"""Lucene, EQL and query DSL as text: what each test becomes, and what is refused. Real servers say what it means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from compile.kinds import BASES as KIND_BASES
from compile.kinds import KINDS
from compile.rules import base, compiled, condition, counted, matching, text

from keytrip.compile.lucene_conditions import quote_lucene, quote_name, slashed

MODEL = "gen_ai.request.model"


@pytest.mark.parametrize(
    ("test", "lucene", "eql"),
    [
        ({"model": "GPT-4"}, f"{MODEL}:/[Gg][Pp][Tt]-4/", f'{MODEL} regex "[Gg][Pp][Tt]-4"'),
        ({"model|cased": 'a"\\b'}, f'{MODEL}:"a\\"\\\\b"', f'{MODEL} == "a\\"\\\\b"'),
        ({"model": "5"}, f'{MODEL}:"5"', f'{MODEL} == "5"'),
        ({"model": ""}, f"(_exists_:{MODEL} AND NOT {MODEL}:/.+/)", f'{MODEL} == ""'),
        ({"model|cased": "a/b*"}, f"{MODEL}:/a\\/b.*/", f'{MODEL} regex "a/b.*"'),
        ({"model|re": "^a.c$"}, f"{MODEL}:/a[^\n]c/", f'{MODEL} regex "a[^\\n]c"'),
        ({"model": "*"}, f"_exists_:{MODEL}", f"{MODEL} != null"),
        ({"model": None}, f"(*:* AND NOT _exists_:{MODEL})", f"{MODEL} == null"),
        ({"status_code": "404"}, 'http.response.status_code:"404"', "http.response.status_code == 404"),
        ({"status_code|gt": 399.5}, "http.response.status_code:{399.5 TO *]", "http.response.status_code > 399.5"),
        ({"status_code|lte": -1}, "http.response.status_code:[* TO -1]", "http.response.status_code <= -1"),
        ({"status_code|lt": 2**70}, "_exists_:http.response.status_code", "http.response.status_code != null"),
        ({"status_code|gt": 2**70}, "(*:* AND NOT *:*)", "false"),
        ({"source_ip|cidr": "10.0.0.0/8"}, 'source.ip:"10.0.0.0/8"', 'cidrMatch(source.ip, "10.0.0.0/8")'),
        (
            {"source_ip|cidr": "::/0"},
            '(source.ip:"::/0" AND source.address:/.*:.*/)',
            '(cidrMatch(source.ip, "::/0") and source.address regex ".*:.*")',
        ),
        ({"asn": 7}, 'source.as.number:"7"', "`source.as.number` == 7"),
    ],
)
def test_condition(test: dict[str, Any], lucene: str, eql: str) -> None:
    """A test has one form in each language."""
    assert condition("lucene", matching(test)) == lucene
    assert condition("eql", matching(test)) == eql


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"model": "GPT"}, {"regexp": {MODEL: {"value": "[Gg][Pp][Tt]"}}}),
        ({"model|cased": "a*"}, {"regexp": {MODEL: {"value": "a.*"}}}),
        ({"model": ""}, {"term": {MODEL: {"value": ""}}}),
        ({"model|re": "a$"}, {"regexp": {MODEL: {"value": ".*a"}}}),
        ({"cost_usd": 0.5}, {"term": {"keytrip.cost_usd": {"value": 0.5}}}),
        ({"cost_usd|gte": 0.5}, {"range": {"keytrip.cost_usd": {"gte": 0.5}}}),
        ({"model": None}, {"bool": {"must_not": [{"exists": {"field": MODEL}}]}}),
        ({"hour_of_day|exists": True}, {"exists": {"field": "@timestamp"}}),
        ({"status_code": "x"}, {"match_none": {}}),
        ({"source_ip|cidr": "10.0.0.0/8"}, {"term": {"source.ip": {"value": "10.0.0.0/8"}}}),
    ],
)
def test_dsl(test: dict[str, Any], expected: dict[str, Any]) -> None:
    """A test is one query of the DSL."""
    assert filter_of(matching(test)) == expected


def filter_of(*rules: Any) -> Any:
    """Return the filter of a plain rule's search."""
    (found,) = json.loads(text("opensearch", *rules))["query"]["bool"]["filter"]
    return found


@pytest.mark.parametrize(
    ("test", "source", "params"),
    [
        ({"hour_of_day|lt": 6}, "% 24) < params.number", {"number": 6.0}),
        ({"day": "2026-04-01"}, "toLocalDate().toString() == params.text", {"text": "2026-04-01"}),
        ({"model|fieldref|startswith": "model_raw"}, ".toLowerCase().startsWith(String.valueOf(", None),
        ({"input_tokens|fieldref": "cost_usd"}, "(double) doc['gen_ai.usage.input_tokens'].value ==", None),
    ],
)
def test_scripts(test: dict[str, Any], source: str, params: dict[str, Any] | None) -> None:
    """What an index cannot be asked for is a script whose constants are parameters: it is compiled once."""
    script = filter_of(matching(test))["script"]["script"]
    assert source in script["source"]
    assert script.get("params") == params


def test_joins() -> None:
    """AND, OR and NOT are `bool` queries, and a product narrows them."""
    tests = [{"user": "1"}, {"project": "2"}]
    one, two = ({"term": {name: {"value": value}}} for name, value in (("user.name", "1"), ("keytrip.project", "2")))
    found = filter_of(matching(*tests, condition="not (a or b) and a", product="openai"))
    provider = {"term": {"gen_ai.provider.name": {"value": "openai"}}}
    either = {"bool": {"should": [one, two], "minimum_should_match": 1}}
    assert found == {"bool": {"filter": [provider, {"bool": {"filter": [{"bool": {"must_not": [either]}}, one]}}]}}
    assert condition("lucene", matching(*tests, condition="not (a or b)", product="openai")) == (
        'gen_ai.provider.name:"openai" AND ((*:* AND NOT (user.name:"1" OR keytrip.project:"2")))'
    )


@pytest.mark.parametrize(
    ("kind", "counts", "path", "test"),
    [
        ("event_count", {"neq": 3}, "_count", "params.value != params.limit"),
        ("value_count", {"field": ["model", "user"], "eq": 2}, "value.value", "params.value == params.limit"),
        ("value_avg", {"field": "max_tokens", "gt": 2}, "value", "params.values > 0 && params.value > params.limit"),
        ("value_median", {"field": "max_tokens", "lt": 2}, "value.value", "params.values > 0 && params.value < "),
        ("value_percentile", {"field": "hour_of_day", "gte": 2, "percentile": 9}, "value.value", "params.values > 0"),
    ],
)
def test_counting(kind: str, counts: dict[str, Any], path: str, test: str) -> None:
    """Each counting type is one composite aggregation, whose selector reads the value and nothing for nulls only."""
    found = json.loads(text("opensearch", counted(kind, counts, timespan="2w", group_by=("day", "key_id")), base()))
    alerts = found["aggs"]["alerts"]
    assert alerts["meta"] == {"rule": "counted", "level": "high", "window_seconds": 1209600}
    day, key, window = alerts["composite"]["sources"]
    assert day["day"]["terms"]["script"]["source"].endswith("toLocalDate().toString()")
    assert key == {"key_id": {"terms": {"field": "keytrip.key_id"}}}
    assert window["window_start"]["date_histogram"]["offset"] == "345600s"
    selector = alerts["aggs"]["condition"]["bucket_selector"]
    assert selector["buckets_path"]["value"] == path
    assert test in selector["script"]["source"]


@pytest.mark.parametrize("target", ["lucene", "eql", "opensearch"])
@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ({"status_code|endswith": "1"}, "cannot search its digits; esql, splunk, duckdb and spark can"),
        ({"key_label|cidr": "10.0.0.0/8"}, "is not in the index as an address"),
        ({"model|re": "a\\b"}, "a word boundary"),
        ({"model": "x" * 400}, "an index takes 1000"),
        ({"day|contains": "-04-"}, "is no field of the events"),
    ],
)
def test_refused(target: str, test: dict[str, Any], reason: str) -> None:
    """What an index has no answer to is refused, not guessed."""
    found = compiled(target, matching(test)).reason
    assert found.startswith("made.yml:1: base: ")
    assert reason in found


def test_baseline_is_refused() -> None:
    """Query DSL has no join."""
    rule = counted(baseline={"table": "key_requests_daily", "exceeds": "mean"})
    assert compiled("opensearch", rule, base()).reason == (
        "made.yml:1: counted: query DSL cannot join a baseline table; esql, splunk, duckdb and spark can"
    )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("a/b", "/a\\/b/"), ("a\\/b", "/a\\/b/"), ("a\\\\/b", "/a\\\\\\/b/"), ("a\\\\", "/a\\\\()/"), ("", "//")],
)
def test_slashed(pattern: str, expected: str) -> None:
    """A slash is escaped once, and a backslash at the end does not escape the closing one."""
    assert slashed(pattern) == expected


def test_quoting() -> None:
    """Names and texts of a user's own keep to their places in a query string."""
    assert quote_name('a b:c"d.e') == 'a\\ b\\:c\\"d.e'
    assert quote_lucene('a" OR b:"\\') == '"a\\" OR b:\\"\\\\"'


def test_null_beside_another_test() -> None:
    """A test for null in an AND that tests the field again is hidden from Elasticsearch's optimiser, or refused."""
    tests = [{"user": None}, {"project|exists": True}, {"model": "x"}]
    rule = matching(*tests, condition="a and b and (c or a)")
    assert condition("esql", rule) == (
        "COALESCE(user.name IS NULL, false) AND keytrip.project IS NOT NULL AND "
        f'(TO_LOWER({MODEL}) == "x" OR COALESCE(user.name IS NULL, false))'
    )
    assert "EQL may drop events" in compiled("eql", rule).reason
    one = matching(*tests, condition="a and b and not c")
    assert condition("esql", one).startswith("user.name IS NULL AND ")
    twice = matching({"user|exists": True}, {"user": "x"}, condition="not a and not (a or b)")
    assert condition("esql", twice).startswith("(COALESCE(user.name IS NULL, false)) AND ((COALESCE(")
    either = matching({"user": [None, "x"]}, {"model": "x"})
    assert condition("esql", either).startswith("(user.name IS NULL OR TO_LOWER(user.name)")
    factored = matching(*tests, condition="(a and b) or (a and not a)")
    assert condition("esql", factored).startswith("(user.name IS NULL AND keytrip.project IS NOT NULL) OR (COALESCE(")


def test_other_scripts() -> None:
    """The index folds `TO_LOWER` in ASCII only, so other letters are in the expression."""
    assert condition("esql", matching({"model": "\u00c4b"})) == f'{MODEL} RLIKE "[\u00c4\u00e4][Bb]"'


@pytest.mark.parametrize("target", ["lucene", "eql", "opensearch"])
def test_searches_refuse_what_they_cannot_say(target: str) -> None:
    """Temporal rules, chains, aliases and rules over two tables are refused with the reason, never half said."""
    for rule in (rule for rule in KINDS if rule.name != "kind_inner"):
        found = compiled(target, rule, *KIND_BASES, *KINDS)
        assert not found.text, rule.name
        assert (
            "refused" in found.reason or "not compiled for this target yet" in found.reason or "cannot" in found.reason
        )
