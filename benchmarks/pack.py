"""Rules for a benchmark, as a pack of files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml


def events(selection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a rule says that finds usage records."""
    detection = {"selection": selection, "condition": "selection"}
    return {"logsource": {"category": "ai_usage"}, "detection": detection}


def write_pack(folder: Path, rules: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a rule of the name `bench_NAME` for each of `rules`, by NAME; return the pack's folder."""
    (folder / "rules").mkdir(parents=True)
    for name, said in rules.items():
        rule = {
            "title": f"Benchmark {name}",
            "id": str(uuid5(NAMESPACE_URL, name)),
            "name": f"bench_{name}",
            "status": "test",
            "level": "low",
            **said,
        }
        (folder / "rules" / f"{name}.yml").write_text(yaml.safe_dump(rule), encoding="utf-8")
    return folder
