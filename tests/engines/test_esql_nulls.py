"""Tests for null beside others of the same field, which a real Elasticsearch's optimiser gets wrong."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from random import Random
from typing import Any

import pytest
from compile.rules import base
from engines.search_server.client import SearchClient
from judge.conditions import matches
from judge.records import Event

from keytrip.compile.targets import compile_to
from keytrip.export.layout import elastic_document

TIME = datetime(2026, 4, 1)  # noqa: DTZ001 - naive UTC, as everywhere here
RECORDS = [
    {"timestamp": TIME, "request_id": f"{place}", "project": project, "model": model, "user": user}
    for place, (project, model, user) in enumerate(product((None, "p1", "p2"), (None, "p1", "x"), (None, "p1")))
]
TESTS: tuple[dict[str, Any], ...] = (
    {"project": None},
    {"project": None},
    {"project|exists": True},
    {"project|exists": False},
    {"project": "p1"},
    {"project|neq": "p1"},
    {"project": [None, "p2"]},
    {"project|fieldref": "user"},
    {"project|re": "p"},
    {"project": None, "model": "x"},
    {"model": "x"},
    {"user": None},
    {"user|exists": True},
)
# What the optimiser makes such an AND of, by factoring and absorbing: the shortest of thousands that went wrong.
SMALLEST = (
    ("a and (not a or b)", 2),
    ("(a or b) and ((a and b) or c or b)", 8),
    ("(a or c) and (b or c or (b and not a))", 10),
)


def found(client: SearchClient, detection: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the ids that Elasticsearch finds, and those that the rule means."""
    rule = base(detection)
    (compiled,) = compile_to("esql", [rule], [rule])
    expected = [str(record["request_id"]) for record in RECORDS if matches(detection, Event(record, TIME, None))]
    return sorted(str(row["http.request.id"]) for row in client.esql(compiled.text)), sorted(expected)


@pytest.fixture(scope="module")
def loaded(elasticsearch: SearchClient) -> SearchClient:
    """Elasticsearch with every combination of values and nulls."""
    shipped = ({name: value for name, value in record.items() if value is not None} for record in RECORDS)
    elasticsearch.load_usage(map(elastic_document, shipped))
    return elasticsearch


@pytest.mark.parametrize(("condition", "count"), SMALLEST)
def test_smallest(loaded: SearchClient, condition: str, count: int) -> None:
    """The smallest conditions that went wrong find as many events as one counts by hand."""
    selections = {"a": {"project": None}, "b": {"model": "x"}, "c": {"user": "p1"}}
    ours, meant = found(loaded, {**selections, "condition": condition})
    assert ours == meant
    assert len(ours) == count


def formula(random: Random, depth: int) -> str:
    """Return a random condition over four selections."""
    kind = random.random()
    if depth == 0 or kind < 0.2:
        return random.choice("abcd")
    if kind < 0.4:
        return f"not ({formula(random, depth - 1)})"
    joined = f" {random.choice(('and', 'or'))} ".join(
        formula(random, depth - 1) for _ in range(random.choice((2, 2, 3)))
    )
    return f"({joined})"


def test_random(loaded: SearchClient) -> None:
    """Random conditions full of tests for null find what they mean."""
    wrong = {}
    for seed in range(120):
        random = Random(seed)  # noqa: S311 - test data
        selections = {name: random.choice(TESTS) for name in "abcd"}
        detection = {**selections, "condition": formula(random, 4)}
        ours, meant = found(loaded, detection)
        if ours != meant:
            wrong[seed] = detection
    assert wrong == {}
