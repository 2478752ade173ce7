"""What SQL engines say differently; the queries themselves are written once, in `sql` and its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from sigma.types import SpecialChars

from keytrip.compile.leaves import Matches
from keytrip.records.vocabulary import Field, FieldType

_ESCAPE = "!"
_MARKS = {SpecialChars.WILDCARD_MULTI: "%", SpecialChars.WILDCARD_SINGLE: "_"}
Parts = Sequence[str | SpecialChars]


class Sum(Protocol):
    """Writes the sum, or the mean, of a column that is null where all its values are."""

    def __call__(self, column: str, *, mean: bool) -> str:
        """Return the aggregate."""


@dataclass(frozen=True)
class Dialect:
    """The words of one engine. All but `name` and the literals take and return SQL.

    Attributes:
        name: An identifier, quoted.
        text: A text literal.
        number: A number literal, whole numbers exactly.
        double: A literal of the type double.
        types: The type of a field.
        column: What the column of a field is called in `relation`.
        relation: (canonical table, texts that name its columns) -> what to select its records from.
        derived: (name, field) -> a derived field computed from the columns of its table.
        fold: (value, text that it is compared with, if known) -> the value in lower case.
        like: (value, literal texts and wildcards) -> whether the value fits them.
        matches: (value, leaf) -> whether the value holds what the regular expression describes.
        within: (value, network) -> whether the address lies in the network.
        parts: `start`, `end`, `anywhere` -> the function of (text, part) that says so.
        window: (seconds, offset) -> start of the tumbling window that the record falls into.
        later: (time, seconds) -> a time so many seconds later.
        near: (earlier, later, seconds) -> whether two times are at most so many seconds apart.
        last: (value, over) -> the last non-null value up to the row and its peers; values never fall with time.
        last_before: (value, partition) -> the same, up to the rows of an earlier time.
        distinct: Columns -> how many distinct combinations without null there are.
        integers: Sum or mean of integers, which does not overflow.
        doubles: Sum or mean of doubles, which does not depend on their order.
        money: Sum of money, rounded to nine decimals.
        percentile: (column, percent) -> the percentile, interpolated between the closest ranks.
        prunes: Whether a temporal correlation leaves out events that no alert can hold before it sorts them.
        scored: What else must hold of the windows of an inner correlation with a baseline, or an empty text.
    """

    name: Callable[[str], str]
    text: Callable[[str], str]
    number: Callable[[float], str]
    double: Callable[[float], str]
    types: Mapping[FieldType, str]
    column: Callable[[str], str]
    relation: Callable[[str, Sequence[str]], str]
    derived: Callable[[str, Field], str]
    fold: Callable[[str, str | None], str]
    like: Callable[[str, Parts], str]
    matches: Callable[[str, Matches], str]
    within: Callable[[str, IPv4Network | IPv6Network], str]
    parts: Mapping[str, str]
    window: Callable[[int, int], str]
    later: Callable[[str, int], str]
    near: Callable[[str, str, int], str]
    last: Callable[[str, str], str]
    last_before: Callable[[str, str], str]
    distinct: Callable[[Sequence[str]], str]
    integers: Sum
    doubles: Sum
    money: Callable[[str], str]
    percentile: Callable[[str, int], str]
    prunes: bool = False
    scored: str = ""


def like_text(value: str, parts: Parts, text: Callable[[str], str]) -> str:
    """Return SQL's own `like`."""
    pattern = "".join(_escaped(part) if isinstance(part, str) else _MARKS[part] for part in parts)
    return f"{value} like {text(pattern)} escape '{_ESCAPE}'"


def _escaped(text: str) -> str:
    return "".join(_ESCAPE + c if c in "%_" + _ESCAPE else c for c in text)
