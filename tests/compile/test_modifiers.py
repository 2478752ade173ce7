"""Placeholders and encodings mean what Sigma's specification says, for any text."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from compile.rules import condition, matching
from hypothesis import given
from hypothesis import strategies as st
from sigma.types import SigmaString

from keytrip.compile.modifiers import prepared
from keytrip.errors import ContentError
from keytrip.rules.load import Document

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="*?\\"), min_size=1, max_size=8)
VARIABLES = {"one": ["a"], "two": ["x*", "y"], "ports": [1, 22], "nets": ["10.0.0.0/8", "::1/128"], "pct": ["%one%"]}


def selection(test: dict[str, Any]) -> dict[str, Any]:
    """Return a selection as pySigma gets it."""
    detection = {"a": test, "condition": "a"}
    data = {"name": "made", "logsource": {"category": "ai_usage"}, "detection": detection}
    document = Document(data, Path("made.yml"), 3, VARIABLES)
    found: dict[str, Any] = prepared(document)["detection"]["a"]
    return found


@pytest.mark.parametrize(
    ("test", "wanted"),
    [
        ({"user|expand": "%one%"}, {"user": "a"}),
        ({"user|expand": "%two%"}, {"user": ["x*", "y"]}),
        ({"user|expand|contains": "%one%-%two%"}, {"user|contains": ["a-x*", "a-y"]}),
        ({"user|contains|expand": ["b", "%two%"]}, {"user|contains": ["b", "x*", "y"]}),
        ({"status_code|expand": "%ports%"}, {"status_code": [1, 22]}),
        ({"status_code|gte|expand": "%one%0"}, {"status_code|gte": "a0"}),
        ({"source_ip|cidr|expand": "%nets%"}, {"source_ip|cidr": ["10.0.0.0/8", "::1/128"]}),
        ({"user|re|expand": "^%one%$"}, {"user|re": "^a$"}),
        ({"user|expand": "100\\%one%"}, {"user": "100%one%"}),
        ({"user|expand": "%pct%"}, {"user": "%one%"}),
        ({"user|expand": [None, 5]}, {"user": [None, 5]}),
        ({"status_code|gt": "400"}, {"status_code|gt": 400}),
        ({"user|utf16le": "a"}, {"user|wide": "a"}),
        ({"user": "%one%"}, {"user": "%one%"}),
        ({"input_tokens": 2**53 + 1}, {"input_tokens": "9007199254740993"}),
        ({"input_tokens|gt": 2**60 + 256}, {"input_tokens|gt": 2**60 + 256}),
        ({"model": [1.0, 5, 1.5]}, {"model": ["1.0", 5, 1.5]}),
        ({"day": [date(2026, 4, 1), None]}, {"day": ["2026-04-01", None]}),
        ({"status_code|startswith": [4, "5"]}, {"status_code|startswith": ["4", "5"]}),
        ({"user|neq": [None, 5]}, {"user|neq": [None, 5]}),
        ({"user|startswith|fieldref|cased": "model"}, {"user|cased|fieldref|startswith": "model"}),
        ({"user|re": r"^a\z"}, {"user|re": r"^a(?-m:$)"}),
    ],
    ids=str,
)
def test_values(test: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Placeholders become their values, each combination once; whole values keep their type."""
    assert selection(test) == wanted


@pytest.mark.parametrize(
    ("test", "problem"),
    [
        ({"user|expand": "%nobody%"}, "user|expand: placeholder %nobody% has no values; set it in"),
        ({"user|contains": [None, "a"]}, "user|contains: null beside a modifier; write `user: null` in a selection"),
        (
            {"input_tokens|gt": 2**53 + 1},
            "input_tokens|gt: no double is the integer 9007199254740993; compare with a multiple of 2",
        ),
        (
            {"input_tokens|lte": str(-(2**60) - 1)},
            "no double is the integer -1152921504606846977; compare with a multiple of 256",
        ),
        ({"user|base64": "a*"}, "a text with wildcards has no base64"),
        ({"user|base64offset|contains|all": ["a", "b"]}, "`all` of several texts in base64offset"),
        ({"user|contains": []}, "user|contains: an empty list beside a modifier; write `user: null`"),
        ({"user|re|startswith": "a"}, "`startswith` beside `re`"),
        ({"user|cased|re": "a"}, "`cased` beside `re`"),
    ],
    ids=str,
)
def test_refused(test: dict[str, Any], problem: str) -> None:
    """What has no meaning is refused with the rule's place."""
    with pytest.raises(ContentError) as raised:
        selection(test)
    assert str(raised.value).startswith("made.yml:3: made: ")
    assert problem in str(raised.value)


