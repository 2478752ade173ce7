"""A real Splunk, named by environment variables, gives the alerts of the parity records; a stub shows the calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from engines.worlds import World, in_order
from judge.test_parity import Said
from live.conftest import named, reference
from live.splunk_stub import SplunkStub

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.targets import compile_to
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.layout import SPLUNK_INDEX, lookup_name, splunk_event, splunk_lookup_rows
from keytrip.export.live.splunk import LiveSplunk, live_splunk
from keytrip.records.sql import quote_name
from keytrip.rules.load import Document, alerting

TIMES = ("window_start", "window_end", "first_seen", "last_seen")


@pytest.fixture(scope="module")
def splunk() -> LiveSplunk:
    """The Splunk that KEYTRIP_LIVE_SPLUNK_URL and KEYTRIP_LIVE_SPLUNK_HEC_URL name."""
    return live_splunk(named("SPLUNK"), named("SPLUNK_HEC"))


@pytest.fixture
def stub() -> Iterator[LiveSplunk]:
    """A stub that runs searches on the small machine."""
    with SplunkStub() as running:
        here = Connection(running.url, Credential("bearer", secret="made-up"), options={"app": "search"})  # noqa: S106
        yield live_splunk(here, here)


def ship(client: LiveSplunk, world: World) -> None:
    """Put a world's usage records and tables into Splunk.

    Raises:
        Failed: It holds records already: they would be counted too.
    """
    client.create_index(SPLUNK_INDEX)
    if client.search(f"search index={SPLUNK_INDEX} | stats count")[0]["count"] != "0":
        pytest.fail(f"the index {SPLUNK_INDEX} is not empty: name another server", pytrace=False)
    client.load_events((splunk_event("usage", record) for record in world.records("usage")), SPLUNK_INDEX)
    for table, job in load_jobs().items():
        rows = world.rows(f"select * from {quote_name(table)}")
        client.load_lookup(lookup_name(table), list(job.columns), splunk_lookup_rows(rows))


def shaped(row: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of texts with the types of DuckDB's row; a column that is null is left out by Splunk."""
    return {name: _typed(row.get(name), name, value) for name, value in like.items()}


def _typed(text: str | None, name: str, like: object) -> object:
    if text is None or isinstance(like, str):
        return text
    if name in TIMES:
        return datetime.fromtimestamp(float(text), UTC).replace(tzinfo=None)
    return float(text)


def differences(
    client: LiveSplunk, world: World, rules: list[Document], documents: list[Document]
) -> tuple[dict[str, object], list[dict[str, Any]]]:
    """Return rule -> (DuckDB's rows, Splunk's) where they differ, and all of Splunk's rows."""
    found: dict[str, object] = {}
    every: list[dict[str, Any]] = []
    texts = (compile_to(target, rules, documents) for target in ("duckdb", "splunk"))
    for rule, ours, theirs in zip(rules, *texts, strict=True):
        if not theirs.text or "correlation" not in rule.data:
            continue
        rows = world.rows(ours.text)
        answer = client.search(f"search {theirs.text}")
        typed = [shaped(row, rows[0] if rows else row) for row in answer]
        if in_order(rows) != in_order(typed):
            found[rule.name] = (rows[:1], typed[:1], len(rows), len(typed))
        every += typed
    return found, every


def check(client: LiveSplunk, world: World, documents: list[Document], expected: Said) -> None:
    """Ship the records, run every correlation, and compare."""
    ship(client, world)
    found, rows = differences(client, world, alerting(documents), documents)
    assert not found
    assert reference(rows) == expected


def test_splunk(splunk: LiveSplunk, world: World, documents: list[Document], expected: Said) -> None:
    """SPL gives DuckDB's alerts for every correlation, and the reference rules give the reference's."""
    check(splunk, world, documents, expected)


def test_stub(stub: LiveSplunk, world: World, documents: list[Document], expected: Said) -> None:
    """What a server takes in by these calls it finds. What a Splunk makes of them, no stub shows."""
    only = [rule for rule in documents if rule.name.startswith("reference_") or not rule.references]
    check(stub, world, only, expected)
