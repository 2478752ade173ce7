"""Turns what the quick reader cannot take as it lies (plain lines, files with faults) into NDJSON in the work folder.

A file that is not what it says it is, is refused by name.
"""

from __future__ import annotations

import glob
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Literal

import orjson

from keytrip.errors import DataError, Place
from keytrip.records.sql import fetched
from keytrip.sources.csv_rows import csv_records
from keytrip.sources.files import InputFile
from keytrip.sources.lines import (
    JSON_REASONS,
    LINE,
    MAX_LINE,
    LineReader,
    Reject,
    convert_blocks,
    convert_lines,
    json_line,
    numbered,
    numbered_lines,
    parse,
    reject,
)
from keytrip.sources.secrets import mask
from keytrip.sources.streams import first_bytes, has_longer, last_byte, mapped

# One element of an array, or one object over several lines, may be this large.
_ELEMENT_BYTES = 64 * 2**20
# Of so many rejects it is shown how they began, and after so many without a record there will be none.
_MOST_SHOWN = 10_000
_HOPELESS = 1_000_000
_BROKEN = {b"\xff\xfe": "it is UTF-16; save it as UTF-8", b"\xfe\xff": "it is UTF-16; save it as UTF-8"}


@dataclass(frozen=True)
class Prepared:
    """A file that DuckDB can read.

    Attributes:
        file: The user's file, unpacked.
        path: What to read: the file itself or its converted copy.
        form: How to read it.
        numbered: Whether each record carries its line number.
        longest: No line or element is longer than this, in bytes.
        rejects: What conversion set aside.
    """

    file: InputFile
    path: Path
    form: Literal["ndjson", "array", "csv", "parquet"]
    numbered: bool = False
    longest: int = 0
    rejects: tuple[Reject, ...] = field(default=())


@dataclass(frozen=True)
class Workshop:
    """How to convert: where to, the longest line in bytes, and the pattern of plain log lines if the source has one."""

    folder: Path
    max_line: int = MAX_LINE
    line: str | None = None


@dataclass
class _Out:
    """Where the records of one file are written, and what is none.

    Attributes:
        source: The file that is converted.
        file: Where records go.
        size: Bytes written.
        longest: Bytes of the longest line.
        rejects: What was none.
    """

    source: InputFile
    file: IO[bytes]
    size: int = 0
    longest: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def write(self, lines: bytes, longest: int = 0) -> None:
        """Write a line, or several of which none has more than `longest` bytes."""
        self.size += self.file.write(lines)
        self.longest = max(self.longest, longest or len(lines))

    def set_aside(self, number: int, reason: str, start: bytes) -> None:
        """Note what is no record; how it began only of the first ones, since there may be millions.

        Raises:
            DataError: There were very many, and not one record.
        """
        shown = start if len(self.rejects) < _MOST_SHOWN else b""
        self.rejects.append(reject(self.source.name, number, reason, shown))
        if len(self.rejects) == _HOPELESS:
            self.refuse_without_records()

    def refuse_without_records(self) -> None:
        """Raise if there was something, but nothing that is what the file says it holds.

        Raises:
            DataError: Not one record and not one line of JSON.
        """
        if self.size or not self.rejects or any(r.reason in JSON_REASONS for r in self.rejects):
            return
        first = self.rejects[0]
        hint = _BROKEN.get(first_bytes(self.source.path, 2), "is its suffix right?")
        message = f"not one record can be read: line {first.line} {first.reason}"
        raise DataError(message, place=Place(self.source.name), hint=hint)


def convert(file: InputFile, workshop: Workshop, *, rewrite: bool = False) -> Prepared:
    """Return an unpacked file as numbered NDJSON in the work folder.

    Args:
        file: The file.
        workshop: Where to, and what is too long.
        rewrite: Write every record anew (a name that comes twice is kept once, with its last value).

    Raises:
        DataError: It holds not one record and at least one fault, or is broken.
    """
    with tempfile.NamedTemporaryFile(dir=workshop.folder, suffix=".numbered.ndjson", delete=False) as target:
        out = _Out(file, target.file)
        _convert_into(file, out, workshop, rewrite=rewrite)
    out.refuse_without_records()
    return Prepared(file, Path(target.name), "ndjson", numbered=True, longest=out.longest, rejects=tuple(out.rejects))


