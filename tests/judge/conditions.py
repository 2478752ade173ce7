"""Conditions on one event (semantics, section 2), said again in plain Python for the tests that shipped rules use."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
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
            return all(found) if word == "all" else sum(found) >= int(word)
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
    found = combine(_test(event[name], one, set(modifiers)) for one in listed)
    return not found if negated else found


def _test(value: Any, wanted: Any, modifiers: set[str]) -> bool:
    if "exists" in modifiers:
        return (value is not None) == wanted
    if wanted is None or value is None:
        return wanted is None and value is None
    for name, compare in _COMPARISONS.items():
        if name in modifiers:
            return compare(float(value), float(wanted))
    if "cidr" in modifiers:
        return _within(value, str(wanted))
    if "re" in modifiers:
        return re.search(str(wanted), str(value), (re.IGNORECASE if "i" in modifiers else 0) | re.ASCII) is not None
    if isinstance(value, int | float):
        return float(value) == float(wanted)
    return _text(str(value), str(wanted), modifiers)


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


def _within(value: str, network: str) -> bool:
    try:
        return ip_address(value) in ip_network(network, strict=False)
    except ValueError:
        return False


def _text(value: str, wanted: str, modifiers: set[str]) -> bool:
    pattern = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in wanted)
    before = ".*" if modifiers & {"contains", "endswith"} else ""
    after = ".*" if modifiers & {"contains", "startswith"} else ""
    flags = re.DOTALL | (0 if "cased" in modifiers else re.IGNORECASE)
    return re.fullmatch(before + pattern + after, value, flags) is not None
