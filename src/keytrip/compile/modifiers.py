"""Modifiers that are applied to a rule's text before pySigma reads it: `expand`, and the encodings.

pySigma counts characters where base64 counts bytes, encodes texts beyond ASCII in no form of UTF-16, has no `utf16le`,
and lets `expand` stand beside neither `cidr` nor the comparisons. So these are settled on the YAML's values; what is
left for pySigma means the same there.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product
from typing import Any, TypeAlias

from sigma.types import SigmaString

from keytrip.compile.references import in_order
from keytrip.compile.regex import readable
from keytrip.compile.values import number_in
from keytrip.errors import ContentError
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

Scalar: TypeAlias = Any
_PLACEHOLDER = re.compile(r"(?<!\\)%([^%]+)%")
# What may look at a list that holds null.
_WITH_NULL = frozenset({"all", "neq", "expand"})
# What stands in a detection or a filter beside selections.
_NO_SELECTION = frozenset({"condition", "rules", "timeframe"})
_COMPARISONS = frozenset({"gt", "gte", "lt", "lte"})
# These look at texts, and pySigma takes no number for one.
_TEXT = frozenset({"contains", "startswith", "endswith", "re", "cased", "windash", "base64", "base64offset", "wide"})
_BESIDE_NO_REGEX = frozenset({"contains", "startswith", "endswith", "cased", "windash"})
_EXACT = 2**53
_BOM = b"\xff\xfe"
_ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf16": lambda text: _BOM + text.encode("utf-16-le"),
    "utf16le": lambda text: text.encode("utf-16-le"),
    "utf16be": lambda text: text.encode("utf-16-be"),
    "wide": lambda text: text.encode("utf-16-le"),
}
# For a text that begins 0, 1 or 2 bytes into a group of three: which digits depend on it alone.
_FIRST = (0, 2, 3)
_LAST = (None, -3, -2)


class _Key(str):
    """A key that equals itself alone: without their modifiers, two tests of a selection may have the same text."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def prepared(document: Document) -> dict[str, Any]:
    """Return a rule's or filter's content with placeholders replaced and encodings applied.

    Raises:
        ContentError: A placeholder has no values, or a text cannot be encoded.
    """
    data = dict(document.data)
    for member in ("detection", "filter"):
        part = data.get(member)
        if isinstance(part, dict):
            data[member] = {name: _prepared(name, value, document) for name, value in part.items()}
    return data


def _prepared(name: Any, value: Any, document: Document) -> Any:
    if name not in _NO_SELECTION:
        return _selection(value, document)
    # pySigma writes each filter's condition into a list of them
    return [*value] if isinstance(value, list) else value


def _selection(part: Any, document: Document) -> Any:
    if isinstance(part, list):
        return [_selection(one, document) for one in part]
    if not isinstance(part, dict):
        return part
    found: dict[Any, Any] = {}
    for key, value in part.items():
        new, values = _item(key, value, document) if isinstance(key, str) else (key, value)
        found[_Key(new) if new in found else new] = values
    return found


def _item(key: str, value: Any, document: Document) -> tuple[str, Any]:
    name, *modifiers = key.split("|")
    # `day: 2026-04-01` is a date to YAML, and the field a text
    values = [v.isoformat() if type(v) is date else v for v in (value if isinstance(value, list) else [value])]
    try:
        modifiers, values = _applied(name, modifiers, values, document.variables)
        if _governed(document):
            modifiers, values = _settled(name, modifiers, values)
    except ContentError as error:
        raise ContentError(f"{key}: {error.message}", place=document.place, hint=error.hint) from None
    # a list of one stands for it: some modifiers take no list
    return "|".join([name, *modifiers]), values if isinstance(value, list) or len(values) != 1 else values[0]


def _applied(
    name: str, modifiers: list[str], values: list[Scalar], variables: Mapping[str, Sequence[Scalar]]
) -> tuple[list[str], list[Scalar]]:
    if None in values and set(modifiers) - _WITH_NULL:
        raise ContentError("null beside a modifier", hint=f"write `{name}: null` in a selection of its own")
    if "expand" in modifiers:
        modifiers = [m for m in modifiers if m != "expand"]
        values = [one for text in values for one in expanded(text, variables)]
    if _COMPARISONS & set(modifiers):
        values = [_bound(one) for one in values]
    elif (_TEXT | set(_ENCODINGS)) & set(modifiers):
        values = [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in values]
    else:
        values = [_operand(one) for one in values]
    return _encoded(modifiers, values)


