"""The events of a correlation in ES|QL: those of its rules, each once in a group.

Where an event can stand for two groups (two rules over one source that call the group differently), it is doubled by
`MV_EXPAND`. A test may be null where a field is: `WHERE` and `CASE` take that for false, and `NOT` never stands before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keytrip.compile.esql_conditions import quote_column, quote_esql
from keytrip.compile.esql_query import DERIVED
from keytrip.compile.plan import Base, Plan, field_of
from keytrip.compile.views import Column, Source, View, origin, other_names, views_of
from keytrip.errors import ContentError

_DATED = r"(-[0-9]{4}-[0-9]{2}-[0-9]{2}|-[0-9]{8}|@[0-9]{8}|-latest)\z"
_NULLS = {"int": "TO_LONG(null)", "double": "TO_DOUBLE(null)", "timestamp": "TO_DATETIME(null)"}


@dataclass(frozen=True)
class Events:
    """The steps that keep a correlation's events, and what they call its fields.

    Attributes:
        steps: The steps.
        columns: Field of the correlation -> its text.
        marks: For each base, the condition that an event is one of its own.
    """

    steps: tuple[str, ...]
    columns: Mapping[str, str]
    marks: tuple[str, ...]


def alert_column(inner: Plan, name: str) -> str:
    """Return the text of a field of a correlation's alerts: one of its group, or derived from these, else null.

    Raises:
        ContentError: ES|QL cannot derive it.
    """
    group = inner.group_by
    if name in group or name in DERIVED:
        return quote_column(name) if name in group else DERIVED[name]
    if name == "source_net" and "source_ip" in group:
        hint = f"let {inner.rule} group by source_net; duckdb and spark can say it"
        raise ContentError(f"esql cannot make the source_net of {inner.rule}'s alerts", hint=hint)
    if name == "agent_family" and "user_agent" in group:
        return 'TO_LOWER(REPLACE(user_agent, "(?s)[/ ].*", ""))'
    if name == "model_family" and "model" in group:
        return f'REPLACE(model, {quote_esql(_DATED)}, "")'
    counts = [part for part in ("input_tokens", "output_tokens") if part in group]
    if name == "total_tokens" and counts:
        return f"({' + '.join(counts)})"
    found = field_of(inner, name)
    return _NULLS.get(found.type if found else "", "TO_STRING(null)")


def record_source(column: Column) -> Callable[[str | Plan], Source]:
    """Return how records are told and read, or the alerts of one correlation, which need no mark."""
    return lambda source: Source(of_table(source) if isinstance(source, str) else "true", column)


def event_steps(plan: Plan, read: Callable[[str | Plan], Source]) -> Events:
    """Return the events of a plan's bases, those with null in a group field left out.

    Args:
        plan: The correlation.
        read: Says how events of a base's source are told and read.

    Raises:
        ContentError: ES|QL cannot make a field of an inner correlation's alerts.
    """
    views = views_of(plan)
    if len(views) == 1:
        column = read(views[0].source).column
        columns = _columns(plan, views[0], column)
        return Events((f"WHERE {_test(plan, views[0], columns)}",), columns, _marks(plan, views[0], column))
    tables = len({origin(view.source) for view in views}) > 1
    tests = [_whole_test(plan, view, read(view.source), tables=tables) for view in views]
    steps = [f"WHERE {' OR '.join(f'({test})' for test in tests)}"]
    marks = [read(view.source).mark for view in views]
    if any(view.earlier for view in views):
        steps += _doubled(tests)
        marks = [f'kt_view == "v{number}"' for number in range(len(views))]
    return _picked(plan, [(mark, view) for mark, view in zip(marks, views, strict=True)], read, steps)


def _columns(plan: Plan, view: View, column: Column) -> dict[str, str]:
    return {name: column(view.field(name)) for name in plan.event_fields}


def _test(plan: Plan, view: View, columns: Mapping[str, str]) -> str:
    """Return the condition of a view's events."""
    made = set(DERIVED.values())
    present = [f"{columns[name]} IS NOT NULL" for name in plan.group_by if columns[name] not in made]
    condition = condition_of(view.bases)
    if not condition:
        return " AND ".join(dict.fromkeys(present)) or "true"
    if not present:
        return condition
    return " AND ".join(dict.fromkeys([*present, condition if condition in present else f"({condition})"]))


def condition_of(bases: Sequence[Base]) -> str:
    """Return the condition that any of the bases matches, empty for alerts, all of which count."""
    found = list(dict.fromkeys(base.condition for base in bases))
    return found[0] if len(found) == 1 else " OR ".join(f"({condition})" for condition in found)


def of_table(table: str) -> str:
    """Return the condition that an event is a record of a canonical table."""
    return f'_index LIKE "*logs-keytrip.{table}-*"'


def _whole_test(plan: Plan, view: View, source: Source, *, tables: bool) -> str:
    column = source.column
    tests = [source.mark] if tables else []
    tests.append(f"({_test(plan, view, _columns(plan, view, column))})")
    tests += [f"CASE({_same(plan, view, other, column)}, false, true)" for other in view.earlier]
    return " AND ".join(tests)


def _same(plan: Plan, view: View, other: View, column: Column) -> str:
    """Return the condition that `other` has the event too, in the same group."""
    tests = [f"({condition_of(other.bases) or 'true'})"]
    tests += [f"{column(ours)} == {column(theirs)}" for ours, theirs in other_names(plan, view, other)]
    return " AND ".join(tests)


def _marks(plan: Plan, view: View, column: Column) -> tuple[str, ...]:
    return tuple(_mark(plan, view, base, column) for base in plan.bases)


def _mark(plan: Plan, view: View, base: Base, column: Column) -> str:
    if base in view.bases:
        return f"({base.condition or 'true'})"
    if origin(base.source) != origin(view.source):
        return "false"
    return _same(plan, view, View(base.source, (base,)), column)


def _doubled(tests: Sequence[str]) -> list[str]:
    """Return the steps that make one row of each view: `kt_view` says which."""
    each = [f'CASE({test}, "v{number},", "")' for number, test in enumerate(tests)]
    return [f'EVAL kt_view = SPLIT(CONCAT({", ".join(each)}), ",")', "MV_EXPAND kt_view", 'WHERE kt_view != ""']


def _picked(
    plan: Plan, choices: Sequence[tuple[str, View]], read: Callable[[str | Plan], Source], steps: Sequence[str]
) -> Events:
    """Return events whose columns and marks are those of the view that a row is of."""
    names = {name: f"kt_f{number}" for number, name in enumerate(plan.event_fields)}
    columns = [(mark, _columns(plan, view, read(view.source).column)) for mark, view in choices]
    made = [f"{short} = {_case([(mark, c[name]) for mark, c in columns])}" for name, short in names.items()]
    each = [(mark, _marks(plan, view, read(view.source).column)) for mark, view in choices]
    marks = tuple(
        " OR ".join(f"({mark} AND {found[number]})" for mark, found in each if found[number] != "false")
        for number in range(len(plan.bases))
    )
    evals = [f"EVAL {', '.join(made)}"] if made else []
    return Events((*steps, *evals), names, marks)


def _case(choices: Sequence[tuple[str, str]]) -> str:
    *first, (_, last) = choices
    if all(text == last for _, text in first):
        return last
    return f"CASE({', '.join(f'{mark}, {text}' for mark, text in first)}, {last})"
