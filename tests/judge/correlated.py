"""Chains whose outer correlations group by what can be derived from the inner one's group, or cannot."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

Mapped = dict[str, Any]


@dataclass(frozen=True)
class Correlated:
    """Rules, the last of which alerts, and records by logsource category."""

    documents: tuple[Mapped, ...]
    records: dict[str, list[Mapped]]


def _document(name: str, more: Mapped) -> Mapped:
    marked = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    return {"title": name.title(), "id": marked, "name": name, "status": "test", "level": "low", **more}


# Group of an inner correlation -> fields of the one over it that are derived from it, or null.
_DERIVING = (
    (("key_id", "user_agent"), ("key_id", "agent_family")),
    (("key_id", "model"), ("model_family",)),
    (("input_tokens", "output_tokens"), ("total_tokens",)),
    (("output_tokens",), ("total_tokens",)),
    (("key_id", "day"), ("day", "hour_of_day", "hour_of_week")),
    (("source_net",), ("source_net",)),
    (("key_id",), ("source_net",)),
    (("key_id",), ("status_code",)),
    (("user",), ("model", "cost_usd")),
)


def deriving() -> list[Correlated]:
    """Return chains whose outer correlations group by what can be derived from the inner one's group, or cannot."""
    plain = _document(
        "plain", {"logsource": {"category": "ai_usage"}, "detection": {"a": {"key_id": "a"}, "condition": "a"}}
    )
    rows = [
        {"timestamp": f"2026-04-0{1 + n}T0{n}:00:00Z", "key_id": "a", "user": "u", "source_ip": f"10.0.{n}.1", **named}
        for n, named in enumerate(
            (
                {"user_agent": "curl/8 x\ny", "model": "m-2026-01-02", "input_tokens": 7, "output_tokens": 9},
                {"user_agent": "CURL z", "model": "m-latest", "input_tokens": 9, "output_tokens": 7},
                {"user_agent": "x", "model": "m@20260102\n", "output_tokens": 9},
            )
        )
    ]
    found = []
    for inner, outer in _DERIVING:
        counted = {"type": "event_count", "timespan": "1h", "condition": {"gte": 1}}
        rules = (
            plain,
            _document("inner", {"correlation": {**counted, "rules": ["plain"], "group-by": list(inner)}}),
            _document("outer", {"correlation": {**counted, "rules": ["inner"], "group-by": list(outer)}}),
        )
        found.append(Correlated(rules, {"ai_usage": rows, "ai_audit": []}))
    return found
