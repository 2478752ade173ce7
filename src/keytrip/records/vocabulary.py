"""Reads the vocabulary file: the one list of tables, fields and types.

Dataclasses, not pydantic: every command needs the vocabulary, and pydantic alone takes as long to import as the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

FieldType = Literal["timestamp", "string", "int", "double", "json"]

DUCKDB_TYPES: Mapping[FieldType, str] = {
    "timestamp": "TIMESTAMP",
    "string": "VARCHAR",
    "int": "BIGINT",
    "double": "DOUBLE",
    "json": "VARCHAR",
}


@dataclass(frozen=True)
class Field:
    """One canonical field.

    Attributes:
        type: Its type.
        about: One line for people.
        unit: Unit of a number, if it has one.
        default: What a null becomes when a record is read.
        sql: DuckDB text over the canonical columns, for a derived field.
        shipped: Whether a SIEM holds the derived field; else the query computes it.
    """

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


@dataclass(frozen=True)
class Table:
    """One canonical table: the Sigma logsource category that reads it, its fields and its derived fields."""

    category: str
    about: str
    fields: dict[str, Field]
    derived: dict[str, Field] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Field]:
        """All fields, derived ones last."""
        return {**self.fields, **self.derived}


@dataclass(frozen=True)
class Vocabulary:
    """All canonical tables by name."""

    tables: dict[str, Table]

    def by_category(self, category: str | None) -> tuple[str, Table] | None:
        """Return (name, table) that a Sigma logsource category reads, or None for a category that is not ours."""
        return next(((name, t) for name, t in self.tables.items() if t.category == category), None)


@cache
def vocabulary() -> Vocabulary:
    """Return the shipped vocabulary (read once)."""
    import yaml

    text = Path(__file__).with_name("vocabulary.yml").read_text(encoding="utf-8")
    data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe loaders, both
    return Vocabulary({name: _table(table) for name, table in data["tables"].items()})


def _table(data: Mapping[str, Any]) -> Table:
    parts = {part: {name: Field(**f) for name, f in data.get(part, {}).items()} for part in ("fields", "derived")}
    return Table(**{**data, **parts})


def usage() -> Table:
    """Return the usage table."""
    return vocabulary().tables["usage"]
