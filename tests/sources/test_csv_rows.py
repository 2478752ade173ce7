"""CSV rows, against Python's own reader, and what a broken row does to the others."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keytrip.sources.csv_rows import csv_records, quick_header
from keytrip.sources.files import InputFile

_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


def _records(content: bytes, limit: int = 2**20) -> list[tuple[int, dict[str, str | None] | str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(content)
        return [(line, record) for line, record, _ in csv_records(InputFile(path, "csv", "", "a.csv"), limit)]


@settings(phases=[Phase.explicit, Phase.generate])
@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_rows_are_those_of_the_writer(rows: list[tuple[str, str]], end: str, bom: bool) -> None:  # noqa: FBT001 - drawn
    """Every row that csv writes is read back, with the line that it begins on; empty cells are null."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(("a", "b"))
    places = []
    for row in rows:
        places.append(out.getvalue().replace("\r\n", "\n").count("\n") + 1)
        writer.writerow(row)
    found = _records((b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode())

    assert [record for _, record in found] == [{"a": a or None, "b": b or None} for a, b in rows]
    assert [line for line, _ in found] == places


@settings(phases=[Phase.explicit, Phase.generate])
@given(st.lists(st.binary(max_size=20), max_size=10))
def test_any_bytes_are_rows_or_reasons(lines: list[bytes]) -> None:
    """Nothing under a sound header raises, and lines never go back."""
    found = _records(b"a,b\n" + b"\n".join(lines))

    assert [line for line, _ in found] == sorted(line for line, _ in found)
    assert all(isinstance(record, str) or set(record) == {"a", "b"} for _, record in found)


def test_an_open_quote_costs_one_row_each() -> None:
    """Rows after a quote that is never closed are read, also if more such rows follow."""
    found = _records(b'a,b\n1,"x\n2,y\n3,"z\n4,w\n5,"v\n6,u\n')

    assert [(line, record) for line, record in found if isinstance(record, dict)] == [
        (3, {"a": "2", "b": "y"}), (5, {"a": "4", "b": "w"}), (7, {"a": "6", "b": "u"}),
    ]  # fmt: skip
    assert [line for line, record in found if isinstance(record, str)] == [2, 4, 6]


def test_a_quote_may_not_stretch_over_the_limit() -> None:
    """A row that grows over the limit is set aside by its first line; memory holds no more than that."""
    found = _records(b'a,b\n1,"x\n' + b"2,y\n" * 100, limit=50)

    assert found[0] == (2, "is longer than 50 bytes")
    assert len(found) == 101
    assert found[-1] == (102, {"a": "2", "b": "y"})


def test_a_long_line_is_passed_over() -> None:
    """The line after one that is too long has its right number."""
    found = _records(b"a,b\n1," + b"x" * 3_000_000 + b"\n2,y\n", limit=50)

    assert found == [(2, "is longer than 50 bytes"), (3, {"a": "2", "b": "y"})]


def test_blank_rows_before_the_header_and_between_do_not_count() -> None:
    """Blank lines are no rows, and no header, but they count as lines."""
    assert _records(b"\n  \na,b\n\n1,2\n \n") == [(5, {"a": "1", "b": "2"})]


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (b"a,b\n1,2\n", ["a", "b"]),
        (b'\xef\xbb\xbf"a","b c"\r\n1,2\r\n', ["a", "b c"]),
        (b"a", ["a"]),
        (b"a,b", ["a", "b"]),
        (b"", None),
        (b"\na,b\n", None),
        (b"a,,b\n", None),
        (b"a,a\n", None),
        (b"a,A\n", None),
        (b'a,"b\nc"\n', None),
        (b"a,\xff\n", None),
        (b"a,b\0\n", None),
    ],
)
def test_only_a_plain_header_is_for_the_quick_reader(tmp_path: Path, header: bytes, names: list[str] | None) -> None:
    """A header on one line of distinct names is read quickly; any other goes the long way."""
    path = tmp_path / "a.csv"
    path.write_bytes(header)

    assert quick_header(path) == names


def test_a_name_that_comes_twice_has_its_last_cell() -> None:
    """As in JSON, the last of two members of one name counts."""
    assert _records(b"a,b,a\n1,2,3\n") == [(2, {"a": "3", "b": "2"})]
