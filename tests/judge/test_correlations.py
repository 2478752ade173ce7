"""Random correlations over random records through DuckDB and through the judge: the same alerts, each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from judge import compare
from judge.correlated import Correlated, correlated
from judge.judge import World, every_alert, rules_of
from judge.records import Event, canonical, derived

from keytrip.compile.compiled import compile_rule
from keytrip.hunt.alerts import correlation_alerts
from keytrip.records.model import duckdb_columns
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

# More in a long run: KEYTRIP_CORRELATIONS=3000 pytest tests/judge/test_correlations.py
EXAMPLES = int(os.environ.get("KEYTRIP_CORRELATIONS", "60"))


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the canonical tables."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        connection.execute(SETUP)
        for name, table in vocabulary().tables.items():
            typed = ", ".join(f"{quote_name(column)} {kind}" for column, kind in duckdb_columns(name).items())
            connection.execute(f"create table kt_{name} ({typed})")
            fields = ", ".join(["*", *(f"{field.sql} as {quote_name(n)}" for n, field in table.derived.items())])
            connection.execute(f"create temp view {name} as select {fields} from kt_{name}")
        yield connection


def fill(con: duckdb.DuckDBPyConnection, table: str, records: list[dict[str, Any]]) -> None:
    """Replace a table's records."""
    con.execute(f"delete from kt_{table}")
    for record in records:
        columns = ", ".join(map(quote_name, record))
        places = ", ".join("?" * len(record))
        con.execute(f"insert into kt_{table} ({columns}) values ({places})", list(record.values()))


def ours(con: duckdb.DuckDBPyConnection, case: Correlated) -> list[dict[str, Any]] | str:
    """Return the alerts of the last rule, or why it is refused."""
    documents = [Document(d, Path("made.yml"), 1) for d in case.documents]
    rule = compile_rule(documents[-1], documents)
    if rule.refused:
        return rule.refused
    for category, records in case.records.items():
        named = vocabulary().by_category(category)
        assert named is not None
        fill(con, named[0], [canonical(r) if category == "ai_usage" else timed(r) for r in records])
    cursor = con.execute(rule.sql)
    columns = [column[0] for column in cursor.description or ()]
    return [alert.as_json() for alert in correlation_alerts(rule, columns, cursor.fetchall(), None)]


def timed(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of another table than usage, which has no defaults."""
    read = canonical(record)
    return {name: value for name, value in read.items() if name not in {"request_count", "source"}}


def events(records: list[dict[str, Any]]) -> list[Event]:
    """Return records as the judge has them."""
    read = [canonical(record) for record in records]
    return [Event({**record, **derived(record)}, record["timestamp"], None) for record in read]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(case=correlated())
def test_same_alerts(con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """DuckDB finds the alerts that the judge finds, or refuses the rule for a field that a base has not."""
    found = ours(con, case)
    if isinstance(found, str):
        assert "has no field" in found or "is varchar in" in found
        return
    read = {category: events(records) for category, records in case.records.items()}
    (rule,) = [rule for rule in rules_of(case.documents) if rule.name == "last"]
    expected = list(every_alert(rule, World(read["ai_usage"], {}, {}, others=read)))
    assert compare.alert_differences(found, expected) == []
    assert len({alert["alert_id"] for alert in found}) == len(found)
