"""Counting rules over an accelerated data model: `tstats` reads its summaries, `stats` adds up what that gives.

The model holds one root dataset a canonical table, with the table's fields and `event_time`, which is `_time` (see
docs/targets.md). Events are counted by what the conditions test and the group names, in slices of at most 15 minutes:
no window's border lies in such a slice, whatever the time zone, and the conditions stay the exact ones of `where`.
`tstats` leaves out events that have none of a field in its BY, so a rule that such an event could meet is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import gcd

from keytrip.compile.plan import Plan
from keytrip.compile.splunk_blocks import verdict_steps
from keytrip.compile.splunk_events import DAY, DERIVED, event_steps, record_source
from keytrip.compile.splunk_groups import RANKED, SUMMARY, group_steps
from keytrip.compile.views import views_of
from keytrip.errors import ContentError

_MODEL = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)
# Time zones differ by multiples of a quarter of an hour.
_SLICE = 900
WITHOUT_MODEL = "compile it without the option data_model"


def model_named(text: str) -> str:
    """Return the name of a data model.

    Raises:
        ContentError: It cannot be one.
    """
    if not _MODEL.fullmatch(text):
        raise ContentError(f"{text!r} cannot be a data model", hint="its name: letters, digits and _")
    return text


def model_field(table: str, name: str) -> str:
    """Return the text of a canonical field of a table's dataset in `where` and `eval`."""
    return f"'{table}.{name}'"


def tstats_alerts(plan: Plan, model: str, column: Callable[[str], str]) -> list[str]:
    """Return the steps to one row an alert, `tstats` first.

    Raises:
        ContentError: `tstats` cannot say it.
    """
    _check_kind(plan)
    (table,) = plan.reads
    summed = plan.type in {"value_sum", "value_avg"}
    events = replace(plan, fields=()) if summed else plan
    steps = event_steps(events, partial(record_source, events, column))
    fields = _fields_by(events, table, steps)
    _check_present(plan, fields)
    measures = ["count as kt_count", *(_sums(plan, table) if summed else [])]
    measures += [f"{pick}({table}.event_time) as kt_{name}" for pick, name in (("min", "first"), ("max", "last"))]
    by = " ".join([*(f"{table}.{name}" for name in fields), f"_time span={gcd(plan.seconds, _SLICE)}s"])
    first = f"tstats {' '.join(measures)} from datamodel={model}.{table} by {by}"
    return [first, *steps, *group_steps(plan, SUMMARY), *verdict_steps(plan)]


def _check_kind(plan: Plan) -> None:
    share = plan.share_block is not None and plan.type not in {"event_count", "value_sum"}
    problem = ""
    if plan.temporal or plan.inner:
        problem = "temporal correlations and chains need single events"
    elif len(plan.reads) > 1 or len(views_of(plan)) > 1:
        problem = "it reads one dataset, by one name for each field"
    elif plan.type in RANKED or share:
        problem = f"{plan.type}{' with a share' if share else ''} needs single events"
    if problem:
        raise ContentError(f"tstats cannot say it: {problem}", hint=WITHOUT_MODEL)


def _fields_by(plan: Plan, table: str, steps: Sequence[str]) -> list[str]:
    """Return the fields that the steps read: they are always quoted."""
    read = re.findall(rf"'{table}\.(\w+)'", "".join(steps))
    return list(dict.fromkeys([*(name for name in plan.group_by if name not in DERIVED), *read]))


def _check_present(plan: Plan, fields: Sequence[str]) -> None:
    present = frozenset.intersection(*(base.narrowing.present for base in plan.bases)) | {*plan.group_by}
    lacking = [name for name in fields if name not in present]
    if lacking:
        problem = f"it leaves out events without {lacking[0]}, which the rule counts"
        raise ContentError(f"tstats cannot say it: {problem}", hint=WITHOUT_MODEL)


def _sums(plan: Plan, table: str) -> list[str]:
    field = plan.fields[0]
    if field in DERIVED or field == DAY:
        raise ContentError(f"tstats cannot say it: {field} is no field of the data model", hint=WITHOUT_MODEL)
    number = [f"count({table}.{field}) as kt_number"] if plan.type == "value_avg" else []
    return [f"sum({table}.{field}) as kt_sum", *number]