def _convert_into(file: InputFile, out: _Out, workshop: Workshop, *, rewrite: bool) -> None:
    take: LineReader = partial(json_line, rewrite=True) if rewrite else json_line
    start = first_bytes(file.path)
    if file.form == "csv":
        _convert_rows(file, out, workshop)
    elif is_array(file, start):
        _convert_elements(_elements(file), out, take)
    elif file.form == "json" and (whole := _whole(file, start)) is not None:
        _convert_elements(iter([whole]), out, take)
    else:
        _convert_lines(file, out, workshop, take)


def _convert_lines(file: InputFile, out: _Out, workshop: Workshop, take: LineReader) -> None:
    plain = workshop.line if file.form == "text" else None
    with file.path.open("rb") as source:
        if take is json_line and not plain and not _has_longer(file.path, workshop.max_line):
            convert_blocks(source, out, workshop.max_line)
        else:
            reader = _line_reader(plain, take) if plain else take
            convert_lines(numbered_lines(source, workshop.max_line), out, workshop.max_line, reader)


def _has_longer(path: Path, limit: int) -> bool:
    try:
        with mapped(path) as data:
            return has_longer(data, limit)
    except OSError:
        return True


def _convert_rows(file: InputFile, out: _Out, workshop: Workshop) -> None:
    for number, record, start in csv_records(file, workshop.max_line):
        if isinstance(record, str):
            out.set_aside(number, record, start)
        else:
            record.pop(LINE, None)
            out.write(numbered(orjson.dumps(record), number))


def is_array(file: InputFile, start: bytes) -> bool:
    """Whether a file that begins with `start` is a JSON array: plain log lines may begin with a bracket too."""
    pattern = rb"\s*\[" if file.form == "json" else rb"\s*\[\s*[{\]]"
    return file.form in {"json", "text"} and bool(re.match(pattern, start))


def _convert_elements(elements: Iterator[bytes], out: _Out, take: LineReader) -> None:
    for number, element in enumerate(elements, 1):
        text, reason = take(element)
        if text is None:
            out.set_aside(number, reason, element)
        else:
            out.write(numbered(text.replace(b"\n", b" ").replace(b"\r", b" "), number))


def _whole(file: InputFile, start: bytes) -> bytes | None:
    """One object over several lines."""
    first = start.lstrip().split(b"\n", 1)[0]
    if not first.startswith(b"{") or parse(first)[0] is not None or file.size > _ELEMENT_BYTES:
        return None
    text = first_bytes(file.path, _ELEMENT_BYTES).strip()
    return text if b"\n" in text and json_line(text)[0] is not None else None


def _elements(file: InputFile) -> Iterator[bytes]:
    """Yield the elements of a JSON array as they are written."""
    import duckdb

    if last_byte(file.path) != b"]":  # DuckDB takes an array that ends after a comma
        raise DataError("is no JSON array (it does not end with a bracket)", place=Place(file.name))
    con = duckdb.connect()
    try:
        rows = con.execute(
            "select json from read_json_objects(?, format = 'array', compression = 'none', maximum_object_size = ?)",
            [glob.escape(str(file.path)), max(min(file.size, _ELEMENT_BYTES), 2**24)],
        )
        yield from (text.encode() for (text,) in fetched(rows))
    except duckdb.Error as error:
        raise DataError(f"is no JSON array ({told(error, file)})", place=Place(file.name)) from error
    finally:
        con.close()


def told(error: Exception, file: InputFile) -> str:
    """Return DuckDB's first line on a file, without its prefix, the work folder's paths and any secret."""
    line = re.sub(r"^([A-Z]\w* )+Error: ", "", (str(error).splitlines() or [type(error).__name__])[0])
    line = re.sub(r" (in|while reading) file \"[^\"]*\"", "", line.replace(str(file.path), file.name))
    return mask(line)[:200]


def _line_reader(pattern: str, json_reader: LineReader) -> LineReader:
    expression = re.compile(pattern)

    def read(line: bytes) -> tuple[bytes | None, str]:
        if line.lstrip().startswith(b"{"):
            return json_reader(line)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            return None, f"is not UTF-8 (byte {error.start + 1})"
        if "\0" in text:
            return None, "holds a NUL"
        match = expression.fullmatch(text)
        return (orjson.dumps(match.groupdict()), "") if match else (None, "is no line of this log")

    return read
