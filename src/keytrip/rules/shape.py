"""Whether the members that a compiler reads have the form it counts on: YAML makes dates and huge numbers of texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from keytrip.errors import ContentError
from keytrip.rules.load import Document

_COMPARED = ("gt", "gte", "lt", "lte", "eq", "neq", "percentile")
_QUOTE = "write it as a text, in quotes if need be"
_NUMBER = "write a finite number"


def check_shape(document: Document) -> None:
    """Refuse a rule that neither pySigma nor we could read.

    Raises:
        ContentError: The first member that has another form; it names the rule's place.
    """
    for problem, hint in _problems(document.data):
        raise ContentError(problem, place=document.place, hint=hint)


def _problems(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not isinstance(data.get("id", ""), str):
        yield "`id` is no text", _QUOTE
    detection = data.get("detection")
    if isinstance(detection, dict):
        yield from _detection(detection)
    correlation = data.get("correlation")
    if isinstance(correlation, dict):
        yield from _correlation(correlation)
    found = data.get("baseline") or []
    for block in found if isinstance(found, list) else [found]:
        yield from _block(block)
    yield from _parameters(data.get("parameters") or {})


def _detection(detection: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    if not _texts(detection.get("condition", "")):
        yield "`detection.condition` is no text", _QUOTE
    strange = next((key for key in _keys(detection) if not isinstance(key, str)), None)
    if strange is not None:
        yield f"`detection` has a name that is no text: {strange!r}"[:200], _QUOTE


def _keys(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from value if isinstance(value, dict) else ()
    for part in inner:
        yield from _keys(part)


def _correlation(correlation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not isinstance(correlation.get("type", ""), str):
        yield "`correlation.type` is no text", _QUOTE
    condition = correlation.get("condition")
    if not isinstance(condition, dict):
        return
    if not _texts(condition.get("field", "")):
        yield "`correlation.condition.field` is no text, and no list of texts", "name a field of the records"
    for name in _COMPARED:
        if name in condition and not _finite(condition[name]):
            yield f"`correlation.condition.{name}` is no finite number", _NUMBER


def _block(block: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(block, dict):
        yield "`baseline` is no mapping, and no list of them", "see SEMANTICS: `table`, `exceeds` and so on"
        return
    # YAML 1.1 reads the key `on` as the boolean true
    for name in ("on", True):
        if not _texts(block.get(name) or []):
            yield "`baseline.on` is no list of texts", "write the columns as [key_id, model]"
    share = block.get("share")
    if share is None:
        return
    if not isinstance(share, dict) or len(share) != 1:
        yield "`baseline.share` is no comparison", "write it as {gt: 0.3}"
    elif not all(isinstance(value, str) or _finite(value) for value in share.values()):
        yield "`baseline.share` is no finite number", _NUMBER


def _parameters(parameters: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(parameters, dict):
        yield "`parameters` is no mapping", "write each as NAME: {default: 3, why: ...}"
        return
    for name, parameter in parameters.items():
        if isinstance(parameter, dict) and not _finite(parameter.get("default", 0)):
            yield f"`parameters.{name}.default` is no finite number", _NUMBER


def _texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value))


def _finite(value: Any) -> bool:
    """Whether a value is a number that a double can hold, which a text may write."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False
