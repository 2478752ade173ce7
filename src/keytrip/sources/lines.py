"""Goes through a text log line by line where the quick reader saw a fault.

What is no record is set aside with its line number and reason, the rest is written on as numbered NDJSON.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, Protocol

import orjson

from keytrip.sources.secrets import mask
from keytrip.sources.streams import BOM

LINE = "kt_line"
MAX_LINE = 16 * 2**20
NO_OBJECT = "is JSON, but no object"
ESCAPED_NUL = r"holds a NUL (\u0000)"
# A file whose every line has one of these is JSON all the same.
JSON_REASONS = frozenset({NO_OBJECT, ESCAPED_NUL})
_NUL = "holds a NUL"
_BLOCK = 2**20
_SHOWN = 300
_LINE_BYTES = LINE.encode()
_ADDED = 32  # bytes, at most, of a line's number
_FIRST = b'{"' + _LINE_BYTES + b'":%d%s%s\n'


@dataclass(frozen=True, slots=True)
class Reject:
    """One thing that was no record.

    Attributes:
        file: The file as messages call it.
        line: Line, row or element number, from 1.
        reason: Why it was set aside.
        text: How it began (keys in clear masked).
    """

    file: str
    line: int
    reason: str
    text: str


LineReader = Callable[[bytes], tuple[bytes | None, str]]


class Sink(Protocol):
    """Where records go, line by line, and what is none."""

    def write(self, lines: bytes, longest: int = 0, /) -> object:
        """Write a line with its end, or several of which none has more than `longest` bytes."""
        ...

    def set_aside(self, number: int, reason: str, start: bytes, /) -> None:
        """Take what is no record."""
        ...


def reject(file: str, line: int, reason: str, start: bytes) -> Reject:
    """Return what is set aside: `start` cut, its secrets masked, its NULs written out."""
    # masked before it is cut: the cut could leave so little of a key that it is not recognised
    text = mask(start[: 4 * _SHOWN].decode("utf-8", "replace"))[:_SHOWN]
    return Reject(file, line, sys.intern(reason), text.replace("\0", "\\0"))


def numbered_lines(file: IO[bytes], limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line without its end); a line over `limit` bytes comes cut to a little more than that."""
    number = 0
    while block := file.readline(limit + 2):
        number += 1
        if number == 1:
            block = block.removeprefix(BOM)
        whole = block.endswith(b"\n")
        line = block.rstrip(b"\r\n") if whole else block
        if len(line) > limit:
            while not whole and (rest := file.readline(_BLOCK)):
                whole = rest.endswith(b"\n")
        yield number, line


def parse(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return (record, "") or (None, why it is none)."""
    if b"\0" in line:
        return None, _NUL
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return None, _json_reason(line, str(error))
    if not isinstance(record, dict):
        return None, NO_OBJECT
    if b"\\u0000" in line and "\0" in "".join(_texts(record)):
        return None, ESCAPED_NUL
    return record, ""


def _json_reason(line: bytes, message: str) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte {error.start + 1})"
    if "depth" in message or "ecursion" in message:
        return _TOO_DEEP
    return f"is not JSON ({message.split(': line', maxsplit=1)[0]})"


_TOO_DEEP = "is nested too deeply"


def _texts(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value


@cache
def _deep_names() -> Callable[[str], list[str]]:
    """Return what gives the names in an object, none for anything else, by the parser that the quick reader uses.

    It has no limit on depth, and both ways of reading must take the same lines.
    """
    import duckdb

    con = duckdb.connect()
    query = "select case when json_valid(t) then json_keys(t) end from (select ? as t)"
    return lambda text: (con.execute(query, [text]).fetchone() or (None,))[0] or []


def _deep_record(line: bytes) -> bool:
    names = [] if b"\\u0000" in line else _deep_names()(line.decode())
    return bool(names) and len(set(names)) == len(names) and LINE not in names


def json_line(line: bytes, *, rewrite: bool = False) -> tuple[bytes | None, str]:
    """Return (the line, "") if it is a record, else (None, why it is none).

    Args:
        line: What should be a JSON object.
        rewrite: Write the record anew, so that a name that comes twice is there once, with its last value.
    """
    record, reason = parse(line)
    if record is None:
        return (line, "") if reason == _TOO_DEEP and _deep_record(line) else (None, reason)
    if rewrite or _LINE_BYTES in line:
        record.pop(LINE, None)
        return orjson.dumps(record), ""
    return line, ""


def numbered(line: bytes, number: int) -> bytes:
    """Return a JSON object's text with its line number as first member."""
    body = line.strip()[1:].lstrip()
    return _FIRST % (number, b"" if body[:1] == b"}" else b",", body)


def convert_lines(lines: Iterable[tuple[int, bytes]], out: Sink, limit: int, take: LineReader) -> None:
    """Write each record to `out` as numbered NDJSON, and set aside what is none.

    Args:
        lines: (number, line) of JSON, or of text that `take` turns into JSON.
        out: Where both go.
        limit: Longest line in bytes.
        take: Turns a line into (a JSON object's text, "") or (None, reason).
    """
    for number, line in lines:
        if len(line) > limit:
            out.set_aside(number, f"is longer than {limit} bytes", line)
        elif not line.isspace() and line:
            text, reason = take(line)
            if text is None:
                out.set_aside(number, reason, line)
            else:
                out.write(numbered(text, number))


def convert_blocks(file: IO[bytes], out: Sink, limit: int) -> None:
    """Do the same for lines of JSON of which none is over `limit`: a block is looked at line by line if it has a fault.

    A block passes if it is so many objects when its lines are joined. Lines that are objects only together pass too;
    DuckDB refuses them then, and the file is gone through once more line by line.
    """
    number = 0
    while lines := file.readlines(_BLOCK):
        if not number:
            lines[0] = lines[0].removeprefix(BOM)
        if block := _numbered_block(lines, number + 1):
            out.write(block, max(map(len, lines)) + _ADDED)
        else:
            parts = ((n, line.rstrip(b"\r\n")) for n, line in enumerate(lines, number + 1))
            convert_lines(parts, out, limit, json_line)
        number += len(lines)


def _numbered_block(lines: Sequence[bytes], number: int) -> bytes:
    """Return the lines with their numbers, or nothing if one of them may be no record."""
    whole = b",".join(lines)
    if b"\\u0000" in whole or _LINE_BYTES in whole or any(line[:1] != b"{" or line[1:2] == b"}" for line in lines):
        return b""
    try:
        records = orjson.loads(b"[" + whole + b"]")
    except orjson.JSONDecodeError:
        return b""
    if len(records) != len(lines) or not all(isinstance(record, dict) for record in records):
        return b""
    text = b"".join([b'{"kt_line":%d,%s' % (n, line[1:]) for n, line in enumerate(lines, number)])
    return text if text.endswith(b"\n") else text + b"\n"
