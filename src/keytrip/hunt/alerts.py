"""Alerts: from result rows to the objects that INTERFACE describes, in one order, with one way to write numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from keytrip.compile.compiled import CompiledRule
from keytrip.records.json_text import to_json

_EVENT_MEMBERS = frozenset({"rule", "level"})


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; `as_json` gives the object of INTERFACE."""

    alert_id: str
    rule: str
    rule_id: str
    title: str
    level: str
    window_start: datetime
    window_end: datetime
    group: Mapping[str, Any]
    observed: Mapping[str, Any]
    baseline: Mapping[str, Any]
    snapshot: int | None
    first_seen: datetime
    last_seen: datetime
    events: int
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key_id(self) -> str | None:
        """The key, where the rule groups by it."""
        return self.group.get("key_id")

    def as_json(self) -> dict[str, Any]:
        """Return the alert's members in INTERFACE's order."""
        return {
            "alert_id": self.alert_id,
            "rule": self.rule,
            "rule_id": self.rule_id,
            "title": self.title,
            "level": self.level,
            "key_id": self.key_id,
            "window_start": time_text(self.window_start),
            "window_end": time_text(self.window_end),
            "group": dict(self.group),
            "observed": dict(self.observed),
            "baseline": dict(self.baseline),
            "snapshot": self.snapshot,
            "first_seen": time_text(self.first_seen),
            "last_seen": time_text(self.last_seen),
            "events": self.events,
        }


def time_text(moment: datetime) -> str:
    """Return UTC as `2026-04-01T02:11:09Z`, with microseconds where there are any."""
    return moment.isoformat() + "Z"


def number(value: Any) -> Any:
    """Return a number as JSON has it: whole ones as integers, others with 12 significant digits (SEMANTICS 5)."""
    if isinstance(value, Decimal | float):
        short = float(f"{float(value):.12g}")
        return int(short) if isinstance(value, Decimal) and short == int(short) else short
    return value


def alert_id(rule_id: str, group: Sequence[Any], *more: Any) -> str:
    """Return the first 32 hex digits of SHA-256 over the rule's id, the group's values and the window's start."""
    text = to_json([rule_id, list(group), *more])
    return hashlib.sha256(text).hexdigest()[:32]


def correlation_alerts(
    rule: CompiledRule, columns: Sequence[str], rows: Iterable[Sequence[Any]], snapshot: int | None
) -> list[Alert]:
    """Return the alerts of a correlation's result."""
    return [_correlation(rule, dict(zip(columns, row, strict=True)), snapshot) for row in rows]


def _correlation(rule: CompiledRule, row: Mapping[str, Any], snapshot: int | None) -> Alert:
    group = {name: row[name] for name in rule.group_by}
    observed = {} if rule.temporal else {rule.kind: _value(rule, row["value"])}
    if rule.share:
        observed["share"] = number(row["share"])
    return Alert(
        alert_id=alert_id(rule.rule_id, list(group.values()), time_text(row["window_start"])),
        rule=rule.name,
        rule_id=rule.rule_id,
        title=rule.title,
        level=rule.level,
        window_start=row["window_start"],
        window_end=row["window_end"],
        group=group,
        observed=observed,
        baseline={name: number(row[f"baseline_{name}"]) for name in rule.baseline_columns},
        snapshot=snapshot,
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        events=row["events"],
    )


def _value(rule: CompiledRule, value: Any) -> Any:
    return round(value, 9) if rule.money and value is not None else number(value)


def plain_alerts(
    rule: CompiledRule, columns: Sequence[str], rows: Iterable[Sequence[Any]], snapshot: int | None
) -> list[Alert]:
    """Return one alert for each event; identical records are told apart by their ordinal."""
    alerts, seen = [], dict[str, int]()
    for row in rows:
        event = dict(zip(columns, row, strict=True))
        record = {k: v for k, v in sorted(event.items()) if v is not None and k not in _EVENT_MEMBERS}
        text = to_json(record).decode()
        ordinal = seen[text] = seen.get(text, -1) + 1
        when = event["timestamp"]
        alerts.append(
            Alert(
                alert_id=alert_id(rule.rule_id, [event["key_id"]], time_text(when), text, ordinal),
                rule=rule.name,
                rule_id=rule.rule_id,
                title=rule.title,
                level=rule.level,
                window_start=when,
                window_end=when,
                group={"key_id": event["key_id"]},
                observed={},
                baseline={},
                snapshot=snapshot,
                first_seen=when,
                last_seen=when,
                events=1,
                event=record,
            )
        )
    return alerts


def in_order(alerts: Iterable[Alert]) -> list[Alert]:
    """Sort by window, rule and group, so that the same records give the same bytes."""
    # the writer's bytes keep the room that it wrote them in, a thousand or more each; code points are in the same order
    return sorted(alerts, key=lambda a: (a.window_start, a.rule, to_json(dict(a.group)).decode(), a.alert_id))
