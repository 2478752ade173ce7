"""SPL as text: what each part of a rule becomes. What it means is in tests/engines/equality."""

from __future__ import annotations

import json
from typing import Any

import pytest
from compile.rules import PATH, base, compiled, condition, counted, document, matching, text
from engines.spl_machine import met
from hypothesis import given
from hypothesis import strategies as st

from keytrip.compile.splunk_terms import term_of
from keytrip.compile.targets import Compiled, compile_to
from keytrip.errors import UsageError
from keytrip.rules.load import Document

DAILY = {"table": "key_requests_daily", "exceeds": "mean"}


def steps(rule: Document, *bases: Document) -> list[str]:
    """Return the steps of a rule's query, the header and the search left out."""
    return [line.removeprefix("| ") for line in text("splunk", rule, *(bases or (base(),))).splitlines()[4:]]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"model": "GPT-4o"}, '((isnotnull(model)) AND (lower(model) = "gpt-4o"))'),
        ({"model|cased": "GPT-4o"}, '((isnotnull(model)) AND (model = "GPT-4o"))'),
        ({"model": "1e3"}, '((isnotnull(model)) AND (("x".lower(model)) = "x1e3"))'),
        ({"model|startswith": "a.b"}, '((isnotnull(model)) AND match(lower(model), "^a[.]b"))'),
        ({"model|endswith": "x"}, r'((isnotnull(model)) AND match(lower(model), "x\z"))'),
        ({"model": "a*b?c"}, r'((isnotnull(model)) AND match(lower(model), "^a(?s:.*)b(?s:.)c\z"))'),
        ({"model": 'a"\\b'}, r'((isnotnull(model)) AND match(lower(model), "^a\x22\x5cb\z"))'),
        ({"model": "`m` $t$"}, r'((isnotnull(model)) AND match(lower(model), "^\x60m\x60 \x24t\x24\z"))'),
        ({"model|re": r"^a\d$"}, r'((isnotnull(model)) AND match(model, "^a[0-9]\z"))'),
        ({"status_code": "404"}, "((isnotnull(tonumber(status_code))) AND (tonumber(status_code) = 404))"),
        ({"status_code": "four"}, "(1 = 0)"),
        ({"status_code": "4*"}, '((isnotnull(status_code)) AND match(tostring(status_code), "^4"))'),
        ({"cost_usd|gt": 1e-7}, "((isnotnull(tonumber(cost_usd))) AND (tonumber(cost_usd) > 0.0000001))"),
        ({"hour_of_day|lt": 6}, "((floor(_time / 3600) % 24) < 6)"),
        ({"model": None}, "(isnull(model))"),
        ({"timestamp|exists": True}, "(isnotnull(_time))"),
    ],
)
def test_condition(test: dict[str, Any], expected: str) -> None:
    """A test is null-safe, parenthesised, and free of what quoting or macros could change."""
    assert condition("splunk", matching(test)) == expected


def test_negation_and_alternatives() -> None:
    """NOT stands before a test that is never null, and an OR at the top keeps its own parentheses."""
    rule = matching({"model": None}, {"user": None}, condition="a or not b")
    assert condition("splunk", rule) == "((isnull(model)) OR (NOT (isnull(user))))"
    assert "((isnotnull(key_id)) AND ((isnull(model)) OR (isnull(user))))" in "".join(
        steps(counted(), matching({"model": None}, {"user": None}, condition="a or b"))
    )


def test_negated_expansion() -> None:
    """All alternatives that a modifier makes of one value are negated, not the first alone."""
    rule = matching({"user_agent|windash|contains": "-x"}, condition="not a")
    assert condition("splunk", rule).startswith("(NOT ((")


def test_search_and_header() -> None:
    """A query names its rule, needs and deviations in a comment, then index and sourcetype."""
    lines = text("splunk", counted(baseline=DAILY), base()).splitlines()
    assert lines[:4] == [
        "```counted: A rule (high)",
        "needs: index keytrip with sourcetype keytrip:usage, lookup keytrip_key_requests_daily",
        "deviations: none```",
        'index=keytrip sourcetype="keytrip:usage"',
    ]


@pytest.mark.parametrize("target", ["splunk", "esql", "duckdb", "spark"])
def test_version(target: str) -> None:
    """A header says the day of the rule's last change, as the rule does, for a plain rule and a correlation."""
    days = {"date": "2026-01-02", "modified": "2026-03-04"}
    first = text(target, document({**matching({"model": "x"}).data, **days})).splitlines()[0]
    assert first.endswith("base: A rule (high), version of 2026-03-04")
    rule = document({**counted().data, "date": "2026-01-02"})
    assert text(target, rule, base()).splitlines()[0].endswith("counted: A rule (high), version of 2026-01-02")


