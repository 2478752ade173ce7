"""Conditions on one event (semantics, section 2), said again in plain Python."""

from __future__ import annotations

import base64
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from judge.records import Event

_WORDS = re.compile(r"\(|\)|[\w*]+")


def matches(detection: Mapping[str, Any], event: Event) -> bool:
    """Return whether a plain rule's detection holds for an event."""
    selections = {name: part for name, part in detection.items() if name != "condition"}
    conditions = detection["condition"]
    texts = [conditions] if isinstance(conditions, str) else conditions
    return any(_Condition(_WORDS.findall(text), selections, event).holds() for text in texts)


class _Condition:
    """Reads `and or not ( )`, names, and `1 of x*`, `all of them`."""

    def __init__(self, words: Sequence[str], selections: Mapping[str, Any], event: Event) -> None:
        self.words = list(words)
        self.selections = selections
        self.event = event

    def holds(self) -> bool:
        value = self._either()
        assert not self.words
        return value

    def _either(self) -> bool:
        value = self._both()
        while self._took("or"):
            right = self._both()
            value = value or right
        return value

    def _both(self) -> bool:
        value = self._unary()
        while self._took("and"):
            right = self._unary()
            value = value and right
        return value

    def _unary(self) -> bool:
        if self._took("not"):
            return not self._unary()
        if self._took("("):
            value = self._either()
            assert self._took(")")
            return value
        word = self.words.pop(0)
        if self.words[:1] == ["of"]:
            self.words.pop(0)
            pattern = self.words.pop(0).replace("them", "*")
            parts = [part for name, part in self.selections.items() if fnmatch.fnmatchcase(name, pattern)]
            found = [selection(part, self.event) for part in parts]
            return all(found) if word == "all" else any(found)
        return selection(self.selections[word], self.event)

    def _took(self, word: str) -> bool:
        if self.words[:1] == [word]:
            self.words.pop(0)
            return True
        return False


def selection(part: Any, event: Event) -> bool:
    """Return whether a selection (a mapping, or a list of them) holds."""
    if isinstance(part, list):
        return any(selection(one, event) for one in part)
    return all(_item(key, wanted, event) for key, wanted in part.items())


def _item(key: str, wanted: Any, event: Event) -> bool:
    name, *modifiers = key.split("|")
    combine: Callable[..., bool] = all if "all" in modifiers else any
    negated = "neq" in modifiers
    listed = wanted if isinstance(wanted, list) else [wanted]
    # an empty list is null
    found = combine(_test(event, name, one, modifiers) for one in listed or [None])
    return not found if negated else found


def _test(event: Event, name: str, wanted: Any, modifiers: Sequence[str]) -> bool:
    value = event[name]
    if "exists" in modifiers:
        return (value is not None) == wanted
    if wanted is None or value is None:
        return wanted is None and value is None
    if "fieldref" in modifiers:
        return _same(value, event[wanted], set(modifiers))
    return _meets(value, wanted, tuple(modifiers))


@lru_cache(maxsize=None, typed=True)
def _meets(value: Any, wanted: Any, modifiers: tuple[str, ...]) -> bool:
    """Whether a value passes a test; kept, since the same few values are asked over and over."""
    for operator, compare in _COMPARISONS.items():
        if operator in modifiers:
            return compare(Fraction(str(value)), Fraction(str(wanted)))
    if "cidr" in modifiers:
        return _within(value, str(wanted))
    if "re" in modifiers:
        return _searched(str(value), str(wanted), modifiers)
    texts = _dashes(str(wanted)) if "windash" in modifiers else [str(wanted)]
    if "base64" in modifiers or "base64offset" in modifiers:
        data = _encoded(modifiers, str(wanted))
        texts = _offsets(data) if "base64offset" in modifiers else [base64.b64encode(data).decode()]
    return any(_one(value, text, set(modifiers)) for text in texts)


def _one(value: Any, wanted: str, modifiers: set[str]) -> bool:
    if isinstance(value, int | float) and not modifiers & _PARTS and not re.search(r"[*?]", wanted):
        return re.fullmatch(_NUMBER, wanted) is not None and Fraction(str(value)) == Fraction(wanted)
    return _text(str(value), wanted, modifiers)


