"""Checks of one rule document: members, what an alerting rule must have, parameters, fields and tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keytrip.baselines.kinds import Job
from keytrip.compile.check_cases import near_misses
from keytrip.compile.check_reach import conditions, fed, selections, thresholds
from keytrip.compile.check_tags import HINTS, licence, tags
from keytrip.compile.problems import Fault, Problem, Subject, model_faults, nearest
from keytrip.compile.values import number_in
from keytrip.errors import ContentError
from keytrip.records.vocabulary import Table, vocabulary
from keytrip.rules.cases import CATEGORY, cases_of, table_of_event
from keytrip.rules.load import Document
from keytrip.rules.marks import Marks
from keytrip.rules.schema import RuleFile
from keytrip.rules.selection import LEVELS

_HINTS = {
    "id": "a lower-case UUID: `python -c 'import uuid; print(uuid.uuid4())'`",
    "name": "lower-case letters, digits and _, such as key_new_network",
    "level": "one of: " + ", ".join(LEVELS),
    "status": "stable, test or experimental",
    "logsource": "such as {category: ai_usage}",
    "logsource.service": "a category and, for one provider's records, a product",
    "parameters": "such as floor: {at: correlation.condition.gt, default: 50, why: the reason for 50}",
    "triage": "meaning, false_positive (texts), first_questions, next_steps, containment (lists)",
    "tests": "name, fires, events and, if the rule needs them, rows of baseline tables",
    "correlation": "type, rules, group-by, timespan, condition",
    "correlation.timespan": "a whole number and one of s m h d w, such as 1d",
    "baseline": "table with exceeds (and where, missing), or with absent: true (and on, requires, share)",
    "filter": "rules, a selection, and condition: not selection",
    "related": "such as {id: the other rule's id, type: derived}",
}
# Modifiers beside which a test is still one of equality.
_EQUALITY = frozenset({"all", "neq"})
# Members that pySigma does not read: a fault in them does not keep a rule from being compiled.
_OURS = frozenset({"triage", "tests", "name", "description"})


@dataclass(frozen=True)
class Rule:
    """A rule document and what its check needs to know of the others.

    Attributes:
        subject: The document.
        alerting: Whether it alerts: no correlation builds on it.
        bases: The rules that it refers to, itself not among them.
        jobs: Baseline jobs by table.
    """

    subject: Subject
    alerting: bool
    bases: Sequence[Document]
    jobs: Mapping[str, Job]

    @property
    def data(self) -> Mapping[str, Any]:
        """The document's content."""
        return self.subject.document.data


def structure(rule: Rule) -> list[Fault]:
    """Return what the rule's members have wrong."""
    return model_faults(rule.subject, RuleFile, rule.data, _HINTS)


def compiles_despite(fault: Fault) -> bool:
    """Return whether the rule can be looked at further."""
    optional = fault.kind == "missing" and fault.steps in {("id",), ("status",), ("level",)}
    return fault.kind == "unknown" or optional or fault.steps[0] in _OURS


def is_readable(document: Document) -> bool:
    """Return whether pySigma can be given a rule; what is wrong with it otherwise is said of itself."""
    rule = Rule(Subject(document, Marks()), alerting=False, bases=(), jobs={})
    return all(compiles_despite(fault) for fault in structure(rule))


def kind(rule: Rule) -> Iterator[Problem]:
    """A document is either a detection with its logsource or a correlation."""
    if ("detection" in rule.data) == ("correlation" in rule.data):
        yield rule.subject.problem("has neither `detection` nor `correlation`, or both", hint="write one of the two")
    elif "detection" in rule.data and "logsource" not in rule.data:
        yield rule.subject.problem("`logsource` is missing", hint=_HINTS["logsource"])
    if "baseline" in rule.data and "correlation" not in rule.data:
        yield rule.subject.problem("`baseline` belongs to a correlation", "baseline", hint="count events first")


