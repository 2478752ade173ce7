"""Which source wrote a file: asked of its first records."""

from __future__ import annotations

import csv
import glob
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
from keytrip.sources.streams import start_of, unpack
from keytrip.sources.work import work_folder

_FILES = 5
_RECORDS = 20
_START = 2**20
_TEXT = "kt_text"
_GAP = re.compile(r"[\s,]*")


def recognise(files: Sequence[InputFile]) -> Source:
    """Return the one source whose records `files` hold.

    Raises:
        UsageError: None fits, or more than one does.
        DataError: A file is not what its suffix says.
    """
    samples = [record for file in files[:_FILES] for record in islice(sample(file), _RECORDS)]
    if not samples:
        raise UsageError("no record shows which source wrote this", hint=_names())
    fitting = [s for s in all_sources().values() if all(_fits(s, record) for record in samples)]
    fitting = fitting or [s for s in all_sources().values() if any(_fits(s, record) for record in samples)]
    if not fitting:
        raise UsageError("the source was not recognised", hint=_names())
    if len(fitting) > 1:
        raise UsageError("fits more than one source: " + ", ".join(s.name for s in fitting), hint="say --source")
    return fitting[0]


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
        return _parquet_sample(file)
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
    yield from csv.DictReader(io.StringIO(start.decode("utf-8", "replace"), newline=""))


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
    if not found and (whole := parse(start)[0]) is not None:
        yield whole
    elif not found and file.form != "text" and start.strip():
        raise DataError(
            "not one record can be read in its first MiB", place=Place(file.name), hint="is its suffix right?"
        )


def _array_sample(start: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of an array of which only the beginning may be there."""
    text = start.decode("utf-8", "replace").lstrip()
    decoder, place = json.JSONDecoder(), 1
    try:
        while place < len(text):
            value, place = decoder.raw_decode(text, _GAP.match(text, place).end())  # type: ignore[union-attr]
            if isinstance(value, dict):
                yield value
    except (ValueError, RecursionError):
        return


def _parquet_sample(file: InputFile) -> Iterator[Mapping[str, Any]]:
    import duckdb

    with work_folder() as folder, duckdb.connect() as con:
        path = unpack(file, folder).path
        try:
            cursor = con.execute("select * from read_parquet(?) limit 20", [glob.escape(str(path))])
            names = [d[0] for d in cursor.description or ()]
            yield from (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
        except duckdb.Error as error:
            raise DataError("cannot be read as Parquet", place=Place(file.name), hint="is its suffix right?") from error
