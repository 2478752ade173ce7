"""Reads RE2 syntax into a small tree, so that each target can write it in its own dialect, or refuse what it lacks.

Whether a text matches does not depend on greediness, so that is dropped. Sets of characters are ranges of code points.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from keytrip.compile.values import fold
from keytrip.errors import ContentError

Ranges: TypeAlias = tuple[tuple[int, int], ...]
EdgeKind: TypeAlias = Literal["text_start", "text_end", "line_start", "line_end", "boundary", "no_boundary"]

LAST = 0x10FFFF
_MOST_REPEATS = 1000  # RE2's own limit
_LONGEST = 4000
_WIDEST_FOLD = 0x3000  # nearly all cased scripts lie below; wider ranges hold both cases of them anyway
_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d+)(,(\d*))?\})\??")
_FLAGS = re.compile(r"\?([imsU]*)(?:-([imsU]+))?([:)])")
_NAME = re.compile(r"\?P<\w+>")


@dataclass(frozen=True)
class Chars:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Edge:
    """A place between characters."""

    kind: EdgeKind


@dataclass(frozen=True)
class Repeat:
    """`least` to `most` times (None: any number)."""

    of: Regex
    least: int
    most: int | None


@dataclass(frozen=True)
class Series:
    """One after the other."""

    parts: tuple[Regex, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    options: tuple[Regex, ...]


Regex: TypeAlias = Chars | Edge | Repeat | Series | Choice


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the same set as sorted ranges that do not touch."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """Return every character that is not in the set."""
    found, start = [], 0
    for low, high in merged(ranges):
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def _named(*names: str) -> Ranges:
    return merged((ord(n[0]), ord(n[-1])) for n in names)


_WORD = _named("0-9", "A-Z", "a-z", "_")
_DIGIT = _named("0-9")
_SPACE = _named("\t", "\n", "\f", "\r", " ")
_CLASSES = {
    "d": _DIGIT,
    "w": _WORD,
    "s": _SPACE,
    "D": complement(_DIGIT),
    "W": complement(_WORD),
    "S": complement(_SPACE),
}
_POSIX = {
    "alnum": _named("0-9", "A-Z", "a-z"),
    "alpha": _named("A-Z", "a-z"),
    "digit": _DIGIT,
    "lower": _named("a-z"),
    "upper": _named("A-Z"),
    "punct": _named("!-/", ":-@", "[-`", "{-~"),
    "space": _named("\t-\r", " "),
    "word": _WORD,
    "xdigit": _named("0-9", "A-F", "a-f"),
}
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_LETTER_EDGES: dict[str, EdgeKind] = {"A": "text_start", "b": "boundary", "B": "no_boundary"}
NEWLINE: Ranges = ((10, 10),)
ALL: Ranges = ((0, LAST),)


def parse_regex(text: str, flags: Collection[str] = ()) -> Regex:
    """Return the tree of an RE2 expression.

    Args:
        text: The expression.
        flags: Any of `i`, `m`, `s`.

    Raises:
        ContentError: It is not RE2 syntax, or uses an escape that not every engine knows, such as a Unicode class.
    """
    if len(text) > _LONGEST:
        raise ContentError(f"a regular expression of {len(text)} characters", hint=f"at most {_LONGEST}")
    reader = _Reader(text)
    found = _choice(reader, frozenset(flags))
    if reader.more:
        raise reader.wrong("has an unmatched )")
    return found


@dataclass
class _Reader:
    """A text and how far it was read."""

    text: str
    at: int = 0

    @property
    def more(self) -> bool:
        return self.at < len(self.text)

    def next(self) -> str:
        if not self.more:
            raise self.wrong("ends too early")
        self.at += 1
        return self.text[self.at - 1]

    def took(self, literal: str) -> bool:
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def wrong(self, why: str) -> ContentError:
        return ContentError(f"regular expression {self.text!r} {why}", hint="`re` is RE2 syntax")


def _choice(reader: _Reader, flags: frozenset[str]) -> Regex:
    options: list[Regex] = []
    parts: list[Regex] = []
    while reader.more and not reader.text.startswith(")", reader.at):
        if reader.took("|"):
            options.append(Series(tuple(parts)))
            parts = []
        elif (found := _flag_group(reader, flags)) is not None:
            flags = found
        else:
            parts.append(_repeated(reader, flags))
    options.append(Series(tuple(parts)))
    return options[0] if len(options) == 1 else Choice(tuple(options))


def _flag_group(reader: _Reader, flags: frozenset[str]) -> frozenset[str] | None:
    """Read `(?i)` and the like, which hold until the group ends."""
    start = reader.at
    if reader.took("(") and (match := reader.match(_FLAGS)) and match[3] == ")":
        return (flags | set(match[1])) - set(match[2] or "")
    reader.at = start
    return None


def _repeated(reader: _Reader, flags: frozenset[str]) -> Regex:
    atom = _atom(reader, flags)
    match = reader.match(_QUANTIFIER)
    if match is None:
        return atom
    if reader.match(_QUANTIFIER) is not None:
        raise reader.wrong("repeats a repetition")
    least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(match[0][0], (0, None))
    if match[1] is not None:
        least = int(match[1])
        most = int(match[3]) if match[3] else (None if match[2] else least)
    if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
        raise reader.wrong("has a bad repetition")
    return Repeat(atom, least, most)


def _atom(reader: _Reader, flags: frozenset[str]) -> Regex:
    char = reader.next()
    read = {"(": _group, "[": _set, "\\": _escape, ".": _dot, "^": _start, "$": _end}.get(char)
    if read is not None:
        return read(reader, flags)
    if char in "*+?":
        raise reader.wrong("repeats nothing")
    return _literal(ord(char), flags)


def _dot(_: _Reader, flags: frozenset[str]) -> Regex:
    return Chars(ALL if "s" in flags else complement(NEWLINE))


def _start(_: _Reader, flags: frozenset[str]) -> Regex:
    return Edge("line_start" if "m" in flags else "text_start")


def _end(_: _Reader, flags: frozenset[str]) -> Regex:
    return Edge("line_end" if "m" in flags else "text_end")


def _group(reader: _Reader, flags: frozenset[str]) -> Regex:
    if (match := reader.match(_FLAGS)) is not None:
        flags = (flags | set(match[1])) - set(match[2] or "")
    elif reader.match(_NAME) is None and reader.took("?"):
        raise reader.wrong("looks around, or refers back: RE2 cannot")
    found = _choice(reader, flags)
    if not reader.took(")"):
        raise reader.wrong("has an unmatched (")
    return found


def _escape(reader: _Reader, flags: frozenset[str]) -> Regex:
    char = reader.next()
    if char in _LETTER_EDGES:
        return Edge(_LETTER_EDGES[char])
    if char in _CLASSES:
        return Chars(_CLASSES[char])
    return _literal(_code(reader, char), flags)


def _code(reader: _Reader, char: str) -> int:
    """Return the character that an escape means."""
    if char in _CONTROLS:
        return _CONTROLS[char]
    if char == "x" and (match := reader.match(re.compile(r"[0-9A-Fa-f]{2}"))):
        return int(match[0], 16)
    if char.isalnum() or ord(char) > 0x7F:  # noqa: PLR2004 - the last of ASCII
        raise reader.wrong(f"has \\{char}, which not every engine knows")
    return ord(char)


def _literal(code: int, flags: frozenset[str]) -> Chars:
    return Chars(folded(((code, code),)) if "i" in flags else ((code, code),))


def folded(ranges: Ranges) -> Ranges:
    """Return the set with the other case of each of its characters."""
    found = list(ranges)
    for low, high in ranges:
        if high - low > _WIDEST_FOLD:
            continue
        for code in range(low, high + 1):
            found += [(ord(c), ord(c)) for c in _cases(chr(code)) if len(c) == 1 and _same(c, code)]
    return merged(found)


def _cases(char: str) -> tuple[str, ...]:
    # the digraphs have a case between the two
    return fold(char), char.upper(), char.title()


def _same(char: str, code: int) -> bool:
    return fold(char) == fold(chr(code))


def _set(reader: _Reader, flags: frozenset[str]) -> Chars:
    negated = reader.took("^")
    found: list[tuple[int, int]] = []
    first = True
    while first or not reader.took("]"):
        first = False
        found += _member(reader)
    ranges = merged(found)
    ranges = folded(ranges) if "i" in flags else ranges
    return Chars(complement(ranges) if negated else ranges)


def _member(reader: _Reader) -> Ranges:
    if match := reader.match(re.compile(r"\[:(\^?)(\w+):\]")):
        if match[2] not in _POSIX:
            raise reader.wrong(f"has no class {match[0]}")
        return complement(_POSIX[match[2]]) if match[1] else _POSIX[match[2]]
    low = _bound(reader)
    if isinstance(low, tuple):
        return low
    ahead = reader.text[reader.at : reader.at + 2]
    if not ahead.startswith("-") or ahead in {"-", "-]"}:
        return ((low, low),)
    reader.next()
    high = _bound(reader)
    if isinstance(high, tuple) or high < low:
        raise reader.wrong("has a bad range")
    return ((low, high),)


def _bound(reader: _Reader) -> int | Ranges:
    char = reader.next()
    if char != "\\":
        return ord(char)
    char = reader.next()
    return _CLASSES[char] if char in _CLASSES else _code(reader, char)


# -- what Python's `re`, by which pySigma checks an expression, would not read, or warns of -------------------------

_CODE = r"\\x\{(?P<code>[0-9A-Fa-f]{1,6})\}"
_TOKEN = re.compile(
    rf"(?P<quoted>\\Q(?P<plain>.*?)(?:\\E|\Z))|(?P<end>\\z)|{_CODE}|(?P<name>\(\?<(?=[A-Za-z_]))"
    r"|(?P<set>\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\])|\\.|.",
    re.DOTALL,
)
_IN_SET = re.compile(rf"\[:(?P<posix>\w+):\]|{_CODE}|(?P<sign>[\[&|~])|\\.|.", re.DOTALL)


def readable(text: str) -> str:
    r"""Return an RE2 expression in words that Python reads too.

    They stand for `\z`, `\x{2d}`, `\Q..\E`, `(?<name>`, and in sets for `[:alpha:]` and signs that Python warns of.
    """
    return "".join(_readable(token) for token in _TOKEN.finditer(text))


def _readable(token: re.Match[str]) -> str:
    if token["quoted"] is not None:
        return re.escape(token["plain"])
    if token["end"] is not None:
        return "(?-m:$)"
    if token["name"] is not None:
        return "(?P<"
    if token["set"] is not None:
        inner = token["set"][1:-1]
        return f"[{''.join(_readable_member(member) for member in _IN_SET.finditer(inner))}]"
    return _readable_code(token)


def _readable_member(member: re.Match[str]) -> str:
    if member["posix"] in _POSIX:
        return _bracketed(_POSIX[member["posix"]])
    return f"\\{member[0]}" if member["sign"] is not None else _readable_code(member)


def _bracketed(ranges: Ranges) -> str:
    """Return ranges of ASCII as the inside of a set."""
    return "".join(f"\\x{low:02x}-\\x{high:02x}" for low, high in ranges)


def _readable_code(token: re.Match[str]) -> str:
    code = int(token["code"] or "", 16) if token["code"] else LAST + 1
    return re.escape(chr(code)) if code <= LAST else token[0]
