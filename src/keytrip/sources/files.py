"""Finds input files: paths, globs, folders and standard input, and what each file says it is by its suffix."""

from __future__ import annotations

import glob
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
    form = FORMS.get(suffixes[-1]) if suffixes else _bare(path)
    return InputFile(path, form, packing, name or str(path)) if form else None


def _bare(path: Path) -> Form | None:
    """A name without a suffix, as object stores have them, is JSON if it begins like it."""
    with path.open("rb") as file:
        return "json" if file.read(1) in {b"{", b"["} else None


def _inside(folder: Path) -> list[InputFile]:
    described = (describe(p) for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith("."))
    found = [d for d in described if d and not d.path.name.endswith(".rejects.ndjson")]
    if not found:
        raise DataError("the folder holds no log file", place=Place(str(folder)), hint=_SUFFIX_HINT)
    return found


_SUFFIX_HINT = "files must end in .ndjson .jsonl .json .csv .parquet .log or .txt, each also with .gz or .zst"


def _one(text: str) -> list[InputFile]:
    path = Path(text)
    try:
        if path.is_dir():
            return _inside(path)
        if path.is_file():
            described = describe(path)
            if described is None:
                raise DataError("its suffix does not say what it holds", place=Place(text), hint=_SUFFIX_HINT)
            return [described]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", place=Place(text)) from error
    matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
    if not matches:
        raise DataError("no such file, folder or match", place=Place(text), hint="check the path")
    return [found for match in matches for found in _one(glob.escape(match) if not Path(match).exists() else match)]


def input_files(paths: Sequence[str]) -> list[InputFile]:
    """Return the files that `paths` name, each once, sorted by path. `-` is not one of them (see `spool`).

    Raises:
        UsageError: No path was given.
        DataError: A path names nothing readable.
    """
    if not paths:
        raise UsageError("no path given", hint="name files, globs, folders, or - for standard input")
    found = {f.path.resolve(): f for text in paths for f in _one(text)}
    return [found[path] for path in sorted(found)]
