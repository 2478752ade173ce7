"""What is no record is set aside with its file, line and reason, and nothing else is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keytrip.errors import DataError
from keytrip.sources.files import describe
from keytrip.sources.lines import Reject, parse
from keytrip.sources.read import write_rejects

if TYPE_CHECKING:
    from sources.conftest import ReadBytes, Reader

GOOD = b'{"timestamp": "2026-04-01T00:00:00Z", "key_id": "good"}'
_DEEP = b"[" * 100_000 + b"]" * 100_000
_LIMIT = 400_000

# What a line is -> lines that are it.
_LINES: dict[str, list[bytes]] = {
    "record": [
        GOOD,
        b'  {"timestamp": 1775000000, "key_id": "k"}\t',
        b'{"timestamp": "2026-04-01", "key_id": "k", "cost_usd": "1.5", "input_tokens": " 12 "}',
        b'{"timestamp": "2026-04-01"}',
        b'{"timestamp": "2026-04-01", "key_id": "k", "unknown": {"a": [1, {"b": null}]}}',
        b'{"timestamp": "2026-04-01", "key_id": "k", "deep": ' + _DEEP + b"}",
        b'{"timestamp": "2026-04-01", "key_id": "a", "key_id": "k"}',
        b'{"timestamp": "2026-04-01", "key_id": "k", "kt_line": "x", "kt_flags": 1, "filename": "f"}',
        b'{"timestamp": "2026-04-01", "key_id": "k", "escaped": "\\\\u0000"}',
    ],
    "undated": [
        b'{"key_id": "k"}',
        b'{"key_id": "k", "timestamp": null}',
        b'{"key_id": "k", "timestamp": "soon"}',
        b'{"key_id": "k", "timestamp": "2262-01-01"}',
    ],
    "blank": [b"", b"  ", b"\t", b"\r"],
    "reject": [
        b"hello",
        b"{",
        b'{"key_id": "k"',
        b"{} {}",
        b"[1]",
        b"[" + GOOD + b"]",
        b"12",
        b'"text"',
        b"null",
        b"true",
        b"{}",
        b'{"model": "m"}',
        b'{"key_id": "\xff"}',
        b'{"key_id": "a\\u0000b"}',
        b'{"key_id": "k", "more": [1, "\\u0000"]}',
        b'{"key_id": "k", "\\u0000": 1}',
        b'{"key_id": "a\0b"}',
        b'{"key_id": "\\ud800"}',
        b'{"key_id": "k", "cost_usd": NaN}',
        b'{"key_id": "k", "cost_usd": Infinity}',
        b'{"key_id": "k", "cost_usd": 1e999}',
        b'{"key_id": "k", "cost_usd": "nan"}',
        b'{"key_id": "k", "cost_usd": "1,5"}',
        b'{"key_id": "k", "input_tokens": ""}',
        b'{"key_id": "k", "input_tokens": "many"}',
        b'{"key_id": "k", "input_tokens": 9223372036854775808}',
        b'{"key_id": "k", "input_tokens": [1]}',
        b'{"key_id": "k", "request_count": {}}',
        b'{"key_id": "k", "x": "' + b"x" * _LIMIT + b'"}',
        b"\x1f\x8b\x08binary\xff\xfe",
        b"\xef\xbb\xbf" + GOOD,
        _DEEP,
        b'{"key_id": "a", "key_id": "b", "deep": ' + _DEEP + b"}",
        b'{"key_id": "\\u0000", "deep": ' + _DEEP + b"}",
    ],
}
# named by kind and place: some are long
_PLACES = st.sampled_from([(kind, place) for kind, lines in sorted(_LINES.items()) for place in range(len(lines))])


@settings(phases=[Phase.explicit, Phase.generate])
@given(
    st.lists(_PLACES, min_size=1, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 100, 2**20]),
)
def test_each_line_is_what_it_is_among_all_others(
    reader: Reader,
    places: list[tuple[str, int]],
    end: bytes,
    bom: bool,  # noqa: FBT001 - hypothesis gives it by name
    last_end: bool,  # noqa: FBT001 - drawn
    block: int,
) -> None:
    """Records, undated ones, blank lines and rejects are told apart, whatever the file holds; lines count from 1."""
    lines = [("record", GOOD), *((kind, _LINES[kind][place]) for kind, place in places)]
    content = (b"\xef\xbb\xbf" if bom else b"") + end.join(line for _, line in lines) + (end if last_end else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.ndjson")
        path.write_bytes(content)
        file = describe(path, "a")
        assert file is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("keytrip.sources.lines._BLOCK", block)
            reading = reader.read(Path(folder), [file], max_line=_LIMIT)

    kinds = [kind for kind, _ in lines]
    assert [line for _, line, _ in reading.rejects] == [n for n, kind in enumerate(kinds, 1) if kind == "reject"]
    assert len(reading.rows) == reading.report.records == kinds.count("record") + kinds.count("undated")
    assert reading.report.undated == kinds.count("undated")


def test_lines_that_are_objects_only_together_are_none(read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two broken lines that join to two objects are set aside, also where a block of lines is looked at as one."""
    monkeypatch.setattr("keytrip.sources.lines._BLOCK", 30)
    together = b'{"key_id":"a"},{"b":[{"x":1}\n{"y":2}],"key_id":"c"}\n'
    reading = read_bytes({"a.ndjson": GOOD + b"\n" + together + b"broken\n" + GOOD})

    assert [line for _, line, _ in reading.rejects] == [2, 3, 4]
    assert [row["key_id"] for row in reading.rows] == ["good", "good"]


