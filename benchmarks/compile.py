"""Measures `keytrip compile` for every target at once against `sigma convert` of sigma-cli, a process a target.

    python benchmarks/compile.py

Both compile our rules with our backends and pipeline; whole processes, round by round, the median of them. Processor
time is measured too, since it depends less on what else the machine does. `cold` has no cache, `unchanged` finds every
text in it, `changed` has one rule of a pack whose condition is new each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from keytrip.compile.targets import TARGETS
from keytrip.content import content_root
from keytrip.rules.load import alerting, load_rules

ROUNDS = 3
_RULE = """\
title: Changed each time
id: 3f0a9a4e-6f0e-4f57-a0b8-0d1f6a6f9a11
name: changed_each_time
status: experimental
level: low
logsource: {{category: ai_usage}}
detection: {{selection: {{status_code: {number}}}, condition: selection}}
"""


def took(command: list[str], cache: Path) -> tuple[float, float]:
    """Return the seconds that a command takes, by the clock and of the processor."""
    settings = os.environ | {"KEYTRIP_CACHE": str(cache)}
    # an installed program has its byte code
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    before, began = os.times(), time.perf_counter()
    # rules that a target refuses make exit code 1
    ran = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, env=settings)
    if not ran.stdout:
        raise SystemExit(ran.stderr.decode())
    clock, after = time.perf_counter() - began, os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return clock, used


def peer(cache: Path) -> tuple[float, float]:
    """Return what `sigma convert` takes for all targets, one after the other."""
    rules = str(content_root() / "rules")
    commands = (
        ["sigma.cli.main", "convert", "-s", "-t", f"keytrip_{t}", "-p", "keytrip_canonical", rules] for t in TARGETS
    )
    clock, used = zip(*(took(command, cache) for command in commands), strict=True)
    return sum(clock), sum(used)


def measured(work: Path, number: int) -> dict[str, tuple[float, float]]:
    """Return (clock, processor) of each way to compile, in one round."""
    cache, out, pack = work / f"cache{number}", work / "out", work / "pack"
    ours = ["keytrip", "compile", "*", "--target", "all", "--out", str(out), "--quiet"]
    (pack / "rules").mkdir(parents=True, exist_ok=True)
    (pack / "rules" / "changed.yml").write_text(_RULE.format(number=500), encoding="utf-8")
    found = {"sigma": peer(cache), "cold": took(ours, cache), "unchanged": took(ours, cache)}
    with_pack = [*ours, "--pack", str(pack)]
    took(with_pack, cache)
    (pack / "rules" / "changed.yml").write_text(_RULE.format(number=501 + number), encoding="utf-8")
    return found | {"changed": took(with_pack, cache)}


def main() -> int:
    """Print a row for each way to compile."""
    texts = len(alerting(load_rules())) * len(TARGETS)
    with tempfile.TemporaryDirectory() as folder:
        measured(Path(folder), ROUNDS)  # writes the byte code
        rounds = [measured(Path(folder), number) for number in range(ROUNDS)]
    middle: Callable[[str, int], float] = lambda way, which: median(one[way][which] for one in rounds)  # noqa: E731
    print(f"{texts} texts: {texts // len(TARGETS)} rules for {len(TARGETS)} targets")
    for way in rounds[0]:
        clock, used = middle(way, 0), middle(way, 1)
        ratios = ", ".join(f"{middle('sigma', which) / middle(way, which):.1f}x" for which in (0, 1))
        print(f"{way}: {clock:.2f} s, {used:.2f} s of the processor; sigma takes {ratios}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
