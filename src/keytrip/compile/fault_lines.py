"""Where in a rule a fault is that pySigma or the compiler names without a line, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from keytrip.compile.plan import OPERATORS
from keytrip.errors import ContentError, KeytripError, own_error, words_of
from keytrip.rules.load import Document, read_nodes
from keytrip.rules.marks import Marks, Step, marks_of
from keytrip.rules.schema import MODIFIERS

# Words of pySigma's messages -> what to write instead.
_HINTS = {
    "Unknown modifier": "one of: " + ", ".join(MODIFIERS),
    "not defined in detections": "name a selection of `detection`",
    "Invalid CIDR expression": "such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
    "Regular expression '": "`re` is RE2 syntax, without classes of Unicode",
    "exactly one condition item": "one of: " + ", ".join(OPERATORS),
    "rule without condition": "such as {gte: 10}",
    "incompatible to value type": "another modifier, or a value of its kind",
    "without field reference": "add `field: model`, or another field, to the condition",
    "Invalid number": "a finite number",
    "not referenced from condition": "use it in the condition, or remove it",
    "unknown detection definition": "name a selection of `detection`",
    "has only one condition": "name the selection",
    "instead of being modified": "use that modifier, and leave the * out",
    "consecutive * wildcards": "one * is enough",
    "control character": "use re, with an escape such as \\t",
    "escaped wildcard": "leave the backslash out, if a wildcard is meant",
    "multiple times": "leave all but one out",
    "multiple modifiers": "leave all but one out",
    "all of them": "name the selections",
    " tag": "such as attack.t1078.004, tlp.amber or cve.2026-1234",
    "end of text": "selections, and or not, parentheses, 1 of them, all of x*",
}
# Words of messages about what stands beside the detection -> the member.
_BESIDE = {" tag": "tags", "same references": "references"}
_UNUSED = "Rule defines detection that is not referenced from condition"
# Words of messages about a correlation -> the member that they are about; most are about its condition.
_MEMBERS = {
    "alias": ("correlation", "aliases"),
    "imespan": ("correlation", "timespan"),
    "refers to": ("correlation", "rules"),
    "has no field": ("correlation", "group-by"),
    "share": ("baseline",),
    "exceeds": ("baseline",),
    "baseline": ("baseline",),
    "": ("correlation", "condition"),
}


def ours(error: Exception) -> KeytripError:
    """Return a fault that pySigma or we raised as one of ours, with what to write instead."""
    message = words_of(error)
    return own_error(error) or ContentError(message, hint=hint_for(message))


def hint_for(message: str) -> str:
    """Return what to write instead, for a message of pySigma."""
    return next((hint for words, hint in _HINTS.items() if words in message), "")


def fault_line(document: Document, message: str, said: Callable[[Document], Collection[str]]) -> int:
    """Return the line of the test that has a fault, or else of the member that the message is about.

    Args:
        document: A rule, or a filter in the form of one; its file is read again.
        message: What is wrong with it.
        said: Returns what is wrong with a rule.
    """
    nodes = [node for found, node in read_nodes(document.path) if found.line == document.line]
    marks = marks_of(nodes[0]) if nodes else Marks(document.line)
    about = next((member for words, member in _BESIDE.items() if words in message), None)
    if about is not None:
        return marks.line(about)
    detection = document.data.get("detection")
    if not isinstance(detection, dict):
        return marks.line(*next(path for words, path in _MEMBERS.items() if words in message))
    member = "filter" if ("filter",) in marks.lines else "detection"
    unused = next((name for name in detection if message == f"{_UNUSED}: {name}"), None)
    if unused is not None:
        return marks.line(member, unused)
    at_fault = (path for path, test in _single_tests(detection) if message in said(_alone(document, test)))
    return marks.line(member, *next(at_fault, ("condition",)))


def _alone(document: Document, selection: Any) -> Document:
    """Return a rule that has but one selection."""
    return replace(document, data={**document.data, "detection": {"a": selection, "condition": "a"}})


def _single_tests(detection: Mapping[str, Any]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Yield the place of each test, and a selection that holds it alone."""
    for name, selection in detection.items():
        if name == "condition":
            continue
        several = isinstance(selection, list)
        for number, part in enumerate(selection if several else [selection]):
            path: tuple[Step, ...] = (name, number) if several else (name,)
            if isinstance(part, dict):
                yield from (((*path, key), {key: value}) for key, value in part.items())
            else:
                yield path, [part]
