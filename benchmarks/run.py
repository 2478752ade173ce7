"""Measures keytrip against the peers, in one run on one machine, and prints one table.

Whole processes with start-up, the median of three runs each, one program after the other in every round, so that a slow
minute of the machine hits all alike. Ratios count, seconds do not: those are the machine's.

    python benchmarks/run.py --peers ../shared/peers --data DIR
    python benchmarks/run.py --peers ../shared/peers --data DIR --quick

`--data` holds the peers' records, in `b1` (1M, 1,000 keys) and `b10` (10M, 50,000 keys); what is missing is made, once.
The peers need numpy, pyarrow and duckdb in the environment that runs this (`pip install -e .[dev]` has them).
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

REFERENCE = ("--rule", "reference_*")
MEBI = 2**20
BATCH = 10_000
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Work:
    """One program to time.

    Attributes:
        name: What it is called in the table.
        command: Its argument list.
        before: Puts things in place; not timed.
    """

    name: str
    command: Sequence[str]
    before: Callable[[], None] = lambda: None


@dataclass
class Figure:
    """What the runs of one program took."""

    seconds: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)

    @property
    def time(self) -> float:
        """The median, in seconds."""
        return median(self.seconds)

    @property
    def memory(self) -> float:
        """The highest peak of resident memory, in MiB."""
        return max(self.mebibytes)

    def __str__(self) -> str:
        """Return seconds and MiB as the table shows them."""
        return f"{self.time:.2f} s, {self.memory:.0f} MB"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    work: str
    peer: str
    own: str
    ratio: str = ""
    target: str = ""
    reached: bool | None = None

    def __str__(self) -> str:
        """Return it as Markdown."""
        verdict = "" if self.reached is None else "yes" if self.reached else "**no**"
        return f"| {self.work} | {self.peer} | {self.own} | {self.ratio} | {self.target} | {verdict} |"


@dataclass(frozen=True)
class Bench:
    """Where things are.

    Attributes:
        peers: Folder of the peers' programs.
        data: Folder of `b1` and `b10`.
        scratch: A folder that is removed at the end.
        runs: Runs of each program.
    """

    peers: Path
    data: Path
    scratch: Path
    runs: int

    def measure(self, works: Sequence[Work]) -> dict[str, Figure]:
        """Return the figures of each program by its name."""
        figures: dict[str, Figure] = defaultdict(Figure)
        for number in range(self.runs):
            for work in works:
                work.before()
                seconds, mebibytes = self._timed(work)
                say(f"{work.name} ({number + 1} of {self.runs}): {seconds:.2f} s, {mebibytes:.0f} MB")
                figures[work.name].seconds.append(seconds)
                figures[work.name].mebibytes.append(mebibytes)
        return figures

    def _timed(self, work: Work) -> tuple[float, float]:
        environment = os.environ | {"KEYTRIP_CACHE": str(self.scratch / "cache")}
        with self.output(work).open("wb") as out, (self.scratch / "errors").open("wb") as errors:
            began = time.perf_counter()
            process = subprocess.Popen(work.command, stdout=out, stderr=errors, env=environment, cwd=self.scratch)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{work.name} failed: {(self.scratch / 'errors').read_text(encoding='utf-8')[-2000:]}")
        return seconds, usage.ru_maxrss / (MEBI if sys.platform == "darwin" else 1024)

    def output(self, work: Work) -> Path:
        """Return the file with what the last run of a program printed."""
        return self.scratch / f"{work.name.replace(' ', '_').replace('/', '_')}.out"

    def records(self, name: str, count: int, keys: int) -> Path:
        """Return the folder of a set of records, which is made if it is not there."""
        folder = self.data / name
        if not (folder / "truth.json").is_file():
            say(f"making {count:,} records in {folder}")
            made = ["--n", str(count), "--keys", str(keys), "--out", str(folder), "--ndjson"]
            subprocess.run([sys.executable, str(self.peers / "make_records.py"), *made], check=True, stdout=sys.stderr)
        return folder


def say(text: str) -> None:
    """Tell how far it is, beside the table."""
    print(text, file=sys.stderr, flush=True)


def keytrip(*arguments: str | Path) -> list[str]:
    """Return a keytrip command."""
    return [str(Path(sys.executable).with_name("keytrip")), *map(str, arguments)]


def score_day(folder: Path) -> date:
    """Return the day that the peers score: the last."""
    return date.fromisoformat(json.loads((folder / "truth.json").read_text(encoding="utf-8"))["score_day"])


def hunt(name: str, folder: Path, *options: str) -> Work:
    """Return a hunt on the last day, against the 30 days before it, all read from the logs."""
    since = ("--since", str(score_day(folder)))
    return Work(name, keytrip("hunt", folder / "ndjson", *since, "--source", "canonical", "--format", "json", *options))


# -- the answers ----------------------------------------------------------------------------------------------------


def reference_answers(path: Path) -> dict[str, set[Any]]:
    """Return what the reference detector found, by the name of our rule."""
    _, alerts = pickle.loads(path.read_bytes())  # noqa: S301 - this run wrote it
    found: dict[str, set[Any]] = defaultdict(set)
    for alert in alerts:
        key, evidence, rule = alert["api_key_prefix"], alert["evidence"], f"reference_{alert['alert_type']}"
        if alert["alert_type"] == "unknown_source_ip":
            found[rule] |= {(key, address) for address in evidence["unknown_ips"]}
        else:
            found[rule].add(key)
        if alert["alert_type"] == "volume_spike" and alert["severity"] == "critical":
            found["reference_volume_spike_extreme"].add(key)
    return found


def own_answers(path: Path) -> dict[str, set[Any]]:
    """Return what keytrip found, by rule."""
    found: dict[str, set[Any]] = defaultdict(set)
    for line in path.read_text(encoding="utf-8").splitlines():
        alert = json.loads(line)
        rule, key = alert["rule"], alert["key_id"]
        found[rule].add((key, alert["group"]["source_ip"]) if rule == "reference_unknown_source_ip" else key)
    return found


def compare(reference: dict[str, set[Any]], own: dict[str, set[Any]]) -> Row:
    """Return whether the two found the same: keys for each check, and every unknown address."""
    rules = sorted({*reference, *own})
    differing = [rule for rule in rules if reference[rule] != own[rule]]
    count = sum(map(len, own.values()))
    text = f"{count} answers of {len(rules)} checks" if not differing else "differ in " + ", ".join(differing)
    return Row("1M records: the answers", "reference detector", text, "", "the same", not differing)


# -- the work -------------------------------------------------------------------------------------------------------


def against_reference(bench: Bench) -> Iterator[Row]:
    """1M records: the reference detector, and its answers."""
    folder = bench.records("b1", 1_000_000, 1_000)
    pickled = bench.scratch / "answers.pickle"
    script = [sys.executable, str(bench.peers / "run_reference.py"), "--data", str(folder), "--out", str(pickled)]
    peer, own = Work("reference detector 1M", script), hunt("keytrip 1M", folder, *REFERENCE)
    figures = bench.measure([peer, own])
    ratio = figures[peer.name].time / figures[own.name].time
    peer_text, own_text = f"reference detector: {figures[peer.name]}", str(figures[own.name])
    yield Row("1M NDJSON, 1,000 keys", peer_text, own_text, f"{ratio:.1f}x as fast", ">= 11x", ratio >= 11)
    yield compare(reference_answers(pickled), own_answers(bench.output(own)))


def against_sql(bench: Bench, folder: Path, label: str) -> Iterator[Row]:
    """The same checks in SQL that was written by hand for them alone, in both of its variants."""
    script = [sys.executable, str(bench.peers / "handwritten_duckdb.py"), "--data", str(folder), "--src", "ndjson"]
    out = bench.scratch / "sql"
    variants = [Work(f"SQL {v} {label}", [*script, "--variant", v, "--out", str(out)]) for v in ("a", "b")]
    own = hunt(f"keytrip {label}", folder, *REFERENCE)
    figures = bench.measure([*variants, own])
    fastest = min(variants, key=lambda work: figures[work.name].time)
    for work in variants:
        ratio = figures[own.name].time / figures[work.name].time
        judged = work is fastest
        peer = f"SQL by hand, {'a CTE a statistic' if work is variants[0] else 'few passes'}: {figures[work.name]}"
        target, reached = ("<= 1.2x", ratio <= 1.2) if judged else ("", None)
        yield Row(f"{label} NDJSON", peer, str(figures[own.name]), f"{ratio:.2f}x the time", target, reached)
    memory = figures[own.name].memory
    yield Row(f"{label} NDJSON: memory", "", f"{memory:.0f} MB", "", "< 600 MB", memory < 600)


def from_partials(bench: Bench, folder: Path, label: str) -> Iterator[Row]:
    """A baseline from the logs, rolled forward a day, and without a day."""
    files = sorted((folder / "ndjson").iterdir())
    last = score_day(folder) - timedelta(days=1)
    full, store = bench.scratch / "full", bench.scratch / "store"
    reading = ("--source", "canonical", "--max-lost", "1", "--max-moved", "1")
    incidents = bench.scratch / "incidents.yml"
    day = last - timedelta(days=10)
    incidents.write_text(f'incidents: [{{key_id: "*", from: {day}, to: {day}, why: "benchmark"}}]\n', encoding="utf-8")

    def fresh() -> None:
        shutil.rmtree(full, ignore_errors=True)

    def restored() -> None:
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(full, store)

    logs = Work(f"from the logs {label}", keytrip("baseline", "build", *files[:-1], *reading, "--store", full), fresh)
    rolled = keytrip("baseline", "build", files[-1], "--end", str(last + timedelta(days=1)), *reading, "--store", store)
    without = ("baseline", "build", files[-2], "--end", str(last), "--exclude", incidents, *reading, "--store", store)
    figures = bench.measure([logs])
    works = {
        "rolled forward a day": Work(f"a day on {label}", rolled, restored),
        "without an incident's day": Work(f"less a day {label}", keytrip(*without), restored),
    }
    figures |= bench.measure([*works.values()])
    for what, work in works.items():
        ratio = figures[logs.name].time / figures[work.name].time
        own = str(figures[work.name])
        peer = f"keytrip from the logs: {figures[logs.name]}"
        yield Row(f"{label}: baseline {what}", peer, own, f"{ratio:.0f}x as fast", ">= 20x", ratio >= 20)


def batch(bench: Bench, folder: Path, label: str) -> Iterator[Row]:
    """One cold hunt of a batch of the last day, against the snapshot that `from_partials` built."""
    path = bench.scratch / "batch.ndjson"
    with max((folder / "ndjson").iterdir()).open("rb") as day, path.open("wb") as out:
        out.writelines(islice(day, BATCH))
    command = ("hunt", path, "--source", "canonical", "--store", bench.scratch / "full", "--format", "json")
    reference = Work("batch, reference rules", keytrip(*command, *REFERENCE))
    default = Work("batch, default rules", keytrip(*command))
    figures = bench.measure([reference, default])
    what = f"{label}: cold hunt of {BATCH:,} records"
    seconds = figures[reference.name].time
    yield Row(f"{what}, reference rules", "", str(figures[reference.name]), "", "< 0.9 s", seconds < 0.9)
    yield Row(f"{what}, default rules", "", str(figures[default.name]))


def start_up(bench: Bench) -> Iterator[Row]:
    """What `keytrip --version` takes beside an interpreter that does nothing."""
    bare, own = Work("python -c pass", [sys.executable, "-c", "pass"]), Work("keytrip --version", keytrip("--version"))
    more = Bench(bench.peers, bench.data, bench.scratch, max(bench.runs, 9))
    figures = more.measure([bare, own])
    extra = figures[own.name].time - figures[bare.name].time
    peer = f"`python -c pass`: {figures[bare.name].time:.3f} s"
    own_text = f"{figures[own.name].time:.3f} s"
    yield Row("`keytrip --version`", peer, own_text, f"+{extra:.3f} s", "< +0.15 s", extra < 0.15)


def default_rules(bench: Bench, folder: Path, label: str) -> Iterator[Row]:
    """What a rule costs: all rules that run by default, and one of them alone."""
    listed = subprocess.run(keytrip("rules", "--format", "json"), capture_output=True, text=True, check=True).stdout
    rules = [json.loads(line) for line in listed.splitlines()]
    names = [rule["rule"] for rule in rules if "keytrip.reference" not in rule["tags"]]
    one, every = hunt("one rule", folder, "--rule", names[0]), hunt("default rules", folder)
    figures = bench.measure([one, every])
    each = (figures[every.name].time - figures[one.name].time) / (len(names) - 1)
    what = f"{label}: all {len(names)} default rules"
    yield Row(what, f"one rule alone: {figures[one.name]}", str(figures[every.name]), f"+{each:.2f} s a rule")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    head = ["| work | measured against | keytrip | ratio | target | reached |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *map(str, rows)]) + "\n"


def all_rows(bench: Bench, *, quick: bool) -> Iterator[Row]:
    """Yield the rows of the table as they are measured."""
    yield from against_reference(bench)
    size = ("b1", 1_000_000, 1_000, "1M") if quick else ("b10", 10_000_000, 50_000, "10M")
    folder, label = bench.records(*size[:3]), size[3]
    yield from against_sql(bench, folder, label)
    yield from from_partials(bench, folder, label)
    yield from batch(bench, folder, label)
    yield from start_up(bench)
    yield from default_rules(bench, folder, label)


def options(text: str | None) -> argparse.ArgumentParser:
    """Return the options that every benchmark over the peers' records has; `text` is its help."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' programs")
    parser.add_argument("--data", type=Path, required=True, help="folder of the records; made if they are not there")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program")
    return parser


def measured(chosen: argparse.Namespace, rows: Callable[[Bench], Iterator[Row]]) -> list[Row]:
    """Measure as the command line says, print the table, and return its rows."""
    with tempfile.TemporaryDirectory(prefix="keytrip-bench-") as scratch:
        found = list(rows(Bench(chosen.peers.resolve(), chosen.data.resolve(), Path(scratch), chosen.runs)))
    print(table(found), end="")
    return found


def missed(rows: Sequence[Row]) -> int:
    """Return 1 if a target was missed."""
    return int(any(row.reached is False for row in rows))


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="1M records only; the targets are those of 10M")
    parser.add_argument("--write", type=Path, help="Markdown file whose table is to be replaced")
    chosen = parser.parse_args()
    rows = measured(chosen, partial(all_rows, quick=chosen.quick))
    if chosen.write:
        before, _, rest = chosen.write.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        chosen.write.write_text(f"{before}{BEGIN}\n{table(rows)}{END}{after}", encoding="utf-8")
    return missed(rows)


if __name__ == "__main__":
    sys.exit(main())
