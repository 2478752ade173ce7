"""Compiled rules and tables as files in a folder, each written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from keytrip.compile.targets import Compiled
from keytrip.errors import ContentError

# Bytes of a file's name on the usual file systems, less what is put around it while it is written.
_LONGEST = 255 - 32


def write_targets(results: Sequence[Compiled], folder: Path) -> list[str]:
    """Write a folder for each target below `folder`; return one line for each file that changed since the last time."""
    targets = dict.fromkeys(r.target for r in results)
    return [
        line
        for target in targets
        for line in write_compiled([r for r in results if r.target == target], folder / target, f"{target}/")
    ]


def write_compiled(results: Sequence[Compiled], folder: Path, shown: str = "") -> list[str]:
    """Write one file a rule and `index.json`; return one line for each that changed since the last time.

    Args:
        results: Rules compiled for one target.
        folder: Is made where it is missing.
        shown: Goes before the file's name in the lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line for r in results if r.text for line in _write(folder / checked_file(r.file), r.text, shown)]
    entries = [r.as_json() for r in sorted(results, key=lambda r: r.rule)]
    lines += _gone(folder, {r.file for r in results if r.text}, shown)
    write_text(folder / "index.json", json.dumps(entries, indent=1) + "\n")
    return lines


def _write(path: Path, text: str, shown: str) -> list[str]:
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    if before == text:
        return []
    write_text(path, text)
    return [f"{'changed' if before is not None else 'new'}: {shown}{path.name}"]


def _gone(folder: Path, kept: set[str], shown: str) -> list[str]:
    """Remove files that the last index named and this build does not make."""
    index = folder / "index.json"
    if not index.is_file():
        return []
    named = {entry["file"] for entry in json.loads(index.read_text(encoding="utf-8")) if entry["file"]}
    lines = []
    for name in sorted(named - kept):
        (folder / name).unlink(missing_ok=True)
        lines.append(f"gone: {shown}{name}")
    return lines


def checked_file(name: str) -> str:
    """Return the name of a file that a rule's name makes.

    Raises:
        ContentError: It is a path.
    """
    if "/" in name or "\\" in name:
        raise ContentError(
            f"{name[:80]!r} is no name of a file", hint="give the rule a `name` of letters, digits and _"
        )
    return checked_path(name)


def checked_path(path: str) -> str:
    """Return a path below a folder, as names of rules make them.

    Raises:
        ContentError: It leads out of the folder, into what keytrip keeps there, or is no name of a file.
    """
    parts = PurePosixPath(path.replace("\\", "/")).parts
    wrong = not parts or path.startswith("/") or parts[0] == ".keytrip" or "\0" in path
    if wrong or ".." in parts or any(len(part.encode("utf-8", "replace")) > _LONGEST for part in parts):
        hint = "give the rule a `name` of letters, digits and _"
        raise ContentError(f"{path[:80]!r} is no path of a file in the folder", hint=hint)
    return path


def write_text(path: Path, text: str) -> None:
    """Put a text file in its place at once."""
    # two processes may write one folder
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
