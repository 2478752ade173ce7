"""Typed records and schemas made from the vocabulary: a pydantic model, DuckDB columns and an Arrow schema."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, create_model

from keytrip.errors import SystemRefusedError
from keytrip.records.vocabulary import DUCKDB_TYPES, vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

PYTHON_TYPES: dict[str, Any] = {
    "timestamp": datetime,
    "string": str,
    "int": int,
    "double": float,
    "json": str,
}


@cache
def record_model(table: str) -> type[BaseModel]:
    """Return the pydantic model of one record of `table`; every field may be null, unknown ones are refused.

    Raises:
        KeyError: There is no such table.
    """
    fields: dict[str, Any] = {
        name: (PYTHON_TYPES[field.type] | None, field.default)
        for name, field in vocabulary().tables[table].fields.items()
    }
    name = f"{table.capitalize()}Record"
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def duckdb_columns(table: str) -> dict[str, str]:
    """Return column name -> DuckDB type, in the vocabulary's order, derived fields left out."""
    return {name: DUCKDB_TYPES[field.type] for name, field in vocabulary().tables[table].fields.items()}


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of `table` (timestamps in UTC with microseconds).

    Raises:
        SystemRefusedError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise SystemRefusedError("pyarrow is not installed", hint="pip install 'keytrip[arrow]'") from error
    types = {
        "timestamp": pa.timestamp("us", tz="UTC"),
        "string": pa.string(),
        "int": pa.int64(),
        "double": pa.float64(),
        "json": pa.string(),
    }
    return pa.schema([(name, types[field.type]) for name, field in vocabulary().tables[table].fields.items()])
