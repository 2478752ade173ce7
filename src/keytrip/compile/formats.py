"""Output formats: what a query is wrapped in so that a SIEM takes it as a scheduled rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from keytrip.compile.header import comment_text, header_of
from keytrip.compile.plan import Plan
from keytrip.compile.schedule import seconds_before
from keytrip.errors import ContentError

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
    # what a sliding window completes is new if nothing was completed within one timespan before, which takes another
    whole = 2 * plan.seconds if plan.temporal else plan.seconds
    return Schedule(interval, whole + 2 * interval, 2 * interval)


def check_schedulable(plan: Plan) -> None:
    """See that a rule's alerts are the same in every run that reads them whole.

    Raises:
        ContentError: They are not, since the alerts below it move while they grow.
    """
    problem = ""
    moving = next((inner for inner in plan.all if inner.temporal and inner is not plan), None)
    if moving is not None:
        problem = f"alerts of {moving.rule} move while they grow"
    elif plan.temporal and plan.inner:
        problem = f"alerts of {plan.inner[0].rule} move while they grow"
    elif seconds_before(plan):
        problem = f"alerts of {plan.inner[0].rule} may grow into the next window"
    if problem:
        hint = "schedule the text of the format default yourself, by the range in index.json"
        raise ContentError(f"a schedule would find its alerts more than once: {problem}", hint=hint)
