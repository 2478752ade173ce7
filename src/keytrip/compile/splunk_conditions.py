r"""Leaves as SPL for `where`: true or false, never null, parenthesised, and with nothing that quoting could change.

`where` compares texts that look like numbers as numbers, so such texts get an `x` in front on both sides. Literals with
quotes, backslashes, backticks, dollars or control characters go into `match()`, where they are written as `\xNN`.
"""

from __future__ import annotations

import re

from sigma.types import SpecialChars

from keytrip.compile.dialects import pcre_literal, to_pcre
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
from keytrip.compile.values import decimal_text
from keytrip.compile.views import Column
from keytrip.errors import ContentError

FALSE = "(1 = 0)"
_UNSAFE = re.compile(r'["\\`$\x00-\x1f\x7f]')
_TEXT = re.compile(r'"[^"]*"|\'[^\']*\'')
_NUMERIC = re.compile(r"\s*(?:[-+.]*\d|[-+]?(?:inf|nan))", re.IGNORECASE)
_ADDRESS = {4: r"^[0-9]{1,3}([.][0-9]{1,3}){3}\z", 6: r"^[0-9a-f]*:[0-9a-f:]*\z"}
_PIECES = {SpecialChars.WILDCARD_MULTI: "(?s:.*)", SpecialChars.WILDCARD_SINGLE: "(?s:.)"}


def quote_spl(text: str) -> str:
    """Return an SPL string literal; the text has to be free of what needs escaping (titles and names are cleaned)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def spl_condition(leaf: Leaf, column: Column) -> str:
    """Return the SPL of a leaf; `column` gives the text of a canonical field."""
    match leaf:
        case Never():
            return FALSE
        case Absent(of):
            return f"(isnull({column(of.name)}))"
        case Present(of):
            return f"(isnotnull({column(of.name)}))"
        case Equals(of, text, cased):
            return _present([of], column, _equals(_folded(of, column, cased=cased), text))
        case Like(of, parts, cased):
            return _present([of], column, _regex(_folded(of, column, cased=cased), _wildcards(parts)))
        case Matches(of, regex):
            return _present([of], column, _regex(_text(of, column), to_pcre(regex)))
        case Compares(of, operator, number):
            value = f"tonumber({column(of.name)})" if of.field.shipped else column(of.name)
            test = f"({value} {operator} {_number(of, number)})"
            return f"((isnotnull({value})) AND {test})" if of.field.shipped else test
        case Within(of, network):
            name = _folded(of, column, cased=leaf.normal)
            shape = _regex(name, _ADDRESS[network.version])
            return _present([of], column, f'({shape} AND (if(cidrmatch("{network}", {name}), 1, 0) = 1))')
        case SameAs(of, other):
            return _present([of, other], column, _same(leaf, column))


def _number(of: Named, number: float) -> str:
    """Return a number as SPL writes it.

    Raises:
        ContentError: It is an integer that no double is.
    """
    if number != float(number):
        hint = "esql, opensearch, duckdb and spark can"
        raise ContentError(f"{of.name}: SPL takes {number} for its neighbours, as a double", hint=hint)
    return decimal_text(number)


def parenthesised(text: str) -> str:
    """Return a condition in parentheses, unless one pair already spans it."""
    bare = _TEXT.sub(lambda match: "s" * len(match[0]), text)
    depth = 0
    for place, char in enumerate(bare):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0 and place < len(bare) - 1:
            return f"({text})"
    return text


def spl_exactly(column: str, text: str) -> str:
    """Return the condition that a column is exactly `text`."""
    return f"((isnotnull({column})) AND {_equals(column, text)})"


def _present(fields: list[Named], column: Column, test: str) -> str:
    checks = [f"(isnotnull({column(of.name)}))" for of in fields if of.field.shipped]
    return f"({' AND '.join([*checks, test])})"


def _text(of: Named, column: Column) -> str:
    return f"tostring({column(of.name)})" if of.field.numeric else column(of.name)


def _folded(of: Named, column: Column, *, cased: bool) -> str:
    return _text(of, column) if cased or of.field.numeric else f"lower({column(of.name)})"


def _equals(value: str, text: str) -> str:
    if _UNSAFE.search(text):
        return _regex(value, f"^{pcre_literal(text)}\\z")
    if _NUMERIC.match(text):
        return f'(("x".{value}) = "x{text}")'
    return f'({value} = "{text}")'


def _regex(value: str, pattern: str) -> str:
    quoted = pattern.replace('"', "\\x22")
    return f'match({value}, "{quoted}")'


def _wildcards(parts: tuple[str | SpecialChars, ...]) -> str:
    """Return an unanchored PCRE: a wildcard at an end needs no text, a literal there needs an anchor."""
    many = SpecialChars.WILDCARD_MULTI
    start, end = parts[0] is many, parts[-1] is many
    inner = parts[1 if start else 0 : len(parts) - (1 if end else 0)]
    body = "".join(pcre_literal(p) if isinstance(p, str) else _PIECES[p] for p in inner)
    return ("" if start else "^") + body + ("" if end else "\\z")


def _same(leaf: SameAs, column: Column) -> str:
    if leaf.of.field.type == "timestamp" or leaf.numeric:
        left, right = (f"tonumber({column(of.name)})" for of in (leaf.of, leaf.other))
        return f"((isnotnull({left})) AND (isnotnull({right})) AND ({left} = {right}))"
    left, right = (_folded(of, column, cased=leaf.cased) for of in (leaf.of, leaf.other))
    match leaf.part:
        case "start":
            return f'((len({right}) = 0) OR (("x".substr({left}, 1, len({right}))) = ("x".{right})))'
        case "end":
            start = f"((len({left}) - len({right})) + 1)"
            fits = f"(len({left}) >= len({right}))"
            return f'((len({right}) = 0) OR ({fits} AND (("x".substr({left}, {start})) = ("x".{right}))))'
        case "anywhere":
            return f"((len({right}) = 0) OR (mvcount(split({left}, {right})) > 1))"
    return f'(("x".{left}) = ("x".{right}))'
