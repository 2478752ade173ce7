"""The rules' own cases pass, and the runner tells when one does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from keytrip.errors import ContentError
from keytrip.hunt.casetest import CaseResult, run_cases
from keytrip.rules.cases import Case, cases_of
from keytrip.rules.load import Document, alerting, load_rules

RULES = load_rules()
PATH = Path("made.yml")
BASE: Mapping[str, Any] = {
    "title": "Any request",
    "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f01",
    "name": "made_events",
    "logsource": {"category": "ai_usage"},
    "detection": {"selection": {"key_id|exists": True}, "condition": "selection"},
}
RULE: Mapping[str, Any] = {
    "title": "Above the mean",
    "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02",
    "name": "made",
    "level": "low",
    "correlation": {
        "type": "value_sum",
        "rules": ["made_events"],
        "group-by": ["key_id"],
        "timespan": "1d",
        "condition": {"field": "request_count", "gt": 2.5},
    },
    "baseline": {"table": "key_requests_daily", "exceeds": "mean"},
}
EVENT: Mapping[str, Any] = {"timestamp": "2026-11-19T10:00:00Z", "key_id": "key_a", "request_count": 9}
ROW: Mapping[str, Any] = {"key_id": "key_a", "mean": 5}


def case(name: str = "a case", *, fires: object = True, **changes: object) -> dict[str, Any]:
    """Return a case that passes, but for what is changed."""
    return {"name": name, "fires": fires, "events": [EVENT], "baseline": {"key_requests_daily": [ROW]}, **changes}


def tried(*tests: object, **changes: object) -> list[CaseResult]:
    """Return how the tests of a made rule go."""
    rule = Document({**RULE, "tests": list(tests), **changes}, PATH, 1)
    return run_cases([Document(BASE, PATH, 40), rule])


def failures(results: Sequence[CaseResult]) -> str:
    """Return the reports of all failed cases."""
    return "\n".join(result.report for result in results if not result.passed)


def flipped(rule: Document) -> Document:
    """Return a rule whose every case expects the contrary, or one alert too many."""
    tests = [{**test, "fires": _contrary(test["fires"])} for test in rule.data.get("tests") or []]
    return Document({**rule.data, "tests": tests}, rule.path, rule.line)


def _contrary(fires: bool | int) -> bool | int:  # noqa: FBT001 - what `fires` holds
    return not fires if isinstance(fires, bool) else fires + 1


def test_every_case_of_every_shipped_rule_passes() -> None:
    """What a rule's file says about its own events is what DuckDB says."""
    results = run_cases(RULES)
    assert len(results) == sum(len(cases_of(rule)) for rule in RULES)
    assert not failures(results)


def test_every_case_of_every_shipped_rule_can_fail() -> None:
    """No case passes whatever is expected of it, and each failure names its case."""
    results = run_cases([flipped(rule) for rule in RULES])
    assert [result for result in results if result.passed] == []
    assert all(repr(result.case) in result.report for result in results)


@pytest.mark.parametrize("rule", alerting(RULES), ids=lambda rule: rule.name)
def test_each_alerting_rule_has_a_hit_and_a_near_miss(rule: Document) -> None:
    """Each rule shows a case in which it fires and one in which it does not."""
    assert {found.hit for found in cases_of(rule)} == {True, False}


def test_cases_do_not_see_each_other() -> None:
    """Rows of one case are gone in the next, whatever the order."""
    alone = [{**case("without rows", fires=False), "baseline": {}}, case("with rows"), case("again")]
    assert not failures(tried(*alone))
    assert not failures(tried(*reversed(alone)))


def test_a_number_expects_that_many_alerts() -> None:
    """`fires: 1` is neither two nor none."""
    other = {**EVENT, "timestamp": "2026-11-20T10:00:00Z"}
    results = tried(
        case("one", fires=1),
        case("two", fires=2, events=[EVENT, other]),
        case("too many", fires=1, events=[EVENT, other]),
        case("too few", fires=2),
    )
    assert [result.passed for result in results] == [True, True, False, False]
    assert "expected 1 alert, got 2" in results[2].report
    assert "expected 2 alerts, got 1" in results[3].report


def test_a_failure_shows_events_rows_and_what_did_not_hold() -> None:
    """The report holds all that is needed to see why, down to the two numbers that were compared."""
    (result,) = tried(case("five is not above five", events=[{**EVENT, "request_count": 5}]))
    window = "window_start=2026-11-19 00:00:00, window_end=2026-11-20 00:00:00"
    seen = "first_seen=2026-11-19 10:00:00, last_seen=2026-11-19 10:00:00"
    assert result.report.splitlines() == [
        "made.yml:1: made: test 'five is not above five': expected an alert, got none",
        "  usage records:",
        "    1: timestamp=2026-11-19T10:00:00Z, key_id=key_a, request_count=5",
        "  key_requests_daily:",
        "    key_id=key_a, mean=5",
        "  made_events matches event 1",
        f"  key_id=key_a, {window}, value=5, events=1, {seen}, baseline_mean=5.0",
        "    does not hold: value > mean (5 > 5)",
        "    holds: value > 2.5 (value is 5)",
    ]


def test_the_static_floor_keeps_its_fraction() -> None:
    """A floor of 2.5 is neither 2 nor 3."""
    rows = {"key_requests_daily": [{"key_id": "key_a", "mean": 0}]}
    two, three = ([{**EVENT, "request_count": number}] for number in (2, 3))
    assert not failures(tried(case("below", fires=False, events=two, baseline=rows), case(events=three, baseline=rows)))


