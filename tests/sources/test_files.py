"""Which files a path names, and what each says it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from keytrip.errors import DataError, UsageError
from keytrip.sources.files import describe, input_files

_LINE = b'{"key_id": "k"}\n'


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(_LINE)


@pytest.mark.parametrize(
    ("name", "form", "packing"),
    [
        ("a.ndjson", "ndjson", ""),
        ("a.jsonl.gz", "ndjson", "gz"),
        ("a.JSON", "json", ""),
        ("a.b.csv.zst", "csv", "zst"),
        ("a.parquet.GZ", "parquet", "gz"),
        ("a.log", "text", ""),
        ("a.txt.gz", "text", "gz"),
        ("access.log.1", "text", ""),
        ("access.log.12.gz", "text", "gz"),
        ("access.log.2026-04-01", "text", ""),
        ("access.log-20260401.zst", "text", "zst"),
        ("records-2026-04-01.ndjson", "ndjson", ""),
        ("v1.2.json", "json", ""),
    ],
)
def test_the_suffix_decides(name: str, form: str, packing: str) -> None:
    """Form and packing come from the name, in any case; what log rotation puts behind it does not count."""
    file = describe(Path(name))

    assert file is not None
    assert (file.form, file.packing, file.name) == (form, packing, name)


@pytest.mark.parametrize("name", ["a.xyz", "a.gz", "a.2026.04.01", "a.1", "a.md"])
def test_a_suffix_that_says_nothing(name: str) -> None:
    """Other suffixes, packing alone and numbers alone say nothing."""
    _make(name)

    assert describe(Path(name)) is None
    with pytest.raises(DataError, match="its suffix does not say what it holds; files must end in"):
        input_files([name])


def test_a_name_without_suffix_is_json_if_it_begins_like_it() -> None:
    """Object stores name objects without a suffix."""
    for name, content in {"a": b"\xef\xbb\xbf\n {", "b": b"[1]", "c": b"hello", "d": b""}.items():
        Path(name).write_bytes(content)

    assert [f.name for f in input_files(["."])] == ["a", "b"]


def test_files_globs_and_folders_name_each_file_once() -> None:
    """However often a file is named, by whatever way, it is read once; the order is that of the paths."""
    _make("b/2.ndjson", "a.ndjson", "b/c/3.csv")
    Path("link.ndjson").symlink_to("a.ndjson")

    found = input_files(["b/c", "*.ndjson", ".", "./a.ndjson", "**/*.csv", str(Path("a.ndjson").resolve())])
    assert [f.path.resolve().name for f in found] == ["a.ndjson", "2.ndjson", "3.csv"]


def test_a_folder_is_read_without_what_is_hidden_set_aside_or_unknown() -> None:
    """Stores, hidden files and rejects are no logs; what says nothing is reported as skipped."""
    _make(
        "d/a.ndjson",
        "d/.hidden.ndjson",
        "d/.keytrip/x.parquet",
        "d/a.parquet.rejects.ndjson",
        "d/keytrip.rejects.ndjson",
        "d/b.md",
    )
    skipped: list[str] = []

    assert [f.name for f in input_files(["d"], skipped)] == ["d/a.ndjson"]
    assert skipped == ["d/b.md"]


def test_a_hidden_folder_is_read_if_it_is_named() -> None:
    """Hidden counts below the folder that was named."""
    _make(".logs/a.ndjson")

    assert [f.name for f in input_files([".logs"])] == [".logs/a.ndjson"]


def test_names_with_special_characters_are_themselves_before_they_are_patterns() -> None:
    """A file whose name is a pattern is that file; a pattern that matches it finds it too."""
    _make("a[1].ndjson", "a1.ndjson", "b*.ndjson", "bc.ndjson")

    assert [f.name for f in input_files(["a[1].ndjson"])] == ["a[1].ndjson"]
    assert [f.name for f in input_files(["b*.ndjson"])] == ["b*.ndjson"]
    assert [f.name for f in input_files(["a[[]*"])] == ["a[1].ndjson"]
    assert len(input_files(["?[c*]*.ndjson"])) == 2


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nothing.ndjson", "nothing.ndjson: no such file, folder or match; check the path"),
        ("*.ndjson", "no such file, folder or match"),
        ("broken.ndjson", "no such file, folder or match"),
        ("loop.ndjson", "no such file, folder or match"),
        ("empty", "empty: the folder holds no log file; files must end in"),
        ("pipe", "pipe: is no regular file; pipe it in, and name it -"),
        ("/dev/null", "is no regular file"),
        ("a\0b", "no such file"),
    ],
)
def test_what_cannot_be_read_is_said(path: str, message: str) -> None:
    """Missing files, empty folders, broken and endless links, pipes and devices are named."""
    Path("broken.ndjson").symlink_to("nowhere")
    Path("loop.ndjson").symlink_to("loop.ndjson")
    Path("empty").mkdir()
    os.mkfifo("pipe")

    with pytest.raises(DataError, match=re.escape(message)):
        input_files([path])


def test_no_path_is_wrong_usage() -> None:
    """Without a path there is nothing to read."""
    with pytest.raises(UsageError, match="no path given"):
        input_files([])


def test_a_refusal_of_the_system_names_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be opened is named with the system's reason."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "d/secret")

    _make("d/secret")
    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(DataError, match=r"d/secret: cannot be read \(Permission denied\)"):
        input_files(["d"])


def test_the_size_is_that_on_disk() -> None:
    """Progress and chunks count the bytes as they lie."""
    _make("a.ndjson")

    assert input_files(["a.ndjson"])[0].size == len(_LINE)
