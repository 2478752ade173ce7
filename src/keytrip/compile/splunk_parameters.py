"""A rule's parameters as macros of its SPL: a user changes a number in Splunk, and the search stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keytrip.errors import KeytripError
from keytrip.rules.packs import Setting, with_settings

if TYPE_CHECKING:
    from keytrip.rules.load import Document

# Macros of every rule have these names.
_TAKEN = frozenset({"filter"})
# Numbers that no rule has: the text is written with them in the parameters' places.
_FIRST = 716_205_931
_LITERAL = r"(\d+(?:\.\d+)?)"

Write = Callable[["Document", Sequence["Document"]], str]


@dataclass(frozen=True)
class Parameter:
    """A parameter that is a macro.

    Attributes:
        name: In the rule.
        macro: Name of the macro.
        default: The number, as the text has it.
        why: What the rule says of it.
    """

    name: str
    macro: str
    default: str
    why: str


def with_macros(
    text: str, document: Document, documents: Sequence[Document], write: Write
) -> tuple[str, tuple[Parameter, ...]]:
    """Return a rule's text with macros in the places of its parameters, and what they are.

    Each macro stands where the text has the parameter's number, so with the defaults it is the text that came in. A
    parameter whose number is nowhere in the text as it is stays a number.

    Args:
        text: Of the rule as it is.
        document: The rule.
        documents: All rules and bases.
        write: Compiles a rule; raises KeytripError or pySigma's error for one that cannot be.
    """
    declared = document.data.get("parameters") or {}
    names = [name for name in declared if name not in _TAKEN]
    found = _with(text, document, documents, write, names)
    if found is None:
        # one that only takes certain numbers, such as a share, keeps none of the others from being a macro
        good = [name for name in names if _with(text, document, documents, write, [name]) is not None]
        found = _with(text, document, documents, write, good)
    if found is None:
        return text, ()
    written, defaults = found
    made = (Parameter(n, _macro(document, n), defaults[n], str(declared[n].get("why") or "")) for n in defaults)
    return written, tuple(made)


def _with(
    text: str, document: Document, documents: Sequence[Document], write: Write, names: Iterable[str]
) -> tuple[str, dict[str, str]] | None:
    """Return the text with macros, and each one's number; None where that is not the text as it is."""
    from sigma.exceptions import SigmaError

    marks = {str(_FIRST + number): name for number, name in enumerate(names)}
    settings = [Setting(document.name, name, int(mark), document.place) for mark, name in marks.items()]
    try:
        changed = with_settings(documents, settings)
        marked = write(next(one for one in changed if one.name == document.name), changed)
    except (KeytripError, SigmaError):
        return None
    parts = re.split(rf"\b({'|'.join(marks)})\b", marked) if marks else [marked]
    pattern = "".join(_LITERAL if number % 2 else re.escape(part) for number, part in enumerate(parts))
    match = re.fullmatch(pattern, text)
    if match is None:
        return None
    places = [marks[mark] for mark in parts[1::2]]
    defaults = dict(zip(places, match.groups(), strict=True))
    if any(float(number) != _default(document, name) for name, number in zip(places, match.groups(), strict=True)):
        return None
    macros = {mark: f"`{_macro(document, name)}`" for mark, name in marks.items()}
    return "".join(macros[part] if number % 2 else part for number, part in enumerate(parts)), defaults


def _default(document: Document, name: str) -> float:
    parameters: Mapping[str, Mapping[str, float]] = document.data["parameters"]
    return float(parameters[name]["default"])


def _macro(document: Document, name: str) -> str:
    return f"{document.name}_{name}"
