"""Records of plain days in April 2026, for tests that need a past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]


def record(day: int, key: str | None = "a", hour: int = 10, **members: Any) -> Record:
    """Return a record of a day of April 2026."""
    return {"timestamp": f"2026-04-{day:02}T{hour:02}:00:00Z", "key_id": key, "model": "gpt-4o", **members}


def day_of(day: int, keys: Sequence[str] = ("a", "b"), each: int = 2) -> list[Record]:
    """Return a day's records: some of each key."""
    return [record(day, key, hour, cost_usd=0.5, source_ip="10.0.0.1") for key in keys for hour in range(10, 10 + each)]


def undated(key: str, **members: Any) -> Record:
    """Return a record without a valid time."""
    return {"timestamp": "not-a-time", "key_id": key, **members}
