"""CSV files row by row, each with the line that it begins on; a broken row does not take the next ones along."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from keytrip.errors import DataError, Place
from keytrip.sources.files import InputFile
from keytrip.sources.streams import first_bytes

_BLOCK = 2**20


def quick_header(path: Path) -> list[str] | None:
    """Return a CSV file's column names if its first line holds them and they are plain and distinct, else None."""
    line = first_bytes(path).split(b"\n", 1)[0].rstrip(b"\r")
    try:
        names = next(csv.reader([line.decode("utf-8")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        return None
    plain = all(names) and len({name.lower() for name in names}) == len(names) and b"\0" not in line
    return names if names and plain else None


class _Lines:
    """Physical lines, of which a row's can be put back; it stops a row at `limit` characters."""

    def __init__(self, source: TextIO, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._waiting: deque[str] = deque()
        self._size = 0
        self.taken: list[str] = []
        self.number = 0

    def begin(self) -> None:
        """Begin a row."""
        self.number += len(self.taken)
        self.taken, self._size = [], 0

    def put_back(self) -> None:
        """Keep only the first line of the row that was begun."""
        self._waiting.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._size += len(line)
        if self._size > self._limit + 2:
            raise OverflowError(f"is longer than {self._limit} bytes")
        return line

    def _read(self) -> str:
        line = rest = self._source.readline(self._limit + 3)
        while rest and not rest.endswith(("\n", "\r")):
            rest = self._source.readline(_BLOCK)
        return line


Row = tuple[int, list[str] | str, str]


def _rows(lines: _Lines) -> Iterator[Row]:
    """Yield (line, cells or why there are none, how it began) of each row that is not blank."""
    while True:
        lines.begin()
        cells: list[str] | str
        try:
            cells = next(csv.reader(lines, strict=True))
        except StopIteration:
            return
        except (csv.Error, OverflowError) as error:
            lines.put_back()
            cells = str(error) if isinstance(error, OverflowError) else f"is not CSV ({error})"
        if isinstance(cells, str) or len(cells) > 1 or "".join(cells).strip():
            yield lines.number + 1, cells, lines.taken[0] if lines.taken else ""


def csv_records(file: InputFile, limit: int) -> Iterator[tuple[int, dict[str, str | None] | str, bytes]]:
    """Yield (line, record or why it is none, how it began) of each row under the header; an empty cell is null.

    Raises:
        DataError: The first row is no header.
    """
    csv.field_size_limit(limit + 3)
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as source:
        rows = _rows(_Lines(source, limit))
        _, header, _ = next(rows, (0, [], ""))
        if isinstance(header, str) or _unfit(header):
            raise DataError(
                "is no CSV: its first line is no header", place=Place(file.name), hint="is its suffix right?"
            )
        for line, cells, start in rows:
            yield line, _record(header, cells), start.encode("utf-8", "surrogateescape")


def _record(header: list[str], cells: list[str] | str) -> dict[str, str | None] | str:
    if isinstance(cells, str):
        return cells
    if reason := _unfit(cells):
        return reason
    if len(cells) != len(header):
        return f"has {len(cells)} cells, not {len(header)} as the header"
    return {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _unfit(cells: list[str]) -> str:
    text = "".join(cells)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return "holds a NUL" if "\0" in text else ""
