"""Turns what the quick reader cannot take as it lies (packed files, arrays, plain lines, files with faults) into
NDJSON in the work folder. A file that is not what it says it is, is refused by name."""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import orjson

from keytrip.errors import DataError, Place
from keytrip.sources.files import Form, InputFile
from keytrip.sources.lines import MAX_LINE, Reject, convert_lines, parse

_BLOCK = 2**20
# An array is parsed whole: beyond this size its elements go through DuckDB's streaming reader first.
ARRAY_LIMIT = 64 * 2**20


@dataclass(frozen=True)
class Prepared:
    """A file that DuckDB can read.

    Attributes:
        file: The user's file.
        path: What to read: the file itself or its converted copy.
        form: `ndjson`, `csv` or `parquet`.
        numbered: Whether each record carries its line number.
        rejects: What conversion set aside.
    """

    file: InputFile
    path: Path
    form: Literal["ndjson", "csv", "parquet"]
    numbered: bool = False
    rejects: tuple[Reject, ...] = field(default=())


@dataclass(frozen=True)
class Workshop:
    """How to convert: where to, the longest line in bytes, and the pattern of plain log lines if the source has one."""

    folder: Path
    max_line: int = MAX_LINE
    line: str | None = None


def spool(stream: IO[bytes], folder: Path) -> InputFile:
    """Copy standard input into the work folder; its first byte decides between records and a table."""
    path = folder / "stdin.ndjson"
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out)
    start = first_bytes(path).lstrip()[:1]
    form: Form = "json" if start in {b"[", b"{"} else "text"
    return InputFile(path, form, "", "standard input")


def first_bytes(path: Path, size: int = 4096) -> bytes:
    """Return how a file begins, its byte order mark cut."""
    with path.open("rb") as file:
        return file.read(size).removeprefix(b"\xef\xbb\xbf")


def quick(file: InputFile, workshop: Workshop) -> Prepared | None:
    """Return the file as it lies if DuckDB can read it so, else None."""
    if file.packing or (workshop.line and file.form == "text"):
        return None
    if file.form in {"csv", "parquet"}:
        return Prepared(file, file.path, "csv" if file.form == "csv" else "parquet", numbered=file.form == "parquet")
    if file.form == "ndjson":
        return Prepared(file, file.path, "ndjson")
    start = first_bytes(file.path, 2**16)
    first = start.split(b"\n", 1)[0]
    looks_like_lines = start.lstrip().startswith(b"{") and parse(first)[0] is not None
    return Prepared(file, file.path, "ndjson") if looks_like_lines else None


