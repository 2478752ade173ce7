"""Measures what temporal rules and chains cost beside a counting rule: whole hunts, over 1M and 10M records.

    python benchmarks/correlations.py --peers ../shared/peers --data DIR

The three rules look at the same events, over half of all, in windows of an hour, and give few alerts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

run, packs = map(import_module, ("run", "pack"))  # the scripts beside this one
_BASES = ["bench_question", "bench_answer", "bench_upload"]


def _correlation(kind: str, rules: Sequence[str], timespan: str, **condition: Any) -> dict[str, Any]:
    said = {"type": kind, "rules": [*rules], "group-by": ["key_id"], "timespan": timespan}
    return {"correlation": {**said, **({"condition": condition} if condition else {})}}


RULES = {
    "answer": packs.events({"output_tokens|gt": 200}),
    "question": packs.events({"input_tokens|gt": 1000}),
    "upload": packs.events({"status_code": 500, "endpoint|contains": "files"}),
    "counting": _correlation("event_count", _BASES, "1h", gte=3000),
    "temporal": _correlation("temporal", _BASES, "1h"),
    "hours": _correlation("event_count", _BASES, "1h", gte=5),
    "chain": _correlation("event_count", ["bench_hours"], "1d", gte=23),
}
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
    works = works_of(bench, packs.write_pack(bench.scratch / "pack", RULES))
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
    return int(run.missed(run.measured(run.options(__doc__).parse_args(), rows)))


if __name__ == "__main__":
    sys.exit(main())
