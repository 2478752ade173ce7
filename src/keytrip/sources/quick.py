"""Whether DuckDB can read a file as it lies, and sees every fault in it itself.

It takes two things for JSON that are none, and lets them be on the quick way: a comma after the last member,
and NaN or Infinity in a member that is not read. Both leave no doubt about what the record says.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Literal

from keytrip.sources.convert import Prepared, Workshop, is_array
from keytrip.sources.csv_rows import quick_header
from keytrip.sources.files import InputFile
from keytrip.sources.lines import parse
from keytrip.sources.streams import first_bytes, has_longer, last_byte, mapped

_START = 2**20


def quick(file: InputFile, workshop: Workshop) -> Prepared | None:
    """Return an unpacked file as it lies if DuckDB can read it so, else None."""
    if file.form == "parquet":
        return Prepared(file, file.path, "parquet", numbered=True)
    form = _form(file)
    if form is None or not _faults_show(file.path, form, workshop.max_line):
        return None
    return Prepared(file, file.path, form, longest=min(file.size, workshop.max_line))


def _form(file: InputFile) -> Literal["ndjson", "array", "csv"] | None:
    if file.form == "csv":
        return "csv" if quick_header(file.path) else None
    if file.form == "ndjson":
        return "ndjson"
    start = first_bytes(file.path, _START)
    if is_array(file, start):
        return "array" if last_byte(file.path) == b"]" else None
    first = start.lstrip().split(b"\n", 1)[0]
    return "ndjson" if first.startswith(b"{") and parse(first)[0] is not None else None


def _faults_show(path: Path, form: str, max_line: int) -> bool:
    """Whether a file has no NUL that DuckDB would take, and no line over `max_line` bytes."""
    try:
        with mapped(path) as data:
            return not _has_nul(data, form) and (form == "array" or not has_longer(data, max_line))
    except OSError:  # not every file system lets a file be mapped
        return False


def _has_nul(data: mmap.mmap | bytes, form: str) -> bool:
    if form == "csv":
        return data.find(b"\0") >= 0
    # one byte is found many times faster than six, and most logs have no backslash at all
    backslash = data.find(b"\\")
    return backslash >= 0 and data.find(b"\\u0000", backslash) >= 0
