"""Why a case failed: which events matched, what was computed, and the condition that did not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge import expressions as naive

from keytrip.errors import ContentError
from keytrip.hunt.casetest import run_cases
from keytrip.rules.evaluate import number_of, truth_of
from keytrip.rules.expression import parse_expression
from keytrip.rules.load import Document

PATH = Path("made.yml")
BASE: Mapping[str, Any] = {
    "title": "Any request",
    "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f01",
    "name": "base",
    "logsource": {"category": "ai_usage"},
    "detection": {
        "model": {"model|startswith": "gpt", "status_code": 200},
        "scanner": [{"source_net": "10.0.0.0/24"}],
        "condition": "model and not scanner",
    },
}
RULE: Mapping[str, Any] = {
    "title": "More than one",
    "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02",
    "name": "rule",
    "correlation": {
        "type": "event_count",
        "rules": ["base"],
        "group-by": ["key_id"],
        "timespan": "1d",
        "condition": {"gte": 2},
    },
}
EVENT: Mapping[str, Any] = {"timestamp": "2026-11-19T10:00:00Z", "key_id": "k", "model": "gpt-4o", "status_code": 200}


def report(
    *events: Mapping[str, Any], rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None, **changes: Any
) -> str:
    """Return the report of a case that expects an alert and gets none."""
    tests = [{"name": "hit", "fires": True, "events": [*events], "baseline": dict(rows or {})}]
    base = {**BASE, **changes.pop("base", {})}
    (result,) = run_cases([Document(base, PATH, 40), Document({**RULE, **changes, "tests": tests}, PATH, 1)])
    assert not result.passed
    return result.report


def test_the_nearest_event_says_what_does_not_hold() -> None:
    """Of events that do not match, the one that is closest is shown with each test of the selections."""
    found = report({**EVENT, "model": "claude"}, {**EVENT, "model": "claude", "status_code": 500})
    assert "  base matches no event\n    the nearest is event 1, of `model and not scanner`:\n" in found
    assert "      does not hold: model: model|startswith: gpt\n" in found
    assert "      does not hold: scanner: source_net: 10.0.0.0/24\n" in found
    assert "      holds: model: status_code: 200\n" in found
    assert found.endswith("  no window has events: each needs key_id")


def test_a_product_is_a_test_like_others() -> None:
    """A rule of one provider does not match another's records, and that is said."""
    source = {"logsource": {"category": "ai_usage", "product": "openai"}}
    found = report({**EVENT, "provider": "anthropic"}, base=source)
    assert "      does not hold: product: openai\n" in found
    assert "      holds: model: model|startswith: gpt\n" in found


def test_matching_events_are_numbered() -> None:
    """The numbers are those of the list above them."""
    found = report(EVENT, {**EVENT, "model": "claude"}, {**EVENT, "key_id": "other"})
    assert "  base matches events 1, 3\n" in found
    assert found.count("    does not hold: value >= 2 (value is 1)") == 2


def test_a_plain_rule_is_its_own_base() -> None:
    """A rule without a correlation says what its event lacks."""
    plain = {**BASE, "tests": [{"name": "hit", "fires": True, "events": [{**EVENT, "status_code": 500}]}]}
    (result,) = run_cases([Document(plain, PATH, 1)])
    assert "      does not hold: model: status_code: 200" in result.report


