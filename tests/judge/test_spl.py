"""Correlations worked out by hand in SPL, read as Splunk's documentation describes it, against the judge."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from engines.spl_machine import indexed, run
from judge import compare
from judge.correlated import Correlated, deriving
from judge.judge import every_alert
from judge.test_correlations import BASES, WORKED
from judge.worlds import alert, database, documents, judged, load, records

from keytrip.compile.targets import compile_to
from keytrip.export.layout import splunk_event


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the canonical tables, which makes the derived fields that are shipped."""
    with database() as connection:
        yield connection


def ours(con: duckdb.DuckDBPyConnection, case: Correlated) -> list[dict[str, Any]] | str:
    """Return the alerts of the last rule, or why it is refused."""
    found = documents(case)
    (compiled,) = compile_to("splunk", found[-1:], found)
    if compiled.reason:
        return compiled.reason
    load(con, case)
    shipped = indexed(splunk_event(table, record) for table in ("usage", "audit") for record in records(con, table))
    kind = found[-1].data["correlation"]["type"]
    return [alert(kind, timed(row)) for row in run(compiled.text, shipped, {})]


def timed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with times in place of seconds."""
    names = ("window_start", "window_end", "first_seen", "last_seen")
    return {**row, **{n: datetime.fromtimestamp(float(row[n]), UTC).replace(tzinfo=None) for n in names}}


@pytest.mark.parametrize("case", WORKED)
def test_worked_out(con: duckdb.DuckDBPyConnection, case: str) -> None:
    """What follows from the semantics by hand, or that alerts beside records are refused."""
    rules, rows, _ = WORKED[case]
    made = Correlated((*BASES, *rules), {"ai_usage": rows, "ai_audit": []})
    found = ours(con, made)
    if isinstance(found, str):
        assert "cannot put alerts beside" in found
        return
    assert compare.row_differences(found, every_alert(*judged(made))) == []


@pytest.mark.parametrize("case", deriving(), ids=lambda case: str(case.documents[-1]["correlation"]["group-by"]))
def test_derived_fields(con: duckdb.DuckDBPyConnection, case: Correlated) -> None:
    """An alert of an inner correlation has its group's fields, those derived from them, and no other."""
    found = ours(con, case)
    assert not isinstance(found, str), found
    assert compare.row_differences(found, every_alert(*judged(case))) == []
