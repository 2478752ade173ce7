"""Alerts in their order: what a hunt with very many of them needs."""

from __future__ import annotations

import tracemalloc
from datetime import datetime

from keytrip.hunt.alerts import Alert, in_order

NOON = datetime(2026, 4, 1, 12)  # noqa: DTZ001 - naive UTC, as DuckDB gives it


def made(number: int) -> Alert:
    """Return one of many alerts of one rule and window."""
    group = {"key_id": f"key_{number:07}"}
    values = (f"{number:032x}", "rule", "id", "Title", "low", NOON, NOON)
    return Alert(*values, group, {"event_count": number}, {}, None, NOON, NOON, number)


def test_ordering_takes_little_beside_the_alerts() -> None:
    """To sort alerts takes some hundreds of bytes for each, whatever room its group's JSON was written in."""
    alerts = [made(number) for number in range(5000, 0, -1)]
    tracemalloc.start()
    try:
        ordered = in_order(alerts)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ordered == alerts[::-1]
    assert most < 600 * len(alerts)
