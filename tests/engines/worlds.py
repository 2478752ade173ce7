"""A small DuckDB with canonical records and baseline tables, and what of it a SIEM would hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from engines.search_server.client import SearchClient

from keytrip.baselines.jobs import load_jobs, partial_name, partials_of
from keytrip.baselines.reduce import add_partials, drop_duplicates
from keytrip.compile.targets import compile_to
from keytrip.export.layout import elastic_document, elastic_lookup_documents, elastic_lookup_mapping, lookup_name
from keytrip.records.addresses import normal_address
from keytrip.records.model import duckdb_columns
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.cases import Case
from keytrip.rules.load import Document
from keytrip.sources.canonical import SOURCE
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile, input_files
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks

RECORDS = "_records"


class World:
    """Canonical tables as views with their derived fields, and every baseline table."""

    def __init__(self) -> None:
        self.types: dict[str, Mapping[str, str]] = {}
        self.con = duckdb.connect()
        self.con.execute("set timezone = 'UTC'")
        self.con.execute(SETUP)
        for name, table in vocabulary().tables.items():
            self._create(name + RECORDS, duckdb_columns(name))
            derived = "".join(f", {field.sql} as {quote_name(n)}" for n, field in table.derived.items())
            self.con.execute(f"create temp view {name} as select *{derived} from {name}{RECORDS}")
        for name, job in load_jobs().items():
            self._create(name, job.columns)

    def _create(self, name: str, columns: Mapping[str, str]) -> None:
        self.types[name] = columns
        typed = ", ".join(f"{quote_name(column)} {kind}" for column, kind in columns.items())
        self.con.execute(f"create temp table {quote_name(name)} ({typed})")

    def add_records(self, table: str, records: Iterable[Mapping[str, object]]) -> None:
        """Add records as reading leaves them: defaults set, addresses normalised."""
        fields = vocabulary().tables[table].fields
        defaults = {name: field.default for name, field in fields.items() if field.default is not None}
        for record in records:
            full = {**defaults, **{k: v for k, v in record.items() if v is not None}}
            if isinstance(full.get("source_ip"), str):
                full["source_ip"] = normal_address(str(full["source_ip"]))
            self._insert(table + RECORDS, full)

    def add_rows(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Add rows to a baseline table."""
        by_columns: dict[tuple[str, ...], list[Mapping[str, object]]] = {}
        for row in rows:
            by_columns.setdefault(tuple(row), []).append(row)
        for alike in by_columns.values():
            self._insert(table, *alike)

    def add_case(self, table: str, case: Case, mark: str) -> None:
        """Add a rule's case with `mark` in front of its keys; where a table has no key_id, the first row stays."""
        self.add_records(table, (_marked(event, mark) for event in case.events))
        for name, rows in case.baseline.items():
            key = load_jobs()[name].table_key
            for row in rows:
                if "key_id" in key or not self._holds(name, {column: row[column] for column in key}):
                    self.add_rows(name, [_marked(row, mark)])

    def _holds(self, table: str, key: Mapping[str, object]) -> bool:
        where = " and ".join(f"{quote_name(column)} = ?" for column in key)
        return bool(self.con.execute(f"select 1 from {quote_name(table)} where {where}", list(key.values())).fetchall())

    def _insert(self, table: str, *rows: Mapping[str, object]) -> None:
        """Insert rows of the same columns at once."""
        names = ", ".join(quote_name(name) for name in rows[0])
        times = {name for name, kind in self.types[table].items() if kind == "TIMESTAMP"}
        texts = {name for name in times if isinstance(rows[0].get(name), str)}
        one = ", ".join("kt_time(?)" if name in texts else "?" for name in rows[0])
        listed = ", ".join([f"({one})"] * len(rows))
        values = [value for row in rows for value in row.values()]
        self.con.execute(f"insert into {quote_name(table)} ({names}) values {listed}", values)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return a query's rows."""
        answer = self.con.execute(sql)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield a table's dated records with their derived fields, as they are shipped."""
        yield from self.rows(f"select * from {table} where timestamp is not null")

    def learn(self, history: str) -> None:
        """Fill every baseline table from the relation `history`."""
        jobs = load_jobs()
        add_partials(self.con, partials_of(jobs), history)
        for table, job in jobs.items():
            columns = ", ".join(quote_name(column) for column in job.columns)
            merged = job.merge(table, partial_name(job))
            self.con.execute(f"insert into {quote_name(table)} select {columns} from ({merged})")


