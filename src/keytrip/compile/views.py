"""The events of a correlation, sorted by where they come from and what they call the correlation's fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from keytrip.compile.plan import Base, Plan

# Gives the text of a field by its name.
Column: TypeAlias = Callable[[str], str]


@dataclass(frozen=True)
class Source:
    """How the events of one source are told and read.

    Attributes:
        mark: The condition that an event is one of them; it may be empty where every event is.
        column: Gives the text of their fields.
    """

    mark: str
    column: Column


@dataclass(frozen=True)
class View:
    """Bases of one source that call every field alike.

    Attributes:
        source: The canonical table, or the correlation whose alerts are the events.
        bases: The bases.
        earlier: Views of the same source before this one: an event that these put into the same group is theirs.
    """

    source: str | Plan
    bases: tuple[Base, ...]
    earlier: tuple[View, ...] = ()

    def field(self, name: str) -> str:
        """Return what the source's events call the correlation's `name`."""
        return self.bases[0].field(name)


def origin(source: str | Plan) -> str:
    """Return what tells sources apart."""
    return source if isinstance(source, str) else f"plan {source.key}"


def views_of(plan: Plan) -> list[View]:
    """Return the views of a plan, those of one source together."""
    sources: dict[str, list[Base]] = {}
    for base in plan.bases:
        sources.setdefault(origin(base.source), []).append(base)
    return [view for bases in sources.values() for view in _alike(plan, bases)]


def _alike(plan: Plan, bases: list[Base]) -> list[View]:
    alike: dict[tuple[str, ...], list[Base]] = {}
    for base in bases:
        alike.setdefault(tuple(base.field(name) for name in plan.event_fields), []).append(base)
    found: list[View] = []
    for same in alike.values():
        found.append(View(bases[0].source, tuple(same), tuple(found)))
    return found


def other_names(plan: Plan, view: View, other: View) -> list[tuple[str, str]]:
    """Return (field of `view`, field of `other`) of the group fields that the two call differently."""
    pairs = [(view.field(name), other.field(name)) for name in plan.group_by]
    return [(ours, theirs) for ours, theirs in pairs if ours != theirs]
