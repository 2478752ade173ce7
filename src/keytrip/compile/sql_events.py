"""The events of a correlation as SQL: those of its bases, under the correlation's own names, each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from keytrip.compile.plan import Base, Plan, field_of
from keytrip.compile.sql_dialect import Dialect
from keytrip.compile.views import View, origin, other_names, views_of
from keytrip.records.vocabulary import vocabulary

_WORD = re.compile(r"\w+")
Writer = Callable[[Plan], str]


def events_sql(dialect: Dialect, plan: Plan, write: Writer, *, extra: Sequence[str] = (), marks: bool = False) -> str:
    """Return the events with the fields that the plan reads, those with null in a group field left out.

    Args:
        dialect: The engine's words.
        plan: The correlation.
        write: Writes a correlation that this one builds on.
        extra: Further columns, over `timestamp`.
        marks: Whether to add `kt_m0`, `kt_m1`, ...: whether the event is one of that base's.
    """
    sources = {origin(base.source): base.source for base in plan.bases}
    relations = {key: _relation(dialect, plan, source, write) for key, source in sources.items()}
    selects = (
        _select(dialect, plan, view, [*extra, *(_marks(dialect, plan, view) if marks else [])])
        + f"\n  from {relations[origin(view.source)]}\n  where {_test(dialect, plan, view)}"
        for view in views_of(plan)
    )
    return "\n  union all\n".join(selects)


def _column(dialect: Dialect, view: View, name: str) -> str:
    return (dialect.column if isinstance(view.source, str) else dialect.name)(name)


def _select(dialect: Dialect, plan: Plan, view: View, extra: Sequence[str]) -> str:
    columns = ["timestamp"]
    for name in plan.event_fields:
        if name != "timestamp":
            own, theirs = dialect.name(name), _column(dialect, view, view.field(name))
            columns.append(theirs if theirs == own else f"{theirs} as {own}")
    return f"  select {', '.join([*columns, *extra])}"


def _test(dialect: Dialect, plan: Plan, view: View) -> str:
    present = "".join(f" and {_column(dialect, view, view.field(name))} is not null" for name in plan.group_by)
    once = "".join(f" and not ({_same(dialect, plan, view, other)})" for other in view.earlier)
    return f"timestamp is not null{present} and ({_condition(view.bases)}){once}"


def _condition(bases: Sequence[Base]) -> str:
    """Return the condition that any of the bases matches; every alert of a correlation is an event."""
    found = list(dict.fromkeys(base.condition or "true" for base in bases))
    return found[0] if len(found) == 1 else " or ".join(f"({condition})" for condition in found)


def _same(dialect: Dialect, plan: Plan, view: View, other: View) -> str:
    """Return the condition that `other` has the event too, in the same group."""
    pairs = [[_column(dialect, view, name) for name in names] for names in other_names(plan, view, other)]
    equal = "".join(f" and coalesce({ours} = {theirs}, false)" for ours, theirs in pairs)
    return f"({_condition(other.bases)}){equal}"


def _marks(dialect: Dialect, plan: Plan, view: View) -> list[str]:
    return [f"{_mark(dialect, plan, view, base)} as kt_m{number}" for number, base in enumerate(plan.bases)]


def _mark(dialect: Dialect, plan: Plan, view: View, base: Base) -> str:
    if base in view.bases:
        return f"({_condition([base])})"
    if origin(base.source) != origin(view.source):
        return "false"
    return f"({_same(dialect, plan, view, View(base.source, (base,)))})"


def _relation(dialect: Dialect, plan: Plan, source: str | Plan, write: Writer) -> str:
    bases = [base for base in plan.bases if origin(base.source) == origin(source)]
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