def alerts(rule: Rule) -> Iterator[Problem]:
    """What only an alerting rule must have."""
    if not rule.alerting:
        return
    subject = rule.subject
    if "triage" not in rule.data:
        yield subject.problem("`triage` is missing", hint="it has " + _HINTS["triage"])
    for namespace, hint in HINTS.items():
        if not any(tag.startswith(f"{namespace}.") for tag in subject.document.tags):
            yield subject.problem(f"no {namespace}.* tag", "tags", hint=hint)
    if not rule.data.get("tests"):
        yield subject.problem("`tests` is missing", hint="at least a hit and a near miss: " + _HINTS["tests"])


def parameters(rule: Rule) -> Iterator[Problem]:
    """A parameter is the number at its place, or is used by name in the baseline block."""
    text = str(rule.data.get("baseline"))
    for name, parameter in (rule.data.get("parameters") or {}).items():
        if "at" not in parameter:
            if not re.search(rf"\b{re.escape(name)}\b", text):
                hint = "name the member that holds it in `at`, or use the name in the baseline block"
                yield rule.subject.problem(f"parameter {name} is used nowhere", "parameters", name, hint=hint)
            continue
        at, default = parameter["at"], parameter["default"]
        found = _member(rule.data, at.split("."))
        if isinstance(found, bool) or not isinstance(found, int | float):
            yield rule.subject.problem(
                f"parameter {name} points at {at!r}, where no number is", "parameters", name, "at",
                hint="the path of a number, such as correlation.condition.gt",
            )  # fmt: skip
        elif found != default:
            yield rule.subject.problem(
                f"parameter {name} is {default}, but {at} is {found}", "parameters", name, "default",
                hint="write the same number in both",
            )  # fmt: skip


def _member(data: Any, path: Sequence[str]) -> Any:
    for step in path:
        if isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(data, list) and step.isdigit() and int(step) < len(data):
            data = data[int(step)]
        else:
            return None
    return data


def category(rule: Rule) -> Iterator[Problem]:
    """The logsource is a canonical table's."""
    named = (rule.data.get("logsource") or {}).get("category")
    known = [table.category for table in vocabulary().tables.values()]
    if named is not None and named not in known:
        message = f"logsource category {named!r} is none of ai_*"
        yield rule.subject.problem(message, "logsource", "category", hint=nearest(named, known))


def tables_of(documents: Sequence[Document]) -> dict[str, Table]:
    """Return the canonical tables that `documents` with a logsource read, by name."""
    sources = (d.data.get("logsource") for d in documents)
    found = (vocabulary().by_category(s.get("category")) for s in sources if isinstance(s, Mapping))
    return dict(table for table in found if table)


def fields(rule: Rule) -> Iterator[Problem]:
    """Every field is in the vocabulary."""
    tables = tables_of([rule.subject.document, *rule.bases])
    if len(tables) != 1:
        return  # what each base calls a field is judged when the rule is compiled
    ((name, table),) = tables.items()
    aliased = any((d.data.get("correlation") or {}).get("aliases") for d in (rule.subject.document, *rule.bases))
    grouped = () if aliased else _correlation_fields(rule.data)
    selected = selected_fields(rule.data.get("detection") or {}, "detection")
    yield from unknown_fields(rule.subject, name, table, (*selected, *grouped))


def values(rule: Rule) -> Iterator[Problem]:
    """A number field is compared with numbers: nothing equals a word."""
    detection = rule.data.get("detection") or {}
    for table in tables_of([rule.subject.document]).values():
        for path, field in selected_fields(detection, "detection"):
            modifiers = str(path[-1]).split("|")[1:]
            if field in table.columns and table.columns[field].numeric and not set(modifiers) - _EQUALITY:
                yield from _words(rule.subject, path, field, _member(rule.data, [*map(str, path)]))


def _words(subject: Subject, path: _Place, field: str, value: Any) -> Iterator[Problem]:
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    words = [text for text in texts if number_in(text) is None and not set(text) & set("*?%")]
    if words:
        yield subject.problem(
            f"{field} is a number, and {words[0]!r} is none", *path, hint="nothing equals it: write a number"
        )


