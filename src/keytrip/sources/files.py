"""Finds input files: paths, globs, folders and standard input, and what each file says it is by its suffix."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keytrip.errors import DataError, Place, UsageError

Form = Literal["ndjson", "json", "csv", "parquet", "text"]
Packing = Literal["", "gz", "zst"]

FORMS: dict[str, Form] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".log": "text",
    ".txt": "text",
}
PACKINGS: dict[str, Packing] = {".gz": "gz", ".zst": "zst"}
# What log rotation puts behind the name: access.log.1, access.log-20260401.
_ROTATED = re.compile(r"[.-]\d[\d-]*$")


@dataclass(frozen=True)
class InputFile:
    """One file to read.

    Attributes:
        path: Where it is.
        form: What its suffix says it holds; `text` is plain lines, JSON or not.
        packing: How it is compressed, or an empty string.
        name: What messages call it.
    """

    path: Path
    form: Form
    packing: Packing
    name: str

    @property
    def size(self) -> int:
        """Size in bytes as it lies on disk."""
        return self.path.stat().st_size


def describe(path: Path, name: str | None = None) -> InputFile | None:
    """Return what `path` is by its suffixes, or None when they say nothing."""
    suffixes = [s.lower() for s in path.suffixes]
    packing: Packing = ""
    if suffixes and suffixes[-1] in PACKINGS:
        packing = PACKINGS[suffixes.pop()]
    while len(suffixes) > 1 and _ROTATED.fullmatch(suffixes[-1]):
        suffixes.pop()
    form = FORMS.get(_ROTATED.sub("", suffixes[-1])) if suffixes else None if packing else _bare(path)
    return InputFile(path, form, packing, name or os.fsencode(path).decode("utf-8", "replace")) if form else None


def _bare(path: Path) -> Form | None:
    """A name without a suffix, as object stores have them, is JSON if it begins like it."""
    with path.open("rb") as file:
        return "json" if file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["} else None


_SUFFIX_HINT = "files must end in .ndjson .jsonl .json .csv .parquet .log or .txt, each also with .gz or .zst"


def _inside(folder: Path, skipped: list[str]) -> list[InputFile]:
    """Return the log files below `folder`; what is hidden, such as a store, is none."""
    paths = (p for p in sorted(folder.rglob("*")) if not any(s.startswith(".") for s in p.relative_to(folder).parts))
    found: list[InputFile] = []
    for path in paths:
        if not path.is_file() or path.name.endswith("rejects.ndjson"):
            continue
        if (file := describe(path)) is not None:
            found.append(file)
        else:
            skipped.append(str(path))
    if not found:
        raise DataError("the folder holds no log file", place=Place(str(folder)), hint=_SUFFIX_HINT)
    return found


def _one(text: str, skipped: list[str]) -> list[InputFile]:
    path = Path(text)
    try:
        if path.is_dir():
            return _inside(path, skipped)
        if path.is_file():
            return [_file(path)]
        if path.exists():
            raise DataError("is no regular file", place=Place(text), hint="pipe it in, and name it -")
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", place=Place(error.filename or text)) from error
    matches = [m for m in sorted(glob.glob(text, recursive=True)) if Path(m).exists()]  # noqa: PTH207 - Path.glob refuses absolute patterns
    if not matches:
        raise DataError("no such file, folder or match", place=Place(text), hint="check the path")
    return [found for match in matches for found in _one(match, skipped)]


def _file(path: Path) -> InputFile:
    described = describe(path)
    if described is None:
        raise DataError("its suffix does not say what it holds", place=Place(str(path)), hint=_SUFFIX_HINT)
    return described


def input_files(paths: Sequence[str], skipped: list[str] | None = None) -> list[InputFile]:
    """Return the files that `paths` name, each once, sorted by path. `-` is not one of them (see `spool`).

    Args:
        paths: Files, globs and folders.
        skipped: Takes the files in folders whose suffix says nothing.

    Raises:
        UsageError: No path was given.
        DataError: A path names nothing readable.
    """
    if not paths:
        raise UsageError("no path given", hint="name files, globs, folders, or - for standard input")
    passed = skipped if skipped is not None else []
    found = {f.path.resolve(): f for text in paths for f in _one(text, passed)}
    return [found[path] for path in sorted(found)]
