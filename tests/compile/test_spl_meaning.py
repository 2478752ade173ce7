"""Compiled SPL, read as Splunk's documentation describes it, gives the alerts that DuckDB gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from compile.rules import document
from engines.invented import BASES, INNER, correlations, invented_world, plain_rules
from engines.spl_machine import indexed, run
from engines.worlds import World, in_order

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.combined import compile_combined
from keytrip.compile.targets import compile_to
from keytrip.export.layout import lookup_name, splunk_event, splunk_lookup_rows
from keytrip.records.sql import quote_name
from keytrip.rules.load import Document

KEY = ["key_id"]
_TIMES = ("window_start", "window_end", "first_seen", "last_seen")


def events_of(world: World) -> list[dict[str, Any]]:
    """Return the usage events as Splunk holds them."""
    return indexed(splunk_event("usage", record) for record in world.records("usage"))


def lookups_of(world: World) -> dict[str, list[dict[str, Any]]]:
    """Return the lookups as Splunk holds them."""
    tables = {name: world.rows(f"select * from {quote_name(name)}") for name in load_jobs()}
    return {lookup_name(name): list(splunk_lookup_rows(rows)) for name, rows in tables.items()}


def dated(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with times in place of seconds."""
    times = {name: datetime.fromtimestamp(float(row[name]), UTC).replace(tzinfo=None) for name in _TIMES if name in row}
    return {**row, **times}


def differing(
    world: World, rules: Sequence[Document], bases: Sequence[Document] = (), **options: str
) -> tuple[dict[str, object], int]:
    """Return rule -> (DuckDB's answer, SPL's) where they differ, and the number of alerts.

    With options, rules that are refused are left out.
    """
    found: dict[str, object] = {}
    alerts = 0
    lookups, events = lookups_of(world), events_of(world)
    documents = [*BASES, INNER, *bases, *rules]
    texts = [compile_to("duckdb", rules, documents), compile_to("splunk", rules, documents, (), options)]
    for rule, ours, theirs in zip(rules, *texts, strict=True):
        assert options or not theirs.reason
        if theirs.reason:
            assert "tstats cannot say it: " in theirs.reason
            continue
        expected, answer = in_order(world.rows(ours.text)), run(theirs.text, events, lookups)
        if "correlation" in rule.data:
            answer = in_order(dated(row) for row in answer)
        else:
            expected, answer = (in_order({"id": row["request_id"]} for row in rows) for rows in (expected, answer))
        alerts += len(expected)
        if expected != answer:
            found[f"{rule.name} {theirs.text}"] = (expected[:1], answer[:1], len(expected), len(answer))
    return found, alerts


def test_data_model() -> None:
    """What tstats can say of the same correlations over an accelerated data model gives the same alerts."""
    found, alerts = differing(invented_world(12, 300), list(correlations()), data_model="keytrip")
    assert not found
    assert alerts > 1000


def test_data_model_conditions() -> None:
    """Whatever a condition tests, tstats leaves out no event that meets it, or the rule is refused."""
    bases = list(plain_rules())
    rules = [counting(base) for base in bases]
    found, alerts = differing(invented_world(11, 100), rules, bases, data_model="keytrip")
    assert not found
    assert alerts > 1000


def counting(base: Document) -> Document:
    """Return a correlation that counts a rule's events by key and hour."""
    correlation = {"type": "event_count", "rules": [base.name], "group-by": ["key_id"], "timespan": "1h"}
    return document({"name": f"of_{base.name}", "correlation": {**correlation, "condition": {"gte": 1}}})


@pytest.mark.parametrize("seed", [15])
def test_combined(seed: int) -> None:
    """Rules that share a search give in one pass the alerts that each gives alone, and no column of another rule."""
    world = invented_world(seed, 300)
    bases = [one for one in plain_rules() if one.name.startswith("is_")][:12]
    rules = [*correlations(), *(counting(base) for base in bases)]
    documents = [*BASES, INNER, *bases, *rules]
    lookups, events = lookups_of(world), events_of(world)
    shared = [one for one in compile_combined(rules, documents) if one.shared]
    assert len(shared) >= 34
    answers = {text: [dated(row) for row in run(text, events, lookups)] for text in {one.text for one in shared}}
    assert len(answers) < 8
    assert sum(map(len, answers.values())) > 1000
    ours = {one.rule: one.text for one in compile_to("duckdb", rules, documents)}
    found: dict[str, object] = {}
    for one in shared:
        expected = in_order(world.rows(ours[one.rule]))
        rows = [row for row in answers[one.text] if row["rule"] == one.rule]
        named = set(expected[0]) if expected else set()
        answer = in_order({name: value for name, value in row.items() if name in named} for row in rows)
        others = {name for row in rows for name, value in row.items() if value is not None and name not in named}
        if expected != answer or others:
            found[f"{one.rule} {one.text}"] = (expected[:1], answer[:1], len(expected), len(answer), others)
    assert not found


def mixtures() -> Iterator[Document]:
    """Yield correlations over the alerts of `inner` and `many`, beside each other and beside records."""
    many = {"type": "value_sum", "rules": ["other"], "group-by": ["key_id", "hour_of_day"], "timespan": "6h"}
    yield document({"name": "many", "correlation": {**many, "condition": {"field": "cost_usd", "gt": 1}}})
    counts = {"type": "event_count", "timespan": "2d", "condition": {"gte": 2}}
    pair = {"type": "temporal", "timespan": "12h", "group-by": ["key_id"]}
    for number, (correlation, rules, group) in enumerate(
        (
            (counts, ["inner", "many"], KEY),
            (counts, ["inner", "base"], ["key_id", "agent_family"]),
            (counts, ["base", "many"], ["hour_of_day"]),
            (
                {**counts, "type": "value_count", "condition": {"field": "model", "gte": 2}},
                ["other", "inner"],
                ["key_id"],
            ),
            (pair, ["inner", "other"], KEY),
            (pair, ["many", "inner", "other"], ["key_id"]),
            ({**pair, "type": "temporal_ordered"}, ["other", "inner"], ["key_id", "model"]),
            ({**pair, "type": "temporal_ordered"}, ["inner", "many"], KEY),
        )
    ):
        data = {**correlation, "rules": rules, "group-by": group}
        yield document({"name": f"mixed_{number}", "correlation": data})


def test_mixtures() -> None:
    """Alerts beside records, and alerts of several correlations, give the same alerts without a subsearch."""
    many, *rules = mixtures()
    found, alerts = differing(invented_world(17, 500), rules, [many])
    assert not found
    assert alerts > 100
