"""Which source wrote a file."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from sources.conftest import FIXTURES

from keytrip.errors import DataError, UsageError
from keytrip.sources import all_sources, source_named
from keytrip.sources.files import input_files
from keytrip.sources.recognise import recognise, sample

_CANONICAL = b'{"timestamp": "2026-04-01T00:00:00Z", "key_id": "k"}'
_LITELLM = b'{"call_type": "acompletion", "startTime": 1775000000, "metadata": {}}'
_NGINX = b'{"remote_addr": "10.0.0.1", "uri": "/", "status": 200}'
_COMBINED = b'10.0.0.1 - - [24/Nov/2026:17:17:42 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8"'


def _recognised(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return recognise(input_files([str(folder / name) for name in files])).name


@pytest.mark.parametrize(
    "path",
    [p.relative_to(FIXTURES) for p in sorted(FIXTURES.rglob("*")) if p.is_file() and p.parent != FIXTURES],
    ids=str,
)
def test_every_fixture_is_recognised(path: Path) -> None:
    """A file that a real program wrote is recognised alone, and its folder names the program."""
    assert recognise(input_files([str(FIXTURES / path)])).name == path.parts[0]


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"timestamp": ["2026-04-01"], "api_key_prefix": ["k"]}), out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", _CANONICAL),
        ("a.ndjson", b"\xef\xbb\xbf\r\n" + _CANONICAL + b"\r\n"),
        ("a.ndjson", b"broken\n" * 30 + _CANONICAL),
        ("a.ndjson", _CANONICAL[:-1] + b', "x": "' + b"x" * 2_000_000 + b'"}\n'),
        ("a.json", _CANONICAL),
        ("a.json", b"[" + _CANONICAL + b"]"),
        ("a.json", b"[5, " + _CANONICAL),
        ("a.json", b"[" + (_CANONICAL + b",\n") * 50_000 + b"5]"),
        ("a.json", json.dumps([json.loads(_CANONICAL)], indent=1).encode()),
        ("a.json", json.dumps(json.loads(_CANONICAL), indent=1).encode()),
        ("a.log", _CANONICAL),
        ("a.txt", b"[" + _CANONICAL + b"]"),
        ("a.csv", b"key_id,timestamp\nk,2026-04-01\n"),
        ("a.csv", b"\xef\xbb\xbfkey_id,timestamp,x\r\nk,2026-04-01," + b"x" * 200_000 + b"\r\n"),
        ("a.parquet", _parquet()),
        ("a.parquet.gz", gzip.compress(_parquet())),
        ("a.ndjson.gz", gzip.compress(_CANONICAL)),
        ("a.json.zst", zstandard.compress(b"[" + _CANONICAL + b"]")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_canonical_records_are_recognised_in_every_form(tmp_path: Path, name: str, content: bytes) -> None:
    """The first records are found in lines, arrays, tables, packed files, behind broken lines and in long ones."""
    assert _recognised(tmp_path, {name: content}) == "canonical"


@pytest.mark.parametrize(
    ("name", "content", "source"),
    [
        ("a.ndjson", _LITELLM, "litellm"),
        ("a.log", _NGINX, "nginx_egress"),
        ("a.log", _COMBINED, "nginx_egress"),
        ("a.log", b"garbage\n" + _COMBINED + b"\n", "nginx_egress"),
        ("a.log.1.gz", gzip.compress(_COMBINED), "nginx_egress"),
    ],
)
def test_one_source_is_told_from_another(tmp_path: Path, name: str, content: bytes, source: str) -> None:
    """Each source knows its own records, and plain lines its pattern."""
    assert _recognised(tmp_path, {name: content}) == source


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.ndjson": b'{"a": 1}'}, "the source was not recognised; say --source canonical|litellm|nginx_egress"),
        ({"a.log": b"hello"}, "the source was not recognised"),
        ({"a.ndjson": _CANONICAL + b"\n" + _LITELLM}, "fits more than one source: canonical, litellm; say --source"),
        ({"a.ndjson": _CANONICAL, "b.ndjson": _NGINX}, "fits more than one source: canonical, nginx_egress"),
        ({"a.ndjson": b""}, "no record shows which source wrote this; say --source"),
        ({"a.csv": b"key_id,timestamp\n"}, "no record shows which source wrote this"),
        ({"a.json": b"[]"}, "no record shows which source wrote this"),
        ({"a.json": b"[5"}, "no record shows which source wrote this"),
    ],
)
def test_none_and_several_are_asked_back(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    """Where the records do not tell, the user is asked for --source (wrong usage: exit code 2)."""
    with pytest.raises(UsageError) as caught:
        _recognised(tmp_path, files)

    assert message in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ndjson.gz", _CANONICAL, r"a\.ndjson\.gz: is no whole \.gz file"),
        ("a.ndjson.zst", _CANONICAL, r"a\.ndjson\.zst: is no whole \.zst file"),
        ("a.parquet", _CANONICAL, r"a\.parquet: cannot be read as Parquet"),
        ("a.parquet.gz", gzip.compress(_CANONICAL), r"a\.parquet\.gz: cannot be read as Parquet"),
        (
            "a.ndjson",
            bytes(range(256)),
            r"a\.ndjson: not one record can be read in its first MiB; is its suffix right\?",
        ),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    """A broken file is the file's fault and not the user's: exit code 1."""
    with pytest.raises(DataError, match=message) as caught:
        _recognised(tmp_path, {name: content})

    assert caught.value.exit_code == 1


def test_one_fitting_source_is_taken_if_other_records_fit_none(tmp_path: Path) -> None:
    """A record of no source among those of one does not hide it."""
    assert _recognised(tmp_path, {"a.ndjson": b'{"x": 1}\n' + _LITELLM}) == "litellm"


def test_plain_lines_are_sampled_as_text(tmp_path: Path) -> None:
    """Lines that are no JSON come as text, without their ends."""
    path = tmp_path / "a.log"
    path.write_bytes(b"one\r\n\ntw\xff\n")

    assert list(sample(input_files([str(path)])[0])) == [{"kt_text": "one"}, {"kt_text": "tw\ufffd"}]


def test_sources_are_found_by_their_modules() -> None:
    """Every module that declares a source is one, under its own name; a wrong name is answered with the right ones."""
    assert [name for name, source in all_sources().items() if source.name != name] == []
    assert {"canonical", "litellm", "nginx_egress"} <= set(all_sources())
    with pytest.raises(UsageError, match=r"no source 'nothing'; one of: canonical, "):
        source_named("nothing")


def test_a_source_knows_which_fields_it_can_carry() -> None:
    """Mapped fields are there, priced ones where prices are looked up, others not."""
    assert source_named("litellm").has("source_ip")
    assert source_named("litellm").has("list_price")
    assert not source_named("nginx_egress").has("list_price")
    assert not source_named("nginx_egress").has("model")
