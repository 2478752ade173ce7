"""No finite record ends a hunt, a build, a read or an export, and no sum depends on the order of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge.judge import value_of
from judge.records import Event

from keytrip.cli.app import run
from keytrip.compile.duckdb_sums import double_sum, money_sum, percentile
from keytrip.records.sql import SETUP

MOST = 2**63 - 1
LARGEST = 1.7976931348623157e308
SUMS = (money_sum("x"), double_sum("x", mean=False), double_sum("x", mean=True))
# Costs as logs have them, and what a fault writes.
COSTS = st.one_of(
    st.decimals(min_value=-1000, max_value=1_000_000, places=9).map(float), st.sampled_from([1e15, -1e15, 1e24, 3e30])
)
RULE = """
title: Any request
id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f70{number:02}
name: huge_events_{number}
status: test
description: d
level: low
logsource: {{category: ai_usage}}
detection: {{selection: {{key_id|exists: true}}, condition: selection}}
---
title: Huge
id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f{number:02}
name: huge_{number}
status: test
description: d
level: low
correlation:
  type: {kind}
  rules: [huge_events_{number}]
  group-by: [key_id]
  timespan: 1d
  condition: {{field: {field}, {bound}}}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled rules are kept in a folder of this run."""
    monkeypatch.setenv("KEYTRIP_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("KEYTRIP_STORE", raising=False)


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Return one database for all sums."""
    con = duckdb.connect()
    con.execute(SETUP)
    return con


def summed(values: Sequence[float | None]) -> tuple[Any, ...]:
    """Return the sum of money, the sum and the mean of values in that order."""
    con = database()
    con.execute("create or replace table t as select unnest(?::double[]) as x", [values])
    return con.execute(f"select {', '.join(SUMS)} from t").fetchone() or ()


@given(st.lists(COSTS, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_the_order(values: list[float], random: Any) -> None:
    """Money, sums and means are the same bits in every order, and near what exact arithmetic gives."""
    mixed = random.sample(values, len(values))
    exact = sum((Fraction(str(value)) for value in values), Fraction(0))
    assert summed(values) == summed(mixed)
    near = max(1e-9, max(map(abs, values)) * 1e-15)
    truth = [float(total) for total in (exact, exact, exact / len(values))]
    assert summed(values) == pytest.approx(truth, rel=1e-12, abs=near)


def test_a_mean_is_that_of_the_decimals() -> None:
    """The mean of 0.1, 0.2 and 0.3 is 0.2 at the border of a condition, in any order."""
    assert {summed(v)[2] for v in ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1])} == {0.2}


NUMBERS = st.sampled_from([0, 1, 2, 29, 0.1, 0.2, 0.3, 33.333333, 1e-9, -1.7, None])


@given(st.just(list(range(101))) | st.lists(NUMBERS, min_size=1, max_size=40), st.integers(1, 100))
def test_a_percentile_is_exact(values: list[float | None], percent: int) -> None:
    """A percentile is the double next to the exact one, so that a condition holds at its border."""
    sql = f"select {percentile('x', percent)} from (select unnest(?::double[]) as x)"
    (found,) = database().execute(sql, [values]).fetchone() or ()
    seen = [Event({"x": value}, None, None) for value in values]
    assert found == value_of("value_percentile", {"field": "x", "percentile": percent}, seen)


@pytest.mark.parametrize(
    ("values", "money", "total", "mean"),
    [
        ([1e24, 0.5], 1e24, 1e24, 5e23),
        ([1e308] * 3, LARGEST, LARGEST, 1e308),
        ([1e308, 5.0, -1e308], 5.0, 5.0, 5 / 3),
        ([None, None], None, None, None),
        ([None, 2.5], 2.5, 2.5, 2.5),
    ],
)
def test_sums_beyond_decimals(values: list[float | None], money: float, total: float, mean: float) -> None:
    """What no decimal holds is summed all the same; a sum beyond the largest double is that."""
    assert summed(values) == (money, total, mean)


def ruled(folder: Path, number: int, kind: str, field: str, bound: str) -> None:
    """Write a rule into a pack."""
    rules = folder / "pack" / "rules"
    rules.mkdir(parents=True, exist_ok=True)
    text = RULE.format(number=number, kind=kind, field=field, bound=bound)
    (rules / f"huge_{number}.yml").write_text(text, encoding="utf-8")


