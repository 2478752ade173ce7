"""Temporal correlations in SPL: running maxima by `streamstats` over one row an instant, in time order.

No `time_window` and no `window`: both are capped, and `window` counts rows of all groups together. What runs here has
no window and runs behind `stats`, whose rows `streamstats` takes in full (Splunk's Search Reference, streamstats).
Differences of times are rounded to microseconds before they are compared, since seconds are doubles.
"""

from __future__ import annotations

from collections.abc import Sequence

from keytrip.compile.plan import Plan
from keytrip.compile.splunk_expressions import spl_all

# The time of an alert's first completion: a schedule asks for it, the result leaves it out.
COMPLETED = "kt_completed"


def temporal_steps(plan: Plan) -> list[str]:
    """Return the steps from marked events to one row an alert, with the columns of a counting correlation's groups.

    `kt_upto` numbers a group's events; `kt_start` is the latest possible start of an event's completion, `kt_skip` how
    many events are before it. All of them only grow with time, so that the least of an alert is that of its first row.
    """
    by = f" by {' '.join(plan.group_by)}" if plan.group_by else ""
    marks = " ".join(f"max(kt_m{number}) as kt_m{number}" for number in range(len(plan.bases)))
    span = plan.seconds
    ends = f"min(kt_start) as window_start max(_time) as window_end min(_time) as {COMPLETED}"
    return [
        f"stats {marks} count as kt_count by {' '.join([*plan.group_by, '_time'])}",
        "sort 0 num(_time)",
        f"streamstats sum(kt_count) as kt_upto{by}",
        *(_ordered(plan, by) if plan.ordered else _unordered(plan, by)),
        f"where (round((_time - kt_start), 6) <= {span})",
        f"streamstats current=f max(_time) as kt_before{by}",
        f"eval kt_new = if((isnull(kt_before)), 1, if((round((_time - kt_before), 6) > {span}), 1, 0))",
        f"streamstats sum(kt_new) as kt_alert{by}",
        f"stats {ends} min(kt_skip) as kt_skip max(kt_upto) as kt_upto by {' '.join([*plan.group_by, 'kt_alert'])}",
        "eval events = (kt_upto - kt_skip), first_seen = window_start, last_seen = window_end",
    ]


def _unordered(plan: Plan, by: str) -> list[str]:
    """An event completes with the last event of every rule; the earliest of these is its start."""
    numbers = range(len(plan.bases))
    times = [f"kt_t{n} = if((kt_m{n} = 1), _time, null())" for n in numbers]
    skips = [f"kt_k{n} = if((kt_m{n} = 1), (kt_upto - kt_count), null())" for n in numbers]
    lasts = " ".join(f"max(kt_t{n}) as kt_l{n} max(kt_k{n}) as kt_c{n}" for n in numbers)
    return [
        f"eval {', '.join([*times, *skips])}",
        f"streamstats {lasts}{by}",
        f"where {spl_all([f'(isnotnull(kt_l{n}))' for n in numbers])}",
        f"eval kt_start = {_least([f'kt_l{n}' for n in numbers])}, kt_skip = {_least([f'kt_c{n}' for n in numbers])}",
    ]


def _least(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"min({', '.join(names)})"


def _ordered(plan: Plan, by: str) -> list[str]:
    """The latest start of a series that ends with an event of rule n is that of rule n - 1 strictly before it."""
    steps = ["eval kt_start = if((kt_m0 = 1), _time, null()), kt_skip = if((kt_m0 = 1), (kt_upto - kt_count), null())"]
    for number in range(1, len(plan.bases)):
        picked = [f"{name} = if((kt_m{number} = 1), {name}_before, null())" for name in ("kt_start", "kt_skip")]
        before = "max(kt_start) as kt_start_before max(kt_skip) as kt_skip_before"
        steps += [f"streamstats current=f {before}{by}", f"eval {', '.join(picked)}"]
    return [*steps, "where (isnotnull(kt_start))"]
