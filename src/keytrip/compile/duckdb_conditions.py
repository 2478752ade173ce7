"""Leaves as DuckDB SQL: two-valued, since each test is false, never null, where a field is null."""

from __future__ import annotations

from sigma.types import SpecialChars

from keytrip.compile.leaves import Absent, Compares, Equals, Leaf, Like, Matches, Named, Never, Present, SameAs, Within
from keytrip.records.sql import quote_name, quote_number, quote_text

_ESCAPE = "!"
_MARKS = {SpecialChars.WILDCARD_MULTI: "%", SpecialChars.WILDCARD_SINGLE: "_"}


def sql_condition(leaf: Leaf) -> str:
    """Return the SQL of a leaf."""
    match leaf:
        case Never():
            return "false"
        case Absent(of):
            return f"{quote_name(of.name)} is null"
        case Present(of):
            return f"{quote_name(of.name)} is not null"
    return two_valued(_test(leaf))


def two_valued(test: str) -> str:
    """Return a test that is false where it would be null."""
    return f"coalesce({test}, false)"


def _test(leaf: Leaf) -> str:
    match leaf:
        case Equals(of, text, cased):
            return f"{_folded(of, cased=cased)} = {quote_text(text)}"
        case Like(of, parts, cased):
            like = "".join(_escaped(p) if isinstance(p, str) else _MARKS[p] for p in parts)
            return f"{_folded(of, cased=cased)} like {quote_text(like)} escape '{_ESCAPE}'"
        case Matches(of, _, text, flags):
            prefix = f"(?{''.join(flags)})" if flags else ""
            return f"regexp_matches({_text(of)}, {quote_text(prefix + text)})"
        case Compares(of, operator, number):
            return f"{quote_name(of.name)} {operator} {quote_number(number)}"
        case Within(of, network):
            low, high = network.network_address.packed.hex(), network.broadcast_address.packed.hex()
            return f"kt_hex{network.version}({quote_name(of.name)}) between '{low}' and '{high}'"
        case SameAs():
            return _same(leaf)
    raise TypeError(f"{leaf} is no test")  # pragma: no cover


def _escaped(text: str) -> str:
    return "".join(_ESCAPE + c if c in "%_" + _ESCAPE else c for c in text)


def _text(of: Named) -> str:
    return f"cast({quote_name(of.name)} as varchar)" if of.field.type == "int" else quote_name(of.name)


def _folded(of: Named, *, cased: bool) -> str:
    return _text(of) if cased or of.field.type == "int" else f"lower({quote_name(of.name)})"


def _same(leaf: SameAs) -> str:
    if leaf.numeric or leaf.of.field.type == "timestamp":
        return f"{quote_name(leaf.of.name)} = {quote_name(leaf.other.name)}"
    left, right = (_folded(of, cased=False) for of in (leaf.of, leaf.other))
    if leaf.part == "whole":
        return f"{left} = {right}"
    function = {"start": "starts_with", "end": "ends_with", "anywhere": "contains"}[leaf.part]
    return f"{function}({left}, {right})"
