"""Reads the vocabulary file: the one list of tables, fields and types."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

FieldType = Literal["timestamp", "string", "int", "double", "json"]

DUCKDB_TYPES: Mapping[FieldType, str] = {
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
    "int": "BIGINT",
    "double": "DOUBLE",
    "json": "VARCHAR",
}


class Field(BaseModel):
    """One canonical field.

    Attributes:
        type: Its type.
        about: One line for people.
        unit: Unit of a number, if it has one.
        default: What a null becomes when a record is read.
        sql: DuckDB text over the canonical columns, for a derived field.
        shipped: Whether a SIEM holds the derived field; else the query computes it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: FieldType
    about: str
    unit: str | None = None
    default: int | None = None
    sql: str | None = None
    shipped: bool = True

    @property
    def numeric(self) -> bool:
        """Whether the field compares as a number."""
        return self.type in {"int", "double"}


class Table(BaseModel):
    """One canonical table: the Sigma logsource category that reads it, its fields and its derived fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: str
    about: str
    fields: dict[str, Field]
    derived: dict[str, Field] = {}

    @property
    def columns(self) -> dict[str, Field]:
        """All fields, derived ones last."""
        return {**self.fields, **self.derived}


class Vocabulary(BaseModel):
    """All canonical tables by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, Table]

    def by_category(self, category: str | None) -> tuple[str, Table] | None:
        """Return (name, table) that a Sigma logsource category reads, or None for a category that is not ours."""
        return next(((name, t) for name, t in self.tables.items() if t.category == category), None)


@cache
def vocabulary() -> Vocabulary:
    """Return the shipped vocabulary (read once)."""
    import yaml

    text = Path(__file__).with_name("vocabulary.yml").read_text(encoding="utf-8")
    return Vocabulary.model_validate(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506


def usage() -> Table:
    """Return the usage table."""
    return vocabulary().tables["usage"]
