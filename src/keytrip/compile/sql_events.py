"""The events of a correlation as SQL: those of its bases, under the correlation's own names, each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from keytrip.compile.plan import Base, Plan, field_of
from keytrip.compile.sql_dialect import Dialect
from keytrip.records.vocabulary import vocabulary

_WORD = re.compile(r"\w+")
Writer = Callable[[Plan], str]


@dataclass(frozen=True)
class _View:
    """Bases of one source that call every field alike.

    Attributes:
        dialect: The engine's words.
        relation: What to select from.
        bases: The bases.
        earlier: Views of the same source before this one.
    """

    dialect: Dialect
    relation: str
    bases: tuple[Base, ...]
    earlier: tuple[_View, ...]

    @property
    def condition(self) -> str:
        """SQL that any of the bases matches."""
        found = list(dict.fromkeys(matched(base) for base in self.bases))
        return found[0] if len(found) == 1 else " or ".join(f"({condition})" for condition in found)

    def field(self, name: str) -> str:
        """The column that the correlation's `name` stands for."""
        base = self.bases[0]
        return (self.dialect.column if isinstance(base.source, str) else self.dialect.name)(base.field(name))


def matched(base: Base) -> str:
    """Return the condition of a base's events; every alert of a correlation is one."""
    return base.condition or "true"


def events_sql(dialect: Dialect, plan: Plan, write: Writer, *, extra: Sequence[str] = (), marks: bool = False) -> str:
    """Return the events with the fields that the plan reads, those with null in a group field left out.

    Args:
        dialect: The engine's words.
        plan: The correlation.
        write: Writes a correlation that this one builds on.
        extra: Further columns, over `timestamp`.
        marks: Whether to add `kt_m0`, `kt_m1`, ...: whether the event is one of that base's.
    """
    return "\n  union all\n".join(_select(plan, view, extra, marks=marks) for view in _views(dialect, plan, write))


def _views(dialect: Dialect, plan: Plan, write: Writer) -> Iterator[_View]:
    sources: dict[str, list[Base]] = {}
    for base in plan.bases:
        key = base.source if isinstance(base.source, str) else f"plan {base.source.key}"
        sources.setdefault(key, []).append(base)
    for bases in sources.values():
        alike: dict[tuple[str, ...], list[Base]] = {}
        for base in bases:
            alike.setdefault(tuple(base.field(name) for name in plan.event_fields), []).append(base)
        relation, earlier = _relation(dialect, plan, bases, write), list[_View]()
        for same in alike.values():
            earlier.append(_View(dialect, relation, tuple(same), tuple(earlier)))
        yield from earlier


def _select(plan: Plan, view: _View, extra: Sequence[str], *, marks: bool) -> str:
    columns = ["timestamp"]
    for name in plan.event_fields:
        if name != "timestamp":
            own = view.dialect.name(name)
            alias = "" if view.field(name) == own else f" as {own}"
            columns.append(view.field(name) + alias)
    columns += extra
    if marks:
        columns += [f"{_mark(plan, view, base)} as kt_m{number}" for number, base in enumerate(plan.bases)]
    present = "".join(f" and {view.field(name)} is not null" for name in plan.group_by)
    once = "".join(f" and not ({_same(plan, view, other, other.condition)})" for other in view.earlier)
    return (
        f"  select {', '.join(columns)}\n  from {view.relation}\n"
        f"  where timestamp is not null{present} and ({view.condition}){once}"
    )


def _same(plan: Plan, view: _View, other: _View, condition: str) -> str:
    """SQL that `other` has the event too, in the same group."""
    pairs = [(view.field(name), other.field(name)) for name in plan.group_by]
    equal = "".join(f" and coalesce({a} = {b}, false)" for a, b in pairs if a != b)
    return f"({condition}){equal}"


def _mark(plan: Plan, view: _View, base: Base) -> str:
    if base in view.bases:
        return f"({matched(base)})"
    if _source(base) != _source(view.bases[0]):
        return "false"
    other = replace(view, bases=(base,), earlier=())
    return f"({_same(plan, view, other, matched(base))})"


def _source(base: Base) -> str | tuple[str]:
    return base.source if isinstance(base.source, str) else (base.source.key,)


def _relation(dialect: Dialect, plan: Plan, bases: Sequence[Base], write: Writer) -> str:
    source = bases[0].source
    used = dict.fromkeys(base.field(name) for base in bases for name in plan.event_fields)
    if isinstance(source, str):
        return dialect.relation(source, [*(base.condition for base in bases), *map(dialect.column, used)])
    return f"({_alerts_as_events(dialect, source, [*used], write(source))})"


def _alerts_as_events(dialect: Dialect, inner: Plan, used: Sequence[str], sql: str) -> str:
    """SQL for alerts as events: the fields of their group, derived ones computed again, null for all others."""
    tables = [vocabulary().tables[name] for name in inner.reads]
    derived = {name: dialect.derived(name, field) for table in tables for name, field in table.derived.items()}
    again = {name: derived[name] for name in used if name in derived and name not in inner.group_by}
    read = {word for text in again.values() for word in _WORD.findall(text)}
    others = dict.fromkeys([*(name for name in used if name not in again), *sorted(read)])
    columns = ["last_seen as timestamp", *(dialect.name(name) for name in inner.group_by if name != "timestamp")]
    for name in others:
        found = field_of(inner, name)
        if found is not None and name not in (*inner.group_by, "timestamp"):
            columns.append(f"cast(null as {dialect.types[found.type]}) as {dialect.name(name)}")
    rows = f"select {', '.join(columns)} from (\n{sql}\n)"
    computed = "".join(f", {text} as {dialect.name(name)}" for name, text in again.items())
    return f"select *{computed} from ({rows})" if again else rows
