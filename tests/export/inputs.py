"""What a deployment is made of, in its smallest form: a log of nine days and a list of indicators."""

from __future__ import annotations

import json
from pathlib import Path


def write_log(path: Path, *keys: str) -> None:
    """Write a record a day, for nine days, of each of these keys."""
    records = (
        {"timestamp": f"2026-11-{day:02}T09:00:00Z", "key_id": key, "model": "gpt", "source_ip": "192.0.2.1"}
        for day in range(1, 10)
        for key in keys
    )
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")


def write_indicators(path: Path, *addresses: str) -> None:
    """Write a list of these addresses."""
    seen = "2026-11-01T00:00:00Z,2026-11-02T00:00:00Z"
    rows = (f"ipv4,{address},{seen}\n" for address in addresses)
    path.write_text("".join(["kind,value,first_seen,last_seen\n", *rows]), encoding="utf-8")
