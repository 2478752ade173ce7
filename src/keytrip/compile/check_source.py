"""Checks of log sources: what they declare, and that DuckDB reads their SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

from keytrip.compile.problems import Problem, holes_in, nearest
from keytrip.errors import Place
from keytrip.records.sql import SETUP, quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.sources.base import Source

_TYPES = ("VARCHAR", "BIGINT", "DOUBLE")
_FAULTS = (SyntaxError, NameError, ImportError, TypeError, ValueError, AttributeError, LookupError)


def source(path: Path) -> Iterator[Problem]:
    """Yield what a source's module has wrong, each at the line that names it."""
    if holes := holes_in(path):
        yield from holes
        return
    try:
        found = _declared(path)
    except _FAULTS as error:
        line = getattr(error, "lineno", None) or 1
        yield Problem(Place(str(path), line), f"is no source: {type(error).__name__}: {error}", "mend that line")
        return
    if not isinstance(found, Source):
        yield Problem(Place(str(path), 1), "declares no SOURCE", "SOURCE = Source(name=..., about=..., ...)")
        return
    text = path.read_text(encoding="utf-8")
    for name, message, hint in [*_names(found, path), *_statements(found)]:
        line = next((n for n, part in enumerate(text.splitlines(), start=1) if f'"{name}"' in part), 1)
        yield Problem(Place(str(path), line), message, hint)


def _declared(path: Path) -> Any:
    # without a cache of byte code: it takes a change of the same second and length for none
    return run_path(str(path)).get("SOURCE")


def _names(found: Source, path: Path) -> Iterator[tuple[str, str, str]]:
    if found.name != path.stem:
        yield found.name, f"is called {found.name!r}", f"its file's name, {path.stem}"
    for member, kind in found.members.items():
        if kind not in _TYPES:
            yield member, f"member {member!r} has the type {kind!r}", "one of: " + ", ".join(_TYPES)
    tables = vocabulary().tables.values()
    known = next((t.fields for t in tables if set(found.fields) <= set(t.fields)), vocabulary().tables["usage"].fields)
    for name in (*found.fields, *found.lacks):
        if name not in known:
            yield name, f"no field {name!r} in a record", nearest(name, list(known))
    if "timestamp" not in found.fields:
        yield "timestamp", "maps no `timestamp`", "without a time no rule sees a record"


def _statements(found: Source) -> Iterator[tuple[str, str, str]]:
    """Yield the fields whose SQL DuckDB does not take, over members of the declared types."""
    import duckdb

    members = {name: kind for name, kind in found.members.items() if kind in _TYPES}
    with duckdb.connect() as connection:
        connection.execute(SETUP)
        columns = ", ".join(f"cast(null as {kind}) as {quote_name(name)}" for name, kind in members.items())
        lets = "".join(f", {sql} as {quote_name(name)}" for name, sql in found.lets.items())
        for name, sql in found.fields.items():
            try:
                connection.execute(f"select {sql} from (select *{lets} from (select {columns}))")
            except duckdb.Error as error:
                yield name, f"{name}: {str(error).partition(chr(10))[0]}", "DuckDB text over the members"
