"""Files are read together; only what is faulty goes the long way."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from keytrip.errors import DataError
from keytrip.sources import load, source_named
from keytrip.sources.convert import Prepared, convert
from keytrip.sources.files import InputFile

if TYPE_CHECKING:
    from sources.conftest import ReadBytes


def _record(key: str) -> bytes:
    return f'{{"timestamp": "2026-04-01T00:00:00Z", "key_id": "{key}"}}\n'.encode()


@pytest.fixture(name="converted")
def _converted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were converted, in order."""
    names: list[str] = []

    def spied(file: InputFile, *args: Any, **options: Any) -> Prepared:
        names.append(file.name)
        return convert(file, *args, **options)

    monkeypatch.setattr(load, "convert", spied)
    return names


def test_good_files_are_never_converted(read_bytes: ReadBytes, converted: list[str]) -> None:
    """Quick forms, packed or not, are read as they lie."""
    files = {
        "a.ndjson": _record("a"),
        "b.json": b"[" + _record("b") + b"]",
        "c.csv": b"timestamp,key_id\n2026-04-01,c\n",
        "d.ndjson.gz": gzip.compress(_record("d")),
        "e.log": _record("e"),
    }
    reading = read_bytes(files)

    assert sorted(row["key_id"] for row in reading.rows) == list("abcde")
    assert converted == []


@pytest.mark.parametrize(
    "bad",
    [
        b"{broken\n",
        b'{"key_id": "k", "cost_usd": "x"}\n',
        b'{"key_id": "k", "cost_usd": NaN}\n',
        b'{"model": "m"}\n',
        b'{"key_id": "\\u0000"}\n',
    ],
)
def test_only_the_faulty_file_of_a_chunk_is_converted(read_bytes: ReadBytes, converted: list[str], bad: bytes) -> None:
    """One bad file among many good ones costs its own conversion and no other."""
    files = {f"{i:02}.ndjson": _record(f"k{i}") for i in range(10)} | {"bad.ndjson": _record("b") + bad}
    reading = read_bytes(files)

    assert converted == ["bad.ndjson"]
    assert len(reading.rows) == 11
    assert [(name, line) for name, line, _ in reading.rejects] == [("bad.ndjson", 2)]


def test_all_kinds_of_faults_in_one_chunk(read_bytes: ReadBytes) -> None:
    """Good and bad files of every form in one chunk: each keeps its own records, names and line numbers."""
    files = {
        "a.ndjson": _record("a1") + b"bad\n" + _record("a2"),
        "b.csv": b"timestamp,key_id\n2026-04-01,b1\nbad\n",
        "c.json": b"[5, " + _record("c1") + b"]",
        "d.ndjson": _record("d1"),
        "e.ndjson": b'{"key_id": "x", "key_id": "e1"}\n{"model": "m"}\n',
        "f.ndjson.gz": gzip.compress(b"\n\nbad\n" + _record("f1")),
        "x/d.ndjson": b'{"key_id": "k", "cost_usd": "x"}\n' + _record("xd1"),
    }
    reading = read_bytes(files)

    assert sorted(row["key_id"] for row in reading.rows) == ["a1", "a2", "b1", "c1", "d1", "e1", "f1", "xd1"]
    assert [(name, line) for name, line, _ in reading.rejects] == [
        ("a.ndjson", 2), ("b.csv", 3), ("c.json", 1), ("e.ndjson", 2), ("f.ndjson.gz", 3), ("x/d.ndjson", 1),
    ]  # fmt: skip


def test_packed_and_plain_conversions_do_not_overwrite_each_other(read_bytes: ReadBytes) -> None:
    """Files that are unpacked, converted and removed in turn keep apart."""
    files = {}
    for i in range(4):
        files[f"{i}a.ndjson.gz"] = gzip.compress(_record(f"{i}a") + b"bad\n")
        files[f"{i}b.json"] = b"[" + _record(f"{i}b") + b", 5]"
    reading = read_bytes(files)

    assert sorted(row["key_id"] for row in reading.rows) == sorted(f"{i}{c}" for i in range(4) for c in "ab")
    assert len(reading.rejects) == 8