def test_hostile_title() -> None:
    """A title cannot end the comment, call a macro, open a subsearch or begin a line."""
    lines = text("splunk", matching({"user": None}, title="``` | delete [x] `m`\n| y $t$")).splitlines()
    assert lines[0] == "```base: A rule (high)"
    rule = Document({**counted().data, "title": '``` | delete [x] `m`\n| "y" $t$'}, counted().path, 1)
    first = text("splunk", rule, base()).splitlines()[0]
    assert first == "```counted: ''' / delete (x) 'm' / 'y'  t  (high)"


GPT = {"model": "GPT-4o"}
TEXTS = st.text('aB1.-_:@/% "\\ß\u212a*', max_size=6)


@pytest.mark.parametrize(
    ("rule", "asked"),
    [
        (matching(GPT), "TERM(gpt-4o)"),
        (matching({"model|cased": "GPT-4o"}), "TERM(gpt-4o)"),
        (matching(GPT, product="OpenAI"), "TERM(openai) TERM(gpt-4o)"),
        (matching({"model": ["a", "b"], "user": "u"}), "(TERM(a) OR TERM(b)) TERM(u)"),
        (matching(GPT, {"user": "u", "project": "p"}, condition="a or b"), "(TERM(gpt-4o) OR (TERM(u) TERM(p)))"),
        (matching(GPT, {"user": "a", "project": "b c"}), "TERM(gpt-4o) TERM(a)"),
        # an alternative without a term, and what stands under NOT, ask for nothing
        (matching(GPT, {"user": "u x"}, condition="a or b"), ""),
        (matching(GPT, condition="not a"), ""),
        (matching({"model|neq": "GPT-4o"}), ""),
        # major breakers, what JSON may escape, breakers at an end, parts of a text, numbers, fields of time or metadata
        *((matching({"model": text}), "") for text in ("a b", "a--b", "a/b", "a%20b", "a\\b", "größe", "-a", "a.", "")),
        (matching({"model|cased": "4\u212a"}), ""),
        (matching({"model|startswith": "gpt"}), ""),
        (matching({"status_code": 404}), ""),
        (matching({"day": "2026-04-01"}), ""),
        (matching({"source": "litellm"}), ""),
    ],
)
def test_terms(rule: Document, asked: str) -> None:
    """The index is asked for whole texts without major breakers, never for less than what matches."""
    assert text("splunk", rule).splitlines()[3] == f'index=keytrip sourcetype="keytrip:usage" {asked}'.strip()


def test_terms_of_tables() -> None:
    """Each table of a correlation is asked for the terms of its own rules, if all of them have some."""
    audit = base({"a": {"action": "limit_raised"}, "condition": "a"}, category="ai_audit")
    other = document({"name": "other", **{part: matching(GPT).data[part] for part in ("logsource", "detection")}})
    third = document({"name": "third", "logsource": other.data["logsource"], "detection": base().data["detection"]})

    def asked(*bases: Document) -> str:
        rule = counted(group_by=())
        names = [one.name for one in bases]
        both = Document({**rule.data, "correlation": {**rule.data["correlation"], "rules": names}}, PATH, 1)
        return text("splunk", both, *bases).splitlines()[3]

    alone = 'index=keytrip sourcetype="keytrip:audit" TERM(limit_raised)'
    assert asked(audit) == alone
    types = 'index=keytrip ((sourcetype="keytrip:audit" TERM(limit_raised)) OR '
    assert asked(audit, other) == f'{types}(sourcetype="keytrip:usage" TERM(gpt-4o)))'
    assert asked(audit, other, third) == f'{types}sourcetype="keytrip:usage")'


@given(wanted=TEXTS, found=TEXTS, ascii_only=st.booleans())
def test_terms_only_narrow(wanted: str, found: str, *, ascii_only: bool) -> None:
    """Whatever a text is, an event that has it, in any case, is found by its term."""
    for value in (found, wanted, wanted.upper(), wanted.lower()):
        raw = json.dumps({"b": found, "model": value, "c": 1}, ensure_ascii=ascii_only)
        term = term_of(wanted)
        if term and value.lower() == wanted.lower():
            assert met(("term", term[5:-1]), {"_raw": raw})


def test_product_is_exact() -> None:
    """A logsource's product is compared as written."""
    assert condition("splunk", matching({"user": None}, product="OpenAI")).startswith(
        '(((isnotnull(provider)) AND (provider = "OpenAI")) AND'
    )


def test_plain_rule() -> None:
    """A plain rule returns its events with rule and level."""
    assert steps(matching({"user": None})) == ["where (isnull(user))", 'eval rule = "base", level = "high"']


