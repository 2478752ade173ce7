"""Temporal correlations as DuckDB SQL: running maxima over the events in time order, and no self join.

The last time of a rule's events so far is their greatest, so `last_value` (quicker in DuckDB) is the running
maximum. Events of one instant are peers of a window's frame, and so are taken together.
"""

from __future__ import annotations

from keytrip.compile.duckdb_events import Writer, events_sql
from keytrip.compile.plan import Plan
from keytrip.records.sql import quote_name

_SO_FAR = "range between unbounded preceding and current row"
_BEFORE = "groups between unbounded preceding and 1 preceding"


def temporal_sql(plan: Plan, write: Writer) -> str:
    """Return the CTEs up to `groups`: one row an alert, with the columns of a counting correlation's groups.

    `events` are those of the rules from `window_start` to `window_end`: the rows up to the end, less those before the
    start, both of which the windows number.
    """
    keys = "".join(f"{quote_name(name)}, " for name in plan.group_by)
    starts = _ordered(plan, keys) if plan.ordered else _unordered(plan, keys)
    span = f"to_seconds({plan.seconds})"
    by_time = _over(keys)
    return f"""events as (
{events_sql(plan, write, marks=True)}
), {starts}, completions as (
  select *, lag(timestamp) over ({by_time}) as kt_before
  from kt_seen
  where kt_start >= timestamp - {span}
), numbered as (
  select *, sum(case when timestamp - kt_before <= {span} then 0 else 1 end) over ({by_time} {_SO_FAR}) as kt_alert
  from completions
), alerts as (
  select {keys}min(kt_start) as window_start, max(timestamp) as window_end, max(kt_upto) as kt_upto
  from numbered
  group by {keys}kt_alert
), groups as (
  select {keys}window_start, any_value(window_end) as window_end, cast(null as bigint) as value,
    any_value(a.kt_upto) - min(s.kt_rank) + 1 as events, window_start as first_seen, any_value(window_end) as last_seen
  from alerts a join (select {keys}timestamp as window_start, kt_rank from kt_seen) s using ({keys}window_start)
  group by {keys}window_start
)"""


def _over(keys: str) -> str:
    return (f"partition by {keys[:-2]} " if keys else "") + "order by timestamp"


def _counts(keys: str) -> str:
    over = _over(keys)
    return f"rank() over ({over}) as kt_rank, count(*) over ({over} {_SO_FAR}) as kt_upto"


def _unordered(plan: Plan, keys: str) -> str:
    """An event completes with the last event of every rule; the earliest of these is its start, null if one lacks."""
    names = [f"kt_l{number}" for number in range(len(plan.bases))]
    over = f"over ({_over(keys)} {_SO_FAR})"
    times = [f"case when kt_m{number} then timestamp end" for number in range(len(plan.bases))]
    lasts = [f"last_value({time} ignore nulls) {over} as {name}" for time, name in zip(times, names, strict=True)]
    missing = " or ".join(f"{name} is null" for name in names)
    start = f"case when {missing} then null else least({', '.join(names)}) end"
    return (
        f"kt_lasts as (\n  select {keys}timestamp, {', '.join(lasts)}, {_counts(keys)}\n  from events\n"
        f"), kt_seen as (\n  select {keys}timestamp, kt_rank, kt_upto, {start} as kt_start\n  from kt_lasts\n)"
    )


def _ordered(plan: Plan, keys: str) -> str:
    """The latest start of a series that ends with an event of rule n is that of rule n - 1 strictly before it."""
    last = len(plan.bases) - 1
    first = f"case when kt_m0 then timestamp end as kt_start, {_counts(keys)}"
    steps = [f"kt_s0 as (\n  select *, {first}\n  from events\n)"]
    for number in range(1, last + 1):
        before = f"last_value(kt_start ignore nulls) over ({_over(keys)} {_BEFORE})"
        columns = f"* replace (case when kt_m{number} then {before} end as kt_start)"
        steps.append(f"kt_s{number} as (\n  select {columns}\n  from kt_s{number - 1}\n)")
    return ", ".join([*steps, f"kt_seen as (\n  select *\n  from kt_s{last}\n)"])