def _same(value: Any, other: Any, modifiers: set[str]) -> bool:
    if other is None:
        return False
    if not isinstance(value, str) and not isinstance(other, str) and not modifiers & _PARTS:
        return bool(value == other)
    left, right = (str(one) if "cased" in modifiers else _lower(str(one)) for one in (value, other))
    if "contains" in modifiers or {"startswith", "endswith"} <= modifiers:
        return right in left
    if "startswith" in modifiers:
        return left.startswith(right)
    return left.endswith(right) if "endswith" in modifiers else left == right


_PARTS = {"contains", "startswith", "endswith"}
_NUMBER = r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


def _dashes(text: str) -> list[str]:
    """Every dash or slash before a word, and not behind one, as each of five signs."""
    pieces = re.split(r"\B[-/]\b", text)
    texts = pieces[:1]
    for piece in pieces[1:]:
        texts = [f"{text}{sign}{piece}" for text in texts for sign in "-/\u2013\u2014\u2015"]
    return texts


def _encoded(modifiers: Sequence[str], text: str) -> bytes:
    if "utf16be" in modifiers:
        return text.encode("utf-16-be")
    if "utf16" in modifiers:
        return b"\xff\xfe" + text.encode("utf-16-le")
    return text.encode("utf-16-le") if {"wide", "utf16le"} & set(modifiers) else text.encode()


def _offsets(data: bytes) -> list[str]:
    """What of a text's base64 does not depend on its neighbours, if it begins 0, 1, or 2 bytes into a group."""
    found = []
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        first = -(-before * 8 // 6)
        found.append(digits[first : (before + len(data)) * 8 // 6])
    return found


def _searched(value: str, pattern: str, modifiers: Sequence[str]) -> bool:
    flags = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}
    chosen = re.NOFLAG
    for modifier in set(modifiers) & set(flags):
        chosen |= flags[modifier]
    pattern = _in_pythons_words(pattern)
    # Python's $ matches before a last newline, too
    strict = pattern if "m" in modifiers else re.sub(r"(?<!\\)\$", r"\\Z", pattern)
    return re.search(_ascii_classes(strict), value, chosen) is not None


def _in_pythons_words(pattern: str) -> str:
    """Say what RE2 has and Python has not: quoted texts, characters by number, a class by name, the very end."""
    pattern = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda quoted: re.escape(quoted[1]), pattern)
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda code: re.escape(chr(int(code[1], 16))), pattern)
    return pattern.replace("[:upper:]", "A-Z").replace(r"\z", r"\Z")


_CLASSES = {r"\d": "0-9", r"\w": "0-9A-Za-z_"}


def _ascii_classes(pattern: str) -> str:
    """Make digits, words and spaces ASCII; Python's own flag would keep `i` from other letters too."""
    inside, found = False, ""
    for piece in re.findall(r"\\.|.", pattern, re.DOTALL):
        inside = (inside or piece == "[") and piece != "]"
        named = len(piece) == 2 and piece[1] in "dDwWsSbB"
        found += (_CLASSES[piece] if inside else f"(?a:{piece})") if named else piece
    return found


def _within(value: str, network: str) -> bool:
    try:
        return ip_address(value) in ip_network(network, strict=False)
    except ValueError:
        return False


def _lower(text: str) -> str:
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def _text(value: str, wanted: str, modifiers: set[str]) -> bool:
    cased = "cased" in modifiers
    wanted, value = (wanted, value) if cased else (_lower(wanted), _lower(value))
    pattern = "".join(_piece(match) for match in re.finditer(r"\\([*?\\])|(.)", wanted, re.DOTALL))
    before = ".*" if modifiers & {"contains", "endswith"} else ""
    after = ".*" if modifiers & {"contains", "startswith"} else ""
    return re.fullmatch(before + pattern + after, value, re.DOTALL) is not None


def _piece(match: re.Match[str]) -> str:
    if match[1]:
        return re.escape(match[1])
    return {"*": ".*", "?": "."}.get(match[2], re.escape(match[2]))
