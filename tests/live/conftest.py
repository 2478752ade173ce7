"""What the parity records are, and what every SIEM has to say of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from engines.worlds import World, world_of_files
from judge.test_parity import DATA, Said, said

from keytrip.errors import UsageError
from keytrip.export.connection import Connection
from keytrip.export.live.address import live_connection
from keytrip.rules.load import Document, load_rules


def named(siem: str) -> Connection:
    """Return where a SIEM is; without it the running test is skipped, in CI too: it is the user's to name one."""
    if not os.environ.get(f"KEYTRIP_LIVE_{siem}_URL"):
        with pytest.raises(UsageError) as raised:
            live_connection(siem, os.environ)
        pytest.skip(str(raised.value))
    return live_connection(siem, os.environ)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The parity records, and the baselines of their history."""
    history, recent = DATA / "history.ndjson.gz", DATA / "recent.ndjson.gz"
    return world_of_files([history], [recent], Path(tmp_path_factory.mktemp("parity")))


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    """The shipped rules."""
    return load_rules()


@pytest.fixture(scope="module")
def expected() -> Said:
    """What the reference detector said."""
    rows = json.loads((DATA / "expected_alerts.json").read_text(encoding="utf-8"))
    return {(row["key_id"], row["day"], row["type"]): row["severity"] for row in rows}


def reference(rows: list[Mapping[str, Any]]) -> Said:
    """Return what rows of the reference rules say, in the detector's words."""
    return said({**row, "window_start": str(row["window_start"])} for row in rows)
