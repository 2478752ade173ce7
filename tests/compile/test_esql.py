"""ES|QL as text: what each part of a rule becomes. What it means, a real Elasticsearch says (tests/engines)."""

from __future__ import annotations

from typing import Any

import pytest
from compile.rules import base, compiled, condition, counted, document, matching, text

from keytrip.compile.targets import compile_to
from keytrip.errors import UsageError
from keytrip.rules.load import Document

DAILY = {"table": "key_requests_daily", "exceeds": "mean"}
TWO = [{"user": None}, {"project": None}]
MODEL = "gen_ai.request.model"


def steps(rule: Document, *bases: Document) -> list[str]:
    """Return the steps of a rule's query, each on one line, the header left out."""
    found = text("esql", rule, *(bases or (base(),))).replace("\n    ", " ").splitlines()
    return [line.removeprefix("| ") for line in found if not line.startswith("//")]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"model": "GPT-4o"}, f'TO_LOWER({MODEL}) == "gpt-4o"'),
        ({"model|cased": 'a"\\b'}, f'{MODEL} == "a\\"\\\\b"'),
        ({"model": "line\nbreak"}, f'TO_LOWER({MODEL}) == "line\\nbreak"'),
        ({"model|cased|contains": "a*b"}, f'{MODEL} LIKE "*a*b*"'),
        ({"model|cased": "a\\*b?"}, f'{MODEL} LIKE "a\\\\*b?"'),
        ({"model|startswith": "Gpt.4"}, f'{MODEL} RLIKE "[Gg][Pp][Tt]\\\\.4.*"'),
        ({"model|endswith": "429"}, f'{MODEL} LIKE "*429"'),
        ({"model|re": r"^a\d$"}, f'{MODEL} RLIKE "a[0-9]"'),
        ({"model|re|i": "a#"}, f'{MODEL} RLIKE ".*[Aa]\\\\#.*"'),
        ({"model": "*"}, f"{MODEL} IS NOT NULL"),
        ({"model": 5}, f'TO_LOWER({MODEL}) == "5"'),
        ({"status_code": "404"}, "http.response.status_code == 404"),
        ({"status_code": "four"}, "false"),
        ({"status_code": "4*"}, 'TO_STRING(http.response.status_code) LIKE "4*"'),
        ({"cost_usd|gt": 1e-7}, "keytrip.cost_usd > 0.0000001"),
        ({"hour_of_week|gte": 6}, "((TO_LONG(@timestamp) / 3600000 + 72) % 168) >= 6"),
        ({"source_ip|cidr": "10.0.0.0/8"}, 'CIDR_MATCH(source.ip, "10.0.0.0/8")'),
        ({"source_ip|cidr": "::/0"}, '(CIDR_MATCH(source.ip, "::/0") AND source.address LIKE "*:*")'),
        (
            {"key_label|cidr": "10.0.0.0/8"},
            (
                '(CIDR_MATCH(TO_IP(keytrip.key_label), "10.0.0.0/8")'
                ' AND NOT keytrip.key_label LIKE "*:*" AND NOT keytrip.key_label LIKE "*:*.*")'
            ),
        ),
        ({"asn": 7}, "`source.as.number` == 7"),
        ({"model": None}, f"{MODEL} IS NULL"),
    ],
)
def test_condition(test: dict[str, Any], expected: str) -> None:
    """A positive test stands bare, in a form that Elasticsearch can ask its index for."""
    assert condition("esql", matching(test)) == expected


@pytest.mark.parametrize(
    ("selections", "formula", "expected"),
    [
        ([{"asn": 1}], "not a", "`source.as.number` IS NULL OR NOT (`source.as.number` == 1)"),
        ([{"user": None}], "not a", "user.name IS NOT NULL"),
        ([{"user|exists": True}], "not not not a", "user.name IS NULL"),
        (TWO, "not (a and not b)", "(user.name IS NOT NULL) OR (keytrip.project IS NULL)"),
        (TWO, "not (a or b)", "(user.name IS NOT NULL) AND (keytrip.project IS NOT NULL)"),
        ([{"hour_of_day": 1}], "not a", "NOT ((TO_LONG(@timestamp) / 3600000 % 24) == 1)"),
    ],
)
def test_negation(selections: list[dict[str, Any]], formula: str, expected: str) -> None:
    """NOT moves to the tests, where it keeps events without the field; COALESCE could not be pushed down."""
    assert condition("esql", matching(*selections, condition=formula)) == expected


def test_header_and_source() -> None:
    """A query names its rule, needs and deviations in comments, then the data streams."""
    lines = text("esql", counted("value_median", {"field": "cost_usd", "gt": 1}, baseline=DAILY), base()).splitlines()
    deviations = [
        "times are cut to milliseconds",
        "at most 10,000 rows",
        "the percentile is approximate for many values",
    ]
    assert lines[:4] == [
        "// counted: A rule (high)",
        "// needs: data streams logs-keytrip.usage-*, lookup index keytrip_key_requests_daily",
        f"// deviations: {'; '.join(deviations)}",
        "FROM logs-keytrip.usage-*",
    ]


