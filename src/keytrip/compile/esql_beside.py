"""Alerts beside records, and alerts of several correlations, in ES|QL 8.19: one pass, since it has no union.

An event is a row for each branch that it is of: the records of a table, or the events of an inner correlation. One
`STATS` makes alerts of the latter and leaves the former alone, since each has the id of its document among the fields
that it groups by. A null is a group of its own there, and stays a null.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from keytrip.compile.branches import Branches, Words
from keytrip.compile.esql_conditions import quote_column
from keytrip.compile.esql_events import alert_column, condition_of, of_table
from keytrip.compile.esql_query import DERIVED, threshold_test, window_text
from keytrip.compile.plan import Plan
from keytrip.compile.views import Column, views_of

_VALUES = {
    "value_sum": "SUM({0})",
    "value_avg": "AVG({0})",
    "value_count": "COUNT_DISTINCT({0}, 40000)",
    "value_median": "MEDIAN({0})",
    "value_percentile": "PERCENTILE({0}, {1})",
}


def can_stand_beside(plan: Plan) -> bool:
    """Whether a plan counts, and its inner correlations count records of one table by its names, without baselines."""
    return not plan.temporal and all(
        not inner.temporal and not inner.inner and not inner.blocks and len(views_of(inner)) == 1
        for inner in plan.inner
    )


_WORDS = Words(
    mark='kt_branch == "b{}"',
    holds="{} == 1",
    condition=lambda base: base.condition,
    of_record=lambda name: DERIVED.get(name) or quote_column(name),
    of_alert=lambda inner: partial(alert_column, inner),
    derived=DERIVED,
)


def branches_of(plan: Plan, column: Column) -> Branches:
    """Return the branches of a plan for which `can_stand_beside` holds."""
    return Branches(plan, column, _WORDS)


def _test(rows: Branches, source: str | Plan) -> str:
    """Return the condition that an event is of a branch."""
    table = source if isinstance(source, str) else source.reads[0]
    tests = [of_table(table)] if len(rows.of.reads) > 1 else []
    if isinstance(source, Plan):
        made = set(DERIVED.values())
        tests += [f"{text} IS NOT NULL" for text in rows.names(source).values() if text not in made]
        bases = source.bases
    else:
        bases = tuple(base for base in rows.of.bases if base.source == source)
    return " AND ".join([*tests, f"({condition_of(bases)})"])


def branch_steps(rows: Branches) -> Iterator[str]:
    """Yield the steps from events to one row a record and alert."""
    tests = [_test(rows, source) for source in rows.sources.values()]
    yield "WHERE " + " OR ".join(f"({test})" for test in tests)
    each = [f'CASE({test}, "b{number},", "")' for number, test in enumerate(tests)]
    yield f'EVAL kt_branch = SPLIT(CONCAT({", ".join(each)}), ",")'
    yield "MV_EXPAND kt_branch"
    yield 'WHERE kt_branch != ""'
    yield "EVAL " + ", ".join(_columns(rows))
    kept = [f"{quote_column(name)} = {column}" for name, column in rows.kept.items()]
    counted = [(number, inner) for number, inner in enumerate(rows.of.inner) if inner.fields]
    sums = [f"kt_v{n} = {_VALUES[inner.type].format(f'kt_x{n}', inner.percentile)}" for n, inner in counted]
    values = ["kt_count = COUNT(*)", "last_seen = MAX(@timestamp)", *sums]
    by = ["kt_branch", "kt_id", "kt_start", *rows.conditions.values(), *kept]
    yield f"STATS {', '.join(values)}\n    BY {', '.join(by)}"
    for number, inner in enumerate(rows.of.inner):
        value = f"kt_v{number}" if inner.fields else "kt_count"
        value = f"ROUND({value}, 9)" if inner.cost_sum else value
        other = rows.mark(inner).replace("==", "!=", 1)
        yield f"WHERE {other} OR {threshold_test(value, inner.threshold)}"
    yield "RENAME last_seen AS @timestamp"


def _columns(rows: Branches) -> Iterator[str]:
    record = " OR ".join(rows.record_marks)
    yield f'kt_id = CASE({record or "false"}, CONCAT(_index, "/", _id), "")'
    for condition, name in rows.conditions.items():
        # of a record only: the events of one alert may differ in it
        yield f"{name} = CASE({record}, CASE({condition}, 1, 0), 0)"
    windows = "".join(f"{rows.mark(inner)}, {window_text(inner)}, " for inner in rows.of.inner)
    yield f"kt_start = CASE({windows}TO_DATETIME(0))"
    for number, inner in enumerate(rows.of.inner):
        if inner.fields:
            yield f"kt_x{number} = CASE({rows.mark(inner)}, {_value(rows, inner)})"
    for name, column in rows.kept.items():
        yield f"{column} = CASE({', '.join(f'{mark}, {text}' for mark, text in rows.texts(name))})"


def _value(rows: Branches, inner: Plan) -> str:
    """Return the text of what an inner correlation counts or adds up: null where an event has none."""
    fields = rows.counted(inner)
    if inner.type != "value_count":
        return f"TO_DOUBLE({fields[0]})"
    texts = [f"TO_STRING({field})" for field in fields]
    # lengths in front keep ("a", "bc") apart from ("ab", "c")
    parts = [f'TO_STRING(LENGTH({text})), ":", {text}' for text in texts]
    return texts[0] if len(texts) == 1 else f"CONCAT({', '.join(parts)})"
