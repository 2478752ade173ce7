"""What every engine is asked and what the judge says to it: random rules over the random records of several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from itertools import chain
from typing import Any

from engines.equality.correlations import bases, random_correlations
from engines.equality.detections import random_rules
from engines.equality.worlds import records, tables
from engines.invented import BASES, INNER, correlations, plain_rules, sliding
from engines.worlds import World
from judge.harness import JOBS
from judge.judge import Rule, every_alert, matching, rules_by_name
from judge.judge import World as Judged
from judge.records import Event
from judge.tables import Job, Table, read_jobs
from judge.worlds import events

from keytrip.rules.load import Document

SEEDS = 8
PLAIN, CORRELATIONS = 300, 200
Between = tuple[datetime, datetime]
Alert = Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """Rules and records.

    Attributes:
        seed: What the rules and tables are drawn from.
        documents: All rules, those that others refer to first.
        rules: Those that engines are asked for.
        seeds: Numbers of the seeds of the records.
    """

    seed: int
    documents: Sequence[Document]
    rules: Sequence[Document]
    seeds: Sequence[int]

    @cached_property
    def world(self) -> World:
        """The records and tables in DuckDB, as reading leaves them."""
        world = World()
        for table in ("usage", "audit"):
            world.add_records(table, chain.from_iterable(records(table, seed) for seed in self.seeds))
        for table, rows in tables(self.seed).items():
            world.add_rows(table, rows)
        return world

    @cached_property
    def _rules(self) -> dict[str, Rule]:
        return rules_by_name([document.data for document in self.documents])

    @cached_property
    def _judged(self) -> list[Judged]:
        """A world of the judge for each seed."""
        made = {table: _table(jobs()[table], rows) for table, rows in tables(self.seed).items()}
        return [
            Judged(usage, jobs(), made, others={"ai_usage": usage, "ai_audit": audit})
            for usage, audit in ([_events(table, seed) for table in ("usage", "audit")] for seed in self.seeds)
        ]

    @cached_property
    def _cut(self) -> list[Judged]:
        """The same with times cut to milliseconds, which Elasticsearch and OpenSearch hold no finer."""
        return [_changed(world, _whole_milliseconds) for world in self._judged]

    def verdict(self, rule: Document, between: Between | None = None, *, milliseconds: bool = False) -> list[Alert]:
        """Return the judge's alerts of a rule.

        Args:
            rule: One of `documents`.
            between: The only records that there are: from the first time on, before the second.
            milliseconds: Whether times are cut to milliseconds.
        """
        worlds = self._cut if milliseconds else self._judged
        if between is not None:
            worlds = [_changed(world, lambda event: _within(event, between)) for world in worlds]
        return [alert for world in worlds for alert in every_alert(self._rules[rule.name], world)]

    def ids(self, rule: Document) -> list[str]:
        """Return the request ids of the records that a plain rule means."""
        found = self._rules[rule.name]
        return sorted(str(event["request_id"]) for world in self._judged for event in matching(found, world))


@cache
def batch(seed: int = 1, plain: int = PLAIN, correlated: int = CORRELATIONS) -> Batch:
    """Return random rules, and the awkward ones that are not left to chance, over the records of eight seeds."""
    conditions = [*random_rules(seed, plain), *(rule for rule in plain_rules() if rule.name.startswith("is_"))]
    counting = [*random_correlations(seed, correlated), *correlations(), *sliding()]
    rules = [*conditions, *counting]
    first = (seed - 1) * SEEDS + 1
    return Batch(seed, [*bases(), *BASES, INNER, *rules], rules, range(first, first + SEEDS))


def _changed(world: Judged, change: Any) -> Judged:
    others = {
        category: [event for found in read if (event := change(found)) is not None]
        for category, read in world.others.items()
    }
    return Judged(others["ai_usage"], world.jobs, world.tables, others=others)


def _whole_milliseconds(event: Event) -> Event:
    assert event.time is not None
    return replace(event, time=event.time - timedelta(microseconds=event.time.microsecond % 1000))


def _within(event: Event, between: Between) -> Event | None:
    assert event.time is not None
    return event if between[0] <= event.time < between[1] else None


def _events(table: str, seed: int) -> list[Event]:
    raw = [{**record, "timestamp": str(record["timestamp"])} for record in records(table, seed)]
    return events(raw)


def _table(job: Job, rows: Sequence[Mapping[str, Any]]) -> Table:
    return {tuple(row[c] for c in job.columns): {n: v for n, v in row.items() if n not in job.columns} for row in rows}


@cache
def jobs() -> dict[str, Job]:
    """Return the shipped jobs as the judge reads them."""
    return read_jobs(JOBS)
