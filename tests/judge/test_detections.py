"""Random detections over awkward records: DuckDB finds the records that the judge finds."""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from engines.invented import invented_world
from judge.conditions import matches
from judge.detections import random_rules
from judge.records import Event

from keytrip.compile.targets import compile_to
from keytrip.rules.load import Document

# More in a long run: KEYTRIP_DETECTIONS=20000 pytest tests/judge/test_detections.py
COUNT = int(os.environ.get("KEYTRIP_DETECTIONS", "400"))


def judged(rule: Document, events: list[Event]) -> list[str]:
    """Return the ids of the records that a rule means."""
    product = rule.data["logsource"].get("product")
    found = [e for e in events if product in {None, e["provider"]} and matches(rule.data["detection"], e)]
    return sorted(str(event["request_id"]) for event in found)


@pytest.mark.parametrize("seed", [1, 2])
def test_same_records(seed: int) -> None:
    """No rule is refused, and each matches the records that it means."""
    world = invented_world(seed, 150)
    rows = world.rows("select * from usage")
    events = [Event(row, row["timestamp"] if isinstance(row["timestamp"], datetime) else None, None) for row in rows]
    rules = list(random_rules(seed, COUNT // 2))
    wrong: dict[str, object] = {}
    hits = 0
    for rule, made in zip(rules, compile_to("duckdb", rules, rules), strict=True):
        if made.reason:
            wrong[str(rule.data["detection"])] = made.reason
            continue
        found = sorted(str(row["request_id"]) for row in world.rows(made.text))
        expected = judged(rule, events)
        hits += 0 < len(expected) < len(events)
        if found != expected:
            odd = set(found) ^ set(expected)
            wrong[str(rule.data["detection"])] = (
                len(expected),
                len(found),
                [r for r in rows if r["request_id"] in odd][:1],
            )
    assert [*wrong.items()] == []
    assert hits > len(rules) / 5
