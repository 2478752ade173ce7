"""Which source wrote a file: asked of its first records."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from keytrip.errors import DataError, Place, UsageError
from keytrip.sources import all_sources
from keytrip.sources.base import Source
from keytrip.sources.convert import is_array
from keytrip.sources.files import InputFile
from keytrip.sources.lines import MAX_LINE, parse
from keytrip.sources.streams import start_of

_FILES = 5
_RECORDS = 20
_START = 2**20
_TEXT = "kt_text"


def recognise(files: Sequence[InputFile]) -> Source:
    """Return the one source whose records `files` hold.

    Raises:
        UsageError: None fits, or more than one does.
        DataError: A file is not what its suffix says.
    """
    samples = [record for file in files[:_FILES] for record in islice(sample(file), _RECORDS)]
    if not samples:
        raise UsageError("no record shows which source wrote this", hint=_names())
    scores = {name: sum(_fits(source, record) for record in samples) for name, source in all_sources().items()}
    best = max(scores.values())
    fitting = [name for name, score in scores.items() if score == best]
    if not best:
        raise UsageError("the source was not recognised", hint=_names())
    if len(fitting) > 1:
        raise UsageError("fits more than one source: " + ", ".join(fitting), hint="say --source")
    return all_sources()[fitting[0]]


def _names() -> str:
    return "say --source " + "|".join(all_sources())


def _fits(source: Source, record: Mapping[str, Any]) -> bool:
    if _TEXT in record:
        return bool(source.line and re.fullmatch(source.line, record[_TEXT]))
    return source.recognise(record)


def sample(file: InputFile) -> Iterator[Mapping[str, Any]]:
    """Yield the first records of a file; a plain line is `{"kt_text": line}`.

    Raises:
        DataError: The file is not what its suffix says.
    """
    if file.form == "parquet":
        return iter(() if file.packing else _parquet_sample(file))
    start = start_of(file, _START)
    if len(start) == _START and b"\n" not in start:
        start = start_of(file, MAX_LINE)
    if file.form == "csv":
        return _csv_sample(start)
    if is_array(file, start):
        return _array_sample(start)
    return _line_sample(file, start)


def _csv_sample(start: bytes) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(MAX_LINE)
    try:
        yield from csv.DictReader(io.StringIO(start.decode("utf-8", "replace"), newline=""))
    except csv.Error:
        return


def _line_sample(file: InputFile, start: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield records, and plain lines where there may be some. A last line that was cut is none."""
    found = False
    for line in start.split(b"\n"):
        record, _ = parse(line)
        if record is not None:
            found = True
            yield record
        elif file.form == "text" and line.strip():
            yield {_TEXT: line.rstrip(b"\r").decode("utf-8", "replace")}
    if not found and file.form == "json" and (whole := parse(start)[0]) is not None:
        yield whole


def _array_sample(start: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of an array of which only the beginning may be there."""
    text = start.decode("utf-8", "replace").lstrip()
    decoder, place = json.JSONDecoder(), 1
    try:
        while place < len(text):
            place += len(text[place:]) - len(text[place:].lstrip(" \t\r\n,"))
            value, place = decoder.raw_decode(text, place)
            if isinstance(value, dict):
                yield value
    except (ValueError, RecursionError):
        return


def _parquet_sample(file: InputFile) -> Iterator[Mapping[str, Any]]:
    import glob

    import duckdb

    con = duckdb.connect()
    try:
        cursor = con.execute("select * from read_parquet(?) limit 1", [glob.escape(str(file.path))])
        names = [d[0] for d in cursor.description or ()]
        yield from (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
    except duckdb.Error as error:
        raise DataError("cannot be read as Parquet", place=Place(file.name)) from error
    finally:
        con.close()
