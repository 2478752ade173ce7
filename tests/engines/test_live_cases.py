"""`keytrip test --live` on real servers: cases pass there as in DuckDB, and nothing of them is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compile.small_pack import writer
from engines.search_server.client import SearchClient
from live.chosen import LANGUAGE, cases

from keytrip.cli import app


def left(client: SearchClient) -> object:
    """Return the indices of cases that are still there."""
    return client.call("GET", "/_resolve/index/keytrip_test*")["indices"]


def test_elasticsearch(
    elasticsearch: SearchClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ES|QL with lookups, and with the schedule as the window; Lucene skips what it refuses."""
    monkeypatch.setenv("KEYTRIP_LIVE_ELASTIC_URL", elasticsearch.url)
    names = ("example_absent", "example_temporal_ordered", "example_chain")
    assert app.run(["test", *names, "--pack", str(LANGUAGE), "--live", "esql"]) == 0
    assert capsys.readouterr().err.strip() == f"{cases(names)} cases passed, 0 failed"
    two = ("example_texts", "example_event_count")
    assert app.run(["test", *two, "--pack", str(LANGUAGE), "--live", "lucene", "--format", "json"]) == 0
    out, errors = capsys.readouterr()
    assert [json.loads(line)["passed"] for line in out.splitlines()] == [True] * cases(two[:1])
    assert errors.startswith("skipped example_event_count: ")
    assert app.run(["test", two[1], "--pack", str(LANGUAGE), "--live", "lucene"]) == 1
    assert "no rule could run in lucene" in capsys.readouterr().err
    assert left(elasticsearch) == []


def test_opensearch(
    opensearch: SearchClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Query DSL counts hits and buckets; indices are gone after a failure too."""
    monkeypatch.setenv("KEYTRIP_LIVE_OPENSEARCH_URL", opensearch.url)
    names = ("example_texts", "example_event_count", "example_value_median")
    assert app.run(["test", *names, "--pack", str(LANGUAGE), "--live", "opensearch"]) == 0
    assert capsys.readouterr().err.strip() == f"{cases(names)} cases passed, 0 failed"
    text = (LANGUAGE / "rules/event_count.yml").read_text(encoding="utf-8")
    writer(tmp_path)("rules/event_count.yml", text.replace("fires: true", "fires: 7", 1))
    packs = ["--pack", str(LANGUAGE), "--pack", str(tmp_path)]
    assert app.run(["test", "example_event_count", *packs, "--live", "opensearch"]) == 1
    assert "expected 7 alerts, got 1 in opensearch" in capsys.readouterr().out
    assert left(opensearch) == []
