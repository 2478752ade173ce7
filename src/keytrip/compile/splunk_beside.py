"""Alerts beside records, and alerts of several correlations, in SPL: one pass, no subsearch.

An event is a row for each branch that it is of: the records of a table, or the events of an inner correlation. One
`stats` makes alerts of the latter and leaves the former alone, since each has a number of its own among the fields that
it groups by. A null would drop the row there, so every such field says first whether it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

from keytrip.compile.plan import Base, Plan
from keytrip.compile.splunk_blocks import looked_up, lookup, threshold_tests
from keytrip.compile.splunk_conditions import Column
from keytrip.compile.splunk_events import (
    DAY,
    DERIVED,
    Source,
    alert_column,
    any_base,
    any_of,
    day_steps,
    picked,
    window_text,
)
from keytrip.compile.splunk_expressions import spl_all
from keytrip.compile.splunk_groups import RANKED, combination
from keytrip.compile.views import origin, views_of

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
        return f'(kt_branch = "b{list(self.sources).index(origin(source)):02}")'

    @cached_property
    def conditions(self) -> dict[str, str]:
        """Condition of a base over records -> the column that says whether it holds."""
        found = dict.fromkeys(any_base([base]) for base in self.of.bases if isinstance(base.source, str))
        return {condition: f"kt_c{number}" for number, condition in enumerate(found)}

    @cached_property
    def plan(self) -> Plan:
        """The plan over the rows: its conditions are columns by now."""
        return replace(self.of, bases=tuple(self._base(base) for base in self.of.bases))

    def _base(self, base: Base) -> Base:
        record = isinstance(base.source, str)
        return replace(base, condition=f"({self.conditions[any_base([base])]} = 1)") if record else base

    def source(self, source: str | Plan) -> Source:
        """Return how the rows of a branch are told and read."""
        own = partial(alert_column, source) if isinstance(source, Plan) else lambda name: DERIVED.get(name, name)
        return Source(self.mark(source), own)

    def _names(self, source: str | Plan) -> dict[str, str]:
        """Return name -> text in an event of the fields that a branch's rows keep."""
        if isinstance(source, Plan):
            view = views_of(source)[0]
            return {name: self.column(view.field(name)) for name in source.group_by}
        views = [view for view in views_of(self.of) if view.source == source]
        names = dict.fromkeys(view.field(name) for view in views for name in self.of.event_fields)
        return {name: self.column(name) for name in names if name not in DERIVED}

    @cached_property
    def kept(self) -> dict[str, str]:
        """Name -> the column that holds it, with a letter in front."""
        names = dict.fromkeys(name for source in self.sources.values() for name in self._names(source))
        return {name: f"kt_e{number}" for number, name in enumerate(names)}

    def _test(self, source: str | Plan) -> str:
        """Return the condition that an event is of a branch."""
        table = source if isinstance(source, str) else source.reads[0]
        mark = [f'(sourcetype = "keytrip:{table}")'] if len(self.of.reads) > 1 else []
        if isinstance(source, Plan):
            present = [f"(isnotnull({text}))" for text in self._names(source).values()]
            return spl_all([*mark, *present, any_base(source.bases)])
        return spl_all([*mark, any_base([base for base in self.of.bases if base.source == source])])

    def steps(self) -> Iterator[str]:
        """Yield the steps from events to one row a record and alert."""
        tests = {key: self._test(source) for key, source in self.sources.items()}
        texts = [text for source in self.sources.values() for text in self._names(source).values()]
        texts += [text for inner in self.of.inner for text in self._counted(inner)]
        yield from day_steps("".join([*tests.values(), *texts]))
        yield f"where {any_of(list(tests.values()))}"
        branches = [f'if({test}, "b{number:02}", {_NULL})' for number, test in enumerate(tests.values())]
        flags = (f"{name} = if({condition}, 1, 0)" for condition, name in self.conditions.items())
        branch = f"kt_branch = mvappend({', '.join(branches)})"
        yield f"eval {', '.join([branch, *flags])}"
        # mvexpand drops rows beyond its memory, so only what is used goes into it
        yield f"fields {' '.join(['_time', 'kt_branch', *self.conditions.values(), *self._read()])}"
        yield "fields - _raw"
        yield "mvexpand kt_branch"
        yield "streamstats count as kt_row"
        yield f"eval {', '.join(self._columns())}"
        by = ["kt_branch", "kt_id", "window_start", *self.conditions.values(), *self.kept.values()]
        sums = [f"{_sum(inner)}(kt_x{n}) as kt_v{n}" for n, inner in enumerate(self.of.inner) if inner.fields]
        counts = ["count as kt_count", "max(_time) as last_seen", *sums]
        yield f"stats {' '.join(counts)} by {' '.join(by)}"
        yield f"eval {', '.join([*self._decoded(), '_time = last_seen'])}"
        for number, inner in enumerate(self.of.inner):
            yield from self._verdict(inner, number)

    def _read(self) -> list[str]:
        """Return the fields of an event that its rows are made of."""
        texts = [text for source in self.sources.values() for text in self._names(source).values()]
        texts += [text for inner in self.of.inner for text in self._counted(inner)]
        computed = {text for text in DERIVED.values() if text != DAY}
        return [text.replace("'", '"') for text in dict.fromkeys(texts) if text not in computed]

    def _counted(self, inner: Plan) -> list[str]:
        return [self.column(views_of(inner)[0].field(name)) for name in inner.fields]

    def _columns(self) -> Iterator[str]:
        records = [self.mark(source) for source in self.sources.values() if isinstance(source, str)]
        yield f"kt_id = {f'if({any_of(records)}, kt_row, 0)' if records else '0'}"
        # of a record only: the events of one alert may differ in it
        yield from (f"{name} = if({any_of(records)}, {name}, 0)" for name in self.conditions.values())
        windows = [(self.mark(inner), window_text(inner)) for inner in self.of.inner]
        yield f"window_start = {picked([*windows, ('', '0')])}"
        for number, inner in enumerate(self.of.inner):
            if inner.fields:
                fields = self._counted(inner)
                value = fields[0] if len(fields) == 1 else combination(fields)
                yield f"kt_x{number} = if({self.mark(inner)}, {value}, {_NULL})"
        for name, column in self.kept.items():
            texts = self._of_branches(name)
            value = picked([*texts, ("", _NULL)])
            yield f'{column} = if((isnull({value})), "n", ("v".{value}))'

    def _of_branches(self, name: str) -> list[tuple[str, str]]:
        """Return (mark, text) of a field in the branches that keep it."""
        each = ((source, self._names(source)) for source in self.sources.values())
        return [(self.mark(source), names[name]) for source, names in each if name in names]

    def _decoded(self) -> Iterator[str]:
        for name, column in self.kept.items():
            value = f"substr({column}, 2)"
            text = f"tonumber({value})" if self._numeric(name) else value
            yield f'{name} = if(({column} = "n"), {_NULL}, {text})'

    def _numeric(self, name: str) -> bool:
        kinds = (base.type_of(name) for source in self.of.inner for base in source.bases if name in source.group_by)
        types = [kind for kind in kinds if kind is not None]
        tables = (base.source for base in self.of.bases if isinstance(base.source, str))
        types += [kind for table in tables if (kind := Base("", table).type_of(name)) is not None]
        return all(kind.numeric for kind in types)

    def _verdict(self, inner: Plan, number: int) -> Iterator[str]:
        """Yield the steps that keep those rows of an inner correlation which are its alerts."""
        other = f"(NOT {self.mark(inner)})"
        value = f"kt_v{number}" if inner.fields else "kt_count"
        yield f"eval value = {f'exact(round({value}, 9))' if inner.cost_sum else value}"
        yield f"where {any_of([other, spl_all(['(isnotnull(value))', *threshold_tests(inner)])])}"
        for place, block in enumerate(inner.blocks):
            for look in looked_up(block, f"kt_found_{place}", f"kt_known_{place}"):
                yield lookup(look.table, look.on, look.output)
                yield f"where {any_of([other, look.test])}"


def _sum(inner: Plan) -> str:
    return {"value_sum": "sum", "value_avg": "avg"}.get(inner.type, "dc")
