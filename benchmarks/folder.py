"""Measures plan and apply of 115 rules and 102,000 rows into a folder: whole processes, the median of three runs each.

    python benchmarks/folder.py

The rules are those of benchmarks/content.py; the rows are what 1,000 keys with 45 addresses each leave in the tables.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from statistics import median

from keytrip.rules.load import alerting, load_rules

KEYS, ADDRESSES, ROUNDS = 1_000, 45, 3
content = import_module("content")  # the script beside this one


def records() -> Iterator[str]:
    """Yield canonical records, one for each key and address."""
    for number in range(KEYS):
        for address in range(ADDRESSES):
            day, net = 1 + address % 28, number % 250
            record = {"timestamp": f"2026-10-{day:02}T10:00:00Z", "key_id": f"key_{number}", "model": "m"}
            yield json.dumps({**record, "source_ip": f"10.{net}.{address}.{number // 250}"})


def typed(folder: Path, *arguments: str) -> tuple[float, float]:
    """Return the seconds of clock and processor that a command takes, start-up and all."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "keytrip", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print one line a command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content.write_copies(folder / "pack", content.RULES - len(alerting(load_rules())))
        (folder / "records.ndjson").write_text("\n".join(records()) + "\n", encoding="utf-8")
        typed(folder, "baseline", "build", "records.ndjson", "--source", "canonical", "--quiet")
        there = ("csv", "--url", "export", "--pack", "pack", "--quiet")
        for what, command in (("plan, nothing there", "plan"), ("apply", "apply"), ("plan, all there", "plan")):
            times = []
            for _ in range(ROUNDS):
                if what != "plan, all there":
                    shutil.rmtree(folder / "export", ignore_errors=True)
                times.append(typed(folder, command, *there))
            clock, processor = (median(found) for found in zip(*times, strict=True))
            print(f"{what}: {clock:.2f} s, processor {processor:.2f} s")
        rows = sum(path.read_bytes().count(b"\n") - 1 for path in (folder / "export/tables").glob("*.csv"))
        print(f"{rows} rows; most memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
