"""Baseline tables as the interface describes them, said again in plain Python over lists of events."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

from judge.records import Event

Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]
_HOUR = 3600


@dataclass(frozen=True)
class Incident:
    """Days of a key (or `*`) that a baseline leaves out."""

    key_id: str
    first: date
    last: date

    def covers(self, event: Event) -> bool:
        """Whether an event is left out."""
        on = event.belongs
        return self.key_id in {"*", event["key_id"]} and on is not None and self.first <= on <= self.last


@dataclass(frozen=True)
class Job:
    """What a job file declares: its kind and its arguments."""

    table: str
    kind: str
    key: tuple[str, ...]
    arguments: Mapping[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's key columns."""
        return (*self.key, self.arguments["hour"]) if self.kind == "HourProfile" else self.key


def read_jobs(folder: Path) -> dict[str, Job]:
    """Return the jobs of a folder, as their files' text declares them."""
    return {path.stem: _job(path) for path in sorted(folder.glob("*.py"))}


def _job(path: Path) -> Job:
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            call = statement.value
            arguments = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}
            return Job(path.stem, ast.unparse(call.func), arguments.pop("key"), arguments)
    raise AssertionError(path)


def in_window(events: Iterable[Event], first: date, last: date, incidents: Sequence[Incident] = ()) -> list[Event]:
    """Return the events of a window, incident days left out."""
    days = [e for e in events if e.belongs is None or first <= e.belongs <= last]
    return [e for e in days if not any(incident.covers(e) for incident in incidents)]


def build(jobs: Mapping[str, Job], events: Sequence[Event]) -> dict[str, Table]:
    """Return every table over the events of a window."""
    makers = {"DailyStatistic": _daily, "KnownSet": _known, "HourProfile": _hours}
    return {name: makers[job.kind](job, events) for name, job in jobs.items()}


def _grouped(events: Iterable[Event], names: Sequence[str]) -> dict[tuple[Any, ...], list[Event]]:
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for event in events:
        key = tuple(event[name] for name in names)
        if None not in key:
            groups.setdefault(key, []).append(event)
    return groups


def _daily(job: Job, events: Sequence[Event]) -> Table:
    function, _, measured = job.arguments["measure"].rstrip(")").partition("(")
    table: Table = {}
    for key, members in _grouped(events, job.key).items():
        if all(event[measured] is None for event in members):
            continue
        by_day: dict[date, list[Any]] = {}
        for event in members:
            if event.day is not None:
                by_day.setdefault(event.day, []).append(event[measured])
        table[key] = _statistics([_measure(function, values) for values in by_day.values()])
    return table


def _measure(function: str, values: Sequence[Any]) -> Fraction:
    numbers = [Fraction(str(v)) for v in values if v is not None]
    return (sum(numbers, Fraction(0)) if function == "sum" else max(numbers)) if numbers else Fraction(0)


def _statistics(days: Sequence[Fraction]) -> Row:
    if not days:
        return {"mean": 0.0, "stddev": 0.0, "max": 0.0, "median": 0.0, "mad": 0.0, "days": 0}
    mean, middle = sum(days, Fraction(0)) / len(days), median(days)
    spread = math.sqrt(sum((d - mean) ** 2 for d in days) / (len(days) - 1)) if len(days) > 1 else 0.0
    return {
        "mean": float(mean),
        "stddev": spread,
        "max": float(max(days)),
        "median": float(middle),
        "mad": float(median(abs(d - middle) for d in days)),
        "days": len(days),
    }


def _known(job: Job, events: Sequence[Event]) -> Table:
    table: Table = {}
    for key, members in _grouped(events, job.key).items():
        times = [event.time for event in members if event.time is not None]
        if "" in key or not (times or job.arguments.get("undated")):
            continue
        table[key] = {
            "first_seen": min(times, default=None),
            "last_seen": max(times, default=None),
            "days": len({time.date() for time in times}),
            "events": len(times),
        }
    return table


def _hours(job: Job, events: Sequence[Event]) -> Table:
    table: Table = {}
    narrow = [e for e in events if e["bucket_seconds"] is None or e["bucket_seconds"] <= _HOUR]
    for key, members in _grouped(narrow, job.key).items():
        for (hour,), found in _grouped(members, (job.arguments["hour"],)).items():
            share = Fraction(len(found), len(members))
            if share > Fraction(str(job.arguments.get("above", 0))):
                table[(*key, hour)] = {"events": len(found), "share": float(share)}
    return table
