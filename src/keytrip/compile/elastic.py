"""What the targets over the canonical Elastic layout share: its field names, and regular expressions of Lucene."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv6Network
from typing import Any, ClassVar

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.conversion.state import ConversionState
from sigma.correlations import SigmaCorrelationRule
from sigma.processing.pipeline import ProcessingPipeline
from sigma.types import SigmaExpansion, SigmaFieldReference, SpecialChars

from keytrip.compile.base import fields_of, siem_pipeline
from keytrip.compile.dialects import lucene_caseless, lucene_literal
from keytrip.compile.leaves import MAPPED, Absent, Compares, Leaf, LeafBackend, Named, Never, Present, Within
from keytrip.compile.plan import Plan
from keytrip.errors import ContentError

SIEM = "elastic"
_ADDRESS_TEXT, _ADDRESS = "source.address", "source.ip"
_WILDCARDS = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
_LONG = 2**63
# In the state of a conversion: the fields whose tests for null are hidden.
_HIDDEN = "keytrip_hidden"
# `index.max_regex_length` of Elasticsearch and OpenSearch, unless an index says otherwise.
_LONGEST_REGEX = 1000


@cache
def layout() -> dict[str, str]:
    """Return the canonical layout's names, which hold where no pipeline says otherwise."""
    from keytrip.compile.pipelines import canonical_pipeline

    return fields_of(canonical_pipeline(), SIEM)


class ElasticBackend(LeafBackend):
    """A backend whose fields are those of the canonical Elastic layout."""

    siem: ClassVar[str] = SIEM
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline(SIEM)
    parenthesize: bool = True

    def field_map(self) -> dict[str, str]:
        """Return the pipeline's names, or the canonical layout's where it has none."""
        return super().field_map() or layout()

    def leaf_of(self, cond: ConditionFieldEqualsValueExpression) -> Leaf:
        """Return the leaf of a condition; beyond what a long holds, all integers are on one side of a number.

        Raises:
            ContentError: SEMANTICS refuses the test.
        """
        found = super().leaf_of(cond)
        if isinstance(found, Compares) and found.of.field.type == "int" and abs(found.number) >= _LONG:
            return Present(found.of) if found.operator.startswith("<" if found.number > 0 else ">") else Never()
        return found

    def stored(self, of: Named) -> str:
        """Return the layout's field of a canonical one.

        Raises:
            ContentError: The layout does not hold it.
        """
        if not of.field.shipped and of.field.type != "timestamp":
            raise ContentError(f"{of.name} is no field of the events: {self.language} cannot compute it", hint=self.can)
        return self.siem_field(of.name)

    @property
    def language(self) -> str:
        """The target's name in a refusal."""
        return str(self.name).removeprefix("keytrip ")

    can: ClassVar[str] = "esql, splunk, duckdb and spark can"

    def text_field(self, of: Named) -> str:
        """Return the layout's field of a text.

        Raises:
            ContentError: It is a number: its digits are not in the index.
        """
        if of.field.type == "int":
            raise ContentError(f"{of.name} is an integer: {self.language} cannot search its digits", hint=self.can)
        return self.stored(of)

    def within(self, leaf: Within) -> tuple[str, str | None]:
        """Return (ip field, text field that has to hold a colon, or None) of a test for a network.

        Elasticsearch keeps an IPv4 address as ::ffff:a.b.c.d, which lies in some IPv6 networks.

        Raises:
            ContentError: The field is not in the index as an address.
        """
        name = self.stored(leaf.of)
        if name != _ADDRESS_TEXT:
            raise ContentError(
                f"{leaf.of.name} is not in the index as an address: cidr on it is refused", hint=self.can
            )
        mapped = isinstance(leaf.network, IPv6Network) and leaf.network.overlaps(MAPPED)
        return _ADDRESS, name if mapped else None


class OneEvent(ElasticBackend):
    """A backend of a language that tests one event at a time."""

    correlation_methods: ClassVar[dict[str, str] | None] = None

    def correlate(self, plan: Plan) -> str:
        """Refuse: `convert_correlation_rule` does it before there is a plan.

        Raises:
            ContentError: Always.
        """
        raise ContentError(f"{self.language} cannot say {plan.type}")

    def convert_correlation_rule(self, rule: SigmaCorrelationRule, *_: Any, **__: Any) -> list[Any]:
        """Refuse a correlation.

        Raises:
            SigmaConversionError: Always, unless errors are collected.
        """
        with self.collecting(rule):
            message = f"{self.language} tests one event at a time: correlations are refused"
            raise ContentError(message, hint="esql, splunk, duckdb and spark can; opensearch without baselines")
        return []