@pytest.mark.parametrize(
    ("timespan", "expected"),
    [
        ("1d", "(floor(_time / 86400) * 86400)"),
        ("90m", "(floor(_time / 5400) * 5400)"),
        ("2w", "((floor((_time - 345600) / 1209600) * 1209600) + 345600)"),
    ],
)
def test_window(timespan: str, expected: str) -> None:
    """Windows are arithmetic on the epoch, weeks from a Monday; no `bin`, which follows the user's zone."""
    found = steps(counted(timespan=timespan))
    assert f"eval window_start = {expected}" in found
    assert not [step for step in found if step.startswith("bin ")]


def test_columns() -> None:
    """The result has the columns of SEMANTICS section 6, in its order."""
    blocks = [DAILY, {"table": "key_cost_daily", "exceeds": "max", "where": "days > 1"}]
    assert steps(counted(baseline=blocks))[-1] == (
        "table key_id window_start window_end value events first_seen last_seen baseline_mean "
        "baseline_key_cost_daily_max baseline_key_cost_daily_days rule level"
    )


def test_stats_before_lookup() -> None:
    """Rows are reduced and filtered before they are looked up, and nothing joins or runs a subsearch."""
    found = steps(counted(condition={"gte": 5}, baseline=DAILY))
    commands = [step.split()[0] for step in found]
    assert commands == ["where", "eval", "stats", "eval", "where", "lookup", "where", "eval", "eval", "table"]
    assert "where (value >= 5)" in found
    assert "lookup keytrip_key_requests_daily key_id OUTPUT mean as baseline_mean" in found


def test_excess_is_guarded() -> None:
    """Null columns and zero divisors are excluded in front, since max() of a null is not documented."""
    found = steps(counted(baseline={"table": "key_requests_daily", "exceeds": "max(mean, value / mad)"}))
    assert (
        "where ((isnotnull(tonumber(baseline_mean))) AND (isnotnull(tonumber(baseline_mad))) AND "
        "(tonumber(baseline_mad) != 0) AND (value > max(tonumber(baseline_mean), (value / tonumber(baseline_mad)))))"
    ) in found


def test_negated_where_is_two_valued() -> None:
    """Under `not`, a comparison with null is false, not null."""
    found = steps(counted(baseline={**DAILY, "where": "not (stddev == 0)"}))
    test = "(if((isnotnull(tonumber(baseline_stddev))), if((tonumber(baseline_stddev) = 0), 1, 0), 0) = 1)"
    assert f"(NOT {test})" in next(step for step in found if "NOT" in step)


def test_missing_fires() -> None:
    """`missing: fire` asks for a column that is there in every row of the lookup."""
    found = steps(counted(baseline={**DAILY, "missing": "fire"}))
    assert "lookup keytrip_key_requests_daily key_id OUTPUT mean as baseline_mean key_id as kt_found_0" in found
    assert [step for step in found if step.startswith("where ((isnull(kt_found_0)) OR (")]


def test_membership_survives_many_matches() -> None:
    """Absence and `requires` test a field for presence, so that several matching rows do no harm."""
    block = {"table": "key_models", "absent": True, "requires": "keys"}
    found = steps(counted(group_by=("key_id", "model"), baseline=block))
    assert found[-7:-3] == [
        "lookup keytrip_key_models key_id model OUTPUT key_id as kt_found_0",
        "where (isnull(kt_found_0))",
        "lookup keytrip_keys key_id OUTPUT key_id as kt_known_0",
        "where (isnotnull(kt_known_0))",
    ]


def test_share_keeps_nulls() -> None:
    """A share counts events without the member in its denominator, though `stats` drops rows without a by-field."""
    found = steps(counted(baseline={"table": "key_models", "absent": True, "share": {"gt": 0.5}}))
    assert 'eval kt_on_model = if((isnull(model)), "n", ("v".model))' in found
    assert "eval value = events, share = exact(kt_absent / events)" in found
    assert "where ((value >= 1) AND (share > 0.5))" in found


def test_percentile_interpolates() -> None:
    """Percentiles are made of ranks: Splunk's own take the nearest one."""
    found = "".join(steps(counted("value_percentile", {"field": "list_price", "gt": 1, "percentile": 95})))
    assert "sort 0 num(list_price)" in found
    assert "perc" not in found


def test_day_is_arithmetic() -> None:
    """The UTC date does not come from strftime, which follows the user's zone."""
    found = "".join(steps(counted(group_by=("day",))))
    assert "strftime" not in found
    assert "day = kt_day" in found


def test_money_is_rounded() -> None:
    """Sums of cost have nine decimals, and keep them when assigned."""
    found = steps(counted("value_sum", {"field": "cost_usd", "gt": 1}))
    assert "eval value = exact(round(value, 9))" in found


