"""Runs the `tests:` of rules: each case's events and baseline rows in one DuckDB, through the compiled query."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keytrip.compile.compiled import CompiledRule, compile_rule
from keytrip.errors import ContentError
from keytrip.hunt.bench import EVENT, RECORDS, Bench, Row, Trial, open_bench
from keytrip.hunt.explain import explained, shown
from keytrip.records.addresses import normal_address
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.cases import CATEGORY, Case, cases_of, table_of_event
from keytrip.rules.load import Document


@dataclass(frozen=True)
class CaseResult:
    """How one case went.

    Attributes:
        rule: The rule's name.
        case: The case's name, or an empty string where the rule could not be tried at all.
        passed: Whether the query said what the case expects.
        report: For a failure: place, expectation, events, baseline rows, and what held and did not; else empty.
    """

    rule: str
    case: str
    passed: bool
    report: str = ""


def run_cases(documents: Sequence[Document], packs: Sequence[Path] = ()) -> list[CaseResult]:
    """Run every case of `documents`, in their order, and return how each went.

    A rule that cannot be read or compiled, or whose query DuckDB refuses, gives a failed result and stops no other.

    Args:
        documents: Rules, with the base rules that they refer to.
        packs: Folders layered over our content.
    """
    with open_bench(tuple(packs)) as bench:
        bench.learn_times(case for document in documents for case in readable_cases(document))
        return [result for d in documents for result in _rule_results(bench, d, documents, packs)]


def readable_cases(document: Document) -> tuple[Case, ...]:
    """Return a rule's cases, none where they cannot be read."""
    try:
        return cases_of(document)
    except ContentError:
        return ()  # said when the rule's turn comes


def _rule_results(
    bench: Bench, document: Document, documents: Sequence[Document], packs: Sequence[Path]
) -> list[CaseResult]:
    if not document.data.get("tests"):
        return []
    rule = compile_rule(document, documents, packs)
    if rule.refused:
        return [CaseResult(document.name, "", passed=False, report=rule.refused)]
    try:
        trials = trials_of(bench, document, rule)
    except ContentError as error:
        return [CaseResult(document.name, "", passed=False, report=str(error))]
    found = _counted(bench, trials)
    return [_judged(bench, trial, said, documents, packs) for trial, said in zip(trials, found, strict=True)]


def _counted(bench: Bench, trials: Sequence[Trial]) -> list[int | str]:
    """Return how many alerts each of a rule's cases gives, or why it could not be tried."""
    import duckdb

    try:
        with bench.filled([trial.rows for trial in trials]):
            return [_alerts(bench, trial, number) for number, trial in enumerate(trials)]
    except (ContentError, duckdb.Error) as error:
        if len(trials) > 1:  # one of them is at fault, and only it shall fail
            return [said for trial in trials for said in _counted(bench, [trial])]
        return [str(error).partition("\n")[0]]


def _alerts(bench: Bench, trial: Trial, number: int) -> int:
    bench.at(number)
    return len(bench.rows(trial.rule.sql))


def _judged(
    bench: Bench, trial: Trial, said: int | str, documents: Sequence[Document], packs: Sequence[Path]
) -> CaseResult:
    if isinstance(said, int) and trial.case.met_by(said):
        return CaseResult(trial.document.name, trial.case.name, passed=True)
    problem = said if isinstance(said, str) else f"expected {trial.case.expectation}, got {said or 'none'}"
    lines = [
        f"{trial.document.place}: test {trial.case.name!r}: {problem}",
        *shown(trial.case, " and ".join(trial.rule.reads)),
    ]
    if isinstance(said, int):
        lines += explained(bench, trial, documents, packs)
    return CaseResult(trial.document.name, trial.case.name, passed=False, report="\n".join(lines))


def trials_of(bench: Bench, document: Document, rule: CompiledRule) -> list[Trial]:
    """Return a rule's cases with their rows by table.

    Raises:
        ContentError: A case cannot be read, or its rows cannot be put into the rule's tables.
    """
    cases = cases_of(document)

    def dated(row: Row) -> Row:
        return {name: bench.times[str(value)] if name in bench.timed else value for name, value in row.items()}

    def trial(case: Case) -> Trial:
        records = {table: _once([dated(row) for row in rows]) for table, rows in _records(rule, case).items()}
        tables = {table: [dated(row) for row in rows] for table, rows in case.baseline.items()}
        return Trial(document, rule, case, {**tables, **records})

    return [trial(case) for case in cases]


def _once(rows: Sequence[Row]) -> list[Row]:
    """Return records without duplicates: of one source and request_id the earliest, then the smallest (SEMANTICS 1)."""

    def order(row: Row) -> tuple[bool, str, str]:
        time = row.get("timestamp")
        members = {name: value for name, value in row.items() if name != EVENT}
        return time is None, str(time), json.dumps(members, default=str, sort_keys=True)

    found: dict[object, Row] = {}
    for row in sorted(rows, key=order):
        number = row.get("request_id")
        found.setdefault(row[EVENT] if number is None else (row.get("source"), str(number)), row)
    return sorted(found.values(), key=lambda row: int(row[EVENT]))


def _records(rule: CompiledRule, case: Case) -> dict[str, list[Row]]:
    """Return a case's events, numbered, by the table of their records; an event names its own if there are several."""
    found: dict[str, list[Row]] = {table + RECORDS: [] for table in rule.reads}
    for number, event in enumerate(case.events, start=1):
        table = table_of_event(event, rule.reads)
        record = _record(table, {k: v for k, v in event.items() if k != CATEGORY})
        found[table + RECORDS].append({**record, EVENT: number})
    return found


def _record(table: str, event: Row) -> Row:
    """Return an event as reading would leave it: defaults in place of nulls, addresses normalised."""
    fields = vocabulary().tables[table].fields
    defaults = {name: field.default for name, field in fields.items() if field.default is not None}
    record = {**defaults, **{name: value for name, value in event.items() if value is not None}}
    address = record.get("source_ip")
    return {**record, "source_ip": normal_address(address)} if isinstance(address, str) else record
