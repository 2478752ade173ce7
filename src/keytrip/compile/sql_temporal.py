"""Temporal correlations as SQL: running maxima over the events in time order, and no self join.

The last time of a rule's events so far is their greatest. Events of one instant are peers of a window's frame, and so
are taken together. Sorting all events of a rule that matches nearly everything is what costs; so those that are far
from every event of the rarest rule are left out before: no alert holds them.
"""

from __future__ import annotations

from keytrip.compile.plan import Plan
from keytrip.compile.sql_dialect import Dialect
from keytrip.compile.sql_events import Writer, events_sql

SO_FAR = "range between unbounded preceding and current row"


def temporal_sql(dialect: Dialect, plan: Plan, write: Writer) -> str:
    """Return the CTEs up to `groups`: one row an alert, with the columns of a counting correlation's groups.

    `events` are those of the rules from `window_start` to `window_end`: the rows up to the end, less those before the
    start, both of which the windows number.
    """
    keys = "".join(f"{dialect.name(name)}, " for name in plan.group_by)
    starts = (_ordered if plan.ordered else _unordered)(dialect, plan, keys)
    by_time = _over(keys)
    close = dialect.near("kt_before", "timestamp", plan.seconds)
    return f"""{_events(dialect, plan, write, keys)}, {starts}, completions as (
  select *, lag(timestamp) over ({by_time}) as kt_before
  from kt_seen
  where {dialect.near("kt_start", "timestamp", plan.seconds)}
), numbered as (
  select *, sum(case when {close} then 0 else 1 end) over ({by_time} {SO_FAR}) as kt_alert
  from completions
), alerts as (
  select {keys}min(kt_start) as window_start, max(timestamp) as window_end, max(kt_upto) as kt_upto
  from numbered
  group by {keys}kt_alert
), groups as (
  select {keys}window_start, max(window_end) as window_end, cast(null as bigint) as value,
    max(a.kt_upto) - min(s.kt_rank) + 1 as events, window_start as first_seen, max(window_end) as last_seen
  from alerts a join (select {keys}timestamp as window_start, kt_rank from kt_seen) s using ({keys}window_start)
  group by {keys}window_start
)"""


def _events(dialect: Dialect, plan: Plan, write: Writer, keys: str) -> str:
    """Return the CTEs up to `events`, of which those are left out that no alert can hold.

    All events of an alert are at most a timespan from an event of each rule: in its window of that width or beside it.
    """
    found = events_sql(dialect, plan, write, marks=True)
    if not dialect.prunes or len(plan.bases) == 1:
        return f"events as (\n{found}\n)"
    # a table is read again at less cost than its events are kept
    kept = "as not materialized" if all(isinstance(base.source, str) for base in plan.bases) else "as"
    counts = [f"count(*) filter (kt_m{number})" for number in range(len(plan.bases))]
    rarest = " ".join(f"when {count} then {number}" for number, count in enumerate(counts))
    marks = " ".join(f"when {number} then kt_m{number}" for number in range(len(plan.bases)))
    bucket = dialect.window(plan.seconds, 0)
    beside = ", ".join(dialect.later("kt_bucket", plan.seconds * step) for step in (-1, 0, 1))
    return f"""kt_base {kept} (
{found}
), kt_rarest as (
  select case least({", ".join(counts)}) {rarest} end as kt_rule
  from kt_base
), kt_near as (
  select distinct {keys}unnest([{beside}]) as kt_bucket
  from (
    select distinct {keys}{bucket} as kt_bucket
    from kt_base, kt_rarest
    where case kt_rule {marks} end
  )
), events as (
  select *
  from (select *, {bucket} as kt_bucket from kt_base) semi join kt_near using ({keys}kt_bucket)
)"""


def _partition(keys: str) -> str:
    return f"partition by {keys[:-2]} " if keys else ""


def _over(keys: str) -> str:
    return _partition(keys) + "order by timestamp"


def _counts(keys: str) -> str:
    over = _over(keys)
    return f"rank() over ({over}) as kt_rank, count(*) over ({over} {SO_FAR}) as kt_upto"


def _unordered(dialect: Dialect, plan: Plan, keys: str) -> str:
    """An event completes with the last event of every rule; the earliest of these is its start, null if one lacks."""
    names = [f"kt_l{number}" for number in range(len(plan.bases))]
    times = [f"case when kt_m{number} then timestamp end" for number in range(len(plan.bases))]
    over = f"{_over(keys)} {SO_FAR}"
    lasts = [f"{dialect.last(time, over)} as {name}" for time, name in zip(times, names, strict=True)]
    missing = " or ".join(f"{name} is null" for name in names)
    start = names[0] if len(names) == 1 else f"least({', '.join(names)})"
    return (
        f"kt_lasts as (\n  select {keys}timestamp, {', '.join(lasts)}, {_counts(keys)}\n  from events\n"
        f"), kt_seen as (\n  select {keys}timestamp, kt_rank, kt_upto, "
        f"case when {missing} then null else {start} end as kt_start\n  from kt_lasts\n)"
    )


def _ordered(dialect: Dialect, plan: Plan, keys: str) -> str:
    """The latest start of a series that ends with an event of rule n is that of rule n - 1 strictly before it."""
    last = len(plan.bases) - 1
    marks = "".join(f", kt_m{number}" for number in range(1, last + 1))
    first = f"case when kt_m0 then timestamp end as kt_start, {_counts(keys)}"
    steps = [f"kt_s0 as (\n  select {keys}timestamp{marks}, {first}\n  from events\n)"]
    for number in range(1, last + 1):
        before = dialect.last_before("kt_start", _partition(keys))
        start = f"case when kt_m{number} then {before} end as kt_start"
        columns = f"{keys}timestamp{marks}, {start}, kt_rank, kt_upto"
        steps.append(f"kt_s{number} as (\n  select {columns}\n  from kt_s{number - 1}\n)")
    return ", ".join([*steps, f"kt_seen as (\n  select *\n  from kt_s{last}\n)"])
