"""The judge is right where the right answer is known: the reference detector's data, and the texts' own examples."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from judge.conditions import matches
from judge.harness import JOBS, RULES
from judge.judge import World, alerts, read_rules, value_of
from judge.records import Event, canonical, derived, network_of, read_time
from judge.tables import build, in_window, read_jobs
from judge.test_parity import DATA, TYPES

APRIL = datetime(2026, 4, 1)  # noqa: DTZ001 - naive UTC
TIMES = {
    "2026-04-01": APRIL,
    "2026-04-01 00:00": APRIL,
    "2026-04-01T05:30:00.0000009+05:30": APRIL,
    "1775001600": APRIL,
    1775001600000: APRIL,
    "2026-04-31": None,
    "2026-04-01T24:00:00Z": None,
    "1969-12-31T23:59:59Z": None,
    "1970-01-01T00:00:00+00:01": None,
    "2262-01-01": None,
    "tomorrow": None,
}


def read(name: str) -> list[dict[str, Any]]:
    """Return the records of one of the reference detector's files."""
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_the_reference_detector_agrees() -> None:
    """From the reference detector's records the judge draws the same alerts (read file by file, to save time)."""
    events = [event for name in ("history.ndjson.gz", "recent.ndjson.gz") for event in events_of(read(name))]
    jobs, past = read_jobs(JOBS), in_window(events, date(2026, 3, 2), date(2026, 3, 31))
    rules = [rule for rule in read_rules(RULES) if rule.name in TYPES]
    used = {block["table"] for rule in rules for block in rule.blocks} | {"keys"}
    tables = build({name: job for name, job in jobs.items() if name in used}, past)
    found = alerts(rules, World(events, jobs, tables, APRIL, APRIL))
    said = {(alert["group"]["key_id"], str(alert["window_start"].date()), TYPES[alert["rule"]]) for alert in found}
    rows = json.loads((DATA / "expected_alerts.json").read_text(encoding="utf-8"))
    assert said == {(row["key_id"], row["day"], row["type"]) for row in rows}


def events_of(rows: list[dict[str, Any]]) -> list[Event]:
    """Return a file's events; the data has no request_ids."""
    records = [canonical(row) for row in rows]
    last = max(record["timestamp"] for record in records if "timestamp" in record).date()
    return [Event({**record, **derived(record)}, record.get("timestamp"), last) for record in records]


@pytest.mark.parametrize("raw", TIMES)
def test_times(raw: Any) -> None:
    """Times are read as section 1 of the semantics says."""
    assert read_time(raw) == TIMES[raw]


def test_networks() -> None:
    """Networks are the /24 and the /48, of addresses only."""
    assert network_of("10.1.2.3") == "10.1.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert [network_of(text) for text in ("10.1.2.3:80", "10.1.2.0/24", "fe80::1%eth0", "", None)] == [None] * 5


def event(**values: Any) -> Event:
    """Return an event with these fields."""
    return Event(values, APRIL, None)


def test_conditions_are_two_valued() -> None:
    """A null field meets no test but that for null, and so every negation; an empty string is a value."""
    negated = {"a": {"model": "gpt-4o"}, "condition": "not a"}
    assert matches(negated, event())
    assert not matches(negated, event(model="GPT-4O"))
    assert matches({"a": {"model": None}, "condition": "a"}, event())
    assert not matches({"a": {"model|exists": False}, "condition": "a"}, event(model=""))
    both = {"a": {"model|neq": "x"}, "b": {"status_code|gte": "400"}, "condition": "all of them"}
    assert matches(both, event(status_code=400))


def test_values() -> None:
    """Counts are of distinct values, percentiles interpolate, nulls are skipped, and only nulls give none."""
    events = [event(x=number, y=None) for number in (1, 2, 2, 10)] + [event(x=None)]
    assert value_of("value_count", {"field": "x"}, events) == 3
    assert value_of("value_count", {"field": ["x", "y"]}, events) == 0
    assert value_of("value_median", {"field": "x"}, events) == 2
    assert value_of("value_percentile", {"field": "x", "percentile": 90}, events) == pytest.approx(7.6)
    assert value_of("value_avg", {"field": "x"}, events) == 3.75
    assert value_of("value_sum", {"field": "y"}, events) is None
    assert value_of("event_count", {}, events) == 5


def test_every_shipped_job_is_known() -> None:
    """The judge reads each job's declaration."""
    assert set(read_jobs(JOBS)) == {path.stem for path in Path(JOBS).glob("*.py")}
