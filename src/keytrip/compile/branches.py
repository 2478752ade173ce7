"""The rows of a correlation whose events are records beside alerts, or alerts of several correlations.

An event is a row for each branch that it is of. What a branch is does not depend on the target, which says it in words
of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from keytrip.compile.plan import Base, Plan
from keytrip.compile.views import Column, Source, origin, views_of


@dataclass(frozen=True)
class Words:
    """How a target says what tells rows apart.

    Attributes:
        mark: The condition that a row is of a branch, whose number goes into it.
        holds: The condition that a column is 1, whose name goes into it.
        condition: Gives the text of a base's condition over records.
        of_record: Gives the text of a field in a row of a record.
        of_alert: Gives the text of a field in a row of a correlation's alert.
        derived: Fields that are computed from the time: no row has to keep them.
    """

    mark: str
    holds: str
    condition: Callable[[Base], str]
    of_record: Column
    of_alert: Callable[[Plan], Column]
    derived: Collection[str]


@dataclass(frozen=True)
class Branches:
    """The branches of a plan.

    Attributes:
        of: The plan, whose inner correlations have one view each.
        column: Gives the text of a canonical field of a record, before there are rows.
        words: The target's.
    """

    of: Plan
    column: Column
    words: Words

    @cached_property
    def sources(self) -> dict[str, str | Plan]:
        """Origin -> source of each branch, in order."""
        return {origin(base.source): base.source for base in self.of.bases}

    def mark(self, source: str | Plan) -> str:
        """Return the condition that a row is of a branch."""
        return self.words.mark.format(list(self.sources).index(origin(source)))

    @property
    def record_marks(self) -> list[str]:
        """The conditions of the branches of records."""
        return [self.mark(source) for source in self.sources.values() if isinstance(source, str)]

    def source(self, source: str | Plan) -> Source:
        """Return how the rows of a branch are told and read."""
        own = self.words.of_alert(source) if isinstance(source, Plan) else self.words.of_record
        return Source(self.mark(source), own)

    @cached_property
    def conditions(self) -> dict[str, str]:
        """Condition of a base over records -> the column that says whether it holds."""
        found = dict.fromkeys(self.words.condition(base) for base in self.of.bases if isinstance(base.source, str))
        return {condition: f"kt_c{number}" for number, condition in enumerate(found)}

    @cached_property
    def plan(self) -> Plan:
        """The plan over the rows: its conditions are columns by now."""
        return replace(self.of, bases=tuple(self._base(base) for base in self.of.bases))

    def _base(self, base: Base) -> Base:
        if not isinstance(base.source, str):
            return base
        return replace(base, condition=self.words.holds.format(self.conditions[self.words.condition(base)]))

    def names(self, source: str | Plan) -> dict[str, str]:
        """Return name -> text in an event of the fields that a branch's rows keep."""
        if isinstance(source, Plan):
            view = views_of(source)[0]
            return {name: self.column(view.field(name)) for name in source.group_by}
        views = [view for view in views_of(self.of) if view.source == source]
        names = dict.fromkeys(view.field(name) for view in views for name in self.of.event_fields)
        return {name: self.column(name) for name in names if name not in self.words.derived}

    @cached_property
    def kept(self) -> dict[str, str]:
        """Name -> the column that holds it in rows of any branch."""
        names = dict.fromkeys(name for source in self.sources.values() for name in self.names(source))
        return {name: f"kt_e{number}" for number, name in enumerate(names)}

    def texts(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield (mark, text) of a field in the branches that keep it."""
        for source in self.sources.values():
            found = self.names(source)
            if name in found:
                yield self.mark(source), found[name]

    def counted(self, inner: Plan) -> list[str]:
        """Return the texts of what an inner correlation counts or adds up in its events."""
        return [self.column(views_of(inner)[0].field(name)) for name in inner.fields]
