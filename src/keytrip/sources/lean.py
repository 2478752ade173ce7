"""Leaves out of a chunk the columns that its files seem not to have: a narrow log takes less time and memory.

What a file has is guessed from its beginning. A record that has a column after all carries a flag, and its chunk is
read anew with every column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import DUCKDB_TYPES, usage
from keytrip.sources.base import Source
from keytrip.sources.convert import Prepared
from keytrip.sources.request import Request
from keytrip.sources.select import ALWAYS, FILE, FLAGS, typed_form
from keytrip.sources.streams import first_bytes

_FILES, _START = 16, 2**16
_KEPT = {"timestamp", "key_id"}


def lacking(files: Sequence[Prepared], request: Request) -> frozenset[str]:
    """Return the wanted columns that the files seem not to have."""
    source = request.source
    # prices are filled in where the log has none
    if source.priced or not all(typed_form(file) for file in files):
        return frozenset()
    start = b"".join(first_bytes(file.path, _START) for file in files[:_FILES])
    named = {name for name in source.members if f'"{name}"'.encode() in start}
    return frozenset(name for name in request.wanted - _KEPT if not named & _members(name, source))


def _members(name: str, source: Source) -> set[str]:
    quoted = set(re.findall(r'"(\w+)"', source.fields.get(name, "")))
    if quoted - set(source.members):  # what is computed in between may come from any member
        return set(source.members)
    return quoted


def view_sql(base: str, source: Source, columns: Collection[str], omitted: Collection[str]) -> str:
    """Return the SELECT over the table `base` that has every wanted column, in the vocabulary's order."""
    wanted = [name for name in usage().fields if name in columns or name in ALWAYS]
    parts = [
        f"{_constant(name, source)} as {quote_name(name)}" if name in omitted else quote_name(name) for name in wanted
    ]
    return f"select {', '.join([*parts, FILE, FLAGS])} from {base}"


def _constant(name: str, source: Source) -> str:
    field = usage().fields[name]
    value = quote_text(source.name) if name == "source" else "null" if field.default is None else str(field.default)
    return f"cast({value} as {DUCKDB_TYPES[field.type]})"
