"""What a rule refers to: another field, as written (`cased`), and selections by a pattern.

pySigma forgets `cased` where `fieldref` follows it, and leaves a pattern out that no selection has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sigma.modifiers import SigmaCaseSensitiveModifier, SigmaFieldReferenceModifier
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections
from sigma.types import SigmaFieldReference

from keytrip.errors import ContentError

_PATTERN = re.compile(r"\b(?:1|any|all)\s+of\s+([\w*-]+)", re.IGNORECASE)
# What pySigma puts before the names of a filter's selections.
_OF_FILTER = "_filt_"
_PARTS = frozenset({"startswith", "endswith", "contains"})


@dataclass
class CasedReference(SigmaFieldReference):
    """Another field, with which a field is compared as written."""


def in_order(modifiers: Sequence[str]) -> list[str]:
    """Return modifiers as pySigma takes them beside `fieldref`: `cased` before it, parts of a text after it."""
    if "fieldref" not in modifiers:
        return [*modifiers]
    return sorted(modifiers, key=lambda name: {"cased": 0, "fieldref": 1}.get(name, 2 if name in _PARTS else 3))


def keep_case(detections: Iterable[SigmaDetection]) -> None:
    """Make the references of a rule's tests cased where `cased` stands beside `fieldref`."""
    for detection in detections:
        _keep_case(detection)


def _keep_case(part: SigmaDetection | SigmaDetectionItem) -> None:
    if isinstance(part, SigmaDetection):
        for inner in part.detection_items:
            _keep_case(inner)
    elif {SigmaCaseSensitiveModifier, SigmaFieldReferenceModifier} <= set(part.modifiers):
        part.value = [_cased(value) if isinstance(value, SigmaFieldReference) else value for value in part.value]


def _cased(value: SigmaFieldReference) -> CasedReference:
    return CasedReference(value.field, value.starts_with, value.ends_with)


def check_patterns(detections: SigmaDetections) -> None:
    """Refuse a condition with a pattern for which there is no selection, or that takes those of a filter too.

    Raises:
        ContentError: It names the first such pattern.
    """
    own = [name for name in detections.detections if not name.startswith(_OF_FILTER)]
    for pattern in (found for condition in detections.condition for found in _PATTERN.findall(condition)):
        if not any(_selects(pattern, name) for name in detections.detections):
            hint = "selections: " + ", ".join(own)
            raise ContentError(f"no selection is called {pattern!r}, which its condition asks for", hint=hint)
        others = [name for name in detections.detections if name not in own]
        if not pattern.startswith(_OF_FILTER) and any(_selects(pattern, name) for name in others):
            hint = "name the selections, or call them otherwise"
            raise ContentError(f"{pattern!r} in its condition would take the selections of a filter too", hint=hint)


def _selects(pattern: str, name: str) -> bool:
    """Whether pySigma takes a selection for one of a pattern; `_` in front hides it from all but its own kind."""
    shown = pattern.startswith("_") or not name.startswith("_")
    return shown and (pattern == "them" or fnmatchcase(name, pattern))
