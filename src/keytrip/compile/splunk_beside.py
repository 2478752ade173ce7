"""Alerts beside records, and alerts of several correlations, in SPL: one pass, no subsearch.

An event is a row for each branch that it is of: the records of a table, or the events of an inner correlation. One
`stats` makes alerts of the latter and leaves the former alone, since each has a number of its own among the fields that
it groups by. A null would drop the row there, so every such field says first whether it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from keytrip.compile.branches import Branches, Words
from keytrip.compile.plan import Base, Plan
from keytrip.compile.splunk_blocks import looked_up, lookup, threshold_tests
from keytrip.compile.splunk_events import (
    DAY,
    DERIVED,
    alert_column,
    any_base,
    any_of,
    day_steps,
    picked,
    window_text,
)
from keytrip.compile.splunk_expressions import spl_all
from keytrip.compile.splunk_groups import RANKED, combination
from keytrip.compile.views import Column, views_of

_NULL = "null()"


def can_stand_beside(plan: Plan) -> bool:
    """Whether every inner correlation of a plan counts records of one table under its own names, each event alone."""
    return all(
        not inner.temporal
        and not inner.inner
        and len(views_of(inner)) == 1
        and inner.type not in RANKED
        and inner.share_block is None
        for inner in plan.inner
    )


_WORDS = Words(
    mark='(kt_branch = "b{:02}")',
    holds="({} = 1)",
    condition=lambda base: any_base([base]),
    of_record=lambda name: DERIVED.get(name, name),
    of_alert=lambda inner: partial(alert_column, inner),
    derived=DERIVED,
)


def branches_of(plan: Plan, column: Column) -> Branches:
    """Return the branches of a plan for which `can_stand_beside` holds."""
    return Branches(plan, column, _WORDS)


def _test(rows: Branches, source: str | Plan) -> str:
    """Return the condition that an event is of a branch."""
    table = source if isinstance(source, str) else source.reads[0]
    mark = [f'(sourcetype = "keytrip:{table}")'] if len(rows.of.reads) > 1 else []
    if isinstance(source, Plan):
        present = [f"(isnotnull({text}))" for text in rows.names(source).values()]
        return spl_all([*mark, *present, any_base(source.bases)])
    return spl_all([*mark, any_base([base for base in rows.of.bases if base.source == source])])


def branch_steps(rows: Branches) -> Iterator[str]:
    """Yield the steps from events to one row a record and alert."""
    tests = {key: _test(rows, source) for key, source in rows.sources.items()}
    texts = [text for source in rows.sources.values() for text in rows.names(source).values()]
    texts += [text for inner in rows.of.inner for text in rows.counted(inner)]
    yield from day_steps("".join([*tests.values(), *texts]))
    yield f"where {any_of(list(tests.values()))}"
    branches = [f'if({test}, "b{number:02}", {_NULL})' for number, test in enumerate(tests.values())]
    flags = (f"{name} = if({condition}, 1, 0)" for condition, name in rows.conditions.items())
    branch = f"kt_branch = mvappend({', '.join(branches)})"
    yield f"eval {', '.join([branch, *flags])}"
    # mvexpand drops rows beyond its memory, so only what is used goes into it
    yield f"fields {' '.join(['_time', 'kt_branch', *rows.conditions.values(), *_read(rows)])}"
    yield "fields - _raw"
    yield "mvexpand kt_branch"
    yield "streamstats count as kt_row"
    yield f"eval {', '.join(_columns(rows))}"
    by = ["kt_branch", "kt_id", "window_start", *rows.conditions.values(), *rows.kept.values()]
    sums = [f"{_sum(inner)}(kt_x{n}) as kt_v{n}" for n, inner in enumerate(rows.of.inner) if inner.fields]
    counts = ["count as kt_count", "max(_time) as last_seen", *sums]
    yield f"stats {' '.join(counts)} by {' '.join(by)}"
    yield f"eval {', '.join([*_decoded(rows), '_time = last_seen'])}"
    for number, inner in enumerate(rows.of.inner):
        yield from _verdict(rows, inner, number)


def _read(rows: Branches) -> list[str]:
    """Return the fields of an event that its rows are made of."""
    texts = [text for source in rows.sources.values() for text in rows.names(source).values()]
    texts += [text for inner in rows.of.inner for text in rows.counted(inner)]
    computed = {text for text in DERIVED.values() if text != DAY}
    return [text.replace("'", '"') for text in dict.fromkeys(texts) if text not in computed]


def _columns(rows: Branches) -> Iterator[str]:
    records = rows.record_marks
    yield f"kt_id = {f'if({any_of(records)}, kt_row, 0)' if records else '0'}"
    # of a record only: the events of one alert may differ in it
    yield from (f"{name} = if({any_of(records)}, {name}, 0)" for name in rows.conditions.values())
    windows = [(rows.mark(inner), window_text(inner)) for inner in rows.of.inner]
    yield f"window_start = {picked([*windows, ('', '0')])}"
    for number, inner in enumerate(rows.of.inner):
        if inner.fields:
            fields = rows.counted(inner)
            value = fields[0] if len(fields) == 1 else combination(fields)
            yield f"kt_x{number} = if({rows.mark(inner)}, {value}, {_NULL})"
    for name, column in rows.kept.items():
        value = picked([*rows.texts(name), ("", _NULL)])
        yield f'{column} = if((isnull({value})), "n", ("v".{value}))'


def _decoded(rows: Branches) -> Iterator[str]:
    for name, column in rows.kept.items():
        value = f"substr({column}, 2)"
        text = f"tonumber({value})" if _numeric(rows, name) else value
        yield f'{name} = if(({column} = "n"), {_NULL}, {text})'


def _numeric(rows: Branches, name: str) -> bool:
    kinds = (base.type_of(name) for source in rows.of.inner for base in source.bases if name in source.group_by)
    types = [kind for kind in kinds if kind is not None]
    tables = (base.source for base in rows.of.bases if isinstance(base.source, str))
    types += [kind for table in tables if (kind := Base("", table).type_of(name)) is not None]
    return all(kind.numeric for kind in types)


def _verdict(rows: Branches, inner: Plan, number: int) -> Iterator[str]:
    """Yield the steps that keep those rows of an inner correlation which are its alerts."""
    other = f"(NOT {rows.mark(inner)})"
    value = f"kt_v{number}" if inner.fields else "kt_count"
    yield f"eval value = {f'exact(round({value}, 9))' if inner.cost_sum else value}"
    yield f"where {any_of([other, spl_all(['(isnotnull(value))', *threshold_tests(inner)])])}"
    for place, block in enumerate(inner.blocks):
        for look in looked_up(block, f"kt_found_{place}", f"kt_known_{place}"):
            yield lookup(look.table, look.on, look.output)
            yield f"where {any_of([other, look.test])}"


def _sum(inner: Plan) -> str:
    return {"value_sum": "sum", "value_avg": "avg"}.get(inner.type, "dc")
