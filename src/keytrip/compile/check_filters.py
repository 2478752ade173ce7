"""Checks of Sigma filters: members, whether there is a rule that they narrow, and their selections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from keytrip.compile import check_sigma
from keytrip.compile.check_rule import Rule, category, selected_fields, tables_of, unknown_fields
from keytrip.compile.problems import Problem, Subject, model_faults, nearest
from keytrip.errors import ContentError
from keytrip.rules.filters import check_filter, concerns, named_rules
from keytrip.rules.load import Document, same_id
from keytrip.rules.schema import FilterFile

_HINTS = {
    "id": "a lower-case UUID: `python -c 'import uuid; print(uuid.uuid4())'`",
    "logsource": "such as {category: ai_usage}",
    "filter": "rules, condition, and named selections",
}


def problems_of(subject: Subject, rules: Sequence[Document]) -> Iterator[Problem]:
    """Yield what a filter has wrong, such as a rule that is not there.

    Args:
        subject: A document with a `filter`.
        rules: All rules.
    """
    faults = model_faults(subject, FilterFile, subject.document.data, _HINTS)
    yield from (fault.problem for fault in faults)
    try:
        check_filter(subject.document)
    except ContentError as error:
        if not faults:
            yield subject.problem(error.message, "filter", hint=error.hint)
        return
    if all(fault.kind == "unknown" for fault in faults):
        yield from _idle(subject, rules)
        yield from _selections(subject)


def _idle(subject: Subject, rules: Sequence[Document]) -> Iterator[Problem]:
    """The rules that a filter is for, one by one; an idle filter hides nothing, which its author did not want."""
    document = subject.document
    named = named_rules(document)
    if named is None:
        if not any(concerns(document, rule) for rule in rules):
            hint = "the logsource of a filter is that of its rules, or a part of it"
            yield subject.problem("no rule has this logsource: the filter does nothing", "logsource", hint=hint)
        return
    for number, name in enumerate(named):
        path = ("filter", "rules", number)
        rule = next((r for r in rules if name == r.name or same_id(name) == same_id(r.data.get("id"))), None)
        if rule is None:
            hint = nearest(name, [r.name for r in rules])
            hint = "see `keytrip rules`" if hint.startswith("one of") else hint
            yield subject.problem(f"no rule is called {name!r}", *path, hint=hint)
        elif rule.references:
            hint = "name the rules that it builds on: " + ", ".join(rule.references)
            yield subject.problem(f"{name} is a correlation, and filters narrow plain rules", *path, hint=hint)
        elif not concerns(document, rule):
            yield subject.problem(f"{name} has another logsource", *path, hint=f"it reads {rule.data.get('logsource')}")


def _selections(subject: Subject) -> Iterator[Problem]:
    """What its selections have wrong, as those of a rule that has nothing else."""
    data = subject.document.data
    detection = {name: part for name, part in data["filter"].items() if name != "rules"}
    shared = {name: data[name] for name in ("title", "id", "name", "logsource") if name in data}
    alone = replace(subject.document, data={**shared, "status": "test", "level": "low", "detection": detection})
    yield from category(Rule(subject, alerting=False, bases=[], jobs={}))
    used = [*selected_fields(data["filter"], "filter")]
    tables = tables_of([alone])
    unknown = [p for name, table in tables.items() for p in unknown_fields(subject, name, table, used)]
    if tables:
        yield from unknown or check_sigma.readers(alone, [], [alone], ())
