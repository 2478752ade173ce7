"""A naive restatement of what a rule means: records and tables in, alerts out. It shares no code with the package.

Counting correlations with baseline blocks, and plain rules. Slow, and short enough to be read beside the texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from judge.conditions import matches
from judge.expressions import OPERATORS, arithmetic, logic, names_in, parse
from judge.records import EPOCH, Event
from judge.tables import Job, Table

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MONDAY = EPOCH + timedelta(days=4)
Mapped = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """An alerting rule with its base rules; `data` is the YAML mapping."""

    data: Mapped
    bases: tuple[Mapped, ...]

    @property
    def name(self) -> str:
        """The rule's name."""
        return str(self.data["name"])

    @property
    def correlation(self) -> Mapped:
        """The correlation; empty for a plain rule."""
        found: Mapped = self.data.get("correlation") or {}
        return found

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """The baseline blocks."""
        found = self.data.get("baseline") or []
        listed = [found] if isinstance(found, dict) else found
        return [{"on" if key is True else key: value for key, value in block.items()} for block in listed]

    @property
    def constants(self) -> dict[str, float]:
        """Parameters by name."""
        return {name: float(p["default"]) for name, p in (self.data.get("parameters") or {}).items()}


@dataclass(frozen=True)
class World:
    """What rules are asked about.

    Attributes:
        events: All records read.
        jobs: Baseline jobs by table.
        tables: Their tables; rules whose tables are not among them say nothing.
        end: Windows of baseline rules that begin before it are not scored.
        since, until: Midnights; an alert's window ends after the first, and not after the second.
    """

    events: Sequence[Event]
    jobs: Mapping[str, Job]
    tables: Mapping[str, Table]
    end: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    _found: dict[Any, frozenset[tuple[Any, ...]]] = field(default_factory=dict)

    def holds(self, table: str, columns: Sequence[str], values: Mapped) -> bool:
        """Whether a table has a row with these values in these of its key columns."""
        if (table, *columns) not in self._found:
            places = [self.jobs[table].columns.index(c) for c in columns]
            self._found[table, *columns] = frozenset(tuple(key[p] for p in places) for key in self.tables[table])
        return tuple(values[c] for c in columns) in self._found[table, *columns]


@dataclass(frozen=True)
class Group:
    """The events of one group in one window, and the correlation's value."""

    rule: Rule
    world: World
    keys: Mapped
    start: datetime
    end: datetime
    events: Sequence[Event]

    @cached_property
    def value(self) -> Any:
        """The correlation's value, or None where there is none."""
        return value_of(self.rule.correlation["type"], self.rule.correlation.get("condition") or {}, self.events)


def midnight(day: date) -> datetime:
    """Return the beginning of a day, naive."""
    return datetime.combine(day, datetime.min.time())


