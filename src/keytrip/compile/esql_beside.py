"""Alerts beside records, and alerts of several correlations, in ES|QL 8.19: one pass, since it has no union.

An event is a row for each branch that it is of: the records of a table, or the events of an inner correlation. One
`STATS` makes alerts of the latter and leaves the former alone, since each has the id of its document among the fields
that it groups by. A null is a group of its own there, and stays a null.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

from keytrip.compile.esql_conditions import Column, quote_column
from keytrip.compile.esql_events import Source, alert_column, condition_of, of_table
from keytrip.compile.esql_query import DERIVED, threshold_test, window_text
from keytrip.compile.plan import Base, Plan
from keytrip.compile.views import origin, views_of

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


@dataclass(frozen=True)
class Beside:
    """The rows of a plan whose events are of several branches.

    Attributes:
        of: The plan; `can_stand_beside` holds.
        column: Gives the text of a canonical field of a record.
    """

    of: Plan
    column: Column

    @cached_property
    def sources(self) -> dict[str, str | Plan]:
        """Origin -> source of each branch, in order."""
        return {origin(base.source): base.source for base in self.of.bases}

    def mark(self, source: str | Plan) -> str:
        """Return the condition that a row is of a branch."""
        return f'kt_branch == "b{list(self.sources).index(origin(source))}"'

    def source(self, source: str | Plan) -> Source:
        """Return how the rows of a branch are told and read."""
        return Source(self.mark(source), partial(alert_column, source) if isinstance(source, Plan) else _kept)

    @cached_property
    def conditions(self) -> dict[str, str]:
        """Condition of a base over records -> the column that says whether it holds."""
        found = dict.fromkeys(base.condition for base in self.of.bases if isinstance(base.source, str))
        return {condition: f"kt_c{number}" for number, condition in enumerate(found)}

    @cached_property
    def plan(self) -> Plan:
        """The plan over the rows: its conditions are columns by now."""
        return replace(self.of, bases=tuple(self._base(base) for base in self.of.bases))

    def _base(self, base: Base) -> Base:
        record = isinstance(base.source, str)
        return replace(base, condition=f"{self.conditions[base.condition]} == 1") if record else base

    def _names(self, source: str | Plan) -> dict[str, str]:
        """Return name -> text in an event of the fields that a branch's rows keep."""
        if isinstance(source, Plan):
            view = views_of(source)[0]
            return {name: self.column(view.field(name)) for name in source.group_by}
        views = [view for view in views_of(self.of) if view.source == source]
        names = dict.fromkeys(view.field(name) for view in views for name in self.of.event_fields)
        return {name: self.column(name) for name in names if name not in DERIVED}

    def _test(self, source: str | Plan) -> str:
        """Return the condition that an event is of a branch."""
        table = source if isinstance(source, str) else source.reads[0]
        tests = [of_table(table)] if len(self.of.reads) > 1 else []
        if isinstance(source, Plan):
            made = set(DERIVED.values())
            tests += [f"{text} IS NOT NULL" for text in self._names(source).values() if text not in made]
            bases = source.bases
        else:
            bases = tuple(base for base in self.of.bases if base.source == source)
        return " AND ".join([*tests, f"({condition_of(bases)})"])

    def steps(self) -> Iterator[str]:
        """Yield the steps from events to one row a record and alert."""
        tests = [self._test(source) for source in self.sources.values()]
        yield "WHERE " + " OR ".join(f"({test})" for test in tests)
        each = [f'CASE({test}, "b{number},", "")' for number, test in enumerate(tests)]
        yield f'EVAL kt_branch = SPLIT(CONCAT({", ".join(each)}), ",")'
        yield "MV_EXPAND kt_branch"
        yield 'WHERE kt_branch != ""'
        yield "EVAL " + ", ".join(self._columns())
        names = dict.fromkeys(name for source in self.sources.values() for name in self._names(source))
        kept = [f"{quote_column(name)} = kt_e{number}" for number, name in enumerate(names)]
        counted = [(number, inner) for number, inner in enumerate(self.of.inner) if inner.fields]
        sums = [f"kt_v{n} = {_VALUES[inner.type].format(f'kt_x{n}', inner.percentile)}" for n, inner in counted]
        values = ["kt_count = COUNT(*)", "last_seen = MAX(@timestamp)", *sums]
        by = ["kt_branch", "kt_id", "kt_start", *self.conditions.values(), *kept]
        yield f"STATS {', '.join(values)}\n    BY {', '.join(by)}"
        for number, inner in enumerate(self.of.inner):
            value = f"kt_v{number}" if inner.fields else "kt_count"
            value = f"ROUND({value}, 9)" if inner.cost_sum else value
            other = self.mark(inner).replace("==", "!=", 1)
            yield f"WHERE {other} OR {threshold_test(value, inner.threshold)}"
        yield "RENAME last_seen AS @timestamp"

    def _columns(self) -> Iterator[str]:
        record = " OR ".join(self.mark(source) for source in self.sources.values() if isinstance(source, str))
        yield f'kt_id = CASE({record or "false"}, CONCAT(_index, "/", _id), "")'
        for condition, name in self.conditions.items():
            # of a record only: the events of one alert may differ in it
            yield f"{name} = CASE({record}, CASE({condition}, 1, 0), 0)"
        windows = "".join(f"{self.mark(inner)}, {window_text(inner)}, " for inner in self.of.inner)
        yield f"kt_start = CASE({windows}TO_DATETIME(0))"
        for number, inner in enumerate(self.of.inner):
            if inner.fields:
                yield f"kt_x{number} = CASE({self.mark(inner)}, {self._value(inner)})"
        names = dict.fromkeys(name for source in self.sources.values() for name in self._names(source))
        for number, name in enumerate(names):
            each = ((source, self._names(source)) for source in self.sources.values())
            yield f"kt_e{number} = CASE({', '.join(f'{self.mark(s)}, {n[name]}' for s, n in each if name in n)})"

    def _value(self, inner: Plan) -> str:
        """Return the text of what an inner correlation counts or adds up: null where an event has none."""
        fields = [self.column(views_of(inner)[0].field(name)) for name in inner.fields]
        if inner.type != "value_count":
            return f"TO_DOUBLE({fields[0]})"
        texts = [f"TO_STRING({field})" for field in fields]
        # lengths in front keep ("a", "bc") apart from ("ab", "c")
        parts = [f'TO_STRING(LENGTH({text})), ":", {text}' for text in texts]
        return texts[0] if len(texts) == 1 else f"CONCAT({', '.join(parts)})"


def _kept(name: str) -> str:
    return DERIVED.get(name) or quote_column(name)
