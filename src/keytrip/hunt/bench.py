"""A DuckDB for small trials of rules: every canonical and baseline table, filled with the rows of cases and emptied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.compiled import CompiledRule
from keytrip.errors import ContentError
from keytrip.records.model import duckdb_columns
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import DUCKDB_TYPES, vocabulary
from keytrip.rules.cases import Case
from keytrip.rules.load import Document

if TYPE_CHECKING:
    import duckdb

# Behind a canonical table's name: the records of that table.
RECORDS = "_records"
# Columns of the bench itself: which case a row belongs to, and which of the case's events a record is.
CASE, EVENT = "kt_case", "kt_event"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """The tables, and who may ask them.

    Attributes:
        connection: To DuckDB.
        columns: Table (`keys`, `usage_records`, ...) -> its columns' types.
        times: Text of a time -> what it means.
        prepared: Query -> the name under which its plan is kept.
    """

    connection: duckdb.DuckDBPyConnection
    columns: Mapping[str, Mapping[str, str]]
    times: dict[str, datetime | None] = field(default_factory=dict)
    prepared: dict[str, str] = field(default_factory=dict)

    @cached_property
    def timed(self) -> frozenset[str]:
        """Names of the columns that hold a time."""
        return frozenset(name for types in self.columns.values() for name in types if types[name] == "TIMESTAMP")

    def learn_times(self, cases: Iterable[Case]) -> None:
        """Learn what the texts of times mean; of all cases at once, since DuckDB plans that query for long."""
        rows = (row for case in cases for part in (case.events, *case.baseline.values()) for row in part)
        texts = sorted({str(row[name]) for row in rows for name in self.timed & set(row)} - set(self.times))
        query = "select t, kt_time(t) from unnest(cast(? as varchar[])) as texts(t)"
        self.times.update(self.connection.execute(query, [texts]).fetchall())

    @contextmanager
    def filled(self, cases: Sequence[Mapping[str, Sequence[Row]]]) -> Iterator[None]:
        """Fill the tables with the rows of some cases, for as long as the context is open.

        Args:
            cases: For each case the rows of its tables; `at` says later which case is looked at.

        Raises:
            ContentError: There is no such table or column.
            duckdb.Error: A value has not its column's type.
        """
        tables = dict.fromkeys(table for case in cases for table in case)
        self.connection.begin()
        try:
            for table in tables:
                self._insert(table, [{**row, CASE: n} for n, case in enumerate(cases) for row in case.get(table, ())])
                if table.endswith(RECORDS):
                    self.connection.execute(f"execute {_deriver(table)}")
            yield
        finally:
            self.connection.rollback()

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        if table not in self.columns:
            raise ContentError(f"no job makes the table {table!r}", hint="name one of the tables of baselines/")
        types = {**self.columns[table], CASE: "BIGINT", EVENT: "BIGINT"}
        names = list(dict.fromkeys(name for row in rows for name in row))
        unknown = next((name for name in names if name not in types), None)
        if unknown is not None:
            hint = "one of: " + ", ".join(self.columns[table])
            raise ContentError(f"{table.removesuffix(RECORDS)} has no column {unknown!r}", hint=hint)
        if rows:
            one = ", ".join(f"cast(? as {types[name]})" for name in names)
            places = ", ".join([f"({one})"] * len(rows))
            columns = ", ".join(quote_name(name) for name in names)
            values = [row.get(name) for row in rows for name in names]
            self.connection.execute(f"insert into {_stored(table)} ({columns}) values {places}", values)

    def at(self, case: int) -> None:
        """Let the tables show the rows of one case, by its place among those that they were filled with."""
        self.connection.execute(f"update kt_now set kt_case = {case}")

    def rows(self, query: str) -> list[Row]:
        """Return what a query says, in an order that does not depend on the engine; it is planned once."""
        if query not in self.prepared:
            name = f"kt_query_{len(self.prepared)}"
            self.connection.execute(f"prepare {name} as {query}")
            self.prepared[query] = name
        answer = self.connection.execute(f"execute {self.prepared[query]}")
        names = [column[0] for column in answer.description or ()]
        return sorted((dict(zip(names, row, strict=True)) for row in answer.fetchall()), key=repr)


@dataclass(frozen=True)
class Trial:
    """One case, bound to its rule: rows by the table that they belong to."""

    document: Document
    rule: CompiledRule
    case: Case
    rows: Mapping[str, Sequence[Row]]


@contextmanager
def open_bench(packs: tuple[Path, ...] = ()) -> Iterator[Bench]:
    """Yield a bench with the tables of the vocabulary and of every job."""
    import duckdb

    columns: dict[str, Mapping[str, str]] = {name: job.columns for name, job in load_jobs(packs).items()}
    columns |= {name + RECORDS: duckdb_columns(name) for name in vocabulary().tables}
    # for a handful of rows no other thread is worth waking
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(SETUP)
        connection.execute(f"create table kt_now as select 0 as {CASE}")
        for name, types in columns.items():
            held = {**types, **_derived_types(name), CASE: "BIGINT", EVENT: "BIGINT"}
            typed = ", ".join(f"{quote_name(column)} {kind}" for column, kind in held.items())
            connection.execute(f"create table {_stored(name)} ({typed})")
            connection.execute(f"create temp view {_view(name)}")
        # planning is nearly all of the work for so few rows, and the optimizer is most of that
        connection.execute("pragma disable_optimizer")
        for name in vocabulary().tables:
            connection.execute(f"prepare {_deriver(name + RECORDS)} as {_derivation(name)}")
        yield Bench(connection, columns)


def _stored(table: str) -> str:
    return quote_name(f"kt_rows_{table}")


def _view(name: str) -> str:
    hidden = CASE if name.endswith(RECORDS) else f"{CASE}, {EVENT}"
    rows = f"select * exclude ({hidden}) from {_stored(name)} where {CASE} = (select {CASE} from kt_now)"
    return f"{quote_name(name.removesuffix(RECORDS))} as {rows}"


def _derived_types(name: str) -> dict[str, str]:
    table = vocabulary().tables.get(name.removesuffix(RECORDS)) if name.endswith(RECORDS) else None
    return {n: DUCKDB_TYPES[f.type] for n, f in table.derived.items()} if table else {}


def _deriver(table: str) -> str:
    return f"kt_derive_{table}"


def _derivation(name: str) -> str:
    """Return what computes the derived fields, once a fill: in the view, every query would plan them anew."""
    derived = vocabulary().tables[name].derived
    return f"update {_stored(name + RECORDS)} set " + ", ".join(
        f"{quote_name(n)} = {f.sql}" for n, f in derived.items()
    )