def test_records_of_one_id_are_one() -> None:
    """As in a hunt: of one source and request_id the earliest counts; without an id none is a duplicate."""
    later = {**EVENT, "timestamp": "2026-11-19T11:00:00Z", "request_count": 4}
    same, other = {"request_id": "r", "source": "s"}, {"request_id": "r", "source": "t"}
    undated = {**EVENT, **same, "timestamp": "never", "request_count": 9}
    rows = {"key_requests_daily": [{"key_id": "key_a", "mean": EVENT["request_count"]}]}

    def of(name: str, first: Mapping[str, Any], second: Mapping[str, Any], *, fires: bool) -> dict[str, Any]:
        return case(name, fires=fires, events=[{**later, **first}, {**EVENT, **second}, undated], baseline=rows)

    assert not failures(
        tried(
            of("the earliest", same, same, fires=False),
            of("two sources", same, other, fires=True),
            of("without an id", {}, {}, fires=True),
        )
    )


def test_times_may_be_unquoted() -> None:
    """A time that YAML already read means the same as its text, and one that is none leaves the event undated."""
    aware = Case.model_validate({"name": "x", "fires": True, "events": [{"timestamp": "2026-11-19T23:30:00-01:00"}]})
    assert aware.events[0]["timestamp"] == "2026-11-19T23:30:00-01:00"
    text = "tests: [{name: x, fires: false, events: [{timestamp: 2026-11-19T10:00:00Z}]}]"
    (read,) = cases_of(Document(_yaml(text), PATH, 1))
    assert read.events[0]["timestamp"] == "2026-11-19T10:00:00+00:00"
    assert not failures(tried(case("undated", fires=False, events=[{**EVENT, "timestamp": "yesterday"}])))


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"events": [{**EVENT, "key": "key_a"}]}, "usage has no column 'key'"),
        ({"events": [{**EVENT, "hour_of_day": 3}]}, "usage has no column 'hour_of_day'"),
        ({"baseline": {"key_requests": [ROW]}}, "no job makes the table 'key_requests'"),
        ({"baseline": {"key_requests_daily": [{**ROW, "average": 5}]}}, "key_requests_daily has no column 'average'"),
        ({"events": [{**EVENT, "request_count": "many"}]}, "Conversion Error"),
    ],
)
def test_a_case_that_cannot_be_loaded_fails_alone(changes: Mapping[str, Any], problem: str) -> None:
    """A wrong column, table or value is said, with the case's name, and the next case runs."""
    wrong, right = tried(case("wrong", **changes), case("right"))
    assert wrong.report.startswith("made.yml:1: made: test 'wrong': ")
    assert problem in wrong.report
    assert right.passed


@pytest.mark.parametrize(
    ("tests", "problem"),
    [
        ({"name": "x"}, "`tests` is no list"),
        ([{"name": "x", "events": []}], "test 1: fires: Field required"),
        ([{"name": "x", "fires": "yes", "events": []}], "test 1: fires"),
        ([{"name": "x", "fires": -1, "events": []}], "test 1: fires"),
        ([case("x"), case("x")], "two tests are called 'x'"),
        (["x"], "test 1: "),
        ([{**case(), "event": []}], "test 1: event: Extra inputs are not permitted"),
    ],
)
def test_cases_of_another_shape_are_refused(tests: object, problem: str) -> None:
    """What is no case is said with the rule's place, by the parser and by the runner."""
    rule = Document({**RULE, "tests": tests}, PATH, 7)
    with pytest.raises(ContentError) as caught:
        cases_of(rule)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("made.yml:7: made: ")
    results = run_cases([Document(BASE, PATH, 40), rule])
    assert [(result.passed, result.report) for result in results] == [(False, str(caught.value))]


def test_a_rule_that_cannot_be_compiled_stops_no_other() -> None:
    """The reason is reported once for the rule, and the other rules are tried."""
    broken = {**RULE, "name": "broken", "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f03", "tests": [case(), case("y")]}
    broken["baseline"] = {"table": "no_such_table", "exceeds": "mean"}
    good = Document({**RULE, "tests": [case()]}, PATH, 1)
    results = run_cases([Document(BASE, PATH, 40), Document(broken, PATH, 20), good])
    assert [(result.rule, result.passed) for result in results] == [("broken", False), ("made", True)]
    assert "no_such_table" in results[0].report


def test_a_rule_without_tests_gives_no_result() -> None:
    """Tests are demanded by `keytrip check`, not by the runner."""
    assert tried() == []


def chained(category: str) -> list[CaseResult]:
    """Return how the case of a rule over usage and audit records goes, its second event one of `category`."""
    raised = {
        **BASE,
        "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f03",
        "name": "made_raised",
        "logsource": {"category": "ai_audit"},
        "detection": {"selection": {"action": "spend_limit.raised"}, "condition": "selection"},
    }
    act = {"timestamp": "2026-11-19T09:30:00Z", "target_key_id": "key_a", "action": "spend_limit.raised"}
    case = {"name": "raised, then used", "fires": 1, "events": [EVENT, {**act, "category": category}]}
    chain = {
        "type": "temporal_ordered",
        "rules": ["made_raised", "made_events"],
        "aliases": {"key_id": {"made_raised": "target_key_id"}},
        "group-by": ["key_id"],
        "timespan": "1h",
    }
    rule = {**{k: v for k, v in RULE.items() if k != "baseline"}, "correlation": chain, "tests": [case]}
    return run_cases([Document(data, PATH, 1) for data in (BASE, raised, rule)])


def test_events_of_several_tables() -> None:
    """An event says by `category` which records it is one of, where a rule reads several."""
    assert [result.passed for result in chained("ai_audit")] == [True]


def test_events_of_no_table_of_the_rule() -> None:
    """A category that the rule does not read is a failure that says which ones it reads."""
    (result,) = chained("ai_leak")
    assert not result.passed
    assert "'ai_leak', which the rule does not read" in result.report
    assert "ai_audit, ai_usage" in result.report
