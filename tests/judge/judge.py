"""A naive restatement of what a rule means: records and tables in, alerts out. It shares no code with the package.

Plain rules, counting correlations with baseline blocks, temporal ones (`judge.temporal`), and correlations over
correlations. Slow, and short enough to be read beside the texts.
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
from judge.records import EPOCH, Event, derived
from judge.tables import Job, Table
from judge.temporal import temporal_windows

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MONDAY = EPOCH + timedelta(days=4)
Mapped = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """A rule with the rules that it refers to; `data` is the YAML mapping."""

    data: Mapped
    bases: tuple[Rule, ...] = ()

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
    def group_by(self) -> tuple[str, ...]:
        """The group fields, by the correlation's names."""
        return tuple(self.correlation.get("group-by") or ())

    @property
    def span(self) -> timedelta:
        """The timespan."""
        timespan = str(self.correlation["timespan"])
        return timedelta(seconds=int(timespan[:-1]) * _SECONDS[timespan[-1]])

    @property
    def categories(self) -> set[str]:
        """What records are read, by logsource category."""
        if not self.correlation:
            return {str((self.data.get("logsource") or {}).get("category"))}
        return {category for base in self.bases for category in base.categories}

    def field(self, base: Rule, name: str) -> str:
        """What a base's events call a field of this correlation."""
        mapping = (self.correlation.get("aliases") or {}).get(name) or {}
        return str(mapping.get(base.name, name))

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
        events: All usage records read.
        jobs: Baseline jobs by table.
        tables: Their tables; rules whose tables are not among them say nothing.
        end: Windows of baseline rules that begin before it are not scored.
        since, until: Midnights; an alert's window ends after the first, and not after the second.
        others: Further records by logsource category.
    """

    events: Sequence[Event]
    jobs: Mapping[str, Job]
    tables: Mapping[str, Table]
    end: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    others: Mapping[str, Sequence[Event]] = field(default_factory=dict)
    _found: dict[Any, frozenset[tuple[Any, ...]]] = field(default_factory=dict)
    _matching: dict[str, list[Event]] = field(default_factory=dict)

    def records(self, category: str) -> Sequence[Event]:
        """Return the records that a logsource category reads."""
        return self.events if category == "ai_usage" else self.others.get(category, ())

    def holds(self, table: str, columns: Sequence[str], values: Mapped) -> bool:
        """Whether a table has a row with these values in these of its key columns."""
        if (table, *columns) not in self._found:
            places = [self.jobs[table].columns.index(c) for c in columns]
            self._found[table, *columns] = frozenset(tuple(key[p] for p in places) for key in self.tables[table])
        return tuple(values[c] for c in columns) in self._found[table, *columns]


@dataclass(frozen=True)
class Seen:
    """An event as a correlation sees it.

    Attributes:
        event: The event: a record, or an alert of another correlation.
        time: Its time.
        rules: Numbers of the referenced rules that it belongs to.
        values: The correlation's fields.
    """

    event: Event
    time: datetime
    rules: frozenset[int]
    values: Mapped

    def __getitem__(self, name: str) -> Any:
        """The value of a field by the correlation's name."""
        return self.values[name] if name in self.values else self.event[name]


@dataclass(frozen=True)
class Group:
    """The events of one group in one window, and the correlation's value."""

    rule: Rule
    world: World
    keys: Mapped
    start: datetime
    end: datetime
    events: Sequence[Any]

    @cached_property
    def value(self) -> Any:
        """The correlation's value, or None where there is none."""
        return value_of(self.rule.correlation["type"], self.rule.correlation.get("condition") or {}, self.events)


def midnight(day: date) -> datetime:
    """Return the beginning of a day, naive."""
    return datetime.combine(day, datetime.min.time())


def read_rules(folder: Path) -> list[Rule]:
    """Return the alerting rules over usage records in a folder, by the texts of their files."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yml"))]
    found = rules_of([document for text in texts for document in yaml.safe_load_all(text)])
    return [rule for rule in found if rule.categories == {"ai_usage"}]


def rules_of(documents: Sequence[Mapped]) -> list[Rule]:
    """Return the alerting rules among documents: those that no correlation refers to, unless it says `generate`."""
    loud = {name for d in documents if (d.get("correlation") or {}).get("generate") for name in _bases(d)}
    quiet = {name for d in documents for name in _bases(d)} - loud
    return [rule for name, rule in rules_by_name(documents).items() if name not in quiet]


def rules_by_name(documents: Sequence[Mapped]) -> dict[str, Rule]:
    """Return every rule among documents, the quiet ones too."""
    named = {str(d.get("name")): d for d in documents}

    def rule(document: Mapped) -> Rule:
        return Rule(document, tuple(rule(named[name]) for name in _bases(document)))

    return {name: rule(document) for name, document in named.items()}


def _bases(document: Mapped) -> list[str]:
    rules = (document.get("correlation") or {}).get("rules") or []
    return [rules] if isinstance(rules, str) else list(rules)


def alerts(rules: Iterable[Rule], world: World) -> list[dict[str, Any]]:
    """Return the alerts of all rules."""
    return [alert for rule in rules for alert in every_alert(rule, world) if _reported(world, alert["window_end"])]


def every_alert(rule: Rule, world: World) -> Iterator[dict[str, Any]]:
    """Yield a rule's alerts, whenever they end."""
    if not rule.correlation:
        return (_plain(rule, world, event) for event in matching(rule, world))
    return _temporal(rule, world) if "temporal" in rule.correlation["type"] else _counting(rule, world)