def unpack(file: InputFile, folder: Path) -> InputFile:
    """Return the file decompressed into the work folder, or as it is when nothing packs it.

    Raises:
        DataError: It is broken, or not what its suffix says.
    """
    if not file.packing:
        return file
    path = folder / f"{_unique(folder)}.{file.form}"
    try:
        with opened(file) as source, path.open("wb") as out:
            shutil.copyfileobj(source, out, _BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        if getattr(error, "errno", None):
            raise
        path.unlink(missing_ok=True)
        raise DataError(f"is no whole .{file.packing} file ({error})", place=Place(file.name)) from error
    return replace(file, path=path, packing="")


def opened(file: InputFile) -> IO[bytes]:
    """Return a stream of a file's content, decompressed."""
    if not file.packing:
        return file.path.open("rb")
    if file.packing == "gz":
        return gzip.open(file.path, "rb")
    import zstandard

    return _ZstdFile(zstandard, file.path)  # type: ignore[return-value]


class _ZstdFile:
    """A zstd stream to read from; a frame that ends early is an EOFError (the library would just stop)."""

    def __init__(self, zstandard: Any, path: Path) -> None:
        self._raw = path.open("rb")
        self._errors = zstandard.ZstdError
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new()
        self._fresh = True

    def __enter__(self) -> _ZstdFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def read(self, size: int) -> bytes:
        """Return the next decompressed bytes, empty only at the end."""
        while block := self._raw.read(size):
            data = b"".join(self._feed(block))
            if data:
                return data
        if not self._fresh:
            raise EOFError("it ends in the middle")
        return b""

    def _feed(self, block: bytes) -> Iterator[bytes]:
        try:
            while block:
                self._fresh = False
                yield self._frame.decompress(block)
                block = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame, self._fresh = self._new(), True
        except self._errors as error:
            raise EOFError(str(error)) from error


def _unique(folder: Path) -> str:
    return f"part-{len(list(folder.iterdir())):06d}"


def convert(file: InputFile, workshop: Workshop) -> Prepared:
    """Return the file as numbered NDJSON in the work folder.

    Raises:
        DataError: It holds not one record and at least one fault, or is broken.
    """
    plain = unpack(file, workshop.folder)
    path = workshop.folder / f"{_unique(workshop.folder)}.numbered.ndjson"
    with plain.path.open("rb") as source, path.open("wb") as out:
        rejects = _convert_into(plain, source, out, workshop)
        empty = out.tell() == 0
    if plain.path != file.path:
        plain.path.unlink()
    if empty and rejects:
        path.unlink()
        raise DataError(
            f"not one record can be read: line {rejects[0].line} {rejects[0].reason}",
            place=Place(file.name),
            hint="is its suffix right?",
        )
    return Prepared(file, path, "ndjson", numbered=True, rejects=tuple(rejects))


def _convert_into(file: InputFile, source: IO[bytes], out: IO[bytes], workshop: Workshop) -> list[Reject]:
    if file.form == "csv":
        return _convert_elements(_csv_rows(file), out, file.name)
    start = first_bytes(file.path, 2**16).lstrip()
    if file.form in {"json", "text"} and start.startswith(b"["):
        return _convert_elements(_array(file), out, file.name)
    if file.form == "json" and parse(start.split(b"\n", 1)[0])[0] is None and _whole(file) is not None:
        return _convert_elements(enumerate([_whole(file)], 1), out, file.name)
    reader = _line_reader(workshop.line) if workshop.line and file.form == "text" else None
    return convert_lines(source, out, file.name, workshop.max_line, reader)


def _convert_elements(elements: Iterable[tuple[int, object]], out: IO[bytes], name: str) -> list[Reject]:
    rejects = []
    for number, element in elements:
        text = orjson.dumps(element) if isinstance(element, dict) else b"null"
        record, reason = parse(text)
        if record is None:
            rejects.append(Reject(name, number, reason, ""))
        else:
            out.write(orjson.dumps({"kt_line": number, **record}) + b"\n")
    return rejects


def _whole(file: InputFile) -> object | None:
    if file.size > ARRAY_LIMIT:
        return None
    try:
        value = orjson.loads(file.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _array(file: InputFile) -> Iterator[tuple[int, object]]:
    """Yield (number from 1, element) of a JSON array."""
    if file.size > ARRAY_LIMIT:
        yield from enumerate(_streamed(file), 1)
        return
    try:
        values = orjson.loads(file.path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise DataError(f"is no JSON array ({error})", place=Place(file.name)) from error
    yield from enumerate(values, 1)


def _streamed(file: InputFile) -> Iterator[object]:
    import duckdb

    con = duckdb.connect()
    try:
        rows = con.execute(
            "select json from read_json_objects(?, format = 'array', maximum_object_size = 67108864)", [str(file.path)]
        )
        while batch := rows.fetchmany(1000):
            for (text,) in batch:
                yield orjson.loads(text)
    except (duckdb.Error, orjson.JSONDecodeError) as error:
        raise DataError(f"is no JSON array ({str(error).splitlines()[0]})", place=Place(file.name)) from error
    finally:
        con.close()


def csv_header(path: Path) -> list[str]:
    """Return a CSV file's column names; empty for an empty file.

    Raises:
        DataError: Its first line is no header.
    """
    start = first_bytes(path, 2**16)
    try:
        row = next(csv.reader(itertools.islice(start.decode("utf-8", "strict").splitlines(keepends=True), 1)), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"is no CSV ({error})", place=Place(str(path))) from error
    return row


def _csv_rows(file: InputFile) -> Iterator[tuple[int, object]]:
    """Yield (line, record or a text that is none) of a CSV; the line is the one that its row begins on."""
    csv.field_size_limit(MAX_LINE)
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source:
        rows = csv.reader(source, strict=True)
        header = next(rows, [])
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error:
                yield line, None
                continue
            yield line, _csv_record(header, row)


def _csv_record(header: list[str], row: list[str]) -> object:
    if len(row) != len(header) or any("\udc80" <= c <= "\udcff" for cell in row for c in cell if c > "\ud7ff"):
        return None
    return {name: cell or None for name, cell in zip(header, row, strict=True)}


def _line_reader(pattern: str) -> Callable[[bytes], tuple[bytes | None, str]]:
    expression = re.compile(pattern)

    def read(line: bytes) -> tuple[bytes | None, str]:
        if line.lstrip().startswith(b"{"):
            record, reason = parse(line)
            return (line if record is not None else None), reason
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            return None, f"is not UTF-8 (byte {error.start + 1})"
        match = expression.fullmatch(text)
        if match is None or "\0" in text:
            return None, "is no line of this log"
        return orjson.dumps(match.groupdict()), ""

    return read