BLOCKS: Mapping[str, tuple[Any, Mapping[str, Any], list[str]]] = {
    "a bound": (
        {"table": "key_requests_daily", "exceeds": "mean * factor", "where": "days >= 7 and not mad > 3"},
        {"key_requests_daily": [{"key_id": "k", "mean": 2, "days": 6, "mad": 4}]},
        [
            "does not hold: days >= 7",
            "does not hold: not mad > 3",
            "does not hold: value > mean * factor (2 > 6)",
            "holds: value >= 2 (value is 2)",
        ],
    ),
    "a null in a bound": (
        {"table": "key_requests_daily", "exceeds": "mean / (days - 6)"},
        {"key_requests_daily": [{"key_id": "k", "mean": 2, "days": 6}]},
        ["does not hold: value > mean / (days - 6) (2 > null)"],
    ),
    "no row": (
        {"table": "key_requests_daily", "exceeds": "mean"},
        {},
        ["does not hold: key_requests_daily has a row for the group"],
    ),
    "known": (
        {"table": "keys", "absent": True},
        {"keys": [{"key_id": "k"}]},
        ["does not hold: key_id is not in keys"],
    ),
    "nobody that is required": (
        {"table": "key_models", "on": ["key_id", "model"], "absent": True, "requires": "keys", "share": {"gt": 0.5}},
        {"key_models": [{"key_id": "k", "model": "gpt-4o"}]},
        ["does not hold: key_id is in keys", "does not hold: share > 0.5 (share is 0.0)"],
    ),
    "a second block": (
        [{"table": "keys", "absent": True}, {"table": "key_requests_daily", "exceeds": "mean", "where": "days > 1"}],
        {"key_requests_daily": [{"key_id": "k", "mean": 5, "days": 2}]},
        ["does not hold: value > mean (2 > 5)", "holds: days > 1", "holds: key_id is not in keys"],
    ),
}


@pytest.mark.parametrize("kind", BLOCKS)
def test_each_part_of_a_block_is_judged(kind: str) -> None:
    """A group's line is followed by what holds of it and what does not, with the numbers."""
    block, rows, lines = BLOCKS[kind]
    parameters = {"factor": {"default": 3, "why": "three"}}
    found = report(EVENT, EVENT, rows=rows, baseline=block, parameters=parameters)
    assert [line for line in lines if f"    {line}" not in found.splitlines()] == [], found


def test_what_cannot_be_tried_shows_its_events_alone() -> None:
    """A value that has not its field's type is said, and nothing is computed from it."""
    found = report({**EVENT, "status_code": "many"})
    assert "Conversion Error" in found
    assert found.endswith("status_code=many")


def test_long_lists_are_cut() -> None:
    """Of many events and groups the first are shown, and how many more there are."""
    found = report(*({**EVENT, "key_id": f"k{n}"} for n in range(30)))
    assert "    and 10 more\n" in found
    assert found.endswith("  and 25 more groups")


_NAMES = ("a", "b", "value")
_ARITHMETIC = st.recursive(
    st.sampled_from([*_NAMES, "2", "0", "0.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"abs({text})"),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
    ),
    max_leaves=5,
)
_LOGIC = st.recursive(
    st.tuples(_ARITHMETIC, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _ARITHMETIC).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"(not {text})"),
    ),
    max_leaves=3,
)
_COLUMNS = st.fixed_dictionaries({name: st.none() | st.integers(-3, 3).map(float) for name in _NAMES})


@given(_ARITHMETIC, _COLUMNS)
def test_arithmetic_is_the_judges(text: str, columns: Mapping[str, float | None]) -> None:
    """What is shown for a bound is what SEMANTICS says: null where a part is null or a division is by zero."""
    assert number_of(parse_expression(text), columns) == naive.arithmetic(naive.parse(text), columns)


@given(_LOGIC, _COLUMNS)
def test_conditions_are_the_judges(text: str, columns: Mapping[str, float | None]) -> None:
    """A comparison with null is false, and what is made of it two-valued."""
    assert truth_of(parse_expression(text, logic=True), columns) == naive.logic(naive.parse(text), columns)


def test_numbers_and_conditions_do_not_mix() -> None:
    """The one is no answer where the other was asked for."""
    with pytest.raises(ContentError, match="where a number belongs"):
        number_of(parse_expression("a > 1", logic=True), {})
    with pytest.raises(ContentError, match="where a condition belongs"):
        truth_of(parse_expression("a + 1"), {})
