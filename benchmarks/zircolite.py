"""Measures hunting against Zircolite, over 1M NDJSON records: ten conditions in both, then all our rules in keytrip.

    python benchmarks/zircolite.py --zircolite DIR --python DIR/.venv/bin/python --peers ../shared/peers --data DIR

DIR is a checkout of Zircolite 2 (the one with `zircolite.py`), whose requirements `--python` has. Its matches are
compared with ours, but for records without a time, which no rule of ours matches. Our rules are hunted with the day
before the last as the border: what lies before is the baseline.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

run, packs = map(import_module, ("run", "pack"))  # the scripts beside this one
# Names with an underscore keep it; no other change of the records.
_FIELDS = "timestamp api_key_prefix source_ip user_agent endpoint status_code input_tokens output_tokens cost_usd model"
CONFIG = {
    "exclusions": [],
    "useless": [None, ""],
    "mappings": {name: name for name in _FIELDS.split()},
    "alias": {},
    "split": {},
    "transforms_enabled": False,
    "transforms": {},
}
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "equal": {"status_code": 429},
    "starts": {"source_ip|startswith": "185."},
    "contains": {"endpoint|contains": "files"},
    "greater": {"input_tokens|gt": 12000},
    "listed": {"model": ["claude-3-opus", "gpt-4"]},
    "regex": {"source_ip|re": r"^(45|91|194)\.\d+\.\d+\.\d+$"},
    "both": {"user_agent|startswith": "curl/", "status_code|gte": 500},
    "small": {"output_tokens|gt": 4000},
    "ends": {"model|endswith": "4-turbo", "endpoint": "/v1/responses"},
    "agent": {"user_agent|re": r"^(OpenAI|Anthropic)/Python [01]\.\d+", "output_tokens|gt": 1500},
}


def theirs(path: Path) -> Counter[str]:
    """Return how many records with a time each rule of Zircolite's matched."""
    found: Counter[str] = Counter()
    for rule in json.loads(path.read_text(encoding="utf-8")):
        name = rule["title"].rpartition(" ")[2]
        found[name] += sum(bool(match.get("timestamp")) for match in rule["matches"])
    return found


def ours(path: Path) -> Counter[str]:
    """Return how many alerts each rule gave."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["rule"].removeprefix("bench_") for line in lines)


def rows(bench: Any, zircolite: Path, python: Path) -> Iterator[Any]:
    """Yield the rows of the table."""
    folder = bench.records("b1", 1_000_000, 1_000)
    records, config = (bench.scratch / name for name in ("records.json", "config.json"))
    records.write_bytes(b"".join(path.read_bytes() for path in sorted((folder / "ndjson").iterdir())))
    pack = packs.write_pack(bench.scratch / "pack", {name: packs.events(one) for name, one in CONDITIONS.items()})
    config.write_text(json.dumps(CONFIG), encoding="utf-8")
    out = bench.scratch / "detected.json"
    told = ("-j", "-e", records, "-r", pack / "rules", "-c", config, "-o", out, "-l", bench.scratch / "log")
    # it looks for its own files in the folder it lies in
    start = f"import os, sys, runpy; os.chdir({str(zircolite)!r}); runpy.run_path('zircolite.py', run_name='__main__')"
    peer = run.Work("zircolite", [str(python), "-c", start, *map(str, told)])
    common = ("hunt", records, "--source", "canonical", "--format", "json")
    ten = run.Work("ten rules", run.keytrip(*common, "--pack", pack, "--rule", "bench_*"))
    since = ("--since", str(run.score_day(folder)))
    every = run.Work("all rules", run.keytrip(*common, *since, "--rule", "*"))
    figures = bench.measure([peer, ten, every])
    said = f"Zircolite, ten rules: {figures[peer.name]}"
    for work, what in ((ten, "the same ten rules"), (every, "all our rules")):
        ratio = figures[peer.name].time / figures[work.name].time
        yield run.Row(f"1M NDJSON, {what}", said, str(figures[work.name]), f"{ratio:.1f}x as fast", "> 1x", ratio > 1)
    expected, found = theirs(out), ours(bench.output(ten))
    text = f"{found.total()} matches" if found == expected else f"{found} and {expected}"
    yield run.Row("1M NDJSON, the matches", "Zircolite", text, "", "the same", found == expected)


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    parser = run.options(__doc__)
    parser.add_argument("--zircolite", type=Path, required=True, help="checkout of Zircolite 2")
    parser.add_argument("--python", type=Path, required=True, help="interpreter with its requirements")
    chosen = parser.parse_args()
    peer = {"zircolite": chosen.zircolite.resolve(), "python": chosen.python.absolute()}
    return int(run.missed(run.measured(chosen, partial(rows, **peer))))


if __name__ == "__main__":
    sys.exit(main())