def read_rules(folder: Path) -> list[Rule]:
    """Return the alerting rules over usage records in a folder (no temporal ones), by the texts of their files."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yml"))]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    named = {str(d.get("name")): d for d in documents}
    loud = [d for d in documents if (d.get("correlation") or {}).get("generate")]
    quiet = {name for d in documents if d not in loud for name in _bases(d)}
    rules = [Rule(d, tuple(named[n] for n in _bases(d)) or (d,)) for d in documents if str(d.get("name")) not in quiet]
    return [r for r in rules if _of_usage(r) and "temporal" not in r.correlation.get("type", "plain")]


def _of_usage(rule: Rule) -> bool:
    return all((base.get("logsource") or {}).get("category") == "ai_usage" for base in rule.bases)


def _bases(document: Mapped) -> list[str]:
    rules = (document.get("correlation") or {}).get("rules") or []
    return [rules] if isinstance(rules, str) else list(rules)


def alerts(rules: Iterable[Rule], world: World) -> list[dict[str, Any]]:
    """Return the alerts of all rules."""
    return [alert for rule in rules for alert in (_counting(rule, world) if rule.correlation else _plain(rule, world))]


def _matching(rule: Rule, world: World) -> Iterator[tuple[datetime, Event]]:
    for event in world.events:
        if event.time is not None and any(_meant(base, event) for base in rule.bases):
            yield event.time, event


def _meant(base: Mapped, event: Event) -> bool:
    return base["logsource"].get("product") in {None, event["provider"]} and matches(base["detection"], event)


def _reported(world: World, end: datetime) -> bool:
    return (world.since is None or end > world.since) and (world.until is None or end <= world.until)


def _plain(rule: Rule, world: World) -> Iterator[dict[str, Any]]:
    for time, event in _matching(rule, world):
        if _reported(world, time):
            yield _alert(Group(rule, world, {"key_id": event["key_id"]}, time, time, [event]), {}, {})


def _counting(rule: Rule, world: World) -> Iterator[dict[str, Any]]:
    names = tuple(rule.correlation.get("group-by") or ())
    timespan = rule.correlation["timespan"]
    width = timedelta(seconds=int(timespan[:-1]) * _SECONDS[timespan[-1]])
    origin = _MONDAY if timespan.endswith("w") else EPOCH
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for time, event in _matching(rule, world):
        values = tuple(event[name] for name in names)
        if None not in values:
            groups.setdefault((origin + (time - origin) // width * width, *values), []).append(event)
    for (start, *values), events in groups.items():
        early = rule.blocks and world.end is not None and start < world.end
        if not early and _reported(world, start + width):
            keys = dict(zip(names, values, strict=True))
            yield from _judged(Group(rule, world, keys, start, start + width, events))


def _judged(group: Group) -> Iterator[dict[str, Any]]:
    condition = group.rule.correlation.get("condition") or {}
    if group.value is None or not all(OPERATORS[n](group.value, condition[n]) for n in OPERATORS if n in condition):
        return
    observed: dict[str, Any] = {group.rule.correlation["type"]: group.value}
    baseline: dict[str, Any] = {}
    for number, block in enumerate(group.rule.blocks):
        held, shown = _absent(group, block) if block.get("absent") else _exceeds(group, block)
        if not held:
            return
        prefix = "" if number == 0 else f"{block['table']}_"
        observed |= {name: value for name, value in shown.items() if name == "share"}
        baseline |= {prefix + name: value for name, value in shown.items() if name != "share"}
    yield _alert(group, observed, baseline)


def _alert(group: Group, observed: Mapped, baseline: Mapped) -> dict[str, Any]:
    times = [event.time for event in group.events if event.time is not None]
    return {
        "rule": group.rule.name,
        "level": group.rule.data["level"],
        "group": group.keys,
        "window_start": group.start,
        "window_end": group.end,
        "observed": observed,
        "baseline": baseline,
        "events": len(group.events),
        "first_seen": min(times),
        "last_seen": max(times),
    }


def value_of(kind: str, condition: Mapped, events: Sequence[Event]) -> Any:
    """Return a correlation's value, or None where there is none."""
    if kind == "event_count":
        return len(events)
    fields = condition["field"] if isinstance(condition["field"], list) else [condition["field"]]
    rows = [tuple(event[name] for name in fields) for event in events]
    rows = [row for row in rows if None not in row]
    if kind == "value_count":
        return len(set(rows))
    return _number(kind, condition, [number for (number,) in rows]) if rows else None


def _number(kind: str, condition: Mapped, raw: Sequence[Any]) -> Any:
    numbers = sorted(Fraction(str(number)) for number in raw)
    total = sum(numbers, Fraction(0))
    if kind == "value_sum":
        return int(total) if all(isinstance(number, int) for number in raw) else round(float(total), 9)
    if kind == "value_avg":
        return float(total / len(numbers))
    rank = Fraction(condition.get("percentile", 50) if kind == "value_percentile" else 50, 100) * (len(numbers) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(numbers) - 1)
    return float(numbers[low] + (numbers[high] - numbers[low]) * (rank - low))


def _absent(group: Group, block: Mapped) -> tuple[bool, dict[str, Any]]:
    world, table = group.world, block["table"]
    on = tuple(block.get("on") or world.jobs[table].columns)
    other = block.get("requires", table)
    needed = [c for c in world.jobs[other].columns if c in on] if "requires" in block else on[:-1]
    if needed and not world.holds(other, needed, group.keys):
        return False, {}
    if "share" not in block:
        return not world.holds(table, on, group.keys), {}
    whole = [event for event in group.events if all(event[c] is not None for c in on)]
    absent = sum(not world.holds(table, on, {c: event[c] for c in on}) for event in whole)
    share = Fraction(absent, len(group.events))
    constants = group.rule.constants
    bounds = {name: constants.get(str(number), number) for name, number in block["share"].items()}
    return all(OPERATORS[n](share, Fraction(str(b))) for n, b in bounds.items()), {"share": float(share)}


def _exceeds(group: Group, block: Mapped) -> tuple[bool, dict[str, Any]]:
    columns = group.world.jobs[block["table"]].columns
    row = group.world.tables[block["table"]].get(tuple(group.keys[c] for c in columns))
    limit, where = parse(block["exceeds"]), parse(block.get("where", "0 == 0"))
    names = [name for name in (*names_in(limit), *names_in(where)) if name not in {"value", *group.rule.constants}]
    if row is None:
        return block.get("missing") == "fire", dict.fromkeys(names)
    known = {**row, "value": group.value, **group.rule.constants}
    bound = arithmetic(limit, known)
    return bound is not None and float(group.value) > bound and logic(where, known), {name: row[name] for name in names}
