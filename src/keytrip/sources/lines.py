"""Goes through a text log line by line where the quick reader saw a fault: what is no record is set aside with its
line number and reason, the rest is written on as NDJSON that carries its line number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import orjson

LINE = "kt_line"
MAX_LINE = 16 * 2**20
_BLOCK = 2**20
_BOM = b"\xef\xbb\xbf"
_SHOWN = 300


@dataclass(frozen=True)
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


def raw_lines(file: IO[bytes], limit: int) -> Iterator[tuple[int, bytes | None, bytes]]:
    """Yield (number, line without its end or None if over `limit` bytes, beginning), never holding more than limit."""
    number, rest = 0, b""
    while block := file.readline(limit + 2):
        number += 1
        if number == 1:
            block = block.removeprefix(_BOM)
        whole = block.endswith(b"\n")
        line = block.rstrip(b"\r\n") if whole else block
        if len(line) > limit:
            while not whole and (rest := file.readline(_BLOCK)):
                whole = rest.endswith(b"\n")
            yield number, None, line[:_SHOWN]
        else:
            yield number, line, line[:_SHOWN]


def parse(line: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return (record, "") or (None, why it is none)."""
    if b"\0" in line:
        return None, "holds a NUL"
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return None, _json_reason(line, str(error))
    if not isinstance(record, dict):
        return None, "is JSON, but no object"
    if b"\\u0000" in line and "\0" in "".join(_texts(record)):
        return None, "holds a NUL"
    return record, ""


def _json_reason(line: bytes, message: str) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"is not UTF-8 (byte {error.start + 1})"
    if "Recursion" in message or "recursion" in message:
        return "is nested too deeply"
    return f"is not JSON ({message.split(': line')[0]})"


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


def numbered(line: bytes, number: int) -> bytes:
    """Return a JSON object's text with its line number as first member."""
    body = line.strip()[1:].lstrip()
    return b'{"%s":%d%s%s\n' % (LINE.encode(), number, b"" if body.startswith(b"}") else b",", body)


def convert_lines(
    file: IO[bytes],
    out: IO[bytes],
    name: str,
    limit: int = MAX_LINE,
    reader: Callable[[bytes], tuple[bytes | None, str]] | None = None,
) -> list[Reject]:
    """Write each record of `file` to `out` as numbered NDJSON; return what was none.

    Args:
        file: Lines of JSON, or of text that `reader` turns into JSON.
        out: Where the records go.
        name: What messages call the file.
        limit: Longest line in bytes.
        reader: Turns a line into (a JSON object's text, "") or (None, reason).
    """
    take = reader or _json_line
    rejects: list[Reject] = []
    for number, line, start in raw_lines(file, limit):
        if line is None:
            rejects.append(_reject(name, number, f"is longer than {limit} bytes", start))
        elif line.strip():
            text, reason = take(line)
            if text is None:
                rejects.append(_reject(name, number, reason, start))
            else:
                out.write(numbered(text, number))
    return rejects


def _json_line(line: bytes) -> tuple[bytes | None, str]:
    record, reason = parse(line)
    return (line if record is not None else None), reason


def _reject(name: str, number: int, reason: str, start: bytes) -> Reject:
    from keytrip.sources.secrets import mask

    return Reject(name, number, reason, mask(start.decode("utf-8", "replace").replace("\0", "\\0")))
