"""Rows of a table as texts: what a CSV lookup holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from keytrip.errors import DataError, Place
from keytrip.export.layout import splunk_lookup_rows
from keytrip.export.model import Row, Table


def as_texts(table: Table) -> Table:
    """Return a table whose rows are those of its CSV lookup."""

    def rows() -> Iterator[Row]:
        return (cells(table, row) for row in table.rows())

    return replace(table, columns=dict.fromkeys(table.columns, "VARCHAR"), rows=rows)


def cells(table: Table, row: Row) -> dict[str, str | None]:
    """Return a row as texts, times as seconds since 1970; a null stays one.

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
    return {name: _text(values[name]) if name in values else None for name in table.columns}


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
