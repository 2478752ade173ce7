"""What SEMANTICS section 2 refuses, every target refuses alike, and numbers are numbers however they are written."""

from __future__ import annotations

from typing import Any

import pytest
from compile.rules import base, compiled, condition, matching

from keytrip.compile.targets import TARGETS
from keytrip.compile.values import decimal_text, number_in


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ({"nothing": "x"}, "no field 'nothing' in usage records"),
        ({"model|gt": 5}, "model is text: gt on it is refused"),
        ({"cost_usd": "1*"}, "cost_usd is a double"),
        ({"cost_usd|re": "1"}, "cost_usd is a double"),
        ({"cost_usd|fieldref|startswith": "list_price"}, "a double has no text"),
        ({"cost_usd|fieldref": "model"}, "a double has no text"),
        ({"status_code|cidr": "10.0.0.0/8"}, "status_code is no text: cidr"),
        ({"model": True}, "no field is boolean"),
        ({"timestamp": "2026*"}, "timestamp is a time"),
        ({"timestamp|hour": 5}, "time-part modifiers are refused"),
        ({"timestamp|fieldref": "model"}, "a time compares with a time only"),
        ({"model|re": "(?=a)"}, "RE2 cannot"),
    ],
)
def test_refused(target: str, test: dict[str, Any], reason: str) -> None:
    """The reason names the field and what is wrong."""
    assert reason in compiled(target, matching(test)).reason


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_keywords_are_refused(target: str) -> None:
    """A keyword has no field to search."""
    assert "has no field to search" in compiled(target, base({"words": ["curl"], "condition": "words"})).reason


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("text", ["a and 1 of zz*", "a or not all of zz*", "1 of _*"])
def test_a_pattern_without_a_selection_is_refused(target: str, text: str) -> None:
    """It is not left out, which would change what the rest means."""
    reason = compiled(target, matching({"user": "x"}, condition=text)).reason
    assert reason.startswith("made.yml:1: base: no selection is called")
    assert reason.endswith("which its condition asks for; selections: a")


def test_an_integer_that_no_double_is() -> None:
    """SPL has doubles only, and would find the neighbours too."""
    rule = matching({"input_tokens": 2**53 + 1})
    assert "SPL takes 9007199254740993 for its neighbours" in compiled("splunk", rule).reason
    assert all(
        "9007199254740993" in condition(target, rule) for target in ("duckdb", "esql", "lucene", "opensearch", "spark")
    )


def test_two_integers_are_compared_with_all_their_digits() -> None:
    """Query DSL makes no doubles of them, which beyond 2^53 would be equal to their neighbours."""
    assert "(double)" not in condition("opensearch", matching({"input_tokens|fieldref": "output_tokens"}))
    assert "(double)" in condition("opensearch", matching({"input_tokens|fieldref": "cost_usd"}))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_number_or_its_text(target: str) -> None:
    """Equality on a number field is the same for 5 and for "5", and a mapped network holds no address."""
    assert condition(target, matching({"status_code": 5})) == condition(target, matching({"status_code": "5"}))
    never, mapped = {"status_code": "x"}, {"source_ip|cidr": "::ffff:10.0.0.0/104"}
    assert condition(target, matching(mapped)) == condition(target, matching(never))


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-5", -5), ("5.0", 5.0), ("1e3", 1000.0), *((t, None) for t in ("nan", "1_0", " 5", "1e999", "٣"))],
)
def test_number_in(text: str, number: float | None) -> None:
    """A number is what JSON or YAML would write; Python's own extras are text."""
    assert number_in(text) == number


@pytest.mark.parametrize(("number", "text"), [(5.0, "5"), (1e-7, "0.0000001"), (-0.25, "-0.25"), (1e9, "1000000000")])
def test_decimal_text(number: float, text: str) -> None:
    """No exponent is written, which not every engine reads."""
    assert decimal_text(number) == text


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_other_logsources_are_refused(target: str) -> None:
    """A logsource that looks like one of ours and is none has no canonical fields."""
    found = compiled(target, base({"a": {"Image": "x"}, "condition": "a"}, category="ai_nothing"))
    assert "logsource category 'ai_nothing' is none of ai_*" in found.reason
