"""Values of Sigma conditions, taken apart for the targets: case, wildcards, numbers, networks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from math import isfinite

from sigma.types import SigmaString, SpecialChars

from keytrip.errors import ContentError
from keytrip.records.vocabulary import Field

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


def fold(text: str) -> str:
    """Return the one-to-one Unicode lower case of `text` (SEMANTICS section 2)."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def pieces(value: SigmaString) -> Iterator[str | SpecialChars]:
    """Yield the literal texts and wildcards of a Sigma string.

    Raises:
        ContentError: A placeholder was not replaced.
    """
    for piece in value.s:
        if isinstance(piece, str | SpecialChars):
            yield piece
        else:
            raise ContentError(f"placeholder {piece} has no values", hint="set it in a pack's variables or with --var")


def has_wildcard(value: SigmaString) -> bool:
    """Whether a Sigma string holds `*` or `?`."""
    return any(isinstance(piece, SpecialChars) for piece in pieces(value))


def number_in(text: str) -> int | float | None:
    """Return the number that `text` writes (an int where it has no fraction), or None."""
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit():
        return int(text)
    return float(text) if isfinite(float(text)) else None


def decimal_text(number: float) -> str:
    """Return a number without an exponent, which not every engine reads: `0.0000001`, `5`."""
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def refuse_text_test(name: str, field: Field) -> None:
    """Refuse what SEMANTICS refuses: a text test on a double.

    Raises:
        ContentError: The field is a double.
    """
    if field.type == "double":
        raise ContentError(f"{name} is a double: a text test on it is refused", hint="compare with gt, gte, lt or lte")
