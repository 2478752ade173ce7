"""What each kind of job learns from a handful of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from baselines.days import Record, record, undated
from judge.harness import Building, built, tables_of, write

Tables = dict[str, dict[Any, Any]]


def learnt(folder: Path, *records: Record) -> Tables:
    """Return the tables over records of April 2026."""
    built(folder / "store", [write(folder / "log.ndjson", records)], Building())
    return tables_of(folder / "store")


def test_daily_statistics(tmp_path: Path) -> None:
    """Statistics are over days with a record: sample deviation, median and unscaled MAD."""
    found = learnt(tmp_path, *(record(day, request_count=count) for day, count in [(1, 1), (3, 2), (5, 9)]))
    assert found["key_requests_daily"][("a",)] == {
        "mean": 4.0,
        "stddev": pytest.approx(19**0.5),
        "max": 9.0,
        "median": 2.0,
        "mad": 1.0,
        "days": 3,
    }


def test_one_day_has_no_deviation(tmp_path: Path) -> None:
    """Under two days the standard deviation is 0."""
    assert learnt(tmp_path, record(1, request_count=7))["key_requests_daily"][("a",)]["stddev"] == 0


def test_null_counts_as_zero(tmp_path: Path) -> None:
    """A day whose cost is null throughout counts as a day of 0."""
    row = learnt(tmp_path, record(1, cost_usd=3), record(2))["key_cost_daily"][("a",)]
    assert (row["mean"], row["days"]) == (1.5, 2)


def test_a_measure_that_is_null_throughout_gives_no_row(tmp_path: Path) -> None:
    """A key no record of which has a cost or tokens is in neither table, but in that of requests."""
    found = learnt(tmp_path, record(1, input_tokens=1), record(1, "b", cost_usd=1))
    assert set(found["key_cost_daily"]) == {("b",)}
    assert set(found["key_tokens_daily"]) == {("a",)}
    assert set(found["key_requests_daily"]) == {("a",), ("b",)}


def test_a_key_with_only_undated_records(tmp_path: Path) -> None:
    """It is in `keys` and, with zeros and no days, in the daily tables; in no set and no hour."""
    found = learnt(tmp_path, record(1), undated("u", cost_usd=1, model="m"))
    assert found["keys"][("u",)] == {"first_seen": None, "last_seen": None, "days": 0, "events": 0}
    zeros = dict.fromkeys(("mean", "stddev", "max", "median", "mad", "days"), 0)
    assert found["key_requests_daily"][("u",)] == zeros
    assert found["key_cost_daily"][("u",)] == zeros
    sets = ("key_models", "key_active_hours", "key_hours_of_week")
    assert not [key for table in sets for key in found[table] if key[0] == "u"]


def test_undated_records_count_in_the_total_of_hours(tmp_path: Path) -> None:
    """One of 100 records is not more than 1 %: the hundredth is undated."""
    usual = [record(1, hour=9) for _ in range(98)]
    assert set(learnt(tmp_path, *usual, record(1, hour=20))["key_active_hours"]) == {("a", 9), ("a", 20)}
    more = learnt(tmp_path / "more", *usual, record(1, hour=20), undated("a"))
    assert set(more["key_active_hours"]) == {("a", 9)}
    assert more["key_hours_of_week"][("a", 2 * 24 + 20)] == {"events": 1, "share": 0.01}


def test_hours_leave_out_wide_buckets(tmp_path: Path) -> None:
    """A bucket wider than an hour does not say when in it the requests were: it is in neither hours nor their total."""
    found = learnt(tmp_path, record(1, hour=9, bucket_seconds=3600), record(1, hour=0, bucket_seconds=86400))
    assert found["key_active_hours"] == {("a", 9): {"events": 1, "share": 1.0}}
    assert found["keys"][("a",)]["events"] == 2


def test_sets_omit_empty_strings(tmp_path: Path) -> None:
    """Neither an empty member nor an empty key is in a set; the days of an empty key are counted."""
    found = learnt(tmp_path, record(1, model=""), record(1, "", model="m"), record(1, source_ip=""))
    assert set(found["key_models"]) == {("a", "gpt-4o")}
    assert set(found["key_source_ips"]) == set()
    assert set(found["keys"]) == {("a",)}
    assert set(found["key_requests_daily"]) == {("a",), ("",)}


def test_sets_remember_when(tmp_path: Path) -> None:
    """A member has its first and last time, its days and its records."""
    row = learnt(tmp_path, record(1, hour=9), record(1), record(4, hour=23))["key_models"][("a", "gpt-4o")]
    assert (str(row["first_seen"]), str(row["last_seen"])) == ("2026-04-01 09:00:00", "2026-04-04 23:00:00")
    assert (row["days"], row["events"]) == (2, 3)


def test_addresses_become_networks(tmp_path: Path) -> None:
    """Addresses are normalised and widened; what is no address has no network."""
    ips = ["10.1.2.3", "::ffff:10.1.2.4", "2001:DB8:1:2::9", "10.1.2.3:443", "fe80::1%eth0", "10.0.0.0/8", "nowhere"]
    found = learnt(tmp_path, *(record(1, source_ip=ip) for ip in ips))
    assert {net for _, net in found["key_source_nets"]} == {"10.1.2.0/24", "2001:db8:1::/48"}
    assert {("a", "10.1.2.4"), ("a", "2001:db8:1:2::9"), ("a", "nowhere")} <= set(found["key_source_ips"])


def test_costs_without_a_key_count_for_the_provider(tmp_path: Path) -> None:
    """The provider's cost holds records without a key; a record without a provider is in no row."""
    keyless = record(1, None, provider="openai", cost_usd=2)
    found = learnt(tmp_path, keyless, record(1, provider="openai", cost_usd=1), record(1, cost_usd=9))
    assert {key: row["mean"] for key, row in found["org_cost_daily"].items()} == {("openai",): 3.0}
    assert set(found["keys"]) == {("a",)}


def test_sums_are_exact(tmp_path: Path) -> None:
    """Ten times ten cents are one dollar, whatever the order."""
    records = [record(1, cost_usd=0.1) for _ in range(10)]
    assert learnt(tmp_path, *records)["key_cost_daily"][("a",)]["mean"] == 1.0


def test_absurd_numbers_stop_nothing(tmp_path: Path) -> None:
    """One record with a cost or a count beyond all sense is a large number, not the end of the build."""
    most = 2**63 - 1
    absurd = record(1, cost_usd=1e300, list_price=1e300, input_tokens=most, output_tokens=0, request_count=most)
    found = learnt(tmp_path, absurd, absurd, record(2, cost_usd=-1e300, input_tokens=5))
    assert found["key_cost_daily"][("a",)]["max"] == 2e15
    assert found["key_requests_daily"][("a",)]["max"] == pytest.approx(2.0**64)
    assert found["key_requests_daily"][("a",)]["stddev"] > 1e14
    assert found["key_tokens_daily"][("a",)]["days"] == 2
