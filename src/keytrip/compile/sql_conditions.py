"""Leaves as SQL: two-valued, since each test is false, never null, where a field is null."""

from __future__ import annotations

from keytrip.compile.leaves import (
    Absent,
    Compares,
    Equals,
    Leaf,
    Like,
    Matches,
    Named,
    Never,
    Present,
    SameAs,
    Within,
)
from keytrip.compile.sql_dialect import Dialect


def sql_condition(dialect: Dialect, leaf: Leaf) -> str:
    """Return the SQL of a leaf."""
    match leaf:
        case Never():
            return "false"
        case Absent(of):
            return f"{dialect.column(of.name)} is null"
        case Present(of):
            return f"{dialect.column(of.name)} is not null"
    return two_valued(_test(dialect, leaf))


def two_valued(test: str) -> str:
    """Return a test that is false where it would be null."""
    return f"coalesce({test}, false)"


def _test(dialect: Dialect, leaf: Leaf) -> str:
    match leaf:
        case Equals(of, text, cased):
            return f"{_folded(dialect, of, text, cased=cased)} = {dialect.text(text)}"
        case Like(of, parts, cased):
            literal = "".join(part for part in parts if isinstance(part, str))
            return dialect.like(_folded(dialect, of, literal, cased=cased), parts)
        case Matches(of):
            return dialect.matches(_text(dialect, of), leaf)
        case Compares(of, operator, number):
            return f"{dialect.column(of.name)} {operator} {dialect.number(number)}"
        case Within(of, network):
            return dialect.within(_folded(dialect, of, None, cased=leaf.normal), network)
        case SameAs():
            return _same(dialect, leaf)
    raise TypeError(f"{leaf} is no test")  # pragma: no cover


def _text(dialect: Dialect, of: Named) -> str:
    column = dialect.column(of.name)
    return f"cast({column} as {dialect.types['string'].lower()})" if of.field.type == "int" else column


def _folded(dialect: Dialect, of: Named, text: str | None, *, cased: bool) -> str:
    return _text(dialect, of) if cased or of.field.type == "int" else dialect.fold(dialect.column(of.name), text)


def _same(dialect: Dialect, leaf: SameAs) -> str:
    if leaf.numeric or leaf.of.field.type == "timestamp":
        return f"{dialect.column(leaf.of.name)} = {dialect.column(leaf.other.name)}"
    left, right = (_folded(dialect, of, None, cased=leaf.cased) for of in (leaf.of, leaf.other))
    return f"{left} = {right}" if leaf.part == "whole" else f"{dialect.parts[leaf.part]}({left}, {right})"