def _marked(row: Mapping[str, object], mark: str) -> dict[str, object]:
    return {name: f"{mark}{value}" if name == "key_id" and value else value for name, value in row.items()}


def world_of_files(history: Sequence[Path], recent: Sequence[Path], folder: Path) -> World:
    """Return the world whose baselines come from `history` and whose usage records are `recent`."""
    world = World()
    world.learn(_read(world.con, input_files([str(p) for p in history]), "history", folder))
    columns = ", ".join(quote_name(name) for name in duckdb_columns("usage"))
    read = _read(world.con, input_files([str(p) for p in recent]), "recent", folder)
    world.con.execute(f"insert into usage{RECORDS} select {columns} from {read}")
    return world


def _read(con: duckdb.DuckDBPyConnection, files: Sequence[InputFile], name: str, folder: Path) -> str:
    request = Request(SOURCE, frozenset(duckdb_columns("usage")), Workshop(folder), lambda: b"key")
    for number, _ in enumerate(chunks(con, files, request, Report())):
        create = f"insert into {name}" if number else f"create temp table {name} as"
        con.execute(f"{create} select * from {CHUNK}")
    drop_duplicates(con, name)
    return name


def ship(world: World, client: SearchClient, rules: Sequence[Document], documents: Sequence[Document]) -> None:
    """Put what rules read of a world into Elasticsearch, in the canonical layout."""
    ship_for(world, client, "".join(found.text for found in compile_to("esql", rules, documents)))


def ship_for(world: World, client: SearchClient, texts: str) -> None:
    """Put what compiled ES|QL names of a world into Elasticsearch."""
    for table in vocabulary().tables:
        if f"logs-keytrip.{table}-" in texts:
            client.load(table, (elastic_document(record) for record in world.records(table)))
    for table, job in load_jobs().items():
        if f"JOIN {lookup_name(table)} " not in texts:
            continue
        rows = world.rows(f"select * from {quote_name(table)}")
        mapping = elastic_lookup_mapping(job.table_key, job.columns)
        client.load_lookup(lookup_name(table), mapping, elastic_lookup_documents(job.table_key, rows))


def plain_value(value: object) -> object:
    """Return a value of either engine in one form: times cut to milliseconds, numbers to 12 digits (SEMANTICS 5, 6)."""
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(f"{float(value):.12g}")
    return value


def in_order(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """Return rows in one form and one order."""
    plain = ({name: plain_value(value) for name, value in row.items()} for row in rows)
    return sorted(plain, key=lambda row: repr(sorted(row.items())))


def differences(
    world: World, client: SearchClient, rules: Sequence[Document], documents: Sequence[Document]
) -> tuple[dict[str, str], int]:
    """Return rule -> how Elasticsearch's answer differs from DuckDB's, and how many alerts both gave.

    A plain rule gives events, whose names and columns differ; they are told apart by their request_id.
    """
    found: dict[str, str] = {}
    alerts = 0
    texts = [compile_to(target, rules, documents) for target in ("duckdb", "esql")]
    for rule, ours, theirs in zip(rules, *texts, strict=True):
        assert ours.text, ours.reason
        assert theirs.text, theirs.reason
        expected, answer = in_order(world.rows(ours.text)), in_order(client.esql(theirs.text))
        if "correlation" not in rule.data:
            expected, answer = _events(expected, "request_id"), _events(answer, "http.request.id")
        alerts += len(expected)
        if expected != answer:
            found[f"{rule.name} {rule.data.get('detection', '')}"] = _difference(expected, answer)
    return found, alerts


def _events(rows: Iterable[Mapping[str, object]], key: str) -> list[dict[str, object]]:
    return in_order({"id": row[key], "rule": row["rule"], "level": row["level"]} for row in rows)


def _difference(expected: Sequence[object], answer: Sequence[object]) -> str:
    missing = [row for row in expected if row not in answer]
    extra = [row for row in answer if row not in expected]
    return f"{len(missing)} missing, {len(extra)} too many, such as {missing[:1]} and {extra[:1]}"
