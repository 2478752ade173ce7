"""The commands from end to end: a real Elasticsearch behind a proxy with TLS and a key, and a stub of Kibana."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engines.search_server.client import SearchClient
from export.inputs import write_indicators, write_log
from stubs.kibana import KibanaStub, kibana_stub
from stubs.search_proxy import SearchProxy, search_proxy

from keytrip.cli import app

QUIET = ["--quiet"]


@dataclass
class Place:
    """Where the commands work."""

    proxy: SearchProxy
    kibana: KibanaStub
    store: Path


@pytest.fixture
def place(empty_elasticsearch: SearchClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A store of nine days, both servers, and the environment that leads to them."""
    key = os.urandom(8).hex()
    records = tmp_path / "records.ndjson"
    write_log(records, "key_a", "key_b")
    store = tmp_path / ".keytrip"
    assert app.run(["baseline", "build", str(records), "--source", "canonical", "--store", str(store), *QUIET]) == 0
    with (
        search_proxy(tmp_path / "es", empty_elasticsearch.url, key=key) as proxy,
        kibana_stub(tmp_path / "kb", key=key) as kb,
    ):
        both = tmp_path / "both.pem"
        both.write_text(proxy.ca_file.read_text() + kb.ca_file.read_text(), encoding="utf-8")
        settings = {"URL": proxy.url, "KIBANA_URL": kb.url, "CA_FILE": str(both), "API_KEY": key}
        for name, value in settings.items():
            monkeypatch.setenv(f"KEYTRIP_ELASTIC_{name}", value)
        yield Place(proxy, kb, store)


def run(place: Place, command: str, *arguments: str) -> int:
    """Run a command against the destination."""
    return app.run([command, "elastic", *arguments, *QUIET])


def test_commands(
    place: Place,
    empty_elasticsearch: SearchClient,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All rules, tables, lists arrive; queries run; a second plan is empty; drift is told; destroy leaves nothing."""
    listed = tmp_path / "iocs.csv"
    monkeypatch.setenv("KEYTRIP_ELASTIC_VALUE_LISTS", "true")
    with_store = ("--store", str(place.store), "--format", "json", "--iocs", str(listed))
    write_indicators(listed, "203.0.113.7", "203.0.113.8")
    assert run(place, "apply", *with_store) == 0
    write_indicators(listed, "203.0.113.7")
    assert run(place, "apply", *with_store) == 0
    assert place.kibana.lists["default"].values("keytrip-addresses") == ["203.0.113.7"]
    rules = place.kibana.rules
    assert len(rules) >= 12
    assert all("keytrip" in rule["tags"] for rule in rules.values())
    empty_elasticsearch.load_usage([{"@timestamp": "2026-11-09T09:00:00Z", "keytrip": {"key_id": "key_a"}}])
    for rule in rules.values():
        if rule["type"] == "esql":
            empty_elasticsearch.esql(rule["query"])
    capsys.readouterr()
    assert run(place, "plan", *with_store) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["action"] for one in shown} == {"unchanged"}
    assert all(one["server"].startswith("Elasticsearch 8.19.") for one in shown)
    assert run(place, "plan", "--store", str(place.store), "--iocs", str(listed)) == 0
    assert "compiled for Elasticsearch 8.19." in capsys.readouterr().out
    name = next(iter(rules))
    place.kibana.change(name, name="Somebody's", enabled=True, interval="1h")
    assert run(place, "drift", *with_store[:4]) == 1
    told = capsys.readouterr().out
    assert "Somebody's" in told
    assert "analyst" in told
    assert run(place, "apply", *with_store) == 0
    assert rules[name]["name"] != "Somebody's"
    assert (rules[name]["enabled"], rules[name]["version"], rules[name]["interval"]) == (True, 2, "1h")
    capsys.readouterr()
    assert run(place, "plan", *with_store) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["action"] for one in shown} == {"unchanged"}
    run(place, "doctor", "--option", "suppression=off")
    told = capsys.readouterr().out
    assert "8.19." in told
    assert f"{len(rules)} rules in this space" in told
    assert run(place, "destroy", "--yes") == 0
    assert rules == {}
    assert place.kibana.lists["default"].heads == {}
    assert empty_elasticsearch.call("GET", "/keytrip_*?expand_wildcards=all") == {}
