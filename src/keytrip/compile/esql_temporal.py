"""Temporal correlations in ES|QL, which has no sliding windows: the query covers exactly the last `timespan`.

Then all completions are within one timespan and are one alert: it begins with the latest start of the first completion
and ends with the last. Both need an event before or after another, and ES|QL 8.19 cannot put a group's value beside its
rows. So each group carries its instants packed into one multi-value, from `VALUES`, and is expanded again after every
step; `VALUES` cuts nothing off, it fails where memory ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from keytrip.compile.esql_conditions import quote_column
from keytrip.compile.esql_events import Events
from keytrip.compile.plan import Plan

_UNPACKED = ("MV_EXPAND kt_packed", 'DISSECT kt_packed "%{kt_t} %{kt_n} %{kt_m}"', "EVAL kt_time = TO_LONG(kt_t)")


def temporal_steps(plan: Plan, events: Events) -> list[str]:
    """Return the steps from events to one row an alert, with the columns of a counting correlation's groups."""
    group = [quote_column(name) for name in plan.group_by]
    by = [f"{name} = {events.columns[own]}" for name, own in zip(group, plan.group_by, strict=True)]
    marks = [f"kt_m{number} = CASE({mark}, 1, 0)" for number, mark in enumerate(events.marks)]
    most = [f"kt_m{number} = MAX(kt_m{number})" for number in range(len(plan.bases))]
    bits = ", ".join(f"TO_STRING(kt_m{number})" for number in range(len(plan.bases)))
    return [
        f"EVAL {', '.join(marks)}",
        _stats(["kt_count = COUNT(*)", *most], [*by, "kt_time = TO_LONG(@timestamp)"]),
        f'EVAL kt_packed = CONCAT(TO_STRING(kt_time), " ", TO_STRING(kt_count), " ", {bits})',
        *_UNPACKED[1:2],
        *(_ordered(plan, group) if plan.ordered else _unordered(plan, group)),
        "WHERE kt_time >= kt_start AND kt_time <= kt_last",
        _stats(["events = SUM(TO_LONG(kt_n))", "kt_start = MIN(kt_start)", "kt_last = MAX(kt_last)"], group),
        "WHERE events IS NOT NULL",
        "EVAL window_start = TO_DATETIME(kt_start), window_end = TO_DATETIME(kt_last), value = TO_LONG(null)",
        "EVAL first_seen = window_start, last_seen = window_end",
    ]


def _unordered(plan: Plan, group: Sequence[str]) -> list[str]:
    """The first completion is where the last of the rules begins; what it completes are the last events until then."""
    numbers = range(len(plan.bases))
    firsts = [f"kt_e{n} = MIN(CASE({_is(n)}, kt_time))" for n in numbers]
    lasts = [f"kt_l{n} = MAX(CASE({_is(n)} AND kt_time <= kt_first, kt_time))" for n in numbers]
    return [
        *_round([*firsts, "kt_last = MAX(kt_time)"], group),
        f"WHERE {' AND '.join(f'kt_e{n} IS NOT NULL' for n in numbers)}",
        f"EVAL kt_first = GREATEST({', '.join(f'kt_e{n}' for n in numbers)})",
        *_UNPACKED,
        *_round([*lasts, "kt_last = MAX(kt_last)"], group),
        f"EVAL kt_start = LEAST({', '.join(f'kt_l{n}' for n in numbers)})",
        *_UNPACKED,
    ]


def _ordered(plan: Plan, group: Sequence[str]) -> list[str]:
    """Forward from rule to rule to the first completion, each as early as may be, then back, as late as may be."""
    last = len(plan.bases) - 1
    steps = [*_round([f"kt_edge = MIN(CASE({_is(0)}, kt_time))", f"kt_last = MAX(CASE({_is(last)}, kt_time))"], group)]
    for number in range(1, last + 1):
        steps += [*_UNPACKED, *_edge(f"MIN(CASE({_is(number)} AND kt_time > kt_edge, kt_time))", group)]
    for number in reversed(range(last)):
        steps += [*_UNPACKED, *_edge(f"MAX(CASE({_is(number)} AND kt_time < kt_edge, kt_time))", group)]
    return [*steps, "EVAL kt_start = kt_edge", *_UNPACKED]


def _edge(text: str, group: Sequence[str]) -> list[str]:
    return _round([f"kt_next = {text}", "kt_last = MAX(kt_last)"], group, "EVAL kt_edge = kt_next")


def _is(number: int) -> str:
    return f'SUBSTRING(kt_m, {number + 1}, 1) == "1"'


def _round(values: Sequence[str], group: Sequence[str], *more: str) -> list[str]:
    return [_stats(["kt_packed = VALUES(kt_packed)", *values], group), *more]


def _stats(values: Sequence[str], by: Sequence[str]) -> str:
    return f"STATS {', '.join(values)}" + (f"\n    BY {', '.join(by)}" if by else "")
