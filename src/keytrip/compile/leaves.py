"""One test of one field, as every target starts from it: what SEMANTICS section 2 says is decided here, once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal, TypeAlias

from sigma.conditions import ConditionFieldEqualsValueExpression
from sigma.conversion.state import ConversionState
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SpecialChars,
)

from keytrip.compile.base import KeytripBackend
from keytrip.compile.references import CasedReference
from keytrip.compile.regex import Regex, parse_regex
from keytrip.compile.values import fold, has_wildcard, number_in, pieces, refuse_text_test
from keytrip.errors import ContentError
from keytrip.records.vocabulary import Field

Operator: TypeAlias = Literal["=", "<", "<=", ">", ">="]
Part: TypeAlias = Literal["whole", "start", "end", "anywhere"]

# The one field whose texts are addresses in their normal form.
_ADDRESS = "source_ip"
MAPPED = IPv6Network("::ffff:0:0/96")
_OPERATORS: dict[CompareOperators, Operator] = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
}
_FLAGS = {
    SigmaRegularExpressionFlag.IGNORECASE: "i",
    SigmaRegularExpressionFlag.MULTILINE: "m",
    SigmaRegularExpressionFlag.DOTALL: "s",
}


@dataclass(frozen=True)
class Named:
    """A canonical field with its name."""

    name: str
    field: Field


@dataclass(frozen=True)
class Never:
    """A test that nothing meets, such as a word on a number field."""


@dataclass(frozen=True)
class Present:
    """The field is not null."""

    of: Named


@dataclass(frozen=True)
class Absent:
    """The field is null."""

    of: Named


@dataclass(frozen=True)
class Equals:
    """A text field is `text`; without `cased` the text is folded and the field has to be."""

    of: Named
    text: str
    cased: bool


@dataclass(frozen=True)
class Like:
    """A text, or the digits of an integer, fits literal texts and wildcards; folded as in `Equals`."""

    of: Named
    parts: tuple[str | SpecialChars, ...]
    cased: bool


@dataclass(frozen=True)
class Compares:
    """A number field against a number."""

    of: Named
    operator: Operator
    number: float


@dataclass(frozen=True)
class Matches:
    """A text, or the digits of an integer, holds what a regular expression describes; `text` is as written."""

    of: Named
    regex: Regex
    text: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Within:
    """An address lies in a network; other texts lie in none."""

    of: Named
    network: IPv4Network | IPv6Network

    @property
    def normal(self) -> bool:
        """Whether the field's texts are addresses in their normal form; others stay as they were read."""
        return self.of.name == _ADDRESS


@dataclass(frozen=True)
class SameAs:
    """A field equals, begins with, ends with or holds another; two numbers are equal as numbers."""

    of: Named
    other: Named
    part: Part
    cased: bool

    @property
    def numeric(self) -> bool:
        """Whether two numbers are compared as such; a part of one is a part of its digits."""
        return self.part == "whole" and self.of.field.numeric and self.other.field.numeric


Leaf: TypeAlias = Never | Present | Absent | Equals | Like | Compares | Matches | Within | SameAs


class LeafBackend(KeytripBackend):
    """A backend that writes leaves; their meaning was settled before."""

    @abstractmethod
    def leaf(self, leaf: Leaf) -> str:
        """Return the target's text of a leaf; it is true or not, never null, where the text stands."""

    def convert_condition_field_eq_val(self, cond: ConditionFieldEqualsValueExpression, state: ConversionState) -> Any:
        """Convert one test of a field."""
        if isinstance(cond.value, SigmaExpansion):
            # pySigma takes it for one test when it negates it, and would negate the first alternative only
            return f"({self.convert_condition_field_eq_expansion(cond, state)})"
        return self.leaf(self.leaf_of(cond))

    def leaf_of(self, cond: ConditionFieldEqualsValueExpression) -> Leaf:
        """Return the leaf that a pySigma condition means.

        Raises:
            ContentError: SEMANTICS refuses the test.
        """
        return leaf_of(cond.value, self._named(cond.field), self._named)

    def _named(self, name: str) -> Named:
        return Named(*self.canonical_field(name))


