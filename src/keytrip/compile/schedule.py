"""The time range that a schedule has to give a compiled query, which has none of its own."""

from __future__ import annotations

from keytrip.compile.plan import Plan

EVERY_EVENT = "last: interval"
_WEEK = 604800
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def range_of(plan: Plan, *, sliding: bool) -> str:
    """Return the range of a correlation: `current_window: 1d`, or `last: 2h`.

    A counting correlation needs its current window, and before it whatever an inner window needs that reaches across
    its start. A sliding window needs twice its width: each completion of the newer half is seen with all that it
    completes, so the schedule's interval may be as long as the timespan. A target that does not slide needs exactly it.

    Args:
        plan: The correlation.
        sliding: Whether the target slides the windows of temporal correlations.
    """
    before = seconds_before(plan)
    if plan.temporal:
        return f"last: {_text(plan.seconds * (2 if sliding else 1) + before)}"
    if before:
        return f"last: {_text(plan.seconds + before)}"
    weeks = bool(plan.offset) and plan.seconds % _WEEK == 0
    return f"current_window: {f'{plan.seconds // _WEEK}w' if weeks else _text(plan.seconds)}"


def seconds_before(plan: Plan) -> int:
    """Return how many seconds before a plan's own window the records of its inner correlations may begin."""
    return max((_reach(plan, inner) + seconds_before(inner) for inner in plan.inner), default=0)


def _reach(plan: Plan, inner: Plan) -> int:
    if inner.temporal:
        return 2 * inner.seconds
    shifted = (plan.offset - inner.offset) % inner.seconds or plan.seconds % inner.seconds
    return inner.seconds if plan.temporal or shifted else 0


def _text(seconds: int) -> str:
    unit = next(unit for unit, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