_Place = tuple[str | int, ...]


def unknown_fields(subject: Subject, name: str, table: Table, used: Iterable[tuple[_Place, str]]) -> Iterator[Problem]:
    """Yield those of the `used` fields that the table `name` has not, each at its place."""
    for path, field in used:
        if field not in table.columns:
            message = f"no field {field!r} in {name} records"
            yield subject.problem(message, *path, hint=nearest(field, list(table.columns)))


def selected_fields(detection: Mapping[str, Any], member: str) -> Iterator[tuple[_Place, str]]:
    """Yield the place and the field of each test in a rule's `detection`, or a filter's `filter`."""
    for name, selection in detection.items():
        if name not in {"condition", "rules"}:
            yield from _selected((member, str(name)), selection)


def _selected(path: _Place, selection: Any) -> Iterator[tuple[_Place, str]]:
    if isinstance(selection, Mapping):
        yield from (((*path, str(key)), str(key).partition("|")[0]) for key in selection if key)
    elif isinstance(selection, list):
        for number, item in enumerate(selection):
            yield from _selected((*path, number), item)


def _correlation_fields(data: Mapping[str, Any]) -> Iterator[tuple[_Place, str]]:
    correlation = data.get("correlation") or {}
    for number, name in enumerate(correlation.get("group-by") or ()):
        yield ("correlation", "group-by", number), name
    condition = correlation.get("condition")
    counted = condition.get("field") if isinstance(condition, Mapping) else None
    for name in [counted] if isinstance(counted, str) else counted or ():
        yield ("correlation", "condition", "field"), name


def tests(rule: Rule) -> Iterator[Problem]:
    """There is a hit and a near miss, and events and rows have columns that exist."""
    try:
        cases = cases_of(rule.subject.document)
    except ContentError as error:
        yield rule.subject.problem(error.message, "tests", hint=error.hint)
        return
    if cases and rule.alerting:
        if not any(case.hit for case in cases):
            yield rule.subject.problem("no test fires", "tests", hint="add a hit, with `fires: true`")
        if all(case.hit for case in cases):
            yield rule.subject.problem("every test fires", "tests", hint="add a near miss, with `fires: false`")
        yield from near_misses(rule.subject, cases)
    for number, case in enumerate(cases):
        yield from _events(rule, number, case.events)
        for table, rows in case.baseline.items():
            yield from _rows(rule, number, table, rows)


def _events(rule: Rule, number: int, events: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    tables = tables_of([*rule.bases, rule.subject.document])
    for place, event in enumerate(events if tables else ()):
        path = ("tests", number, "events", place)
        try:
            columns = list(tables[table_of_event(event, list(tables))].fields)
        except ContentError as error:
            yield rule.subject.problem(error.message, *path, CATEGORY, hint=error.hint)
            continue
        for unknown in [name for name in event if name not in (*columns, CATEGORY)]:
            message = f"no field {unknown!r} in a record"
            yield rule.subject.problem(message, *path, unknown, hint=nearest(unknown, columns))


def _rows(rule: Rule, number: int, table: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    path = ("tests", number, "baseline", table)
    if table not in rule.jobs:
        hint = nearest(table, sorted(rule.jobs))
        yield rule.subject.problem(f"no job makes the table {table!r}", *path, hint=hint)
        return
    columns = list(rule.jobs[table].columns)
    for place, row in enumerate(rows):
        for unknown in [name for name in row if name not in columns]:
            message = f"{table} has no column {unknown!r}"
            yield rule.subject.problem(message, *path, place, unknown, hint=nearest(unknown, columns))


# What is looked at once the members have the right types.
CHECKS = (
    ("tag", tags),
    ("licence", licence),
    ("parameter", parameters),
    ("field", category),
    ("field", fields),
    ("field", values),
    ("reach", conditions),
    ("reach", selections),
    ("reach", thresholds),
    ("reach", fed),
)