@pytest.mark.parametrize(("kind", "place"), [(kind, n) for kind in _LINES for n in range(len(_LINES[kind]))])
def test_each_line_is_what_it_is_after_a_good_one(read_bytes: ReadBytes, kind: str, place: int) -> None:
    """The same, one by one."""
    reading = read_bytes({"a.ndjson": GOOD + b"\n" + _LINES[kind][place] + b"\n"}, max_line=_LIMIT)

    assert [line for _, line, _ in reading.rejects] == ([2] if kind == "reject" else [])
    assert len(reading.rows) == 1 + (kind in {"record", "undated"})
    assert reading.report.undated == (kind == "undated")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello", "is not JSON (unexpected character, expected a JSON value)"),
        (b"[1]", "is JSON, but no object"),
        (b'{"key_id": "\xff"}', "is not UTF-8 (byte 13)"),
        (b'{"key_id": "a\0b"}', "holds a NUL"),
        (b'{"key_id": "a\\u0000b"}', "holds a NUL (\\u0000)"),
        (_DEEP, "is nested too deeply"),
        (b'{"key_id": "k", "cost_usd": "x"}', "cost_usd is no finite number"),
        (b'{"key_id": "k", "input_tokens": "x"}', "input_tokens is no whole number of 64 bits"),
        (b"{}", "has neither a time nor a key"),
    ],
)
def test_the_reason_says_what_is_wrong(read_bytes: ReadBytes, line: bytes, reason: str) -> None:
    """Every kind of reject has its own words."""
    reading = read_bytes({"a.ndjson": GOOD + b"\n" + line + b"\n"})

    assert reading.rejects == [("a.ndjson", 2, reason)]


def test_a_reject_shows_how_the_line_began(read_bytes: ReadBytes) -> None:
    """The beginning is shown for faults of the text and of its values alike, and a NUL does not come along."""
    content = GOOD + b'\nhello\n{"key_id": "k", "cost_usd": "x"}\n{"key_id": "a\0"}\n{"y": "' + b"y" * 999 + b'"}\n{}\n'
    reading = read_bytes({"a.ndjson": content})

    assert reading.texts[:3] == ["hello", '{"key_id": "k", "cost_usd": "x"}', '{"key_id": "a\\0"}']
    assert reading.texts[3].startswith('{"y": "yyy')
    assert len(reading.texts[3]) == 300
    assert reading.texts[4] == "{}"


def _csv(*rows: str) -> bytes:
    return "\n".join(["timestamp,key_id,cost_usd,input_tokens", *rows, ""]).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-04-01,k", "has 2 cells, not 4 as the header"),
        ("2026-04-01,k,1,2,3", "has 5 cells, not 4 as the header"),
        ("2026-04-01,k,x,2", "cost_usd is no finite number"),
        ("2026-04-01,k,inf,2", "cost_usd is no finite number"),
        ("2026-04-01,k,1,x", "input_tokens is no whole number of 64 bits"),
        (",,1,2", "has neither a time nor a key"),
        ("2026-04-01,a\0b,1,2", "holds a NUL"),
        ("2026-04-01,a\udcffb,1,2", "is not UTF-8"),
        ('2026-04-01,"a"b,1,2', "is not CSV (',' expected after '\"')"),
        ('2026-04-01,"open,1,2', "is not CSV (unexpected end of data)"),
        ("2026-04-01," + "k" * 999 + ",1,2", "is longer than 900 bytes"),
    ],
)
def test_a_faulty_row_of_a_csv_is_set_aside_alone(read_bytes: ReadBytes, row: str, reason: str) -> None:
    """The rows around a faulty one are kept, even if its quote is never closed."""
    good = '2026-04-01,"go\nod",1,2'
    reading = read_bytes({"a.csv": _csv(good, "", row, "  ", "2026-04-01,last,1,2")}, max_line=900)

    assert reading.rejects == [("a.csv", 5, reason)]
    assert sorted(r["key_id"] for r in reading.rows) == ["go\nod", "last"]