def leaf_of(value: Any, of: Named, named: Callable[[str], Named]) -> Leaf:
    """Return the leaf of `value` on the field `of`; `named` resolves the other field of a fieldref.

    Raises:
        ContentError: SEMANTICS refuses the test.
    """
    match value:
        case SigmaNull():
            return Absent(of)
        case SigmaExists():
            return Present(of) if value else Absent(of)
        case SigmaTimestampPart():
            raise ContentError(f"{of.name}: time-part modifiers are refused", hint="use hour_of_day or hour_of_week")
        case SigmaFieldReference():
            return _same_as(of, named(value.field), value)
    if of.field.type == "timestamp":
        raise ContentError(f"{of.name} is a time: only null, exists and fieldref test it", hint="see `timespan`")
    return _value_leaf(value, of)


def _value_leaf(value: Any, of: Named) -> Leaf:
    match value:
        case SigmaString():
            return _string(of, value, cased=isinstance(value, SigmaCasedString))
        case SigmaNumber():
            return _number(of, value)
        case SigmaCompareExpression():
            return _comparison(of, value)
        case SigmaRegularExpression():
            return _regex(of, value)
        case SigmaCIDRExpression():
            return _within(of, value)
        case SigmaBool():
            raise ContentError(f"{of.name}: no field is boolean", hint="quote the word")
    raise ContentError(f"{of.name}: a test of the kind {type(value).__name__} is refused")


def _string(of: Named, value: SigmaString, *, cased: bool) -> Leaf:
    if not has_wildcard(value) and of.field.numeric:
        number = number_in("".join(str(p) for p in pieces(value)))
        return Never() if number is None else Compares(of, "=", number)
    refuse_text_test(of.name, of.field)
    parts = tuple(p if cased or not isinstance(p, str) else fold(p) for p in pieces(value))
    if parts and all(p is SpecialChars.WILDCARD_MULTI for p in parts):
        return Present(of)
    if not has_wildcard(value):
        return Equals(of, "".join(str(p) for p in parts), cased)
    return Like(of, parts, cased or of.field.type == "int")


def _number(of: Named, value: SigmaNumber) -> Leaf:
    if of.field.numeric:
        return Compares(of, "=", value.number)
    return Equals(of, fold(str(value.number)), cased=False)


def _comparison(of: Named, value: SigmaCompareExpression) -> Leaf:
    operator = _OPERATORS.get(value.op)
    if operator is None:
        raise ContentError(f"{of.name}: the comparison {value.op.name.lower()} is refused")
    if not of.field.numeric:
        raise ContentError(f"{of.name} is text: {value.op.name.lower()} on it is refused")
    return Compares(of, operator, value.number.number)


def _regex(of: Named, value: SigmaRegularExpression) -> Leaf:
    refuse_text_test(of.name, of.field)
    text = "".join(str(p) if isinstance(p, str) else _plain(p) for p in pieces(value.regexp))
    flags = tuple(sorted(_FLAGS[flag] for flag in value.flags))
    return Matches(of, parse_regex(text, flags), text, flags)


def _plain(wildcard: SpecialChars) -> str:
    """Inside a regular expression, what pySigma reads as wildcards are its own `*` and `?`."""
    return "*" if wildcard is SpecialChars.WILDCARD_MULTI else "?"


def _within(of: Named, value: SigmaCIDRExpression) -> Leaf:
    if of.field.type != "string":
        raise ContentError(f"{of.name} is no text: cidr on it is refused")
    network = ip_network(value.cidr, strict=False)
    if network.version == MAPPED.version and network.subnet_of(MAPPED):
        return Never()  # an IPv4-mapped address was read as IPv4
    return Within(of, network)


def _same_as(of: Named, other: Named, value: SigmaFieldReference) -> Leaf:
    if value.starts_with and value.ends_with:
        part: Part = "anywhere"
    else:
        part = "start" if value.starts_with else "end" if value.ends_with else "whole"
    types = {of.field.type, other.field.type}
    numeric = of.field.numeric and other.field.numeric
    if "timestamp" in types and (len(types) > 1 or part != "whole"):
        raise ContentError(f"{of.name} and {other.name}: a time compares with a time only")
    if "double" in types and (part != "whole" or not numeric):
        raise ContentError(f"{of.name} and {other.name}: a double has no text to compare", hint="compare numbers")
    return SameAs(of, other, part, isinstance(value, CasedReference))
