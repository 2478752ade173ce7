"""Random correlations in ES|QL, run by a real Elasticsearch, against the judge: the same alerts.

A temporal rule's query covers exactly its timespan, and the judge is given the records of just that range.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest
from engines.search_server.client import SearchClient
from hypothesis import HealthCheck, Phase, given, settings
from judge import compare
from judge.correlated import START, Correlated, correlated, deriving
from judge.judge import every_alert
from judge.worlds import alert, database, documents, judged, load, records

from keytrip.compile.targets import compile_to
from keytrip.export.layout import elastic_document

# More in a long run: KEYTRIP_CORRELATIONS=3000 pytest tests/engines/test_esql_correlations.py
EXAMPLES = max(40, int(os.environ.get("KEYTRIP_CORRELATIONS", "0")) // 10)
REFUSED = (
    "has no field",
    "is varchar in",
    "cannot put alerts beside other events",
    "cannot make the source_net",
    "has no sliding window",
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the canonical tables, which makes the derived fields that are shipped."""
    with database() as connection:
        yield connection


def cut(case: Correlated) -> Correlated:
    """Return a case with times cut to milliseconds: Elasticsearch has no more."""
    rows = {c: [{**r, "timestamp": f"{r['timestamp'][:23]}Z"} for r in found] for c, found in case.records.items()}
    return replace(case, records=rows)


def within(case: Correlated, start: datetime, end: datetime) -> Correlated:
    """Return a case with the records of a range."""
    rows = {
        category: [r for r in found if start <= datetime.fromisoformat(r["timestamp"][:23]) < end]
        for category, found in case.records.items()
    }
    return replace(case, records=rows)


def ship(client: SearchClient, con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """Make a case's records the only ones in Elasticsearch."""
    load(con, case)
    for table in ("usage", "audit"):
        client.load(table, (elastic_document(record) for record in records(con, table)))


def differences(client: SearchClient, case: Correlated) -> tuple[list[str], set[str]]:
    """Return how the answers to the last rule differ, and what came of it: the kind, or that it is refused."""
    found = documents(case)
    (compiled,) = compile_to("esql", found[-1:], found)
    if compiled.reason:
        assert any(words in compiled.reason for words in REFUSED), compiled.reason
        return [], {"refused"}
    correlation: dict[str, Any] = dict(found[-1].data["correlation"])
    kind = correlation["type"]
    apart, outcomes = list[str](), {kind}
    for bounds in ranges(correlation) if kind.startswith("temporal") else [()]:
        asked = within(case, *bounds) if bounds else case
        rows = [alert(kind, row) for row in client.esql(compiled.text, *bounds)]
        apart += compare.alert_differences(rows, every_alert(*judged(asked)))
        outcomes |= {f"{kind} alerts"} if rows else set()
    return apart, outcomes


def ranges(correlation: dict[str, Any]) -> list[tuple[datetime, datetime]]:
    """Return ranges of just the timespan; a millisecond more on the later side takes in what lies on the border."""
    span = timedelta(seconds=int(correlation["timespan"][:-1]))
    ends = [START + halves * span / 2 + timedelta(milliseconds=1) for halves in range(1, 7)]
    return [(end - span, end) for end in ends]


def test_same_alerts(elasticsearch: SearchClient, con: duckdb.DuckDBPyConnection) -> None:
    """ES|QL finds the alerts that the judge finds, of every correlation of a case, or refuses it for a known reason."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(drawn=correlated())
    def check(drawn: Correlated) -> None:
        case = cut(drawn)
        ship(elasticsearch, con, case)
        for number, document in enumerate(case.documents):
            if "correlation" in document:
                apart, outcomes = differences(elasticsearch, replace(case, documents=case.documents[: number + 1]))
                assert apart == [], document
                seen.update(outcomes)

    check()
    assert {"event_count alerts", "value_count alerts", "temporal alerts", "temporal_ordered alerts"} <= set(seen)


def test_derived_fields(elasticsearch: SearchClient, con: duckdb.DuckDBPyConnection) -> None:
    """An alert of an inner correlation has its group's fields, those derived from them, and no other."""
    cases = deriving()
    ship(elasticsearch, con, cases[0])
    found = [differences(elasticsearch, case) for case in cases]
    assert [(apart, case.documents) for case, (apart, _) in zip(cases, found, strict=True) if apart] == []
    assert sum("event_count alerts" in outcomes for _, outcomes in found) == 6
