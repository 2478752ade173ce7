"""The events of a correlation in SPL: those of its rules, under the correlation's own names, each once in a group.

Where an event can stand for two groups (two rules over one source that call the group differently), it is doubled by
`mvexpand`. That command drops rows beyond its memory for a chunk of results, so everything but the few fields that are
used goes before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from keytrip.compile.plan import Base, Plan
from keytrip.compile.splunk_conditions import parenthesised
from keytrip.compile.splunk_expressions import spl_all
from keytrip.compile.times import civil, hour_of_day, hour_of_week
from keytrip.compile.views import Column, Source, View, origin, other_names, views_of
from keytrip.errors import ContentError

DAY = "kt_day"
# Fields of time, which the layout does not hold.
DERIVED = {
    "timestamp": "_time",
    "hour_of_day": hour_of_day("floor(_time / 3600)"),
    "hour_of_week": hour_of_week("floor(_time / 3600)"),
    "day": DAY,
}
_NULL = "null()"
_DATED = r"(-[0-9]{4}-[0-9]{2}-[0-9]{2}|-[0-9]{8}|@[0-9]{8}|-latest)\z"


def day_steps(text: str) -> list[str]:
    """Return the evals that make the UTC date, where `text` uses it."""
    if DAY not in text:
        return []
    steps = civil("floor(_time / 86400)", lambda part, by: f"floor({part} / {by})")
    two = [f'if((kt_{p} < 10), ("0".kt_{p}), tostring(kt_{p}))' for p in ("month", "dom")]
    steps.append((DAY, f'(kt_year."-".{two[0]}."-".{two[1]})'))
    return [f"eval {name} = {value}" for name, value in steps]


def search_text(tables: Mapping[str, str]) -> str:
    """Return the search that reads canonical tables, each with what its events meet besides (`splunk_terms`)."""
    each = [(f'sourcetype="keytrip:{table}"', terms) for table, terms in tables.items()]
    if len(each) == 1:
        return " ".join(["index=keytrip", *filter(None, each[0])])
    return f"index=keytrip {any_of([f'({kind} {terms})' if terms else kind for kind, terms in each])}"


def alert_column(inner: Plan, name: str) -> str:
    """Return the text of a field of a correlation's alerts: one of its group, or derived from these, else null.

    Raises:
        ContentError: SPL cannot derive it.
    """
    if name in inner.group_by or name in DERIVED:
        return name if name in inner.group_by else DERIVED[name]
    if name == "source_net" and "source_ip" in inner.group_by:
        hint = f"let {inner.rule} group by source_net; duckdb and spark can say it"
        raise ContentError(f"splunk cannot make the source_net of {inner.rule}'s alerts", hint=hint)
    if name == "agent_family" and "user_agent" in inner.group_by:
        return 'lower(replace(user_agent, "(?s)[/ ].*", ""))'
    if name == "model_family" and "model" in inner.group_by:
        return f'replace(model, "{_DATED}", "")'
    counts = [f"tonumber({part})" for part in ("input_tokens", "output_tokens") if part in inner.group_by]
    return f"({' + '.join(counts)})" if name == "total_tokens" and counts else _NULL


@dataclass(frozen=True)
class _Seen:
    """A view as SPL: texts over the rows that are there.

    Attributes:
        mark: What tells its rows from those of other views.
        test: Which rows are its events.
        columns: Field of the correlation -> its text.
        marks: For each base of a temporal correlation, whether an event is that one's.
    """

    mark: str
    test: str
    columns: dict[str, str]
    marks: tuple[str, ...]


def event_steps(plan: Plan, source: Callable[[str | Plan], Source]) -> list[str]:
    """Return the steps that keep a correlation's events and give all that the rest uses its canonical name.

    A counting one has `window_start` then, a temporal one `kt_m0`, `kt_m1`, ...: 1 for an event of that base, else 0.

    Args:
        plan: The correlation.
        source: Gives how the events of a source are read.

    Raises:
        ContentError: SPL cannot make a field of an inner correlation's alerts.
    """
    views = views_of(plan)
    seen = [_seen(plan, view, source(view.source)) for view in views]
    used = "".join(text for one in seen for text in (one.test, *one.columns.values()))
    steps = [*day_steps(used), f"where {any_of([one.test for one in seen])}"]
    if any(view.earlier for view in views):
        steps += _doubled(seen)
        seen = [_unpacked(plan, number) for number in range(len(seen))]
    return [*steps, *_made(plan, seen)]


def record_source(plan: Plan, column: Column, source: str | Plan) -> Source:
    """Return how records are read: by their sourcetype, where a plan reads several tables."""
    mark = f'(sourcetype = "keytrip:{source}")' if len(plan.reads) > 1 else ""
    return Source(mark, column)


def _seen(plan: Plan, view: View, source: Source) -> _Seen:
    mark, column = source.mark, source.column
    columns = {name: column(view.field(name)) for name in plan.event_fields}
    present = [f"(isnotnull({columns[name]}))" for name in plan.group_by]
    others = [f"(NOT {_same(plan, view, other, column)})" for other in view.earlier]
    # every alert of a correlation is an event
    condition = [any_base(view.bases)] if isinstance(view.source, str) or not present else []
    test = spl_all([*([mark] if mark else []), *present, *condition, *others])
    marks = tuple(_marked(plan, view, base, column) for base in plan.bases if plan.temporal)
    return _Seen(mark, test, columns, tuple(f"({mark} AND {m})" if mark and m else m for m in marks))


def any_base(bases: Sequence[Base]) -> str:
    """Return the condition that any of the bases matches."""
    found = list(dict.fromkeys(base.condition or "(1 = 1)" for base in bases))
    return parenthesised(found[0] if len(found) == 1 else " OR ".join(f"({condition})" for condition in found))


def any_of(tests: Sequence[str]) -> str:
    """Return the text that one of parenthesised tests holds."""
    return tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"


def _same(plan: Plan, view: View, other: View, column: Column) -> str:
    """Return the condition that `other` has the event too, in the same group: true or false, never null."""
    tests = [any_base(other.bases)]
    for ours, theirs in other_names(plan, view, other):
        left, right = column(ours), column(theirs)
        tests.append(f'((isnotnull({left})) AND (isnotnull({right})) AND (("x".{left}) = ("x".{right})))')
    return spl_all(tests)


def _marked(plan: Plan, view: View, base: Base, column: Column) -> str:
    """Return the condition that an event is one of `base`, empty where none can be."""
    if base in view.bases:
        return any_base([base])
    if origin(base.source) != origin(view.source):
        return ""
    return _same(plan, view, View(base.source, (base,)), column)


def _doubled(seen: Sequence[_Seen]) -> list[str]:
    """Return the steps that make one row of each view: `kt_view` says which, and which bases match."""
    names, views = list[str](), list[str]()
    for number, one in enumerate(seen):
        bits = "".join(f'.if({mark}, "1", "0")' if mark else '."0"' for mark in one.marks)
        packed = f'("v{number:02}"{bits})' if bits else f'"v{number:02}"'
        views.append(f"if({one.test}, {packed}, null())")
        names += [f"kt_v{number}_{place} = {text}" for place, text in enumerate(one.columns.values())]
    kept = " ".join(["_time", "kt_view", *(name.partition(" ")[0] for name in names)])
    made = [f"kt_view = mvappend({', '.join(views)})", *names]
    return [f"eval {', '.join(made)}", f"fields {kept}", "fields - _raw", "mvexpand kt_view"]


def _unpacked(plan: Plan, number: int) -> _Seen:
    mark = f'(substr(kt_view, 1, 3) = "v{number:02}")'
    columns = {name: f"kt_v{number}_{place}" for place, name in enumerate(plan.event_fields)}
    bits = (f'(substr(kt_view, {place}, 1) = "1")' for place in range(4, 4 + len(plan.bases)))
    return _Seen(mark, "", columns, tuple(f"({mark} AND {bit})" for bit in bits))


def _made(plan: Plan, seen: Sequence[_Seen]) -> list[str]:
    """Return the evals of the window or of the bases' marks, and of the fields."""
    if plan.temporal:
        each = [[mark for one in seen if (mark := one.marks[number])] for number in range(len(plan.bases))]
        made = [f"kt_m{number} = if({any_of(list(dict.fromkeys(marks)))}, 1, 0)" for number, marks in enumerate(each)]
    else:
        made = [f"window_start = {window_text(plan)}"]
    fields = {name: picked([(one.mark, one.columns[name]) for one in seen]) for name in plan.event_fields}
    fields = {name: text for name, text in fields.items() if text != name}
    if not _reused(fields):
        return [f"eval {', '.join([*made, *(f'{name} = {text}' for name, text in fields.items())])}"]
    first = [f"kt_f{number} = {text}" for number, text in enumerate(fields.values())]
    then = [f"{name} = kt_f{number}" for number, name in enumerate(fields)]
    return [f"eval {', '.join([*made, *first])}", f"eval {', '.join(then)}"]


def _reused(fields: Mapping[str, str]) -> bool:
    """Whether an assignment reads what one before it has overwritten: `eval` goes from left to right."""
    names = list(fields)
    return any(re.search(rf"\b{name}\b", text) for n, text in enumerate(fields.values()) for name in names[:n])


def picked(choices: Sequence[tuple[str, str]]) -> str:
    """Return the text of the choice whose mark holds."""
    (mark, text), *rest = choices
    if all(other == text for _, other in rest):
        return text
    return f"if({mark}, {text}, {picked(rest)})"


def window_text(plan: Plan) -> str:
    """Return the start of the tumbling window that `_time` lies in."""
    if not plan.offset:
        return f"(floor(_time / {plan.seconds}) * {plan.seconds})"
    return f"((floor((_time - {plan.offset}) / {plan.seconds}) * {plan.seconds}) + {plan.offset})"