def test_files_are_grouped_by_size_and_number(read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk ends where the next file would go over its size, or its number of files; packed files weigh more."""
    files = {f"{i}.ndjson": _record("k") for i in range(5)}
    size = len(_record("k"))

    assert [len(group) for group in read_bytes(files, chunk_bytes=2 * size).groups] == [2, 2, 1]
    assert [len(group) for group in read_bytes(files, chunk_bytes=1).groups] == [1] * 5
    packed = {f"{i}.ndjson.gz": gzip.compress(_record("k")) for i in range(2)}
    assert len(read_bytes(packed, chunk_bytes=4 * len(packed["0.ndjson.gz"])).groups) == 2
    monkeypatch.setattr("keytrip.sources.read._MOST_FILES", 3)
    assert [len(group) for group in read_bytes(files).groups] == [3, 2]


def test_each_record_knows_its_file(read_bytes: ReadBytes, reader: Any, tmp_path: Path) -> None:
    """Names that SQL or a glob would take apart are read, and each chunk numbers its files."""
    names = [
        "a[1].ndjson",
        "b*.ndjson",
        "c'q\".ndjson",
        "d e.ndjson",
        "ü.ndjson",
        "f?.ndjson",
        "g{x}.ndjson",
        "h%s$X.ndjson",
    ]
    files = {name: _record(str(i)) for i, name in enumerate(names)} | {"z[1].csv": b"key_id,user\nz,u\n"}
    reading = read_bytes(files)

    assert sorted(row["key_id"] for row in reading.rows) == sorted([*map(str, range(len(names))), "z"])
    assert reading.groups == [sorted(files)]
    bad = read_bytes({name: content + b"bad\n" for name, content in files.items()})
    assert [name for name, _, _ in bad.rejects] == sorted(files)


def test_no_file_is_no_chunk(reader: Any, tmp_path: Path) -> None:
    """Without a file there is nothing to yield."""
    assert reader.read(tmp_path, []).groups == []


def test_one_object_over_several_lines_is_a_record(read_bytes: ReadBytes) -> None:
    """A payload that was printed for people is read; a broken line is no reason to take a whole file for one."""
    pretty = b'\n{\n  "timestamp": "2026-04-01",\n  "key_id": "k"\n}\n'

    assert read_bytes({"a.json": pretty}).rows[0]["key_id"] == "k"
    assert read_bytes({"a.json": b"{broken\n" + _record("k")}).rejects[0][1] == 1


def test_json_among_plain_lines_may_name_a_member_twice(read_bytes: ReadBytes) -> None:
    """A log of plain lines and JSON is written anew where DuckDB would refuse it."""
    line = b'10.0.0.1 - - [24/Nov/2026:17:17:42 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n'
    twice = b'{"time": "2026-11-24T17:17:42Z", "remote_addr": "10.0.0.1", "remote_addr": "10.0.0.2", "uri": "/"}\n'

    assert [r["source_ip"] for r in read_bytes({"a.log": line + twice}, "nginx_egress").rows] == [
        "10.0.0.1",
        "10.0.0.2",
    ]


def test_a_source_may_lack_addresses_and_ids(read_bytes: ReadBytes) -> None:
    """A log without them is read, and no record is anybody's duplicate."""
    source = source_named("canonical")
    fields = {name: sql for name, sql in source.fields.items() if name not in {"source_ip", "request_id", "source"}}
    poor = dataclasses.replace(source, name="poor", fields=fields)
    content = b'{"timestamp": "2026-04-01", "key_id": "k", "source_ip": "::1", "request_id": "r"}'

    assert read_bytes({"a.ndjson": content}, poor).rows == [
        {"timestamp": datetime(2026, 4, 1), "key_id": "k", "source": "poor", "request_count": 1}  # noqa: DTZ001 - naive UTC
    ]


def test_a_source_may_declare_all_members_text(read_bytes: ReadBytes) -> None:
    """Numbers that a source takes as text are numbers all the same, and faults are faults, in both ways of reading."""
    source = source_named("canonical")
    texts = dataclasses.replace(source, members=dict.fromkeys(source.members, "VARCHAR"))
    good = b'{"timestamp": "2026-04-01", "key_id": "k", "cost_usd": 1.5, "input_tokens": "7"}\n'
    bad = b'{"key_id": "k", "cost_usd": "x"}\n{"key_id": "k", "input_tokens": {}}\n'

    for content, faults in ((good, []), (good + bad, [2, 3])):
        reading = read_bytes({"a.ndjson": content}, texts)
        assert (reading.rows[0]["cost_usd"], reading.rows[0]["input_tokens"]) == (1.5, 7)
        assert [line for _, line, _ in reading.rejects] == faults


def test_a_name_that_is_no_utf8_is_read(read_bytes: ReadBytes) -> None:
    """DuckDB cannot be told such a name; the records come all the same, and messages show what can be shown."""
    reading = read_bytes({"caf\udce9.ndjson": _record("k"), "t\udce9.ndjson": _record("k") + b"bad\n"})

    assert len(reading.rows) == 2
    assert reading.rejects[0][0] == "t\ufffd.ndjson"


def test_the_same_records_whatever_the_columns(read_bytes: ReadBytes) -> None:
    """A fault in a column that is not asked for is a fault all the same."""
    content = _record("k") + b'{"key_id": "k", "max_tokens": "x"}\n{"key_id": "k", "list_price": NaN}\n'

    for columns in (frozenset[str](), frozenset({"model"}), frozenset({"max_tokens", "list_price"})):
        assert [line for _, line, _ in read_bytes({"a.ndjson": content}, columns=columns).rejects] == [2, 3]


@pytest.mark.parametrize(
    "error",
    [
        duckdb.OutOfMemoryException("memory"),
        duckdb.BinderException("our own SQL"),
        duckdb.IOException("No space left on device"),
        duckdb.IOException("File too large"),
    ],
)
def test_what_is_no_fault_of_a_file_is_not_blamed_on_it(
    read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch, converted: list[str], error: duckdb.Error
) -> None:
    """No room, and mistakes in our own SQL, are raised as they are; nothing is converted on their account."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(load, "_insert", refuse)

    with pytest.raises(type(error)):
        read_bytes({"a.ndjson": _record("k")})
    assert converted == []


@pytest.mark.parametrize("failing", [4, 5])
def test_a_file_that_no_way_can_read_is_refused(
    read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """If even records written anew cannot be read, the file is refused by name, with DuckDB's reason, if any."""
    insert: Callable[..., None] = load._insert
    calls = 0

    def faulty(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= failing:
            raise duckdb.InvalidInputException('Invalid Input Error: odd in file "x", truly')
        insert(*args)

    monkeypatch.setattr(load, "_insert", faulty)

    why = "odd, truly" if failing == 5 else "it changed while it was read"
    with pytest.raises(DataError, match=rf"a.ndjson: cannot be read \({why}\)"):
        read_bytes({"a.ndjson": _record("k")})
