"""Runs the `tests:` of rules: each case's events and baseline rows in one DuckDB, through the compiled query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.compiled import CompiledRule, compile_rule
from keytrip.errors import ContentError
from keytrip.records.addresses import normal_address
from keytrip.records.model import duckdb_columns
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.cases import CATEGORY, Case, cases_of, table_of_event
from keytrip.rules.load import Document

if TYPE_CHECKING:
    import duckdb

_RECORDS = "_records"
_SHOWN = 20
_Row = Mapping[str, Any]


@dataclass(frozen=True)
class CaseResult:
    """How one case went.

    Attributes:
        rule: The rule's name.
        case: The case's name, or an empty string where the rule could not be tried at all.
        passed: Whether the query said what the case expects.
        report: For a failure: place, expectation, events, baseline rows and the query's groups; else empty.
    """

    rule: str
    case: str
    passed: bool
    report: str = ""


@dataclass(frozen=True)
class _Bench:
    """A DuckDB with every canonical table and every baseline table, empty and typed."""

    connection: duckdb.DuckDBPyConnection
    columns: Mapping[str, Mapping[str, str]]

    @cached_property
    def timed(self) -> frozenset[str]:
        """Names of the columns that hold a time."""
        return frozenset(name for types in self.columns.values() for name in types if types[name] == "TIMESTAMP")

    def rows(self, query: str) -> list[_Row]:
        """Return what a query says, in an order that does not depend on the engine."""
        answer = self.connection.execute(query)
        names = [column[0] for column in answer.description or ()]
        return sorted((dict(zip(names, row, strict=True)) for row in answer.fetchall()), key=repr)

    def times(self, cases: Sequence[Case]) -> dict[str, datetime | None]:
        """Return what the texts of times mean; for many cases at once, since DuckDB plans that query for long."""
        rows = [row for case in cases for part in (case.events, *case.baseline.values()) for row in part]
        texts = sorted({str(row[name]) for row in rows for name in self.timed & set(row)})
        query = "select t, kt_time(t) from unnest(cast(? as varchar[])) as texts(t)"
        return dict(self.connection.execute(query, [texts]).fetchall())

    def insert(self, table: str, rows: Sequence[_Row]) -> None:
        """Insert rows; what they leave out is null."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        one = ", ".join(f"cast(? as {self.columns[table][name]})" for name in names)
        places = ", ".join([f"({one})"] * len(rows))
        columns = ", ".join(quote_name(name) for name in names)
        values = [row.get(name) for row in rows for name in names]
        self.connection.execute(f"insert into {quote_name(table)} ({columns}) values {places}", values)


@dataclass(frozen=True)
class _Trial:
    """One case, bound to its rule: rows by the table that they belong to."""

    document: Document
    rule: CompiledRule
    case: Case
    rows: Mapping[str, Sequence[_Row]]


def run_cases(documents: Sequence[Document], packs: Sequence[Path] = ()) -> list[CaseResult]:
    """Run every case of `documents`, in their order, and return how each went.

    A rule that cannot be read or compiled, or whose query DuckDB refuses, gives a failed result and stops no other.

    Args:
        documents: Rules, with the base rules that they refer to.
        packs: Folders layered over our content.
    """
    import duckdb

    with duckdb.connect() as connection:
        bench = _bench(connection, tuple(packs))
        return [result for document in documents for result in _rule_results(bench, document, documents, packs)]


def _bench(connection: duckdb.DuckDBPyConnection, packs: tuple[Path, ...]) -> _Bench:
    connection.execute(SETUP)
    columns: dict[str, Mapping[str, str]] = {name: job.columns for name, job in load_jobs(packs).items()}
    columns |= {name + _RECORDS: duckdb_columns(name) for name in vocabulary().tables}
    for name, types in columns.items():
        typed = ", ".join(f"{quote_name(column)} {kind}" for column, kind in types.items())
        connection.execute(f"create table {quote_name(name)} ({typed})")
    for name, table in vocabulary().tables.items():
        fields = ", ".join(["*", *(f"{field.sql} as {quote_name(n)}" for n, field in table.derived.items())])
        connection.execute(f"create temp view {name} as select {fields} from {name}{_RECORDS}")
    return _Bench(connection, columns)


