"""The same records in every form, quickly and line by line, give the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from records.naive import naive_address, naive_time

from keytrip.records.vocabulary import usage
from keytrip.sources.files import describe

if TYPE_CHECKING:
    from sources.conftest import Reader, Reading

_SETTINGS = settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
Record = dict[str, Any]

# Text without NUL and half of a pair, which no record may hold. It is not empty, since CSV has no empty string.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
_AWKWARD = st.sampled_from(
    ['a"b', "a,b", "a\nb", "a\r\nb", " a", "a ", "=1+1", "\x1b[2J", "\u2028", "\ufeffx", "null", "NaN", "0042", "1e3"]
)
_COUNT = st.integers(0, 2**53)
_MONEY = st.floats(0, 1e6, allow_nan=False)
_MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2261, 12, 31))  # noqa: DTZ001 - naive UTC
_TIMES = st.one_of(
    _MOMENTS.map(lambda m: m.isoformat(timespec="microseconds") + "Z"),
    _MOMENTS.map(lambda m: m.isoformat()),
    _MOMENTS.map(lambda m: m.strftime("%Y-%m-%d %H:%M:%S+02:00")),
    st.integers(0, 4 * 10**9),
    st.floats(0, 4e9),
    st.sampled_from(["yesterday", "2026-13-01", ""]),
)
_ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda a: a.exploded.upper()),
    st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}"),
    st.just("unknown"),
)


def _strategy(name: str) -> st.SearchStrategy[Any]:
    if name in {"timestamp", "source_ip"}:
        return _TIMES if name == "timestamp" else _ADDRESSES
    field = usage().fields[name]
    if field.numeric:
        return _COUNT if field.type == "int" else _MONEY
    return st.one_of(_TEXT, _AWKWARD)


_OPTIONAL = {name: st.one_of(st.none(), _strategy(name)) for name in usage().fields if name != "key_id"}
_RECORDS = st.lists(
    st.fixed_dictionaries({"key_id": st.one_of(_TEXT, _AWKWARD)}, optional=_OPTIONAL), min_size=1, max_size=8
)


def expected(record: Mapping[str, Any]) -> Record:
    """Return the row that a record means, without null members."""
    row = {name: value for name, value in record.items() if value is not None}
    moment = naive_time(_digits(row.pop("timestamp", "")))
    address = naive_address(row.pop("source_ip", ""))
    row |= {"source": row.get("source", "canonical"), "request_count": row.get("request_count", 1)}
    return row | ({"timestamp": moment} if moment else {}) | ({"source_ip": address} if address else {})


def _digits(value: object) -> str:
    return json.dumps(value) if isinstance(value, int | float) else str(value)


def counted(rows: Sequence[Mapping[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    """Return rows in a form that compares without regard to order."""
    return Counter(tuple(sorted(row.items())) for row in rows)


def as_ndjson(records: Sequence[Record], end: str = "\n") -> bytes:
    """One object a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + end for record in records).encode()


