"""Leaves as ES|QL for `WHERE`, in a form that Elasticsearch can push down to its index.

`WHERE` drops rows for which a test is null, so a leaf needs no wrapping as long as it stands positive. A negated one
does, and `NOT` is therefore moved to the leaves: `(f IS NULL OR NOT (f == "x"))`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Network

from sigma.types import SpecialChars

from keytrip.compile.dialects import lucene_caseless, to_lucene
from keytrip.compile.leaves import (
    MAPPED,
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
from keytrip.compile.values import decimal_text
from keytrip.compile.views import Column

_PLAIN_NAME = re.compile(r"@?[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_KEYWORDS = frozenset(
    """and as asc by change_point completion desc dissect drop enrich eval false first fork from fuse grok in inline is
    join keep last lookup like limit metadata mv_expand not null nulls on or rename rerank rlike row sample show sort
    stats true where with""".split()  # noqa: SIM905 - a list of words
)
_LIKE = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
_RLIKE = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LONG = 2**63


@dataclass(frozen=True)
class Condition:
    """A test with the columns whose null makes it null."""

    text: str
    columns: tuple[str, ...] = ()

    @property
    def negated(self) -> str:
        """The text of its negation, true where a column is null."""
        nulls = [f"{column} IS NULL" for column in dict.fromkeys(self.columns)]
        return " OR ".join([*nulls, f"NOT ({self.text})"])


def quote_column(name: str) -> str:
    """Return a column's name as ES|QL reads it."""
    plain = _PLAIN_NAME.fullmatch(name) and not _KEYWORDS & set(name.lower().split("."))
    return name if plain else "`" + name.replace("`", "``") + "`"


def quote_esql(text: str) -> str:
    """Return an ES|QL string literal."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def esql_number(number: float) -> str:
    """Return a number literal: an integer where it is one and fits a long, else a double."""
    text = decimal_text(number)
    return text if "." not in text and abs(number) < _LONG else esql_double(number)


def esql_double(number: float) -> str:
    """Return a double literal."""
    text = decimal_text(number)
    return text if "." in text else f"{text}.0"


def esql_test(leaf: Leaf, column: Column) -> Condition:
    """Return the ES|QL of a leaf; `column` gives the text of a canonical field."""
    match leaf:
        case Never():
            return Condition("false")
        case Absent(of):
            return Condition(f"{column(of.name)} IS NULL")
        case Present(of):
            return Condition(f"{column(of.name)} IS NOT NULL")
        case Equals(of):
            return _one(of, column, _equality(leaf, column))
        case Like(of, parts, cased):
            return _one(of, column, f"{_text(of, column)} {_pattern(parts, cased=cased)}")
        case Matches(of, regex):
            return _one(of, column, f"{_text(of, column)} RLIKE {quote_esql(to_lucene(regex))}")
        case Compares(of, operator, number):
            sign = "==" if operator == "=" else operator
            return _one(of, column, f"{column(of.name)} {sign} {esql_number(number)}")
        case Within(of, network):
            return _within(of, str(network), column)
        case SameAs(of, other):
            return Condition(_same(leaf, column), tuple(column(f.name) for f in (of, other) if f.field.shipped))


def _equality(leaf: Equals, column: Column) -> str:
    if not leaf.cased and not leaf.text.isascii():
        # the index compares `TO_LOWER` to a text in ASCII's cases only (seen in 8.19.21)
        return f"{_text(leaf.of, column)} {_pattern((leaf.text,), cased=False)}"
    return f"{_folded(leaf.of, column, cased=leaf.cased)} == {quote_esql(leaf.text)}"


def _one(of: Named, column: Column, text: str) -> Condition:
    # fields that the query computes from the time are never null
    return Condition(text, (column(of.name),) if of.field.shipped else ())


def _text(of: Named, column: Column) -> str:
    return f"TO_STRING({column(of.name)})" if of.field.type == "int" else column(of.name)


def _folded(of: Named, column: Column, *, cased: bool) -> str:
    return _text(of, column) if cased or of.field.type == "int" else f"TO_LOWER({column(of.name)})"


def _pattern(parts: tuple[str | SpecialChars, ...], *, cased: bool) -> str:
    """Return the operator and its pattern: in either case as character classes, since `TO_LOWER` is not pushed down."""
    literals = "".join(p for p in parts if isinstance(p, str))
    if cased or literals.upper() == literals:
        like = (re.sub(r"([\\*?])", r"\\\1", p) if isinstance(p, str) else _LIKE[p] for p in parts)
        return f"LIKE {quote_esql(''.join(like))}"
    return f"RLIKE {quote_esql(''.join(lucene_caseless(p) if isinstance(p, str) else _RLIKE[p] for p in parts))}"


def _within(of: Named, network: str, column: Column) -> Condition:
    # the layout holds addresses twice: as text, and as ip where the text is an address
    name = column(of.name)
    address = "source.ip" if name == "source.address" else f"TO_IP({name})"
    text = f'CIDR_MATCH({address}, "{network}")'
    if address != "source.ip":
        # an address that would be another in its normal form is none in a text that was not normalised
        return Condition(
            f'{text} AND {"" if ":" in network else "NOT "}{name} LIKE "*:*" AND NOT {name} LIKE "*:*.*"', (address,)
        )
    if ":" in network and IPv6Network(network).overlaps(MAPPED):
        # Elasticsearch keeps an IPv4 address as ::ffff:a.b.c.d, which lies in these networks
        text = f'{text} AND {name} LIKE "*:*"'
    return Condition(text, (address,))


def _same(leaf: SameAs, column: Column) -> str:
    if leaf.numeric or leaf.of.field.type == "timestamp":
        return f"{column(leaf.of.name)} == {column(leaf.other.name)}"
    left, right = (_folded(of, column, cased=leaf.cased) for of in (leaf.of, leaf.other))
    match leaf.part:
        case "start":
            return f"STARTS_WITH({left}, {right})"
        case "end":
            return f"ENDS_WITH({left}, {right})"
        case "anywhere":
            return f"LOCATE({left}, {right}) > 0"
    return f"{left} == {right}"
