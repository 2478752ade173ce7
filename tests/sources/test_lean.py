"""Columns that a chunk's files seem not to have are left out, and come back when a record has them after all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from keytrip.sources import lean, load, source_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from sources.conftest import ReadBytes


def _lines(*records: dict[str, Any]) -> bytes:
    return b"".join(
        json.dumps({"timestamp": "2026-04-01T00:00:00Z", "key_id": "k"} | r).encode() + b"\n" for r in records
    )


@pytest.fixture
def inserts(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """Return what each INSERT of this test leaves out, in order."""
    insert: Callable[..., None] = load._insert
    seen: list[frozenset[str]] = []

    def spy(*args: Any) -> None:
        seen.append(frozenset(args[4]) if len(args) > 4 else frozenset())
        insert(*args)

    monkeypatch.setattr(load, "_insert", spy)
    return seen


def test_what_no_record_has_is_left_out_and_reads_as_its_default(
    read_bytes: ReadBytes, inserts: list[frozenset[str]]
) -> None:
    """A narrow log is read once, without the columns that it lacks; their values are what an absent member means."""
    reading = read_bytes({"a.ndjson": _lines({"model": "m"})})

    assert len(inserts) == 1
    assert {"request_id", "cost_usd", "request_count", "source"} <= inserts[0]
    assert not {"timestamp", "key_id", "model"} & inserts[0]
    (row,) = reading.rows
    assert {name: row.get(name) for name in ("model", "request_count", "source", "cost_usd")} == {
        "model": "m",
        "request_count": 1,
        "source": "canonical",
        "cost_usd": None,
    }


@pytest.mark.parametrize(
    ("name", "value"), [("request_id", "r"), ("cost_usd", 0.5), ("request_count", 7), ("source", "x"), ("model", "m")]
)
def test_a_column_that_only_a_late_record_has_is_read(
    read_bytes: ReadBytes, inserts: list[frozenset[str]], monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """What the beginning of a file does not show costs a second read, never a value."""
    monkeypatch.setattr(lean, "_START", 20)
    reading = read_bytes({"a.ndjson": _lines({}, {}, {name: value})})

    assert [row.get(name) for row in reading.rows if row.get(name) == value] == [value]
    assert name in inserts[0]
    assert inserts[1:] == [frozenset()]


def test_a_member_that_is_written_with_an_escape_is_read(read_bytes: ReadBytes) -> None:
    """A name may be spelled so that its text is not in the file."""
    line = b'{"timestamp": "2026-04-01", "key_id": "k", "mod\\u0065l": "m"}\n'

    assert read_bytes({"a.ndjson": line}).rows[0]["model"] == "m"


def test_a_faulty_file_is_converted_without_a_second_try(read_bytes: ReadBytes, inserts: list[frozenset[str]]) -> None:
    """A fault is found on the lean way too, and what the faulty file lacks is null there as well."""
    reading = read_bytes({"a.ndjson": _lines({"input_tokens": "x"}, {"model": "m"})})

    assert [line for _, line, _ in reading.rejects] == [1]
    assert [row["model"] for row in reading.rows] == ["m"]
    assert len(inserts) == 2


def test_chunks_that_lack_different_columns_give_the_same_columns(read_bytes: ReadBytes) -> None:
    """Each chunk decides for itself."""
    files = {"a.ndjson": _lines({"model": "m"}), "b.ndjson": _lines({"source_ip": "10.0.0.1", "request_id": "r"})}
    reading = read_bytes(files, chunk_bytes=1)

    assert len(reading.groups) == 2
    found = {(row.get("model"), row.get("source_ip"), row.get("request_id")) for row in reading.rows}
    assert found == {("m", None, None), (None, "10.0.0.1", "r")}


def test_a_source_that_fills_in_prices_leaves_nothing_out(read_bytes: ReadBytes, inserts: list[frozenset[str]]) -> None:
    """Costs that the log lacks are written into its column."""
    record = {"id": "1", "startTime": 1767225600, "model": "gpt-4o", "metadata": {}, "prompt_tokens": 10}
    read_bytes({"a.ndjson": json.dumps(record).encode() + b"\n"}, "litellm")

    assert source_named("litellm").priced
    assert inserts[0] == frozenset()
