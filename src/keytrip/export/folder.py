"""Compiled rules and tables as files in a folder, each written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from keytrip.compile.targets import Compiled


def write_compiled(results: Sequence[Compiled], folder: Path) -> list[str]:
    """Write one file a rule and `index.json`; return one line for each that changed since the last time."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line for r in results if r.text for line in _write(folder / r.file, r.text)]
    entries = [r.as_json() for r in sorted(results, key=lambda r: r.rule)]
    lines += _gone(folder, {r.file for r in results if r.text})
    write_text(folder / "index.json", json.dumps(entries, indent=1) + "\n")
    return lines


def _write(path: Path, text: str) -> list[str]:
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    if before == text:
        return []
    write_text(path, text)
    return [f"{'changed' if before is not None else 'new'}: {path.name}"]


def _gone(folder: Path, kept: set[str]) -> list[str]:
    """Remove files that the last index named and this build does not make."""
    index = folder / "index.json"
    if not index.is_file():
        return []
    named = {entry["file"] for entry in json.loads(index.read_text(encoding="utf-8")) if entry["file"]}
    lines = []
    for name in sorted(named - kept):
        (folder / name).unlink(missing_ok=True)
        lines.append(f"gone: {name}")
    return lines


def write_text(path: Path, text: str) -> None:
    """Put a text file in its place at once."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
