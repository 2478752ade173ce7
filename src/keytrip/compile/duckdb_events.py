"""The events of a correlation as DuckDB SQL: those of its bases, under the correlation's own names, each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from keytrip.compile.plan import Base, Plan, field_of
from keytrip.compile.views import View, origin, other_names, views_of
from keytrip.records.sql import quote_name
from keytrip.records.vocabulary import DUCKDB_TYPES, vocabulary

_WORD = re.compile(r"\w+")
Writer = Callable[[Plan], str]


def matched(base: Base) -> str:
    """Return the condition of a base's events; every alert of a correlation is one."""
    return base.condition or "true"


def events_sql(plan: Plan, write: Writer, *, extra: Sequence[str] = (), marks: bool = False) -> str:
    """Return the events with the fields that the plan reads, those with null in a group field left out.

    Args:
        plan: The correlation.
        write: Writes a correlation that this one builds on.
        extra: Further columns, over `timestamp`.
        marks: Whether to add `kt_m0`, `kt_m1`, ...: whether the event is one of that base's.
    """
    return "\n  union all\n".join(_select(plan, view, write, extra, marks=marks) for view in views_of(plan))


def _select(plan: Plan, view: View, write: Writer, extra: Sequence[str], *, marks: bool) -> str:
    columns = ["timestamp"]
    for name in plan.event_fields:
        if name != "timestamp":
            alias = "" if view.field(name) == name else f" as {quote_name(name)}"
            columns.append(quote_name(view.field(name)) + alias)
    columns += extra
    if marks:
        columns += [f"{_mark(plan, view, base)} as kt_m{number}" for number, base in enumerate(plan.bases)]
    present = "".join(f" and {quote_name(view.field(name))} is not null" for name in plan.group_by)
    once = "".join(f" and not ({_same(plan, view, other, _condition(other))})" for other in view.earlier)
    return (
        f"  select {', '.join(columns)}\n  from {_relation(plan, view.source, write)}\n"
        f"  where timestamp is not null{present} and ({_condition(view)}){once}"
    )


def _condition(view: View) -> str:
    """SQL that any of a view's bases matches."""
    found = list(dict.fromkeys(matched(base) for base in view.bases))
    return found[0] if len(found) == 1 else " or ".join(f"({condition})" for condition in found)


def _same(plan: Plan, view: View, other: View, condition: str) -> str:
    """SQL that `other` has the event too, in the same group."""
    pairs = [(quote_name(ours), quote_name(theirs)) for ours, theirs in other_names(plan, view, other)]
    return f"({condition})" + "".join(f" and coalesce({a} = {b}, false)" for a, b in pairs)


def _mark(plan: Plan, view: View, base: Base) -> str:
    if base in view.bases:
        return f"({matched(base)})"
    if origin(base.source) != origin(view.source):
        return "false"
    return f"({_same(plan, view, View(base.source, (base,)), matched(base))})"


def _relation(plan: Plan, source: str | Plan, write: Writer) -> str:
    if isinstance(source, str):
        return source
    bases = [base for base in plan.bases if origin(base.source) == origin(source)]
    used = dict.fromkeys(base.field(name) for base in bases for name in plan.event_fields)
    return f"({_alerts_as_events(source, [*used], write(source))})"


def _alerts_as_events(inner: Plan, used: Sequence[str], sql: str) -> str:
    """SQL for alerts as events: the fields of their group, derived ones computed again, null for all others."""
    tables = [vocabulary().tables[name] for name in inner.reads]
    derived = {name: field.sql for table in tables for name, field in table.derived.items() if field.sql}
    again = {name: derived[name] for name in used if name in derived and name not in inner.group_by}
    read = {word for text in again.values() for word in _WORD.findall(text)}
    others = dict.fromkeys([*(name for name in used if name not in again), *sorted(read)])
    columns = ["last_seen as timestamp", *(quote_name(name) for name in inner.group_by if name != "timestamp")]
    for name in others:
        found = field_of(inner, name)
        if found is not None and name not in (*inner.group_by, "timestamp"):
            columns.append(f"cast(null as {DUCKDB_TYPES[found.type]}) as {quote_name(name)}")
    rows = f"select {', '.join(columns)} from (\n{sql}\n)"
    computed = "".join(f", {text} as {quote_name(name)}" for name, text in again.items())
    return f"select *{computed} from ({rows})" if again else rows