def test_refusals() -> None:
    """What SPL cannot say exactly is refused, with the targets that can."""
    leak = base({"a": {"timestamp|fieldref": "exposed_at"}, "condition": "a"}, category="ai_leak")
    assert "duckdb, spark and esql can" in compiled("splunk", leak).reason


def summarised(rule: Document, *bases: Document) -> Compiled:
    """Return what a rule becomes over the data model `keytrip`."""
    return compile_to("splunk", [rule], [rule, *(bases or (base(),))], (), {"data_model": "keytrip"})[0]


def test_data_model() -> None:
    """Over a data model the same rule begins with tstats, and adds up counts instead of events."""
    rule = counted("value_avg", {"field": "cost_usd", "gt": 1}, timespan="100m", baseline=DAILY)
    found = summarised(rule, matching({"model": "gpt*"})).text.splitlines()
    assert found[1] == "needs: data model keytrip with dataset usage, lookup keytrip_key_requests_daily"
    measures = "count as kt_count sum(usage.cost_usd) as kt_sum count(usage.cost_usd) as kt_number"
    times = "min(usage.event_time) as kt_first max(usage.event_time) as kt_last"
    tested = "(isnotnull('usage.model')) AND match(lower('usage.model'), \"^gpt\")"
    sums = "sum(kt_sum) as kt_sum sum(kt_number) as kt_number sum(kt_count) as events"
    assert found[3:8] == [
        f"| tstats {measures} {times} from datamodel=keytrip.usage by usage.key_id usage.model _time span=300s",
        f"| where ((isnotnull('usage.key_id')) AND ({tested}))",
        "| eval window_start = (floor(_time / 6000) * 6000), key_id = 'usage.key_id'",
        f"| stats {sums} min(kt_first) as first_seen max(kt_last) as last_seen by key_id window_start",
        "| eval value = exact(kt_sum / kt_number)",
    ]
    assert found[8:] == text("splunk", rule, matching({"model": "gpt*"})).splitlines()[7:]


@pytest.mark.parametrize(
    ("rule", "first", "reason"),
    [
        (matching({"user": None}), None, "it returns no events"),
        (counted(), matching({"user": "x"}, condition="not a"), "it leaves out events without user"),
        (counted(), matching({"user": None}), "it leaves out events without user"),
        (counted(), matching({"user": "x"}, {"project": "y"}, condition="a or b"), "it leaves out events without user"),
        (counted("value_count", {"field": "model", "gt": 1}), None, "it leaves out events without model"),
        (counted("value_median", {"field": "cost_usd", "gt": 1}), None, "value_median needs single events"),
        (counted("value_sum", {"field": "hour_of_day", "gt": 1}), None, "hour_of_day is no field"),
    ],
)
def test_data_model_refuses(rule: Document, first: Document | None, reason: str) -> None:
    """What tstats cannot say is refused, with the way out."""
    found = summarised(rule, first or base())
    assert not found.text
    assert f"tstats cannot say it: {reason}" in found.reason
    assert "without the option data_model" in found.reason


def test_data_model_of_tables() -> None:
    """A rule over two tables reads two datasets, which tstats does not; a temporal one needs single events."""
    audit = document(
        {
            "name": "audit",
            "logsource": {"category": "ai_audit"},
            "detection": {"a": {"action": "x"}, "condition": "a"},
        }
    )
    both = {**counted(group_by=()).data["correlation"], "rules": ["base", "audit"]}
    rule = document({"name": "both", "correlation": both})
    assert "it reads one dataset" in summarised(rule, base(), audit).reason
    pair = {"type": "temporal", "rules": ["base", "audit"], "timespan": "1h"}
    assert "temporal correlations" in summarised(document({"name": "pair", "correlation": pair}), base(), audit).reason


def test_options() -> None:
    """An option has to be one of the target's, and a data model's name has to be one."""
    with pytest.raises(UsageError, match="splunk has no option 'layout'"):
        compile_to("splunk", [base()], [base()], (), {"layout": "x"})
    found = compile_to("splunk", [counted()], [counted(), base()], (), {"data_model": "a b | delete"})[0]
    assert "cannot be a data model" in found.reason


def test_an_alert_beside_records() -> None:
    """Its events may differ in what the rule beside it asks, and what it counts may have to be made first."""
    inner = counted("value_count", {"field": "day", "gte": 1}, ())
    beside = {"type": "event_count", "rules": ["counted", "base"], "timespan": "1d", "condition": {"gte": 2}}
    outer = document({"name": "outer", "correlation": beside})
    found = text("splunk", outer, inner, base({"a": {"model": None}, "condition": "a"}))
    assert 'kt_c0 = if((kt_branch = "b01"), kt_c0, 0)' in found
    assert 0 < found.index("kt_day = ") < found.index("kt_x0 = ")
