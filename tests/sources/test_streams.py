"""Packed files and standard input."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from keytrip.errors import DataError
from keytrip.sources.files import InputFile, Packing, describe
from keytrip.sources.streams import first_bytes, last_byte, spool, start_of, unpack

if TYPE_CHECKING:
    from sources.conftest import ReadBytes

_RECORD = b'{"timestamp": "2026-04-01T00:00:00Z", "key_id": "k"}\n'


def _file(folder: Path, name: str, content: bytes) -> InputFile:
    path = folder / name
    path.write_bytes(content)
    file = describe(path, name)
    assert file is not None
    return file


@given(st.binary(max_size=5000), st.sampled_from(["gz", "zst"]), st.integers(1, 3))
def test_unpacking_gives_the_bytes_back(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, packing: str, times: int
) -> None:
    """Whatever was packed, in one piece or several, comes out as it went in."""
    folder = tmp_path_factory.mktemp("unpack")
    packed = (gzip.compress(data) if packing == "gz" else zstandard.compress(data)) * times
    file = _file(folder, f"a.ndjson.{packing}", packed)

    assert unpack(file, folder).path.read_bytes() == data * times
    assert start_of(file, 7).startswith((data * times)[:7].removeprefix(b"\xef\xbb\xbf"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson.gz", _RECORD),
        ("a.ndjson.gz", gzip.compress(_RECORD * 99)[:-12]),
        ("a.ndjson.gz", gzip.compress(_RECORD) + b"garbage"),
        ("a.ndjson.gz", gzip.compress(_RECORD)[:-8] + bytes(8)),
        ("a.ndjson.gz", gzip.compress(_RECORD)[:12] + b"\xff" * 9),
        ("a.ndjson.zst", _RECORD),
        ("a.ndjson.zst", zstandard.compress(os.urandom(9999))[:-9]),
        ("a.ndjson.zst", zstandard.compress(_RECORD) + b"garbage"),
    ],
)
def test_a_broken_archive_is_refused_by_name(read_bytes: ReadBytes, name: str, content: bytes) -> None:
    """Not packed, cut off, followed by garbage, or with a wrong check sum: refused, with nothing left behind."""
    with pytest.raises(DataError, match=rf"^{name}: is no whole \.{name.rsplit('.', maxsplit=1)[-1]} file \("):
        read_bytes({"good.ndjson": _RECORD, name: content})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        gzip.compress(b""),
        gzip.compress(_RECORD) + gzip.compress(_RECORD),
        gzip.compress(_RECORD) + bytes(64),
    ],
)
def test_odd_gzip_files_are_whole(read_bytes: ReadBytes, content: bytes) -> None:
    """Empty files, several members and zeros behind them are what gzip itself accepts."""
    assert read_bytes({"a.ndjson.gz": content}).report.records == gzip.decompress(content).count(b"\n")


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"", 0),
        (zstandard.compress(b""), 0),
        (zstandard.compress(_RECORD) * 2, 2),
        (b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstandard.compress(_RECORD), 1),
    ],
)
def test_odd_zstd_files_are_whole(read_bytes: ReadBytes, content: bytes, records: int) -> None:
    """Empty files and frames, several frames and skippable ones are read."""
    assert read_bytes({"a.ndjson.zst": content}).report.records == records


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (_RECORD, "json"),
        (b" \n[1]", "json"),
        (b"\xef\xbb\xbf" + _RECORD, "json"),
        (b"timestamp,key_id\n2026-04-01,k\n", "csv"),
        (b'"timestamp","key_id"\r\n', "csv"),
        (b"PAR1....", "parquet"),
        (b'10.0.0.1 - - [24/Nov/2026:17:17:42 +0000] "GET /, HTTP/1.1" 200 1 "-" "a, b"\n', "text"),
        (b"hello\n", "text"),
        (b"", "text"),
    ],
)
def test_standard_input_says_what_it_is_by_its_first_bytes(tmp_path: Path, content: bytes, form: str) -> None:
    """Without a suffix the beginning decides, packed or not; all of it is there to be read."""
    for packed in (content, gzip.compress(content), zstandard.compress(content)):
        file = spool(io.BytesIO(packed), tmp_path)

        assert (file.form, file.packing, file.name) == (form, "", "standard input")
        assert file.path.read_bytes() == content


def test_broken_standard_input_is_called_by_its_name(tmp_path: Path) -> None:
    """A packed stream that ends early is refused as standard input."""
    with pytest.raises(DataError, match=r"^standard input: is no whole \.gz file"):
        spool(io.BytesIO(gzip.compress(_RECORD)[:-5]), tmp_path)


def test_beginnings_and_ends(tmp_path: Path) -> None:
    """The beginning is without the byte order mark, the end without white space."""
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbfabc \n\t" + b" " * 70_000)

    assert first_bytes(path, 5) == b"ab"
    assert last_byte(path) == b""
    path.write_bytes(b"abc] \n\t")
    assert last_byte(path) == b"]"


@pytest.mark.parametrize("packing", ["", "gz", "zst"])
def test_only_the_beginning_is_unpacked_where_no_more_is_asked(tmp_path: Path, packing: Packing) -> None:
    """The start of a file that is broken further on can be had."""
    content = b"\xef\xbb\xbf" + os.urandom(400_000).hex().encode()
    pack = {"": bytes, "gz": gzip.compress, "zst": zstandard.compress}[packing]
    file = _file(tmp_path, "a.log" + (f".{packing}" if packing else ""), pack(content)[: -20 if packing else None])

    assert start_of(file, 100)[:97] == content[3:100]