def found(log: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the alerts of the pack's rules."""
    wanted = ("--rule", "huge_*", "--pack", str(folder / "pack"))
    code = run(["hunt", str(log), "--source", "canonical", "--format", "json", *wanted])
    captured = capfd.readouterr()
    assert code == 0, captured.err
    return [json.loads(line) for line in captured.out.splitlines()]


def written(folder: Path, **members: Any) -> Path:
    """Write two days of records of one key, the second with these members."""
    plain = [{"timestamp": f"2026-04-0{day}T10:00:00Z", "key_id": "k", "provider": "p"} for day in (1, 2, 3, 4)]
    odd = [{"timestamp": f"2026-04-0{day}T11:00:00Z", "key_id": "k", "provider": "p", **members} for day in (2, 3, 4)]
    path = folder / "log.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*plain, *odd]), encoding="utf-8")
    return path


EXTREMES = [
    {"cost_usd": 1e24},
    {"cost_usd": LARGEST, "list_price": LARGEST},
    {"cost_usd": -LARGEST, "list_price": -LARGEST},
    {"cost_usd": 5e-324, "list_price": 5e-324},
    {"input_tokens": MOST, "output_tokens": MOST, "cached_input_tokens": MOST},
    {"input_tokens": -MOST, "output_tokens": -MOST, "request_count": -MOST},
    {"request_count": MOST, "status_code": MOST, "asn": MOST, "bucket_seconds": MOST, "max_tokens": -MOST},
    {"timestamp": "2261-12-31T23:59:59.999999Z"},
    {"timestamp": "1970-01-01T00:00:00Z"},
]


@pytest.mark.parametrize("members", EXTREMES, ids=lambda m: "-".join(f"{k}={v}" for k, v in m.items()))
def test_no_finite_record_ends_a_command(
    members: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Reading, building, exporting, showing and hunting with every rule go on; their JSON can be read."""
    monkeypatch.chdir(tmp_path)
    log = str(written(tmp_path, **members))
    reading = ("--source", "canonical", "--format", "json")
    store = ("--store", "store")
    commands = [
        ("read", log, *reading, "--out", "records.parquet"),
        ("baseline", "build", log, *reading, *store, "--end", "2026-04-03"),
        ("baseline", "show", "k", *store, "--format", "json"),
        *(("baseline", "export", f"as-{kind}", "--as", kind, *store) for kind in ("csv", "ndjson", "parquet")),
        ("hunt", log, *reading, *store, "--rule", "*"),
        ("hunt", log, *reading, "--baseline", "as-csv", "--rule", "*"),
        ("hunt", log, *reading, "--since", "2026-04-04", "--rule", "*"),
    ]
    for command in commands:
        code = run(command)
        captured = capfd.readouterr()
        assert code == 0, captured.err
        for line in captured.out.splitlines() if "json" in command else ():
            json.loads(line)


def test_values_of_huge_numbers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every kind of value over counts near 2^63 and costs near the largest double is compared and written."""
    kinds = ("value_sum", "value_avg", "value_median", "value_count")
    fields = ("total_tokens", "request_count", "cost_usd", "list_price")
    names = []
    for n, (kind, field, bound) in enumerate(
        product(kinds, fields, ("gte: 0.0001234567890123456", "gte: 1", "lt: -0.5"))
    ):
        ruled(tmp_path, n, kind, field, bound)
        names += [] if bound.startswith("lt") else [f"huge_{n}"]
    huge = {"input_tokens": MOST, "output_tokens": MOST, "request_count": MOST, "cost_usd": 1e300, "list_price": 1e300}
    alerts = found(written(tmp_path, **huge), tmp_path, capfd)
    assert {alert["rule"] for alert in alerts} == set(names)


def test_a_sum_of_counts_is_exact(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A sum of counts beyond 64 bits is written digit by digit."""
    ruled(tmp_path, 0, "value_sum", "total_tokens", "gt: 1")
    log = tmp_path / "log.ndjson"
    row = {"timestamp": "2026-04-01T10:00:00Z", "key_id": "k", "input_tokens": MOST, "output_tokens": MOST}
    log.write_text(f"{json.dumps(row)}\n" * 2, encoding="utf-8")
    assert [alert["observed"] for alert in found(log, tmp_path, capfd)] == [{"value_sum": 4 * MOST}]