def test_two_tests_of_one_key_both_hold() -> None:
    """What only modifiers told apart stays two tests."""
    both = matching({"user|contains": "a", "user|base64|contains": "b", "user|base64offset|contains": "cde"})
    text = condition("duckdb", both)
    assert all(part in text for part in ("%a%", "%yg==%", "%y2rl%"))


def test_rules_of_other_logsources_are_left_as_they_are() -> None:
    """The backends of pySigma settle what a modifier means there."""
    test = {"user|re|startswith": "[[a]", "user|startswith": []}
    data = {"name": "made", "logsource": {"category": "process_creation"}, "detection": {"a": test, "condition": "a"}}
    assert prepared(Document(data, Path("made.yml"), 1))["detection"]["a"] == test


@pytest.mark.parametrize("target", ["duckdb", "esql", "opensearch", "spark", "splunk"])
def test_a_reference_may_mind_case(target: str) -> None:
    """`cased` before or after `fieldref`, for one field or several, compares as written."""
    cased = condition(target, matching({"user|cased|fieldref": "model"}))
    assert cased == condition(target, matching({"user|fieldref|cased": "model"}))
    assert "lower" not in cased.lower()
    assert "lower" in condition(target, matching({"user|fieldref": "model"})).lower()
    both = condition(target, matching({"user|cased|fieldref|endswith": ["model", "project"]}))
    assert "lower" not in both.lower()


@given(text=TEXTS)
def test_base64_decodes_to_the_text(text: str) -> None:
    """base64 of each encoding is that of its bytes: UTF-8, UTF-16 in either order, `utf16` with its mark."""
    found = {m: selection({f"user|{m}base64": text})["user"] for m in ("", "wide|", "utf16|", "utf16le|", "utf16be|")}
    read = {m: b64decode(value) for m, value in found.items()}
    little = text.encode("utf-16-le")
    assert read == {
        "": text.encode(),
        "wide|": little,
        "utf16|": b"\xff\xfe" + little,
        "utf16le|": little,
        "utf16be|": text.encode("utf-16-be"),
    }


@given(text=TEXTS, before=st.binary(max_size=4), after=st.binary(max_size=4))
def test_base64offset_is_found_at_every_offset(text: str, before: bytes, after: bytes) -> None:
    """Whatever stands around a text, its base64 holds one of the three forms."""
    forms = selection({"user|base64offset|contains": text})["user|contains"]
    whole = b64encode(before + text.encode() + after).decode()
    assert forms[len(before) % 3] in whole


def test_escaped_signs_are_encoded_as_themselves() -> None:
    r"""`\*` is a star, also in base64."""
    assert selection({"user|base64": "a\\*"}) == {"user": b64encode(b"a*").decode()}


def test_ascii_is_encoded_as_pysigma_does() -> None:
    """For ASCII our forms are those that stock pySigma makes."""
    ours = selection({"user|wide|base64offset|contains": "token"})["user|contains"]
    assert [str(SigmaString(text)) for text in ours] == ["dABvAGsAZQBuA", "QAbwBrAGUAbg", "0AG8AawBlAG4A"]


@pytest.mark.parametrize("target", ["duckdb", "esql", "splunk"])
def test_a_list_of_values_is_an_or(target: str) -> None:
    """Three forms of base64offset are alternatives, also under a negation."""
    assert condition(target, matching({"user|base64offset|contains": "abc"})) == condition(
        target, matching({"user|contains": ["YWJj", "FiY", "hYm"]})
    )


@pytest.mark.parametrize("target", ["duckdb", "esql", "splunk"])
def test_a_number_beside_a_text_field_is_the_text_of_it(target: str) -> None:
    """`1.0` without quotes is the text `1.0`, and beside a number field the number."""
    assert condition(target, matching({"model": 1.0})) == condition(target, matching({"model": "1.0"}))
    assert condition(target, matching({"status_code": 5.0})) == condition(target, matching({"status_code": 5}))
