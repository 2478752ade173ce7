"""Spark's literals and identifiers, and regular expressions as its Java engine reads them.

A session's settings decide whether a backslash or a doubled quote in a literal means itself, and whether `${name}` is
replaced. So none of the three stands in these literals: `chr` says a backslash, a quote and control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from keytrip.compile.dialects import bracket, regex_text
from keytrip.compile.regex import ALL, NEWLINE, Chars, Edge, Regex, complement

_LARGEST_DECIMAL = 10**38
_SPECIAL = re.compile(r"(['\\\x00-\x1f\x7f])|(?<=\$)(?=\{)")
_NO_NEWLINE = complement(NEWLINE)
_WORD = "[0-9A-Za-z_]"
# what no character follows: Java's `$` may stand before a newline
END = "(?!(?s:.))"
_EDGES = {
    "text_start": "^",
    "text_end": END,
    "line_start": "(?<!(?d:.))",
    "line_end": "(?!(?d:.))",
    # Java's own \b knows letters beyond ASCII
    "boundary": f"(?:(?<={_WORD})(?!{_WORD})|(?<!{_WORD})(?={_WORD}))",
    "no_boundary": f"(?:(?<={_WORD})(?={_WORD})|(?<!{_WORD})(?!{_WORD}))",
}


def quote_name(name: str) -> str:
    """Return `name` as a quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def quote_text(text: str) -> str:
    """Return `text` as a literal, or several that are joined."""
    parts = list(_parts(text)) or ["''"]
    return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"


def _parts(text: str) -> Iterator[str]:
    for part in _SPECIAL.split(text):
        if part:
            yield f"chr({ord(part)})" if _SPECIAL.fullmatch(part) else f"'{part}'"


def quote_number(number: float) -> str:
    """Return a number as a literal: whole ones exactly as far as a decimal goes."""
    if number == int(number) and abs(number) < _LARGEST_DECIMAL:
        return repr(int(number))
    return quote_double(float(number))


def quote_double(number: float) -> str:
    """Return a double literal."""
    return f"{float(number)!r}D"


def java_regex(regex: Regex) -> str:
    """Return the tree as an unanchored Java regular expression, with few backslashes."""
    match regex:
        case Edge(kind):
            return _EDGES[kind]
        case Chars(ranges) if ranges == ALL:
            return "(?s:.)"
        case Chars(ranges) if ranges == _NO_NEWLINE:
            return "(?d:.)"
    return regex_text(regex, java_regex, java_literal, lambda ranges: bracket(ranges, _member), "(?:")


def java_literal(text: str) -> str:
    """Return `text` as a Java regular expression that matches just it."""
    return "".join(f"[{c}]" if c in ".*+?(){}|$" else _char(c, "\\[^") for c in text)


def _member(code: int) -> str:
    return _char(chr(code), "\\[]^-&")


def _char(char: str, special: str) -> str:
    plain = (char.isprintable() or char < " ") and char not in special
    return char if plain else f"\\x{{{ord(char):x}}}"
