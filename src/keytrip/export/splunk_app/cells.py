"""Rows of a table as lines of a CSV lookup."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keytrip.errors import DataError, Place
from keytrip.export.layout import splunk_lookup_rows
from keytrip.export.model import Progress, Row, Table
from keytrip.export.tables import row_identity

_STEP = 1000


def cells(table: Table, row: Row) -> dict[str, str]:
    """Return a row as texts: a null is an empty one, times are seconds since 1970.

    Raises:
        DataError: A value is one that a CSV lookup does not hold as it is.
    """
    (values,) = splunk_lookup_rows([row])
    for name, value in values.items():
        problem = _problem(value)
        if problem:
            key = ", ".join(repr(row.get(column))[:80] for column in table.key)
            hint = "the destination `splunk` may hold it"
            raise DataError(f"the row of {key} holds {problem}", place=Place(rule=table.name, field=name), hint=hint)
    return {name: _text(values[name]) if name in values else "" for name in table.columns}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _problem(value: Any) -> str:
    """Return what a CSV lookup would change in a value, or an empty string."""
    if isinstance(value, float) and value - value != 0:
        return f"{value}, which is no number in SPL"
    if not isinstance(value, str):
        return ""
    if not value:
        return "an empty text, which a CSV lookup takes for none"
    if "\0" in value:
        return "a NUL"
    return "half a character (a surrogate)" if any("\ud800" <= c <= "\udfff" for c in value) else ""


def write_csv(table: Table, path: Path, progress: Progress) -> int:
    """Write a table's rows; return how many are in the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    count = 0
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table.columns), quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        for row in table.rows():
            writer.writerow(cells(table, row))
            count += 1
            if count % _STEP == 0:
                progress(_STEP)
    progress(count % _STEP)
    part.replace(path)
    return count


def read_csv(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a file.

    Raises:
        DataError: It is none of ours any more.
    """
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file, strict=True)
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError("cannot be read", place=Place(str(path)), hint="apply again after removing it") from error


def cells_digest(found: Mapping[str, Any]) -> str:
    """Return the digest of a row's texts."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def cells_identity(table: Table, found: Mapping[str, Any]) -> str:
    """Return a row's identity: a function of the texts of its key, also where a column of an older file lacks."""
    return row_identity(table.key, {name: found.get(name) for name in table.key})
