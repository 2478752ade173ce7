"""Measures what temporal rules and chains cost beside a counting rule: whole hunts, over 1M and 10M records.

    python benchmarks/correlations.py --peers ../shared/peers --data DIR

The three rules look at the same events, over half of all, in windows of an hour, and give few alerts.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

run = import_module("run")  # the script beside this one
RULES = """
title: Bench long answer
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7001
name: bench_answer
status: test
level: low
logsource: {category: ai_usage}
detection: {selection: {output_tokens|gt: 200}, condition: selection}
---
title: Bench long question
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7002
name: bench_question
status: test
level: low
logsource: {category: ai_usage}
detection: {selection: {input_tokens|gt: 1000}, condition: selection}
---
title: Bench failed upload
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7003
name: bench_upload
status: test
level: low
logsource: {category: ai_usage}
detection: {selection: {status_code: 500, endpoint|contains: files}, condition: selection}
---
title: Bench counting
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7004
name: bench_counting
status: test
level: low
correlation:
  type: event_count
  rules: [bench_question, bench_answer, bench_upload]
  group-by: [key_id]
  timespan: 1h
  condition: {gte: 3000}
---
title: Bench temporal
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7005
name: bench_temporal
status: test
level: low
correlation:
  type: temporal
  rules: [bench_question, bench_answer, bench_upload]
  group-by: [key_id]
  timespan: 1h
---
title: Bench hours
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7006
name: bench_hours
status: test
level: low
correlation:
  type: event_count
  rules: [bench_question, bench_answer, bench_upload]
  group-by: [key_id]
  timespan: 1h
  condition: {gte: 5}
---
title: Bench chain
id: 6b7f5b3e-5a0e-4b7a-9a57-5a3c0f2f7007
name: bench_chain
status: test
level: low
correlation: {type: event_count, rules: [bench_hours], group-by: [key_id], timespan: 1d, condition: {gte: 23}}
"""
SIZES = {"1M": ("b1", 1_000_000, 1_000), "10M": ("b10", 10_000_000, 50_000)}


def works_of(bench: Any, pack: Path) -> dict[tuple[str, str], Any]:
    """Return a hunt for each rule and size."""
    found = {}
    for label, size in SIZES.items():
        common = ("hunt", bench.records(*size) / "ndjson", "--source", "canonical", "--pack", pack, "--format", "json")
        for rule in ("counting", "temporal", "chain"):
            found[rule, label] = run.Work(f"{rule} {label}", run.keytrip(*common, "--rule", f"bench_{rule}"))
    return found


def rows(bench: Any) -> Iterator[Any]:
    """Yield the rows of the table."""
    pack = bench.scratch / "pack"
    (pack / "rules").mkdir(parents=True)
    (pack / "rules" / "bench.yml").write_text(RULES, encoding="utf-8")
    works = works_of(bench, pack)
    figures = bench.measure([*works.values()])
    took = {place: figures[work.name] for place, work in works.items()}
    for rule in ("temporal", "chain"):
        for label in SIZES:
            ratio = took[rule, label].time / took["counting", label].time
            peer = f"counting rule: {took['counting', label]}"
            target, reached = ("< 2x", ratio < 2) if label == "10M" else ("", None)
            yield run.Row(
                f"{label}, {rule} rule", peer, str(took[rule, label]), f"{ratio:.2f}x the time", target, reached
            )


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    chosen = run.options(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="keytrip-bench-") as scratch:
        bench = run.Bench(chosen.peers.resolve(), chosen.data.resolve(), Path(scratch), chosen.runs)
        found = list(rows(bench))
    print(run.table(found), end="")
    return int(any(row.reached is False for row in found))


if __name__ == "__main__":
    sys.exit(main())