def as_escaped_ndjson(records: Sequence[Record]) -> bytes:
    """One object a line, in ASCII."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def as_text_ndjson(records: Sequence[Record]) -> bytes:
    """One object a line, every number as text."""
    texts = [{n: _digits(v) if isinstance(v, int | float) else v for n, v in record.items()} for record in records]
    return as_ndjson(texts)


def as_csv(records: Sequence[Record], end: str = "\n") -> bytes:
    """A header and a row each; null is an empty cell."""
    out = io.StringIO()
    # Python's writer leaves a lone carriage return unquoted
    quoting = csv.QUOTE_ALL if any("\r" in str(v) for record in records for v in record.values()) else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, list(usage().fields), lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows({n: _digits(v) if isinstance(v, int | float) else v for n, v in r.items()} for r in records)
    return out.getvalue().encode()


def as_parquet(records: Sequence[Record]) -> bytes:
    """A column for each field; times and text as text."""
    kinds = {"int": pa.int64(), "double": pa.float64()}
    schema = pa.schema([(name, kinds.get(field.type, pa.string())) for name, field in usage().fields.items()])
    texts = [{n: _digits(v) if n == "timestamp" and v is not None else v for n, v in r.items()} for r in records]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(texts, schema=schema), out)
    return out.getvalue()


def _with_blanks(lines: bytes, end: bytes) -> bytes:
    first, _, rest = lines.partition(end)
    return first + end + end + b" \t" + end + rest


def all_forms(records: Sequence[Record]) -> dict[str, bytes]:
    """Return file name -> content: the records in every form that is read quickly."""
    plain = as_ndjson(records)
    array = json.dumps(records, ensure_ascii=False)
    return {
        "a.ndjson": plain,
        "b.jsonl": as_escaped_ndjson(records),
        "c.log": plain,
        "d.json": plain,
        "e.ndjson": b"\xef\xbb\xbf" + as_ndjson(records, "\r\n"),
        "f.ndjson": _with_blanks(plain, b"\n"),
        "g.ndjson": plain.rstrip(b"\n"),
        "h.json": array.encode(),
        "i.json": ("\ufeff \n" + json.dumps(records, indent=2)).encode(),
        "j.csv": as_csv(records),
        "k.csv": b"\xef\xbb\xbf" + as_csv(records, "\r\n"),
        "l.csv": as_csv(records).rstrip(b"\n"),
        "m.parquet": as_parquet(records),
        "n.ndjson.gz": gzip.compress(plain),
        "o.json.zst": zstandard.compress(array.encode()),
        "p.csv.gz": gzip.compress(as_csv(records)),
        "q.parquet.zst": zstandard.compress(as_parquet(records)),
        "r.txt": as_text_ndjson(records),
    }


def _read(reader: Reader, name: str, content: bytes) -> Reading:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        file = describe(path, name)
        assert file is not None
        return reader.read(Path(folder), [file])


@_SETTINGS
@given(_RECORDS)
def test_every_form_gives_the_rows_that_the_records_mean(reader: Reader, records: list[Record]) -> None:
    """JSON lines, arrays, CSV, Parquet, packed or not, with BOM, CRLF and blank lines: the same canonical rows."""
    want = counted([expected(record) for record in records])

    for name, content in all_forms(records).items():
        reading = _read(reader, name, content)
        assert (name, reading.rejects) == (name, [])
        assert (name, counted(reading.rows)) == (name, want)


@_SETTINGS
@given(_RECORDS)
def test_line_by_line_gives_the_same_rows_as_quickly(reader: Reader, records: list[Record]) -> None:
    """One broken line sends a file the long way; the rows stay the same, and the line is set aside with its number."""
    want = counted([expected(record) for record in records])
    bad = {
        "a.ndjson": as_ndjson(records) + b"{broken\n",
        "b.ndjson": b"\xef\xbb\xbf" + as_ndjson(records, "\r\n") + b"{broken\r\n",
        "c.log": as_text_ndjson(records) + b"{broken\n",
        "d.json": json.dumps([*records, 7], ensure_ascii=False).encode(),
        "e.ndjson.gz": gzip.compress(as_escaped_ndjson(records) + b"{broken\n"),
    }

    for name, content in bad.items():
        reading = _read(reader, name, content)
        assert (name, [line for _, line, _ in reading.rejects]) == (name, [len(records) + 1])
        assert (name, counted(reading.rows)) == (name, want)


@_SETTINGS
@given(_RECORDS)
def test_a_broken_row_of_a_csv_takes_no_other_along(reader: Reader, records: list[Record]) -> None:
    """A row with too few cells is set aside with the line it begins on, however many lines the rows before it have."""
    content = as_csv(records)
    reading = _read(reader, "a.csv", content + b"too,few\n")

    lines = len(
        list(
            itertools.chain.from_iterable(
                line.split("\r") for line in content.decode().replace("\r\n", "\n").split("\n")
            )
        )
    )
    assert [line for _, line, _ in reading.rejects] == [lines]
    assert counted(reading.rows) == counted([expected(record) for record in records])


def test_a_time_column_of_parquet_is_read_whatever_its_unit(reader: Reader) -> None:
    """Timestamps of every unit, with and without zone, dates, and numbers mean the same moment; nanoseconds are cut."""
    moment = datetime(2026, 4, 1, 1, 2, 3)  # noqa: DTZ001 - naive UTC
    seconds = int((moment - datetime(1970, 1, 1)) / timedelta(seconds=1))  # noqa: DTZ001
    columns = {
        "s": pa.array([seconds], pa.timestamp("s")),
        "ms": pa.array([seconds * 1000], pa.timestamp("ms")),
        "us": pa.array([seconds * 10**6], pa.timestamp("us", tz="UTC")),
        "zone": pa.array([seconds * 10**6], pa.timestamp("us", tz="America/New_York")),
        "ns": pa.array([seconds * 10**9 + 999], pa.timestamp("ns")),
        "ns zone": pa.array([seconds * 10**9 + 999], pa.timestamp("ns", tz="UTC")),
        "int": pa.array([seconds]),
        "double": pa.array([float(seconds)]),
    }

    for unit, column in columns.items():
        out = io.BytesIO()
        pq.write_table(pa.table({"timestamp": column, "key_id": ["k"]}), out)
        reading = _read(reader, "a.parquet", out.getvalue())
        assert (unit, reading.rows[0]["timestamp"]) == (unit, moment)


@pytest.mark.parametrize(
    ("column", "values", "kept", "reasons"),
    [
        ("cost_usd", pa.array([1.5, float("nan"), float("inf")]), [1.5], [2, 3]),
        ("cost_usd", pa.array(["1.5", "x", None]), [1.5, None], [2]),
        ("input_tokens", pa.array([1, 2, 3], pa.int8()), [1, 2, 3], []),
        ("cost_usd", pa.array([True, False, None]), [None], [1, 2]),
        ("user", pa.array([["a"], [], None]), ['["a"]', "[]", None], []),
        ("user", pa.array([{"x": 1}, None, {"x": None}]), ['{"x":1}', None, '{"x":null}'], []),
        ("user", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"], []),
    ],
)
def test_parquet_columns_of_other_types(
    reader: Reader, column: str, values: pa.Array, kept: list[Any], reasons: list[int]
) -> None:
    """A Parquet column of another type is read as its text; what is no number is set aside with its row."""
    out = io.BytesIO()
    pq.write_table(pa.table({"key_id": ["a", "b", "c"], column: values, "file_row_number": [7, 8, 9]}), out)
    reading = _read(reader, "a.parquet", out.getvalue())

    assert [row.get(column) for row in sorted(reading.rows, key=lambda row: row["key_id"])] == kept
    assert [line for _, line, _ in reading.rejects] == reasons
