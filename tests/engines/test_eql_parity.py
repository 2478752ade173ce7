"""EQL queries parse, and match just the events that DuckDB gives; no server here runs EQL, so a small machine does."""

from __future__ import annotations

import pytest
from compile.rules import compiled, counted, matching, text
from engines.eql_machine import matches, parsed
from engines.invented import field_rules, full_world
from engines.searches import compiled_pairs
from hypothesis import given
from hypothesis import strategies as st

from keytrip.compile.eql import quote_eql
from keytrip.export.layout import elastic_document


def test_every_field() -> None:
    """Every field of every table that the layout holds has a name that EQL reads, and is found under it."""
    world, rules = full_world(), [rule for rule in field_rules() if "detection" in rule.data]
    pairs, refused = compiled_pairs("eql", rules, rules)
    for rule, _, theirs in pairs:
        table = rule.data["logsource"]["category"].removeprefix("ai_")
        events = [elastic_document(record) for record in world.records(table)]
        assert sum(matches(parsed(theirs.text), event) for event in events) == 3, theirs.text
    assert {name.rpartition("hour_of_")[1] or name[-3:] for name in refused} == {"hour_of_", "day"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_text(value: str) -> None:
    """A literal is read back as the text that it was made of."""
    query = parsed(f"any where keytrip.model_raw == {quote_eql(value)}")
    assert matches(query, {"keytrip": {"model_raw": value}})


def test_query() -> None:
    """A query begins with comments: rule, needs, deviations."""
    assert text("eql", matching({"model|cased": "x"})).splitlines() == [
        "// base: A rule (high)",
        "// needs: data streams logs-keytrip.usage-*",
        "// deviations: times are cut to milliseconds",
        'any where gen_ai.request.model == "x"',
    ]


@pytest.mark.parametrize("target", ["eql", "lucene"])
def test_correlations_are_refused(target: str) -> None:
    """A correlation is refused with its rule, line, reason, and the targets that can."""
    found = compiled(target, counted(), matching({"user": None}))
    language = {"eql": "EQL", "lucene": "Lucene"}[target]
    assert found.reason == (
        f"made.yml:1: counted: {language} tests one event at a time: correlations are refused; "
        "esql, splunk, duckdb and spark can; opensearch without baselines"
    )
