"""Records of correlation tests: in DuckDB, as Splunk holds them, and as the judge has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from judge.correlated import Correlated
from judge.judge import Rule, World, rules_of
from judge.records import Event, canonical, derived

from keytrip.records.model import duckdb_columns
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a DuckDB with the canonical tables."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.execute("set timezone = 'UTC'")
        connection.execute(SETUP)
        for name, table in vocabulary().tables.items():
            typed = ", ".join(f"{quote_name(column)} {kind}" for column, kind in duckdb_columns(name).items())
            connection.execute(f"create table kt_{name} ({typed})")
            fields = ", ".join(["*", *(f"{field.sql} as {quote_name(n)}" for n, field in table.derived.items())])
            connection.execute(f"create temp view {name} as select {fields} from kt_{name}")
        yield connection


def load(con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """Replace the records by those of a case."""
    for category, records in case.records.items():
        named = vocabulary().by_category(category)
        assert named is not None
        _fill(con, named[0], [canonical(r) if category == "ai_usage" else timed(r) for r in records])


def _fill(con: duckdb.DuckDBPyConnection, table: str, records: list[dict[str, Any]]) -> None:
    con.execute(f"delete from kt_{table}")
    for record in records:
        columns = ", ".join(map(quote_name, record))
        places = ", ".join("?" * len(record))
        con.execute(f"insert into kt_{table} ({columns}) values ({places})", list(record.values()))


def timed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of another table than usage, which has no defaults."""
    read = canonical(record)
    return {name: value for name, value in read.items() if name not in {"request_count", "source"}}


def records(con: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """Return a table's dated records with their derived fields, as they are shipped."""
    answer = con.execute(f"select * from {table} where timestamp is not null")
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def documents(case: Correlated) -> list[Document]:
    """Return a case's rules as the package has them."""
    return [Document(d, Path("made.yml"), 1) for d in case.documents]


def events(rows: list[dict[str, Any]]) -> list[Event]:
    """Return records as the judge has them."""
    read = [canonical(record) for record in rows]
    return [Event({**record, **derived(record)}, record["timestamp"], None) for record in read]


def judged(case: Correlated) -> tuple[Rule, World]:
    """Return the last rule of a case and its records as the judge has them."""
    read: Mapping[str, list[Event]] = {category: events(rows) for category, rows in case.records.items()}
    (rule,) = [rule for rule in rules_of(case.documents) if rule.name == case.documents[-1]["name"]]
    return rule, World(read["ai_usage"], {}, {}, others=read)


def alert(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a compiled query (SEMANTICS, section 6) as the judge has alerts."""
    fixed = ("window_start", "window_end", "value", "share", "events", "first_seen", "last_seen", "rule", "level")
    observed = {} if kind.startswith("temporal") else {kind: row["value"]}
    observed |= {"share": row["share"]} if "share" in row else {}
    baseline = {name.removeprefix("baseline_"): value for name, value in row.items() if name.startswith("baseline_")}
    group = {name: value for name, value in row.items() if name not in fixed and not name.startswith("baseline_")}
    rest = {name: row[name] for name in fixed if name not in {"value", "share"}}
    return {**rest, "group": group, "observed": observed, "baseline": baseline}