def _rule_results(
    bench: _Bench, document: Document, documents: Sequence[Document], packs: Sequence[Path]
) -> Iterator[CaseResult]:
    if not document.data.get("tests"):
        return
    rule = compile_rule(document, documents, packs)
    try:
        trials = [] if rule.refused else _trials(bench, document, rule)
    except ContentError as error:
        yield CaseResult(document.name, "", passed=False, report=str(error))
        return
    if rule.refused:
        yield CaseResult(document.name, "", passed=False, report=rule.refused)
    yield from (_result(bench, trial) for trial in trials)


def _trials(bench: _Bench, document: Document, rule: CompiledRule) -> list[_Trial]:
    cases = cases_of(document)
    times = bench.times(cases)

    def dated(row: _Row) -> _Row:
        return {name: times[str(value)] if name in bench.timed else value for name, value in row.items()}

    def trial(case: Case) -> _Trial:
        rows = {**case.baseline, **_records(rule, case)}
        return _Trial(document, rule, case, {table: [dated(row) for row in rows[table]] for table in rows})

    return [trial(case) for case in cases]


def _records(rule: CompiledRule, case: Case) -> dict[str, list[_Row]]:
    """Return a case's events by the table of their records; of a rule that reads several, an event names its own."""
    found: dict[str, list[_Row]] = {table + _RECORDS: [] for table in rule.reads}
    for event in case.events:
        table = table_of_event(event, rule.reads)
        found[table + _RECORDS].append(_record(table, {k: v for k, v in event.items() if k != CATEGORY}))
    return found


def _record(table: str, event: _Row) -> _Row:
    """Return an event as reading would leave it: defaults in place of nulls, addresses normalised."""
    fields = vocabulary().tables[table].fields
    defaults = {name: field.default for name, field in fields.items() if field.default is not None}
    record = {**defaults, **{name: value for name, value in event.items() if value is not None}}
    address = record.get("source_ip")
    return {**record, "source_ip": normal_address(address)} if isinstance(address, str) else record


def _result(bench: _Bench, trial: _Trial) -> CaseResult:
    import duckdb

    groups: list[_Row] = []
    # what a case inserts is rolled back, so that no case sees another's rows
    bench.connection.begin()
    try:
        _load(bench, trial)
        alerts = len(bench.rows(trial.rule.sql))
        if trial.case.met_by(alerts):
            return CaseResult(trial.document.name, trial.case.name, passed=True)
        problem = f"expected {trial.case.expectation}, got {alerts or 'none'}"
        groups = _groups(bench, trial.rule.sql)
    except ContentError as error:
        problem = str(error)
    except duckdb.Error as error:
        problem = str(error).partition("\n")[0]
    finally:
        bench.connection.rollback()
    return CaseResult(trial.document.name, trial.case.name, passed=False, report=_report(trial, problem, groups))


def _load(bench: _Bench, trial: _Trial) -> None:
    for table, rows in trial.rows.items():
        if table not in bench.columns:
            raise ContentError(f"no job makes the table {table!r}", hint="name one of the tables of baselines/")
        known = bench.columns[table]
        unknown = next((name for row in rows for name in row if name not in known), None)
        if unknown is not None:
            hint = "one of: " + ", ".join(known)
            raise ContentError(f"{table.removesuffix(_RECORDS)} has no column {unknown!r}", hint=hint)
        if any(rows):
            bench.insert(table, rows)


def _groups(bench: _Bench, sql: str) -> list[_Row]:
    """Return what the query has before its last filter, which stands at the start of a line."""
    import duckdb

    unfiltered = sql.rpartition("\nwhere ")[0]
    try:
        return bench.rows(unfiltered) if unfiltered else []
    except duckdb.Error:
        return []


def _report(trial: _Trial, problem: str, groups: Sequence[_Row]) -> str:
    head = f"{trial.document.place}: test {trial.case.name!r}: {problem}"
    parts = [
        (f"{' and '.join(trial.rule.reads)} records", trial.case.events),
        *trial.case.baseline.items(),
        ("groups before the last filter", groups),
    ]
    return "\n".join([head, *(line for title, rows in parts for line in _listed(title, rows))])


def _listed(title: str, rows: Sequence[_Row]) -> Iterator[str]:
    yield f"  {title}:" if rows else f"  {title}: none"
    for row in rows[:_SHOWN]:
        yield "    " + ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
    if len(rows) > _SHOWN:
        yield f"    and {len(rows) - _SHOWN} more"