def test_an_array_names_the_element(read_bytes: ReadBytes) -> None:
    """In an array the place is the element's number; an element that is broken takes no other along."""
    elements = [
        GOOD,
        b"5",
        b'{"key_id": "k", "cost_usd": NaN}',
        b'{"key_id": "a\\u0000"}',
        b'{"key_id": "k", "kt_line": "x"}',
    ]
    reading = read_bytes({"a.json": b"[" + b",\n".join(elements) + b"]"})

    assert [(line, reason.split(" (")[0]) for _, line, reason in reading.rejects] == [
        (2, "is JSON, but no object"),
        (3, "is not JSON"),
        (4, "holds a NUL"),
    ]
    assert sorted(row["key_id"] for row in reading.rows) == ["good", "k"]


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a.log", "a.csv"])
def test_a_file_without_a_record_is_none_of_ours_to_refuse(read_bytes: ReadBytes, name: str) -> None:
    """Empty and blank files are read, and give nothing."""
    for content in (b"", b"\n\n \n", b"\xef\xbb\xbf"):
        assert read_bytes({name: content}).report.records == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.ndjson": bytes(range(256)) * 9},
            "a.ndjson: not one record can be read: line 1 holds a NUL; is its suffix right?",
        ),
        ({"a.log": b"\x89PNG\r\n\x1a\n\0\0"}, "a.log: not one record can be read: line 1"),
        ({"a.ndjson": '{"key_id": "k"}'.encode("utf-16")}, "it is UTF-16; save it as UTF-8"),
        ({"a.json": b"[" + GOOD}, "a.json: is no JSON array (it does not end with a bracket)"),
        ({"a.json": b"[" + GOOD + b","}, "a.json: is no JSON array (it does not end with a bracket)"),
        ({"a.json": b"[" + GOOD + b" garbage]"}, "a.json: is no JSON array (Malformed JSON"),
        ({"a.json": b"[" + GOOD + b"]]"}, "a.json: is no JSON array (Malformed JSON"),
        ({"a.json": b'{\n"key_id": "k",\n'}, "a.json: not one record can be read"),
        ({"a.csv": b"\xff\xfe\0\0"}, "a.csv: is no CSV: its first line is no header"),
        ({"a.csv": b'"a\nb,c\n'}, "a.csv: is no CSV: its first line is no header"),
        (
            {"a.csv": b"key_id,user\nonly one\n"},
            "a.csv: not one record can be read: line 2 has 1 cells, not 2 as the header",
        ),
        ({"a.parquet": GOOD}, "a.parquet: cannot be read as Parquet"),
        ({"a.parquet": b""}, "a.parquet: cannot be read as Parquet"),
        ({"good.ndjson": GOOD, "b.parquet": GOOD, "c.ndjson": GOOD}, "b.parquet: cannot be read as Parquet"),
        ({"good.ndjson": GOOD + b"\nbad\n", "b.parquet": GOOD}, "b.parquet: cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_by_name(
    read_bytes: ReadBytes, files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    """The message names the user's file and the fault, and nothing of the work folder."""
    with pytest.raises(DataError) as caught:
        read_bytes(files)

    assert message in str(caught.value)
    assert caught.value.exit_code == 1
    assert str(tmp_path) not in str(caught.value)


def test_json_that_is_no_record_is_no_reason_to_refuse(read_bytes: ReadBytes) -> None:
    """A file of parsable lines is what it says it is, even if none of them is a record."""
    reading = read_bytes({"a.ndjson": b'12\n"x"\n', "b.ndjson": b'{"key_id": "\\u0000"}\n'})

    assert [(name, line) for name, line, _ in reading.rejects] == [("a.ndjson", 1), ("a.ndjson", 2), ("b.ndjson", 1)]


def test_rejects_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The rejects file is NDJSON sorted by file and line; a failed write leaves the old one and no part."""
    path = tmp_path / "r.ndjson"
    write_rejects([Reject("b", 2, "why", "x"), Reject("b", 1, "why", "é"), Reject("a", 3, "why", "\x1b")], path)

    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(r["file"], r["line"]) for r in records] == [("a", 3), ("b", 1), ("b", 2)]
    assert records[0] == {"file": "a", "line": 3, "reason": "why", "text": "\x1b"}
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_rejects([Reject("a", 1, "why", "")], tmp_path / "folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "r.ndjson"]


@given(st.binary(max_size=80))
def test_parse_takes_objects_and_nothing_else(line: bytes) -> None:
    """Parsing never raises, and gives a record exactly where strict JSON is an object without NUL."""
    record, reason = parse(line)

    assert (record is None) == bool(reason)
    if record is not None:
        assert orjson.loads(line) == record


def test_only_the_first_of_many_faults_show_how_they_began(
    read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are counted and named; what millions of lines began with would not fit into memory."""
    monkeypatch.setattr("keytrip.sources.convert._MOST_SHOWN", 3)
    reading = read_bytes({"a.ndjson": GOOD + b"\n" + b"bad\n" * 9})

    assert [line for _, line, _ in reading.rejects] == list(range(2, 11))
    assert reading.texts == ["bad"] * 3 + [""] * 6


def test_a_file_is_not_read_to_its_end_where_there_is_no_hope(
    read_bytes: ReadBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After very many faults and not one record a file is refused; one record, or JSON, and it is read on."""
    monkeypatch.setattr("keytrip.sources.convert._HOPELESS", 5)

    for sign_of_life in (GOOD, b"[1]"):
        assert len(read_bytes({"a.ndjson": sign_of_life + b"\n" + b"bad\n" * 9}).rejects) >= 9
    with pytest.raises(DataError, match="not one record can be read: line 1 is not JSON"):
        read_bytes({"a.ndjson": b"bad\n" * 5 + GOOD})