def test_hostile_title() -> None:
    """A title stays on its line and in its comment."""
    rule = Document({**counted().data, "title": 'x\n| DROP */ "y" `z`'}, counted().path, 1)
    assert text("esql", rule, base()).splitlines()[0] == "// counted: x / DROP * / 'y' 'z' (high)"


def test_plain_rule() -> None:
    """A plain rule returns its events with what the detection engine knows them by, rule and level."""
    assert steps(matching({"user": None})) == [
        "FROM logs-keytrip.usage-* METADATA _id, _index, _version",
        "WHERE user.name IS NULL",
        'EVAL rule = "base", level = "high"',
        "LIMIT 10000",
        "KEEP _id, _index, _version, rule, level, *",
    ]


@pytest.mark.parametrize(
    ("timespan", "expected"),
    [
        ("1d", "TO_DATETIME(TO_LONG(@timestamp) / 86400000 * 86400000)"),
        ("7d", "TO_DATETIME(TO_LONG(@timestamp) / 604800000 * 604800000)"),
        ("1w", "TO_DATETIME((TO_LONG(@timestamp) + 259200000) / 604800000 * 604800000 - 259200000)"),
    ],
)
def test_window(timespan: str, expected: str) -> None:
    """Windows are arithmetic on the epoch: days from a Thursday, weeks from a Monday."""
    assert any(f"window_start = {expected}" in step for step in steps(counted(timespan=timespan)))


def test_columns() -> None:
    """The result has the columns of SEMANTICS section 6 under canonical names, sorted, limited, last of all kept."""
    blocks = [DAILY, {"table": "key_cost_daily", "exceeds": "max"}]
    baseline = "baseline_mean, baseline_key_cost_daily_max"
    assert steps(counted(group_by=("asn", "key_id"), baseline=blocks))[-3:] == [
        "SORT window_start, asn, key_id",
        "LIMIT 10000",
        f"KEEP asn, key_id, window_start, window_end, value, events, first_seen, last_seen, {baseline}, rule, level",
    ]


def test_groups_without_nulls() -> None:
    """Events without a group field are left out: BY would make a group of null."""
    found = steps(counted(group_by=("key_id", "model", "hour_of_day")), matching({"user": None}))
    assert found[1] == f"WHERE keytrip.key_id IS NOT NULL AND {MODEL} IS NOT NULL AND (user.name IS NULL)"


def test_second_join_overwrites_nothing() -> None:
    """The first block's columns are put aside before the next join, which overwrites columns of the same name."""
    found = steps(counted(baseline=[DAILY, {"table": "key_cost_daily", "exceeds": "mean"}]))
    assert [step for step in found if step.startswith(("LOOKUP", "RENAME"))] == [
        "LOOKUP JOIN keytrip_key_requests_daily ON keytrip_key",
        "RENAME baseline_mean AS kt_baseline_mean",
        "LOOKUP JOIN keytrip_key_cost_daily ON keytrip_key",
        "RENAME baseline_mean AS baseline_key_cost_daily_mean",
        "RENAME kt_baseline_mean AS baseline_mean",
    ]


def test_key() -> None:
    """The key is the table's key columns in its order, numbers as text, joined; `requires` takes the leading part.

    What joins them is escaped before it.
    """
    block = {"table": "key_active_hours", "on": ["hour_of_day", "key_id"], "absent": True, "requires": "key_models"}
    found = steps(counted(group_by=("hour_of_day", "key_id"), baseline=block))
    twice = 'REPLACE(key_id, FROM_BASE64("Hg=="), FROM_BASE64("Hh4="))'
    escaped = f'REPLACE({twice}, FROM_BASE64("Hw=="), FROM_BASE64("HnU="))'
    assert [step for step in found if "keytrip_key" in step] == [
        f'EVAL keytrip_key = CONCAT({escaped}, FROM_BASE64("Hw=="), TO_STRING(hour_of_day))',
        "LOOKUP JOIN keytrip_key_active_hours ON keytrip_key",
        f"EVAL keytrip_key = {escaped}",
        "LOOKUP JOIN keytrip_key_models ON keytrip_key",
    ]


def test_value_count_is_exact() -> None:
    """Distinct values are grouped and then counted; COUNT_DISTINCT would be approximate."""
    found = steps(counted("value_count", {"field": "model", "gt": 2}))
    assert found[2].endswith(f"kt_value_0 = {MODEL}")
    assert found[3].startswith("STATS value = COUNT(kt_value_0), events = SUM(kt_events)")


