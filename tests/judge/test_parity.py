"""The reference detector's own data: every baseline within 1e-9, and exactly its alerts, by each way to hunt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from judge.harness import built, tables_of

DATA = Path(__file__).parents[1] / "parity"
HISTORY, RECENT = DATA / "history.ndjson.gz", DATA / "recent.ndjson.gz"
SINCE = "2026-04-01"
TYPES = {
    "reference_volume_spike": "volume_spike",
    "reference_cost_spike": "cost_spike",
    "reference_unknown_model": "unknown_model",
    "reference_unknown_source_ip": "unknown_source_ip",
    "reference_off_hours_usage": "off_hours_usage",
}
Said = dict[tuple[str, str, str], str]


def keytrip(*arguments: object) -> list[dict[str, Any]]:
    """Run the command line and return its lines of JSON."""
    command = [sys.executable, "-m", "keytrip", *map(str, arguments), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(alerts: Iterable[Mapping[str, Any]]) -> Said:
    """Return (key, day, type) -> severity; where the extreme spike fires too, the spike is critical."""
    found = list(alerts)
    rows = {(a["key_id"], a["window_start"][:10], TYPES[a["rule"]]): a["level"] for a in found if a["rule"] in TYPES}
    for alert in found:
        if alert["rule"] == "reference_volume_spike_extreme":
            place = (alert["key_id"], alert["window_start"][:10], "volume_spike")
            assert place in rows, "it fires besides the first"
            rows[place] = alert["level"]
    return rows


@pytest.fixture(scope="module")
def expected() -> Said:
    """What the reference detector said."""
    rows = json.loads((DATA / "expected_alerts.json").read_text(encoding="utf-8"))
    return {(row["key_id"], row["day"], row["type"]): row["severity"] for row in rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store built by the command line from the history."""
    folder = tmp_path_factory.mktemp("parity") / "store"
    keytrip("baseline", "build", HISTORY, "--source", "canonical", "--store", folder)
    return folder


def test_in_memory(expected: Said) -> None:
    """`hunt --since` over history and recent days says exactly what the reference detector said."""
    alerts = keytrip("hunt", HISTORY, RECENT, "--source", "canonical", "--since", SINCE, "--rule", "reference_*")
    assert said(alerts) == expected


def test_store(expected: Said, store: Path) -> None:
    """`hunt --store` over the recent days says the same, and names its snapshot."""
    alerts = keytrip("hunt", RECENT, "--source", "canonical", "--store", store, "--rule", "reference_*")
    assert said(alerts) == expected
    assert {alert["snapshot"] for alert in alerts} == {1}


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_exported_tables(expected: Said, store: Path, tmp_path: Path, form: str) -> None:
    """`hunt --baseline` over tables that `baseline export` wrote says the same."""
    keytrip("baseline", "export", tmp_path / "tables", "--as", form, "--store", store)
    alerts = keytrip(
        "hunt", RECENT, "--source", "canonical", "--baseline", tmp_path / "tables", "--rule", "reference_*"
    )
    assert said(alerts) == expected


def test_baselines(tmp_path: Path) -> None:
    """Every key's baseline is the reference detector's, within 1e-9, and no other key has one."""
    built(tmp_path / "store", [HISTORY])
    tables = tables_of(tmp_path / "store")
    expected = json.loads((DATA / "expected_baselines.json").read_text(encoding="utf-8"))
    assert {key for (key,) in tables["keys"]} == set(expected)
    for key, baseline in expected.items():
        requests, cost = tables["key_requests_daily"][(key,)], tables["key_cost_daily"][(key,)]
        assert requests["mean"] == pytest.approx(baseline["avg_daily_requests"], abs=1e-9)
        assert requests["stddev"] == pytest.approx(baseline["std_daily_requests"], abs=1e-9)
        assert requests["max"] == baseline["max_daily_requests"]
        assert cost["mean"] == pytest.approx(baseline["avg_daily_cost"], abs=1e-9)
        assert cost["max"] == pytest.approx(baseline["max_daily_cost"], abs=1e-9)
        assert members(tables["key_models"], key) == set(baseline["known_models"])
        assert members(tables["key_source_ips"], key) == set(baseline["known_ips"])
        assert members(tables["key_active_hours"], key) == set(baseline["active_hours"])


def members(table: Mapping[tuple[Any, ...], Any], key: str) -> set[Any]:
    """Return the members of a key's set."""
    return {member for owner, member in table if owner == key}
