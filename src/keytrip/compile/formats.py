"""Output formats: what a query is wrapped in so that a SIEM takes it as a scheduled rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from keytrip.compile.header import comment_text, header_of
from keytrip.compile.plan import Plan

_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Written:
    """One compiled rule.

    Attributes:
        rule: pySigma's rule or correlation.
        query: Its text.
        table: The canonical table that it reads.
        plan: What a counting correlation means; None for a plain rule.
        deviations: Named deviations from SEMANTICS that the text has.
        several: Whether its rows are alerts of several rules.
    """

    rule: Any
    query: str
    table: str
    plan: Plan | None = None
    deviations: tuple[str, ...] = ()
    several: bool = False

    @property
    def alert_key(self) -> tuple[str, ...]:
        """The columns that tell an alert of a correlation from others, and stay the same while it grows."""
        groups = self.plan.group_by if self.plan is not None else ()
        return (*(("rule",) if self.several else ()), *groups, "window_start")

    @property
    def name(self) -> str:
        """The rule's name, on one line."""
        return comment_text(str(self.rule.name or self.rule.id or self.rule.title))

    @property
    def title(self) -> str:
        """Its title, on one line."""
        return comment_text(self.rule.title or self.name)

    @property
    def level(self) -> str:
        """Its level."""
        return header_of(self.rule, ()).level

    @property
    def rule_id(self) -> str:
        """Its id, or one made of its name."""
        return str(self.rule.id or uuid5(NAMESPACE_URL, self.name))

    @property
    def description(self) -> str:
        """What it is about, with the deviations of its query, on one line."""
        about = comment_text(self.rule.description or self.rule.title or self.name)
        return f"{about} Deviations: {'; '.join(self.deviations)}." if self.deviations else about


@dataclass(frozen=True)
class Schedule:
    """When a query runs and what it reads, so that every event counts and no window is cut.

    Attributes:
        interval: Seconds between two runs.
        reach: Seconds before the run that the query reads.
        grace: Seconds for which a window is still reported after its end.
    """

    interval: int
    reach: int
    grace: int


Writer: TypeAlias = Callable[[Written], Any]


def as_it_is(written: Written) -> str:
    """Return the bare query."""
    return written.query


def as_facts(written: Written) -> Written:
    """Return the facts, for a format that is written when all rules are known."""
    return written


def schedule_of(plan: Plan | None) -> Schedule:
    """Return a rule's schedule; a window is read whole for two more runs, since its last events come late."""
    if plan is None:
        return Schedule(5 * _MINUTE, 10 * _MINUTE, 0)
    interval = 5 * _MINUTE if plan.seconds <= _HOUR else 15 * _MINUTE
    return Schedule(interval, plan.seconds + 2 * interval, 2 * interval)
