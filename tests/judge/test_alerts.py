"""The alert itself: its members, its id, its numbers and its place."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path
from typing import Any

from judge.harness import Options, every_rule, in_memory, write

from keytrip.compile.compiled import CompiledRule

SINCE = date(2026, 4, 6)
Record = dict[str, Any]


def named(name: str) -> list[CompiledRule]:
    """Return one rule."""
    return [rule for rule in every_rule() if rule.name == name]


def record(hour: int, minute: int = 0, **members: Any) -> Record:
    """Return a record of the day to score."""
    return {"timestamp": f"2026-04-06T{hour:02}:{minute:02}:00Z", "key_id": "a", "cost_usd": 90.5, **members}


def found(folder: Path, rule: str, *records: Record, until: date | None = None) -> list[dict[str, Any]]:
    """Return a rule's alerts on records."""
    return in_memory([write(folder / "log.ndjson", records)], Options(SINCE, until, rules=named(rule)))


def test_members(tmp_path: Path) -> None:
    """An alert has the members that the interface lists, in that order."""
    (alert,) = found(tmp_path, "org_spend_threshold_low", record(1), record(23, 59))
    identity = alert["rule_id"]
    digest = hashlib.sha256(f'["{identity}",[],"2026-04-06T00:00:00Z"]'.encode()).hexdigest()[:32]
    assert list(alert.items()) == [
        ("alert_id", digest),
        ("rule", "org_spend_threshold_low"),
        ("rule_id", identity),
        ("title", alert["title"]),
        ("level", "low"),
        ("key_id", None),
        ("window_start", "2026-04-06T00:00:00Z"),
        ("window_end", "2026-04-07T00:00:00Z"),
        ("group", {}),
        ("observed", {"value_sum": 181.0}),
        ("baseline", {}),
        ("snapshot", None),
        ("first_seen", "2026-04-06T01:00:00Z"),
        ("last_seen", "2026-04-06T23:59:00Z"),
        ("events", 2),
    ]


def test_a_growing_alert_keeps_its_id(tmp_path: Path) -> None:
    """The id depends on rule, group and window, not on what was seen in it."""
    first = found(tmp_path, "key_never_seen", record(1))
    later = found(tmp_path, "key_never_seen", record(1), record(2), record(3, source_ip="10.0.0.1"))
    assert [alert["alert_id"] for alert in first] == [alert["alert_id"] for alert in later]
    assert (first[0]["events"], later[0]["events"]) == (1, 3)


def test_plain_alerts_are_told_apart(tmp_path: Path) -> None:
    """Each event of a plain rule is an alert; equal ones have ids by their ordinal, which stay as more come."""
    refused = record(1, provider="openai", status_code=429, source_ip="10.0.1.9")
    two = found(tmp_path, "made_refused", refused, refused)
    three = found(tmp_path, "made_refused", refused, {**refused, "model": "m"}, refused)
    assert len({alert["alert_id"] for alert in two}) == 2
    assert len({alert["alert_id"] for alert in three}) == 3
    assert {alert["alert_id"] for alert in two} < {alert["alert_id"] for alert in three}
    assert [(alert["group"], alert["observed"], alert["events"]) for alert in two] == [({"key_id": "a"}, {}, 1)] * 2


def test_a_plain_alert_at_midnight(tmp_path: Path) -> None:
    """Its window ends at its time: at the first midnight it is not yet reported, at the second it still is."""
    midnight = record(0, provider="openai", status_code=429, source_ip="10.0.1.9")
    next_midnight = {**midnight, "timestamp": "2026-04-07T00:00:00Z"}
    alerts = found(tmp_path, "made_refused", midnight, next_midnight, until=date(2026, 4, 7))
    assert [alert["window_end"] for alert in alerts] == ["2026-04-07T00:00:00Z"]


def test_the_order_of_alerts(tmp_path: Path) -> None:
    """Alerts are sorted by window, rule and group."""
    records = [record(hour, key_id=key, source_ip="10.0.0.1") for key in "cab" for hour in (3, 3, 1, 1)]
    alerts = found(tmp_path, "made_count_hour", *records)
    assert [(alert["window_start"][11:13], alert["key_id"]) for alert in alerts] == [
        ("01", "a"), ("01", "b"), ("01", "c"), ("03", "a"), ("03", "b"), ("03", "c"),
    ]  # fmt: skip


def test_undated_records_of_the_history(tmp_path: Path) -> None:
    """In memory too they belong to their file's last dated day: with it they are within the history, or not."""
    lost = {"timestamp": "?", "key_id": "u"}
    old, day = {"timestamp": "2026-04-05T10:00:00Z", "key_id": "a"}, record(1, key_id="u")
    files = {
        "last day before": [[old, lost], [day]],
        "no dated record": [[old], [lost], [day]],
        "last day scored": [[old], [day, lost]],
        "too old": [[{**old, "timestamp": "2026-03-01T10:00:00Z"}, lost], [old], [day]],
    }
    unseen = {}
    for name, contents in files.items():
        paths = [write(tmp_path / name / f"{number}.ndjson", rows) for number, rows in enumerate(contents)]
        unseen[name] = len(in_memory(paths, Options(SINCE, rules=named("key_never_seen"))))
    assert unseen == {"last day before": 0, "no dated record": 0, "last day scored": 1, "too old": 1}


def test_a_lost_twin_still_dates_its_file(tmp_path: Path) -> None:
    """A file's last day is that of its records as they stand in it, though another file's twin counts."""
    lost = {"timestamp": "?", "key_id": "u"}
    twin = {"timestamp": "2026-04-05T10:00:00Z", "key_id": "a", "request_id": "r"}
    earlier = {**twin, "timestamp": "2026-04-04T10:00:00Z"}
    paths = [write(tmp_path / "1.ndjson", [twin, lost]), write(tmp_path / "2.ndjson", [earlier, record(1, key_id="u")])]
    assert in_memory(paths, Options(SINCE, rules=named("key_never_seen"))) == []
    late = write(tmp_path / "1.ndjson", [{**twin, "timestamp": "2026-04-07T10:00:00Z"}, lost])
    assert len(in_memory([late, paths[1]], Options(SINCE, rules=named("key_never_seen")))) == 1
