"""Measures `keytrip check` and `keytrip test` over a pack of 115 rules: whole processes, the median of three runs each.

    python benchmarks/content.py

The rules are ours and, up to that number, copies of them under other names and ids, so they are as long and as
different as ours are.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from uuid import uuid4

from keytrip.content import content_files
from keytrip.rules.load import alerting, load_rules

RULES = 115
ROUNDS = 3


def write_copies(folder: Path, count: int) -> None:
    """Write `count` rule files that differ from ours in names, ids and titles."""
    (folder / "rules").mkdir(parents=True)
    for number, path in enumerate(islice(cycle(content_files("rules", ".yml")), count)):
        text = path.read_text(encoding="utf-8")
        for name in sorted(re.findall(r"(?m)^name: (\w+)", text), key=len, reverse=True):
            text = re.sub(rf"\b{name}\b", f"{name}_x{number}", text)
        text = re.sub(r"(?m)^id: .*", lambda _: f"id: {uuid4()}", text)
        text = re.sub(r"(?m)^title: (.*)", rf"title: \1 {number}", text)
        (folder / "rules" / f"copy_{number}.yml").write_text(text, encoding="utf-8")


def seconds(command: str, pack: Path) -> float:
    """Return how long a command takes over our rules and the pack, start-up and all."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "keytrip", command, "--pack", str(pack)], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - began


def main() -> int:
    """Print one line a command."""
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "pack"
        write_copies(pack, RULES - len(alerting(load_rules())))
        rules = alerting(load_rules((pack,)))
        cases = sum(len(rule.data.get("tests") or ()) for rule in rules)
        for command in ("check", "test"):
            took = median(seconds(command, pack) for _ in range(ROUNDS))
            print(f"keytrip {command}: {took:.2f} s for {len(rules)} rules with {cases} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
