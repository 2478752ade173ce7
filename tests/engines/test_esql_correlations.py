"""Chains in ES|QL, run by a real Elasticsearch: what an alert of the inner correlation has, and what not."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from engines.search_server.client import SearchClient
from judge import compare
from judge.correlated import Correlated, deriving
from judge.judge import every_alert
from judge.worlds import alert, database, documents, judged, load, records

from keytrip.compile.targets import compile_to
from keytrip.export.layout import elastic_document


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the canonical tables, which makes the derived fields that are shipped."""
    with database() as connection:
        yield connection


def ship(client: SearchClient, con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """Make a case's records the only ones in Elasticsearch."""
    load(con, case)
    for table in ("usage", "audit"):
        client.load(table, (elastic_document(record) for record in records(con, table)))


def test_derived_fields(elasticsearch: SearchClient, con: duckdb.DuckDBPyConnection) -> None:
    """An alert of an inner correlation has its group's fields, those derived from them, and no other."""
    cases = deriving()
    ship(elasticsearch, con, cases[0])
    said = 0
    for case in cases:
        found = documents(case)
        (compiled,) = compile_to("esql", found[-1:], found)
        if compiled.reason:
            assert "cannot make the source_net" in compiled.reason
            continue
        alerts = [alert("event_count", row) for row in elasticsearch.esql(compiled.text)]
        assert compare.alert_differences(alerts, every_alert(*judged(case))) == [], case.documents
        said += bool(alerts)
    assert said == 6
