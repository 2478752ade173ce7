"""From the events of a counting correlation to one row a group and window, in SPL: `stats` before any `lookup`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keytrip.compile.plan import Block, Plan
from keytrip.compile.splunk_blocks import lookup
from keytrip.compile.splunk_events import DERIVED

RANKED = {"value_median", "value_percentile"}


@dataclass(frozen=True)
class Measures:
    """What `stats` adds up: events, or rows that hold counts and sums of some events each.

    Attributes:
        count: The number of events.
        first: The time of the earliest one.
        last: The time of the latest one.
        summary: Whether the rows hold counts and sums: `kt_sum` of the field, `kt_number` of its values.
    """

    count: str
    first: str
    last: str
    summary: bool = False

    @property
    def times(self) -> str:
        """The aggregates for the times of the first and the last event."""
        return f"{self.first} as first_seen {self.last} as last_seen"

    def total(self, field: str) -> str:
        """Return the sum of a field."""
        return "sum(kt_sum)" if self.summary else f"sum({field})"

    def average(self, field: str) -> str:
        """Return the aggregates for the mean of a field: `value`, or what it is computed from."""
        return "sum(kt_sum) as kt_sum sum(kt_number) as kt_number" if self.summary else f"avg({field}) as value"


EVENTS = Measures("count", "min(_time)", "max(_time)")
SUMMARY = Measures("sum(kt_count)", "min(kt_first)", "max(kt_last)", summary=True)


def _by(plan: Plan, extra: Sequence[str] = ()) -> str:
    return "by " + " ".join(dict.fromkeys([*plan.group_by, "window_start", *extra]))


def group_steps(plan: Plan, measures: Measures = EVENTS) -> list[str]:
    """Return the steps from events to one row a group and window."""
    if plan.share_block is not None and plan.type in {"event_count", "value_sum"}:
        steps = _shared_sums(plan, plan.share_block, measures)
    else:
        mark = _absent_events(plan.share_block) if plan.share_block is not None else []
        steps = [*mark, *(_ranked(plan) if plan.type in RANKED else _simple(plan, measures))]
    values = []
    if plan.type == "event_count":
        values.append("value = events")
    if plan.type == "value_avg" and measures.summary:
        values.append("value = exact(kt_sum / kt_number)")
    if plan.cost_sum:
        values.append("value = exact(round(value, 9))")
    if plan.share_block is not None:
        values.append("share = exact(kt_absent / events)")
    return [*steps, f"eval {', '.join(values)}"] if values else steps


def _simple(plan: Plan, measures: Measures) -> list[str]:
    field, before = (plan.fields or ("",))[0], []
    if len(plan.fields) > 1:
        before = [f"eval kt_values = {combination(plan.fields)}"]
        field = "kt_values"
    value = {
        "value_sum": f"{measures.total(field)} as value",
        "value_avg": measures.average(field),
        "value_count": f"dc({field}) as value",
    }.get(plan.type)
    parts = [value] if value else []
    parts += [f"{measures.count} as events", measures.times]
    parts += ["sum(kt_absent) as kt_absent"] if plan.share_block else []
    return [*before, f"stats {' '.join(parts)} {_by(plan)}"]


def combination(fields: Sequence[str]) -> str:
    """Return the text of several fields as one value, null if one of them is."""
    # lengths in front keep ("a", "bc") apart from ("ab", "c")
    present = " AND ".join(f"(isnotnull({f}))" for f in fields)
    lengths = '.":".'.join(f"len({f})" for f in fields)
    return f'if(({present}), ({lengths}.":".{".".join(fields)}), null())'


def _ranked(plan: Plan) -> list[str]:
    """Interpolate between ranks: `median` and `perc` take the nearest one."""
    field = plan.fields[0]
    part = 50 if plan.type == "value_median" else plan.percentile or 0
    taken = [f"if(((isnotnull({field})) AND (kt_rank = {f}(kt_place))), {field}, null())" for f in ("floor", "ceiling")]
    share = " sum(kt_absent) as kt_absent" if plan.share_block else ""
    rows = "max(kt_low) as kt_low max(kt_high) as kt_high max(kt_place) as kt_place"
    return [
        f"sort 0 num({field})",
        f"streamstats count({field}) as kt_rank {_by(plan)}",
        f"eventstats count({field}) as kt_count {_by(plan)}",
        f"eval kt_place = exact((({part} / 100) * (kt_count - 1)) + 1)",
        f"eval kt_low = {taken[0]}, kt_high = {taken[1]}",
        f"stats {rows} count as events {EVENTS.times}{share} {_by(plan)}",
        "eval value = exact(kt_low + ((kt_place - floor(kt_place)) * (kt_high - kt_low)))",
    ]


def _found(block: Block) -> str:
    """Return the lookup that leaves `kt_found` null where the table has no row; several rows do no harm."""
    return lookup(block.table, block.on, [(block.on[0], "kt_found")])


def _absence(block: Block) -> str:
    present = " AND ".join(f"(isnotnull({c}))" for c in block.on)
    return f"({present} AND (isnull(kt_found)))"


def _absent_events(block: Block) -> list[str]:
    return [_found(block), f"eval kt_absent = if({_absence(block)}, 1, 0)"]


def _shared_sums(plan: Plan, block: Block, measures: Measures) -> list[str]:
    """Count per combination, look that up, add up; nulls are marked, since `stats` drops rows without a by-field."""
    extra = [c for c in block.on if c not in plan.group_by]
    nullable = [c for c in extra if c not in DERIVED]
    marked = [f'kt_on_{c} = if((isnull({c})), "n", ("v".{c}))' for c in nullable]
    back = [f'{c} = if((kt_on_{c} = "n"), null(), substr(kt_on_{c}, 2))' for c in nullable]
    summed = plan.type == "value_sum"
    inner = [f"{measures.count} as kt_events", *([f"{measures.total(plan.fields[0])} as kt_sum"] if summed else [])]
    outer = [*(["sum(kt_sum) as value"] if summed else []), "sum(kt_events) as events", "sum(kt_absent) as kt_absent"]
    by_columns = _by(plan, [f"kt_on_{c}" if c in nullable else c for c in extra])
    return [
        *([f"eval {', '.join(marked)}"] if nullable else []),
        f"stats {' '.join(inner)} {measures.first} as kt_first {measures.last} as kt_last {by_columns}",
        *([f"eval {', '.join(back)}"] if nullable else []),
        _found(block),
        f"eval kt_absent = if({_absence(block)}, kt_events, 0)",
        f"stats {' '.join(outer)} min(kt_first) as first_seen max(kt_last) as last_seen {_by(plan)}",
    ]
