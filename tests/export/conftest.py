"""A small store, made once: what exporters take their tables from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keytrip.baselines.store import Store
from keytrip.cli import app


def records(days: int = 9) -> list[dict[str, object]]:
    """Records of two keys with models of any text."""
    models = ["gpt", 'a "b" `c` | [d] $e$', "=1+1", "zürich\U0001f600"]
    return [
        {"timestamp": f"2026-11-{day:02}T09:00:00Z", "key_id": key, "model": model, "source_ip": "192.0.2.1"}
        for day in range(1, days + 1)
        for key in ("key_a", "key_b")
        for model in models
    ]


def build(folder: Path, found: list[dict[str, object]]) -> Store:
    """Return a store with a snapshot of records, in use whatever its guards say."""
    path = folder / "records.ndjson"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in found), encoding="utf-8")
    store = folder / ".keytrip"
    arguments = ["baseline", "build", str(path), "--source", "canonical", "--store", str(store), "--quiet"]
    assert app.run(arguments) == 0
    return Store(store)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one snapshot."""
    return build(tmp_path_factory.mktemp("store"), records())