class NegationAtLeaves(ElasticBackend):
    """A backend that moves `NOT` to the leaves, for languages in which a test of null is null."""

    @abstractmethod
    def hidden_null(self, of: Named) -> str:
        """Return a test for null that Elasticsearch's optimiser does not see.

        It takes a test for null that stands in an AND for leave to make every other condition that names the field
        null, an OR too: `f IS NULL AND (q OR f IS NOT NULL)` finds nothing (seen in 8.19.21). And it makes such ANDs
        itself, from `(f IS NULL AND p) OR (f IS NULL AND q)` or `f IS NULL OR (f IS NULL AND p)`.
        """

    def convert_condition_and(self, cond: ConditionAND, state: ConversionState) -> Any:
        """Convert an AND; the outermost one settles which tests for null are hidden in it."""
        if _HIDDEN not in state.processing_state:
            state = ConversionState(state.deferred, {**state.processing_state, _HIDDEN: self._confused(cond)})
        return super().convert_condition_and(cond, state)

    def _confused(self, cond: Any) -> frozenset[str]:
        """Return the fields that are asked to be null in an AND and are tested in it besides.

        What stays as it is: a field that only one OR tests, such as `f IS NULL OR f == "x"`.
        """
        asked: set[str] = set()
        places: dict[str, set[int]] = {}
        for leaf, negated, place in _placed(cond, negated=False, place=0):
            fields = [leaf.field, *([leaf.value.field] if isinstance(leaf.value, SigmaFieldReference) else [])]
            for number, name in enumerate(self.canonical_field(field)[0] for field in fields):
                # a place of its own for each test that no OR holds
                places.setdefault(name, set()).add(place or -id(leaf) - number)
            if self._asks_for_null(leaf, negated=negated):
                asked.add(self.canonical_field(leaf.field)[0])
        return frozenset(name for name in asked if len(places[name]) > 1)

    def _asks_for_null(self, cond: ConditionFieldEqualsValueExpression, *, negated: bool) -> bool:
        wanted = Present if negated else Absent
        values = cond.value.values if isinstance(cond.value, SigmaExpansion) else [cond.value]
        tests = (ConditionFieldEqualsValueExpression(cond.field, value) for value in values)
        return any(isinstance(self.leaf_of(test), wanted) for test in tests)

    def _settled(self, leaf: Leaf, state: ConversionState) -> str:
        """Write a leaf as it stands in its condition."""
        if isinstance(leaf, Absent) and leaf.of.name in state.processing_state.get(_HIDDEN, ()):
            return self.hidden_null(leaf.of)
        return self.leaf(leaf)

    def convert_condition_field_eq_val(self, cond: ConditionFieldEqualsValueExpression, state: ConversionState) -> Any:
        """Convert one test of a field."""
        if isinstance(cond.value, SigmaExpansion):
            return super().convert_condition_field_eq_val(cond, state)
        return self._settled(self.leaf_of(cond), state)

    @abstractmethod
    def unless(self, leaf: Leaf) -> str:
        """Return the text of a leaf's negation, true where its fields are null; no `Absent` or `Present` comes."""

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Any:
        """Move the negation to the leaves."""
        of: Any = cond.args[0]
        match of:
            case ConditionNOT():
                inner: Any = of.args[0]
            case ConditionAND():
                inner = ConditionOR([ConditionNOT([arg]) for arg in of.args])
            case ConditionOR():
                inner = ConditionAND([ConditionNOT([arg]) for arg in of.args])
            case ConditionFieldEqualsValueExpression(value=SigmaExpansion(values=values)):
                each = [ConditionFieldEqualsValueExpression(of.field, value) for value in values]
                inner = ConditionAND([*(ConditionNOT([arg]) for arg in each)])
            case ConditionFieldEqualsValueExpression():
                return self._unless(self.leaf_of(of), state)
            case _:
                return super().convert_condition_not(cond, state)
        return self.convert_condition(inner, state)

    def _unless(self, leaf: Leaf, state: ConversionState) -> str:
        match leaf:
            case Present(of):
                return self._settled(Absent(of), state)
            case Absent(of):
                return self.leaf(Present(of))
        return self.unless(leaf)


def _placed(cond: Any, *, negated: bool, place: int) -> Iterator[tuple[Any, bool, int]]:
    """Yield (leaf, whether it is negated, the OR that holds it, or 0) of a condition, as it is once `NOT` has moved."""
    match cond:
        case ConditionFieldEqualsValueExpression():
            yield cond, negated, place
        case ConditionNOT(args=[inner]):
            yield from _placed(inner, negated=not negated, place=place)
        case ConditionAND() | ConditionOR():
            joins = isinstance(cond, ConditionOR) is not negated
            for arg in cond.args:
                yield from _placed(arg, negated=negated, place=(place or id(cond)) if joins else 0)


def has_case(text: str) -> bool:
    """Whether a folded text has letters with another case."""
    return text.upper() != text


def lucene_wildcards(parts: tuple[str | SpecialChars, ...], *, cased: bool) -> str:
    """Return Lucene's regular expression for literal texts and wildcards."""
    write = lucene_literal if cased else lucene_caseless
    return short_enough("".join(write(p) if isinstance(p, str) else _WILDCARDS[p] for p in parts))


def short_enough(pattern: str) -> str:
    """Return a regular expression that an index takes.

    Raises:
        ContentError: It is longer.
    """
    if len(pattern) > _LONGEST_REGEX:
        hint = "write a shorter text, or compare it with |cased"
        raise ContentError(
            f"a regular expression of {len(pattern)} characters: an index takes {_LONGEST_REGEX}", hint=hint
        )
    return pattern
