"""Which source wrote a file: asked of its first records."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from keytrip.errors import UsageError
from keytrip.sources import all_sources
from keytrip.sources.base import Source
from keytrip.sources.convert import opened
from keytrip.sources.files import InputFile
from keytrip.sources.lines import parse

_SAMPLE = 20
_START = 2**20


def recognise(files: Sequence[InputFile]) -> Source:
    """Return the one source whose records `files` hold.

    Raises:
        UsageError: None fits, or more than one does.
    """
    samples = [record for file in files[:5] for record in islice(sample(file), _SAMPLE)]
    if not samples:
        raise UsageError("no record shows which source wrote this", hint=_names())
    fitting = [s for s in all_sources().values() if all(_fits(s, record) for record in samples)]
    if not fitting:
        fitting = [s for s in all_sources().values() if any(_fits(s, record) for record in samples)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError("fits more than one source: " + ", ".join(s.name for s in fitting), hint="say --source")
    raise UsageError("the source was not recognised", hint=_names())


def _names() -> str:
    return "say --source " + "|".join(all_sources())


def _fits(source: Source, record: Mapping[str, Any]) -> bool:
    if "kt_text" in record:
        return bool(source.line and re.fullmatch(source.line, record["kt_text"]))
    return source.recognise(record)


def sample(file: InputFile) -> Iterator[Mapping[str, Any]]:
    """Yield the first records of a file; a plain line is `{"kt_text": line}`."""
    if file.form == "parquet":
        yield from _parquet_sample(file)
        return
    with opened(file) as stream:
        start = stream.read(_START).removeprefix(b"\xef\xbb\xbf")
    text = start.decode("utf-8", "replace")
    if file.form == "csv":
        yield from csv.DictReader(text.splitlines())
    elif start.lstrip().startswith((b"[", b"{")):
        yield from _json_sample(start)
    else:
        yield from ({"kt_text": line} for line in text.splitlines() if line.strip())


def _json_sample(start: bytes) -> Iterator[Mapping[str, Any]]:
    lines = [record for line in start.split(b"\n") if (record := parse(line)[0])]
    if lines:
        yield from lines
        return
    try:
        whole = orjson.loads(start)
    except orjson.JSONDecodeError:
        return
    yield from (r for r in (whole if isinstance(whole, list) else [whole]) if isinstance(r, dict))


def _parquet_sample(file: InputFile) -> Iterator[Mapping[str, Any]]:
    import duckdb

    con = duckdb.connect()
    try:
        cursor = con.execute("select * from read_parquet(?) limit 1", [str(file.path)])
        names = [d[0] for d in cursor.description or ()]
        yield from (dict(zip(names, row, strict=True)) for row in cursor.fetchall())
    except duckdb.Error:
        return
    finally:
        con.close()