def test_money_is_rounded() -> None:
    """Sums of cost have nine decimals; other sums do not overflow."""
    assert "EVAL value = ROUND(value, 9)" in steps(counted("value_sum", {"field": "cost_usd", "gt": 1}))
    found = steps(counted("value_sum", {"field": "input_tokens", "gt": 1}))
    assert found[2].startswith("STATS value = SUM(TO_DOUBLE(gen_ai.usage.input_tokens))")


def test_expression() -> None:
    """Columns are doubles, since `/` truncates integers; a comparison in `where` is false for null."""
    block = {**DAILY, "exceeds": "max(mean, -mad) / 2", "where": "not days == 0", "missing": "fire"}
    assert (
        "WHERE baseline_found IS NULL OR ((TO_DOUBLE(value) > "
        "(GREATEST(TO_DOUBLE(baseline_mean), (-TO_DOUBLE(baseline_mad))) / 2.0)) AND "
        "(NOT COALESCE(TO_DOUBLE(baseline_days) == 0.0, false)))"
    ) in steps(counted(baseline=block))


def test_day_is_arithmetic() -> None:
    """The UTC date does not come from a date function, which may follow a session's zone."""
    found = "".join(steps(counted(group_by=("day",))))
    assert "DATE_" not in found
    assert "day = kt_day" in found


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ({"model|re": r"\bcurl"}, "a word boundary in a regular expression; duckdb, spark and splunk can say it"),
        ({"model|re": "a(^b|c)"}, "an anchor"),
    ],
)
def test_refused_conditions(test: dict[str, Any], reason: str) -> None:
    """What Lucene's regular expressions lack is refused, with the targets that have it."""
    assert reason in compiled("esql", matching(test)).reason


def test_refused_key() -> None:
    """A lookup by columns that lead no key is refused: the index has no such documents."""
    block = {"table": "key_models", "on": ["model"], "absent": True}
    found = compiled("esql", counted(group_by=("model",), baseline=block), base())
    assert "cannot look key_models up by model" in found.reason
    assert "duckdb, spark and splunk can" in found.reason
    assert compiled("splunk", counted(group_by=("model",), baseline=block), base()).text


@pytest.mark.parametrize("version", ["8.19", "8.19.21", "9.0", "10.1"])
def test_every_later_version_has_the_same_text(version: str) -> None:
    """One layout of the lookup indices serves all versions, so one text does."""
    rules = [base()]
    assert compile_to("esql", rules, rules, (), {"target_version": version}) == compile_to("esql", rules, rules)


@pytest.mark.parametrize(
    ("version", "words"), [("8.18", "no LOOKUP JOIN"), ("7.17.1", "no LOOKUP JOIN"), ("new", "is no version")]
)
def test_an_earlier_version_is_refused(version: str, words: str) -> None:
    """A version without a reliable join, or none at all, is wrong usage."""
    with pytest.raises(UsageError, match=words):
        compile_to("esql", [base()], [base()], (), {"target_version": version})


def chained(rules: list[str], kind: str = "event_count", **changes: Any) -> Document:
    """Return a correlation over `counted` and what else is named."""
    correlation = {"type": kind, "rules": rules, "group-by": ["key_id"], "timespan": "1w"}
    count = {"condition": {"gte": 2}} if kind == "event_count" else {}
    return document({"name": "outer", "correlation": {**correlation, **count}, **changes})


def test_alerts_beside_records_are_one_pass() -> None:
    """A record's row has the id of its document; only there the rule's own condition is asked, or an alert is two."""
    found = steps(chained(["counted", "base"]), counted(), base({"a": {"model": None}, "condition": "a"}))
    assert found[0] == "FROM logs-keytrip.usage-* METADATA _index, _id"
    assert sum(step.startswith("STATS") for step in found) == 2
    (made,) = [step for step in found if "kt_id = " in step]
    assert 'kt_id = CASE(kt_branch == "b1", CONCAT(_index, "/", _id), "")' in made
    assert f'kt_c0 = CASE(kt_branch == "b1", CASE({MODEL} IS NULL, 1, 0), 0)' in made


def test_what_cannot_stand_beside_records() -> None:
    """A temporal rule above has a schedule for its window, and a baseline below would need rows of its own."""
    for outer, inner in (
        (chained(["counted", "base"], "temporal"), counted()),
        (chained(["counted", "base"]), counted(baseline=DAILY)),
    ):
        assert (
            "esql cannot put alerts beside other events: counted, base" in compiled("esql", outer, inner, base()).reason
        )


def test_a_group_has_one_name() -> None:
    """Under its own name again, the optimiser of 8.19 loses it for a value of the same field."""
    inner = counted(group_by=("key_id", "hour_of_day"))
    value = {"type": "value_sum", "condition": {"field": "hour_of_day", "gt": 1}, "group-by": ["hour_of_day"]}
    outer = document({"name": "outer", "correlation": {**value, "rules": ["counted"], "timespan": "1d"}})
    assert any("BY hour_of_day, window_start" in step for step in steps(outer, inner, base()))
