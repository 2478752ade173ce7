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
from hypothesis import strategies as st
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


@st.composite
def cases(draw: st.DrawFn) -> tuple[Correlated, int]:
    """Draw a case and the number of halves of a timespan after the first possible record at which the range ends."""
    return cut(draw(correlated())), draw(st.integers(1, 6))


def ship(client: SearchClient, con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """Make a case's records the only ones in Elasticsearch."""
    load(con, case)
    for table in ("usage", "audit"):
        client.load(table, (elastic_document(record) for record in records(con, table)))


def differences(client: SearchClient, case: Correlated, halves: int) -> tuple[list[str], str]:
    """Return how the answers to the last rule differ, and what came of it: the kind, or that it is refused."""
    found = documents(case)
    (compiled,) = compile_to("esql", found[-1:], found)
    if compiled.reason:
        assert any(words in compiled.reason for words in REFUSED), compiled.reason
        return [], "refused"
    correlation: dict[str, Any] = dict(found[-1].data["correlation"])
    kind, bounds = correlation["type"], ()
    if kind.startswith("temporal"):
        span = timedelta(seconds=int(correlation["timespan"][:-1]))
        # the millisecond takes in what lies on the border
        end = START + halves * span / 2 + timedelta(milliseconds=1)
        bounds = (f"{(end - span).isoformat(timespec='milliseconds')}Z", f"{end.isoformat(timespec='milliseconds')}Z")
        case = within(case, end - span, end)
    rows = [alert(kind, row) for row in client.esql(compiled.text, *bounds)]
    return compare.alert_differences(rows, every_alert(*judged(case))), f"{kind}{' alerts' if rows else ''}"


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
    @given(drawn=cases())
    def check(drawn: tuple[Correlated, int]) -> None:
        case, halves = drawn
        ship(elasticsearch, con, case)
        for number, document in enumerate(case.documents):
            if "correlation" in document:
                apart, outcome = differences(
                    elasticsearch, replace(case, documents=case.documents[: number + 1]), halves
                )
                assert apart == [], document
                seen[outcome] += 1

    check()
    assert {"event_count alerts", "value_count alerts", "temporal alerts", "temporal_ordered alerts"} <= set(seen)


def test_derived_fields(elasticsearch: SearchClient, con: duckdb.DuckDBPyConnection) -> None:
    """An alert of an inner correlation has its group's fields, those derived from them, and no other."""
    cases = deriving()
    ship(elasticsearch, con, cases[0])
    found = [differences(elasticsearch, case, 0) for case in cases]
    assert [(apart, case.documents) for case, (apart, _) in zip(cases, found, strict=True) if apart] == []
    assert [outcome for _, outcome in found].count("event_count alerts") == 6
