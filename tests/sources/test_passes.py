"""What is done once per distinct value after a chunk is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sources.conftest import ReadBytes


def _lines(records: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps({"timestamp": "2026-04-01", "key_id": "k"} | record) for record in records).encode()


def test_addresses_are_normalised_and_other_text_is_not(read_bytes: ReadBytes) -> None:
    """IPv6 becomes RFC 5952, a mapped address IPv4; ports, names and nulls stay."""
    given = ["2001:DB8::0001", "::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1:80", "host:1", "fe80::1%eth0", None]
    want = ["2001:db8::1", "10.0.0.1", "10.0.0.1", "10.0.0.1:80", "host:1", "fe80::1%eth0", None]
    rows = read_bytes({"a.ndjson": _lines([{"source_ip": ip, "user": str(n)} for n, ip in enumerate(given)])}).rows

    assert [row.get("source_ip") for row in sorted(rows, key=lambda row: row["user"])] == want


def test_more_values_than_fit_one_batch(read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every distinct value is replaced, however many there are."""
    monkeypatch.setattr("keytrip.sources.passes._BATCH", 7)
    rows = read_bytes({"a.ndjson": _lines([{"source_ip": f"2001:DB8::{n:X}:0A"} for n in range(50)])}).rows

    assert {row["source_ip"] for row in rows} == {f"2001:db8::{n:x}:a" if n else "2001:db8::a" for n in range(50)}


def test_columns_that_are_not_asked_for_are_left_alone(read_bytes: ReadBytes) -> None:
    """Without the address there is nothing to normalise."""
    rows = read_bytes({"a.ndjson": _lines([{"source_ip": "::1"}])}, columns=frozenset({"user"})).rows

    assert rows == [{"timestamp": rows[0]["timestamp"], "key_id": "k"}]


def test_canonical_records_are_taken_as_written(read_bytes: ReadBytes) -> None:
    """A model is not rewritten and a cost not priced; only a missing count becomes one."""
    record = {"model": "openai/gpt-4o-2024-08-06", "input_tokens": 1000, "provider": "openai", "request_count": None}
    rows = read_bytes({"a.ndjson": _lines([record])}).rows

    assert rows[0]["model"] == "openai/gpt-4o-2024-08-06"
    assert "cost_usd" not in rows[0]
    assert rows[0]["request_count"] == 1


@pytest.mark.parametrize(("member", "value"), [("api_key_prefix", "sk-abc"), ("key_id", "k2")])
def test_the_key_id_has_two_names(read_bytes: ReadBytes, member: str, value: str) -> None:
    """`api_key_prefix` stands for `key_id`, which comes first where both are there."""
    record = {"timestamp": "2026-04-01", "api_key_prefix": "sk-abc"} | {member: value}

    assert read_bytes({"a.ndjson": json.dumps(record).encode()}).rows[0]["key_id"] == value


def test_a_record_may_name_its_source(read_bytes: ReadBytes) -> None:
    """Records that keytrip wrote keep the source they came from."""
    rows = read_bytes({"a.ndjson": _lines([{"source": "litellm"}, {"source": None}])}).rows

    assert sorted(row["source"] for row in rows) == ["canonical", "litellm"]


def test_identified_records_are_said(read_bytes: ReadBytes) -> None:
    """A chunk says how many records and undated ones it has."""
    reading = read_bytes({"a.ndjson": _lines([{"request_id": "r"}, {"timestamp": "never"}])})

    assert (reading.report.records, reading.report.undated, reading.report.files) == (2, 1, 1)
