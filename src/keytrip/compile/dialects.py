"""Writes a regular expression's tree for Lucene (ES|QL, Lucene, query DSL) and for PCRE (Splunk)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import product

from keytrip.compile.regex import ALL, LAST, Chars, Choice, Edge, Ranges, Regex, Repeat, Series, complement, folded
from keytrip.errors import ContentError

_MOST_BRANCHES = 64
_PLAIN = frozenset(" _-,;:=%!/'")
_STARTS = {"text_start": "", "line_start": "(.*\n)?"}
_ENDS = {"text_end": "", "line_end": "(\n.*)?"}
_PCRE_EDGES = {
    "text_start": "^",
    "text_end": r"\z",
    "line_start": r"(?:^|(?<=\x0a))",
    "line_end": r"(?=\x0a|\z)",
    "boundary": r"\b",
    "no_boundary": r"\B",
}


def lucene_literal(text: str) -> str:
    """Return `text` as a Lucene regular expression that matches just it."""
    return "".join(_lucene_char(c) for c in text)


def lucene_caseless(text: str) -> str:
    """Return `text` as a Lucene regular expression that matches it in either case, which an index can be asked for."""
    return "".join(_inner(Chars(folded(((ord(c), ord(c)),)))) for c in text)


def pcre_literal(text: str) -> str:
    r"""Return `text` as a PCRE that matches just it.

    It has no quotes, backticks or dollars, and backslashes only in `\xNN`: what quoting does to them differs by place.
    """
    return "".join(f"[{c}]" if c in ".*+?(){}|" else _pcre_char(c) for c in text)


def to_pcre(regex: Regex) -> str:
    """Return the tree as an unanchored PCRE."""
    match regex:
        case Edge(kind):
            return _PCRE_EDGES[kind]
        case Chars(ranges) if ranges == ALL:
            return "(?s:.)"
    return regex_text(regex, to_pcre, pcre_literal, lambda ranges: bracket(ranges, _pcre_member), "(?:")


def to_lucene(regex: Regex) -> str:
    """Return the tree as a Lucene expression, which always has to match the whole text.

    Raises:
        ContentError: An anchor stands where Lucene cannot say it.
    """
    branches = _branches(regex)
    if len(branches) > _MOST_BRANCHES:
        raise ContentError("a regular expression with too many anchored branches", hint="split it into a list")
    texts = list(dict.fromkeys(_whole(branch) for branch in branches))
    return texts[0] if len(texts) == 1 else "|".join(f"({t})" for t in texts)


def _lucene_char(char: str) -> str:
    return char if char.isalnum() or char in _PLAIN or not char.isprintable() or ord(char) > ord("~") else "\\" + char


def _pcre_char(char: str) -> str:
    special = char in '\\[]^$"`' or not (char.isprintable() or ord(char) > ord("~"))
    return f"\\x{ord(char):02x}" if special else char


def _pcre_member(code: int) -> str:
    if code > 0xFF and not chr(code).isprintable():  # noqa: PLR2004 - what two digits can say
        return f"\\x{{{code:x}}}"
    return f"\\x{code:02x}" if chr(code) == "-" else _pcre_char(chr(code))


def _lucene_member(code: int) -> str:
    return "\\-" if chr(code) == "-" else _lucene_char(chr(code))


def bracket(ranges: Ranges, member: Callable[[int], str]) -> str:
    """Return a bracket expression, the negated form where the set reaches the end of Unicode."""
    negated = bool(ranges) and ranges[-1][1] == LAST
    shown = complement(ranges) if negated else ranges
    texts = [member(low) if low == high else f"{member(low)}-{member(high)}" for low, high in shown]
    return f"[{'^' if negated else ''}{''.join(texts)}]"


def regex_text(
    regex: Regex,
    write: Callable[[Regex], str],
    literal: Callable[[str], str],
    chars: Callable[[Ranges], str],
    group: str,
) -> str:
    """Return the tree in a dialect's words.

    Args:
        regex: The tree.
        write: Writes a part of it.
        literal: Writes a literal text.
        chars: Writes a set of characters.
        group: Begins a group.

    Raises:
        ContentError: An anchor stands in it, which `write` did not take.
    """
    match regex:
        case Chars(((low, high),)) if low == high:
            return literal(chr(low))
        case Chars(ranges):
            return chars(ranges)
        case Repeat(of, least, most):
            inner = write(of)
            inner = inner if isinstance(of, Chars) else f"{group}{inner})"
            return inner + _times(least, most)
        case Series(parts):
            return "".join(f"{group}{write(p)})" if isinstance(p, Choice) else write(p) for p in parts)
        case Choice(options):
            return "|".join(write(option) or f"{group})" for option in options)
    raise ContentError("an anchor inside a regular expression", hint="duckdb, spark and splunk can say it")


def _times(least: int, most: int | None) -> str:
    short = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
    if short is not None:
        return short
    return f"{{{least},{'' if most is None else most}}}" if least != most else f"{{{least}}}"


def _inner(regex: Regex) -> str:
    match regex:
        case Chars(ranges) if ranges == ALL:
            return "."
    return regex_text(regex, _inner, lucene_literal, lambda ranges: bracket(ranges, _lucene_member), "(")


def _has_edge(regex: Regex) -> bool:
    match regex:
        case Edge():
            return True
        case Repeat(of):
            return _has_edge(of)
        case Series(parts) | Choice(parts):
            return any(_has_edge(part) for part in parts)
    return False


def _branches(regex: Regex) -> list[list[Regex]]:
    """Return the alternatives of a tree, with anchors out of their groups."""
    match regex:
        case Choice(options):
            return [branch for option in options for branch in _branches(option)]
        case Series(parts):
            choices: list[list[list[Regex]]] = [
                _branches(p) if _has_edge(p) or isinstance(p, Series) else [[p]] for p in parts
            ]
            count = 1
            for choice in choices:
                count *= len(choice)
            if count > _MOST_BRANCHES:
                raise ContentError("a regular expression with too many anchored branches", hint="split it into a list")
            return [[part for piece in combined for part in piece] for combined in product(*choices)]
    return [[regex]]


def _whole(parts: list[Regex]) -> str:
    """Return one alternative, with any text allowed where it is not anchored."""
    start = next((i for i, p in enumerate(parts) if not isinstance(p, Edge)), len(parts))
    end = next((i for i, p in enumerate(reversed(parts)) if not isinstance(p, Edge)), len(parts))
    body = parts[start : len(parts) - end]
    leading: set[str] = {p.kind for p in parts[:start] if isinstance(p, Edge)}
    trailing: set[str] = {p.kind for p in parts[len(parts) - end :] if isinstance(p, Edge)}
    if not body:
        leading, trailing = leading & set(_STARTS), (leading | trailing) - set(_STARTS)
    before, after = _side(leading, _STARTS), _side(trailing, _ENDS)
    # what may be absent adds nothing to "any text"
    while before == ".*" and body and isinstance(body[0], Repeat) and body[0].least == 0:
        body = body[1:]
    while after == ".*" and body and isinstance(body[-1], Repeat) and body[-1].least == 0:
        body = body[:-1]
    if not body and ".*" in {before, after} and {before, after} <= {".*", ""}:
        return ".*"
    return before + _inner(Series(tuple(body))) + after


def _side(edges: Collection[str], known: Mapping[str, str]) -> str:
    unknown = set(edges) - set(known)
    if unknown:
        what = "a word boundary" if "boundary" in "".join(unknown) else "an anchor in the middle"
        raise ContentError(f"{what} in a regular expression", hint="duckdb, spark and splunk can say it; Lucene cannot")
    # the whole text's edge is the stricter of two
    found = [text for kind, text in known.items() if kind in edges]
    return found[0] if found else ".*"