def matching(rule: Rule, world: World) -> list[Event]:
    """Return the events of a rule: the records that a plain one matches, the alerts of a correlation."""
    if rule.name not in world._matching:
        world._matching[rule.name] = _matching(rule, world)
    return world._matching[rule.name]


def _matching(rule: Rule, world: World) -> list[Event]:
    if rule.correlation:
        return [_as_event(alert) for alert in every_alert(rule, world)]
    (category,) = rule.categories
    return [event for event in world.records(category) if event.time is not None and _meant(rule.data, event)]


def _as_event(alert: Mapped) -> Event:
    group = {name: value for name, value in alert["group"].items() if value is not None}
    time = alert["last_seen"]
    return Event({**derived({**group, "timestamp": time}), **group}, time, None)


def _meant(base: Mapped, event: Event) -> bool:
    return base["logsource"].get("product") in {None, event["provider"]} and matches(base["detection"], event)


def _reported(world: World, end: datetime) -> bool:
    return (world.since is None or end > world.since) and (world.until is None or end <= world.until)


def _plain(rule: Rule, world: World, event: Event) -> dict[str, Any]:
    assert event.time is not None
    return _alert(Group(rule, world, {"key_id": event["key_id"]}, event.time, event.time, [event]), {}, {})


def grouped(rule: Rule, world: World) -> dict[tuple[Any, ...], list[Seen]]:
    """Return a correlation's events by group. One that several rules match counts once."""
    sources: dict[int, tuple[Event, list[int]]] = {}
    read: dict[str, list[Event]] = {}
    for number, base in enumerate(rule.bases):
        # the same rule named twice has the same events
        for event in read.setdefault(base.name, matching(base, world)):
            sources.setdefault(id(event), (event, []))[1].append(number)
    groups: dict[tuple[Any, ...], list[Seen]] = {}
    for event, numbers in sources.values():
        for values, seen in _views(rule, event, numbers):
            if None not in values:
                groups.setdefault(values, []).append(seen)
    return groups


def _views(rule: Rule, event: Event, numbers: Sequence[int]) -> Iterator[tuple[tuple[Any, ...], Seen]]:
    """Yield (group, event as seen in it): rules may call the group's fields differently."""
    assert event.time is not None
    names = {n: tuple(event[rule.field(rule.bases[n], name)] for name in rule.group_by) for n in numbers}
    for values in dict.fromkeys(names.values()):
        mine = [n for n in numbers if names[n] == values]
        fields = [*rule.group_by, *_counted(rule)]
        yield (
            values,
            Seen(
                event,
                event.time,
                frozenset(mine),
                {name: event[rule.field(rule.bases[mine[0]], name)] for name in fields},
            ),
        )


def _counted(rule: Rule) -> list[str]:
    condition = rule.correlation.get("condition") or {}
    named = condition.get("field") or [] if isinstance(condition, dict) else []
    return [named] if isinstance(named, str) else list(named)


def _counting(rule: Rule, world: World) -> Iterator[dict[str, Any]]:
    origin = _MONDAY if rule.correlation["timespan"].endswith("w") else EPOCH
    for values, found in grouped(rule, world).items():
        windows: dict[datetime, list[Seen]] = {}
        for seen in found:
            windows.setdefault(origin + (seen.time - origin) // rule.span * rule.span, []).append(seen)
        for start, events in windows.items():
            if not _too_early(rule, world, start):
                keys = dict(zip(rule.group_by, values, strict=True))
                yield from _judged(Group(rule, world, keys, start, start + rule.span, events))


def _temporal(rule: Rule, world: World) -> Iterator[dict[str, Any]]:
    ordered = rule.correlation["type"] == "temporal_ordered"
    for values, found in grouped(rule, world).items():
        moments = [(seen.time, seen.rules) for seen in found]
        for start, end in temporal_windows(moments, len(rule.bases), rule.span, ordered=ordered):
            if not _too_early(rule, world, start):
                keys = dict(zip(rule.group_by, values, strict=True))
                events = [seen for seen in found if start <= seen.time <= end]
                yield from _judged(Group(rule, world, keys, start, end, events))


def _too_early(rule: Rule, world: World, start: datetime) -> bool:
    return bool(rule.blocks) and world.end is not None and start < world.end


def _judged(group: Group) -> Iterator[dict[str, Any]]:
    kind, condition = group.rule.correlation["type"], group.rule.correlation.get("condition") or {}
    observed: dict[str, Any] = {}
    if "temporal" not in kind:
        if group.value is None or not all(OPERATORS[n](group.value, condition[n]) for n in OPERATORS if n in condition):
            return
        observed[kind] = group.value
    baseline: dict[str, Any] = {}
    for number, block in enumerate(group.rule.blocks):
        held, shown = _absent(group, block) if block.get("absent") else _exceeds(group, block)
        if not held:
            return
        prefix = "" if number == 0 else f"{block['table']}_"
        if block.get("absent"):
            observed |= shown
        else:
            baseline |= {prefix + name: value for name, value in shown.items()}
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
    # a key is what the group knows of it: with a share, the last column is the events' own
    needed = [c for c in world.jobs[other].columns if c in on and c in group.keys] if "requires" in block else on[:-1]
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