def _governed(document: Document) -> bool:
    """Whether SEMANTICS governs a rule: pySigma's own backends get all others as they are written."""
    logsource = document.data.get("logsource")
    category = logsource.get("category") if isinstance(logsource, dict) else None
    return isinstance(category, str) and vocabulary().by_category(category) is not None


def _settled(name: str, modifiers: list[str], values: list[Scalar]) -> tuple[list[str], list[Scalar]]:
    """Return a test in the order, and with expressions in the words, that pySigma takes.

    Raises:
        ContentError: It has no value to modify, or a part of a text beside `re`: pySigma would take it for another.
    """
    if not values and set(modifiers) - _WITH_NULL:
        raise ContentError(
            "an empty list beside a modifier", hint=f"write `{name}: null` for an event without the field"
        )
    if "re" not in modifiers:
        return in_order(modifiers), values
    if beside := set(modifiers) & _BESIDE_NO_REGEX:
        hint = "an expression minds case; use ^ and $, or `i`"
        raise ContentError(f"`{min(beside)}` beside `re`", hint=hint)
    return modifiers, [readable(one) if isinstance(one, str) else one for one in values]


def _bound(value: Scalar) -> Scalar:
    """Return the number of a comparison, which pySigma makes a double.

    Raises:
        ContentError: No double is that integer.
    """
    found = number_in(value) if isinstance(value, str) else value
    if isinstance(found, int) and found and abs(found) // (found & -found) >= _EXACT:
        step = 1 << (found.bit_length() - _EXACT.bit_length() + 1)
        raise ContentError(f"no double is the integer {found}", hint=f"compare with a multiple of {step}")
    return value if found is None else found


def _operand(value: Scalar) -> Scalar:
    """Return a number as a text where pySigma would change its digits: it makes `1` of 1.0, and doubles of integers."""
    inexact = abs(value) > _EXACT if isinstance(value, int) else isinstance(value, float) and value.is_integer()
    return str(value) if inexact else value


# -- placeholders ----------------------------------------------------------------------------------------------------


def expanded(value: Scalar, variables: Mapping[str, Sequence[Scalar]]) -> Iterator[Scalar]:
    r"""Yield what a value stands for: each combination of its placeholders' values; `\%` is a percent sign.

    Raises:
        ContentError: A placeholder has no values.
    """
    if not isinstance(value, str):
        yield value
        return
    names = _PLACEHOLDER.findall(value)
    for name in names:
        if not variables.get(name):
            hint = f"set it in the `variables` of a pack.yml, or with --var {name}=VALUE"
            raise ContentError(f"placeholder %{name}% has no values", hint=hint)
    if names and _PLACEHOLDER.fullmatch(value):
        yield from variables[names[0]]  # whole values keep their type
        return
    texts = [text.replace("\\%", "%") for text in _PLACEHOLDER.split(value)[::2]]
    for chosen in product(*(variables[name] for name in names)):
        yield texts[0] + "".join(f"{one}{text}" for one, text in zip(chosen, texts[1:], strict=True))


# -- encodings -------------------------------------------------------------------------------------------------------


def _encoded(modifiers: list[str], values: list[Scalar]) -> tuple[list[str], list[Scalar]]:
    """Apply base64 with the encoding before it; `utf16le` alone is `wide`."""
    encoding = modifiers[0] if modifiers and modifiers[0] in _ENCODINGS else None
    rest = modifiers[1:] if encoding else modifiers
    if not rest or rest[0] not in {"base64", "base64offset"} or not all(isinstance(v, str) for v in values):
        return ["wide" if m == "utf16le" else m for m in modifiers], values
    encode = _ENCODINGS[encoding] if encoding else str.encode
    found = [[*_base64(encode(_plain(value)), rest[0])] for value in values]
    if "all" in rest and any(len(alternatives) > 1 for alternatives in found) and len(found) > 1:
        raise ContentError("`all` of several texts in base64offset", hint="write a selection for each of them")
    left = [m for m in rest[1:] if m != "all" or rest[0] == "base64"]
    return left, [one for alternatives in found for one in alternatives]


def _plain(value: str) -> str:
    text = SigmaString(value)
    if text.contains_special():
        raise ContentError("a text with wildcards has no base64", hint=r"write \* or \? for the sign itself")
    return "".join(map(str, text.s))


def _base64(data: bytes, modifier: str) -> Iterator[str]:
    if modifier == "base64":
        yield b64encode(data).decode()
        return
    for offset in range(3):
        text = b64encode(b" " * offset + data).decode()
        yield text[_FIRST[offset] : _LAST[(len(data) + offset) % 3]]
