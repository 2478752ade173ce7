"""Rows of a baseline table as documents of a KV store collection, and their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from keytrip.errors import DataError, Place
from keytrip.export.layout import splunk_lookup_row
from keytrip.export.model import Row, Table
from keytrip.export.tables import row_identity

# Integers beyond it are not what they were after they went through a double.
_EXACT = 2**53
_TYPES = {"VARCHAR": "string", "BIGINT": "number", "DOUBLE": "number", "TIMESTAMP": "number", "BOOLEAN": "bool"}
_INNER = ("_key", "_user")
# How JSON writes a NUL; a text that has a backslash and these letters looks like it, and is none.
_NUL = rb"\u0000"


def collection_settings(table: Table, *, replicate: bool = False) -> dict[str, str]:
    """Return what makes a table's collection: types that are enforced, and an index over its key.

    An index over (a, b) serves a as well, which `requires` asks for. With `replicate`, indexers get the table too.
    """
    fields = {f"field.{name}": _TYPES.get(kind, "string") for name, kind in table.columns.items()}
    index = orjson.dumps(dict.fromkeys(table.key, 1)).decode()
    return {
        **fields,
        "accelerated_fields.key": index,
        "enforceTypes": "true",
        "replicate": "true" if replicate else "false",
    }


def documents(table: Table, rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield rows of a table as documents, in JSON.

    Raises:
        DataError: A value is one that the KV store does not hold as it is.
    """
    numbers = [name for name, kind in table.columns.items() if _TYPES.get(kind) == "number"]
    key = table.key
    for row in rows:
        document = splunk_lookup_row(row)
        document["_key"] = row_identity(key, row)
        try:
            text = orjson.dumps(document)
        except orjson.JSONEncodeError:
            _refuse(table, document)
            raise
        # a quick look, for a million rows; what may be wrong is looked at again, value by value
        if _NUL in text or _large(document, numbers):
            _refuse(table, document)
        yield text


def row_document(table: Table, row: Row) -> dict[str, Any]:
    """Return a row under the `_key` that its key gives it; a null is left out, times are seconds since 1970."""
    document = splunk_lookup_row(row)
    document["_key"] = row_identity(table.key, row)
    return document


def row_digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a document, ours or the server's: 3.0 and 3 are one number there."""
    plain = {k: _number(v) for k, v in document.items() if k not in _INNER and v is not None}
    return hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _large(document: Mapping[str, Any], numbers: Iterable[str]) -> bool:
    """Whether a number may not stay what it is in a double; neither infinities nor NaN are within the bounds."""
    for name in numbers:  # noqa: SIM110 - any() takes twice as long, a million times
        if not -_EXACT <= document.get(name, 0) <= _EXACT:
            return True
    return False


def _refuse(table: Table, document: Mapping[str, Any]) -> None:
    for name, value in document.items():
        problem = _problem(value)
        if problem:
            key = ", ".join(repr(document.get(column))[:80] for column in table.key)
            place = Place(rule=table.name, field=name)
            raise DataError(f"the row of {key} holds {problem}", place=place, hint="Splunk's KV store cannot hold it")


def _problem(value: Any) -> str:
    """Return what a KV store would change or refuse in a value, or an empty string."""
    if isinstance(value, str):
        if "\0" in value:
            return "a NUL"
        return "half a character (a surrogate)" if any("\ud800" <= c <= "\udfff" for c in value) else ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if isinstance(value, int):
        return f"{value}, which no double holds" if abs(value) > _EXACT else ""
    return "" if value - value == 0 else f"{value}, which JSON has not"
