"""Which files DuckDB may read as they lie."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrip.sources.convert import Workshop, convert
from keytrip.sources.files import describe, input_files
from keytrip.sources.quick import _faults_show, quick

_RECORD = b'{"key_id": "k"}'
_LINE = r"(?P<user_agent>\w+)"


def _quick(folder: Path, name: str, content: bytes, max_line: int = 10**6, line: str | None = None) -> str | None:
    path = folder / name
    path.write_bytes(content)
    file = describe(path)
    assert file is not None
    prepared = quick(file, Workshop(folder, max_line, line))
    return prepared.form if prepared else None


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.ndjson", _RECORD, "ndjson"),
        ("a.ndjson", b"anything", "ndjson"),
        ("a.ndjson", b"", "ndjson"),
        ("a.ndjson", b'{"key_id": "\\\\u00e9"}', "ndjson"),
        ("a.ndjson", b'{"key_id": "\\u0000"}', None),
        ("a.json", _RECORD, "ndjson"),
        ("a.json", _RECORD + b"\n" + _RECORD, "ndjson"),
        ("a.json", b'{\n"key_id": "k"}', None),
        ("a.json", b"[" + _RECORD + b"]", "array"),
        ("a.json", b"\xef\xbb\xbf [5]\n", "array"),
        ("a.json", b"[" + _RECORD, None),
        ("a.json", b'[{"key_id": "\\u0000"}]', None),
        ("a.json", b"", None),
        ("a.log", _RECORD, "ndjson"),
        ("a.log", b"[" + _RECORD + b"]", "array"),
        ("a.log", b"[2026-04-01] hello", None),
        ("a.log", b"hello", None),
        ("a.csv", b"a,b\n1,2\n", "csv"),
        ("a.csv", b"a,a\n1,2\n", None),
        ("a.csv", b"a,b\n1,\0\n", None),
        ("a.parquet", b"anything", "parquet"),
    ],
)
def test_the_quick_way_is_taken_where_every_fault_shows(
    tmp_path: Path, name: str, content: bytes, form: str | None
) -> None:
    """What DuckDB would take without a word (a NUL, an array cut after a comma) goes the long way."""
    assert _quick(tmp_path, name, content) == form


def test_plain_lines_of_a_source_go_the_long_way_and_its_json_the_quick_one(tmp_path: Path) -> None:
    """A source whose log may be plain lines or JSON is asked of the first line."""
    assert _quick(tmp_path, "a.log", b"hello", line=_LINE) is None
    assert _quick(tmp_path, "a.log", _RECORD, line=_LINE) == "ndjson"


def test_a_file_that_cannot_be_mapped_goes_the_long_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems map nothing: reading line by line sees every fault too."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("mmap.mmap", refuse)

    assert _quick(tmp_path, "a.ndjson", _RECORD) is None
    assert convert(input_files([str(tmp_path / "a.ndjson")])[0], Workshop(tmp_path)).path.read_bytes().endswith(b"}\n")
    assert _quick(tmp_path, "a.ndjson", b"") == "ndjson"


def test_a_single_long_record_is_read_quickly(tmp_path: Path) -> None:
    """A payload with its prompts has no line end for long."""
    assert _quick(tmp_path, "a.json", b'{"key_id": "' + b"k" * 500_000 + b'"}') == "ndjson"


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 30), st.booleans())
def test_a_line_over_the_limit_is_never_overlooked(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    limit: int,
    last_end: bool,  # noqa: FBT001 - drawn
) -> None:
    """A file is read quickly only if no line is over the limit, wherever it is."""
    path = tmp_path_factory.getbasetemp() / "lines.ndjson"
    path.write_bytes(b"\n".join(b"x" * n for n in lengths) + (b"\n" if last_end else b""))

    assert _faults_show(path, "ndjson", limit) == (max(lengths, default=0) <= limit)
