"""Parameters as macros of SPL: text against text, no Splunk is used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from compile.rules import base, counted
from hypothesis import given, settings
from hypothesis import strategies as st

from keytrip.compile.scheduled import scheduled_for
from keytrip.compile.splunk_parameters import with_macros
from keytrip.compile.targets import backend_of, compile_one
from keytrip.rules.load import Document, alerting, load_rules
from keytrip.rules.packs import Setting, with_settings
from keytrip.rules.selection import Selection, choose

DOCUMENTS = load_rules(())
RULES = {one.name: one for one in choose(alerting(DOCUMENTS), Selection(("*",))) if one.data.get("parameters")}


def write(document: Document, documents: Sequence[Document]) -> str:
    """A rule's SPL."""
    return compile_one("splunk", document, documents, backend_of("splunk")).text


def filled(text: str, numbers: Mapping[str, object]) -> str:
    """The text as Splunk reads it: each macro is its definition."""
    return re.sub("`(\\w+)`", lambda call: str(numbers[call[1]]), text)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_parameter_is_a_macro(name: str) -> None:
    """Each one of ours is, and with the defaults the text is the one without macros."""
    rule = RULES[name]
    text = write(rule, DOCUMENTS)
    found, parameters = with_macros(text, rule, DOCUMENTS, write)
    assert {one.name for one in parameters} == set(rule.data["parameters"])
    assert all(float(one.default) == rule.data["parameters"][one.name]["default"] for one in parameters)
    assert found != text
    assert filled(found, {one.macro: one.default for one in parameters}) == text


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_another_number_means_what_a_pack_would_say(data: st.DataObject) -> None:
    """A user who changes macros gets the search that the same numbers in a pack make."""
    rule = RULES[data.draw(st.sampled_from(sorted(RULES)))]
    found, parameters = with_macros(write(rule, DOCUMENTS), rule, DOCUMENTS, write)
    numbers = {one.name: data.draw(st.integers(2, 10_000), label=one.name) for one in parameters}
    other = with_settings(DOCUMENTS, [Setting(rule.name, n, v, rule.place) for n, v in numbers.items()])
    changed = next(one for one in other if one.name == rule.name)
    assert filled(found, {one.macro: numbers[one.name] for one in parameters}) == write(changed, other)


def test_a_parameter_whose_number_is_not_in_the_text_stays_one() -> None:
    """A negative number is written otherwise, and a name of another macro is left alone; the others are macros."""
    declared: dict[str, Any] = {
        "below": {"default": -2, "why": "x"},
        "floor": {"at": "correlation.condition.gt", "default": 7, "why": "x"},
    }
    block = {"table": "key_cost_daily", "exceeds": "mean + below"}
    rule = counted("value_sum", {"field": "cost_usd", "gt": 7}, baseline=block, parameters=declared)
    documents = [base(), rule]
    text = write(rule, documents)
    assert text
    found, parameters = with_macros(text, rule, documents, write)
    assert [one.name for one in parameters] == ["floor"]
    assert filled(found, {f"{rule.name}_floor": 7}) == text
    named = Document({**rule.data, "parameters": {"filter": declared["floor"]}}, rule.path, rule.line)
    assert with_macros(text, named, [base(), named], write) == (text, ())


def test_searches_name_the_macros() -> None:
    """The exporter's facts have the macros, and the search that names them; other targets have none."""
    chosen = choose(alerting(DOCUMENTS), Selection(("key_cost_robust",)))
    (found,) = scheduled_for(("splunk",), chosen, DOCUMENTS)
    assert "`key_cost_robust_floor`" in found.facts["settings"]["search"]
    assert "`" not in found.facts["text"].replace("```", "")
    assert found.facts["parameters"][0]["macro"] == "key_cost_robust_floor"
    (found,) = scheduled_for(("esql",), chosen, DOCUMENTS)
    assert found.facts["parameters"] == []
