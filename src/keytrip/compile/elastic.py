"""What the targets over the canonical Elastic layout share: its field names, and regular expressions of Lucene."""

from __future__ import annotations

from abc import abstractmethod
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
# `index.max_regex_length` of Elasticsearch and OpenSearch, unless an index says otherwise.
_LONGEST_REGEX = 1000


@cache
def _layout() -> dict[str, str]:
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
        return super().field_map() or _layout()

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
    def beside_null(self, tested: list[str], others: list[str]) -> str:
        """Return an AND of conditions that say that a field is null, and of others that test the same field.

        Elasticsearch's optimiser takes a test for null that stands in an AND for leave to make every other condition on
        that field null, `f IS NULL` within an OR too (seen in 8.19.21, where `p` is tested as well).
        """

    def convert_condition_and(self, cond: ConditionAND, state: ConversionState) -> Any:
        """Convert an AND, in another way where the optimiser would go wrong."""
        args: list[Any] = list(cond.args)
        nulls = [self._nulls(arg) for arg in args]
        tested = {n for n, names in enumerate(nulls) if any(self._tests(a, names) for a in args[:n] + args[n + 1 :])}
        if not tested:
            return super().convert_condition_and(cond, state)
        texts = [str(self.convert_condition(arg, state)) for arg in args]
        others = [text for number, text in enumerate(texts) if number not in tested]
        return self.beside_null([texts[number] for number in sorted(tested)], others)

    def _nulls(self, cond: Any) -> frozenset[str]:
        """Return the fields that are null wherever a condition holds, as far as the optimiser sees."""
        match cond:
            case ConditionAND():
                return frozenset[str]().union(*(self._nulls(arg) for arg in cond.args))
            case ConditionOR():
                first, *rest = (self._nulls(arg) for arg in cond.args)
                return first.intersection(*rest)
            case ConditionNOT(args=[ConditionNOT() as inner]):
                return self._nulls(inner.args[0])
            case ConditionNOT(args=[ConditionAND() | ConditionOR() as inner]):
                other = ConditionOR if isinstance(inner, ConditionAND) else ConditionAND
                return self._nulls(other([ConditionNOT([arg]) for arg in inner.args]))
            case ConditionNOT(args=[ConditionFieldEqualsValueExpression() as inner]):
                return self._null_leaf(inner, Present)
            case ConditionFieldEqualsValueExpression():
                return self._null_leaf(cond, Absent)
        return frozenset()

    def _null_leaf(self, cond: ConditionFieldEqualsValueExpression, kind: type[Leaf]) -> frozenset[str]:
        if isinstance(cond.value, SigmaExpansion):
            return frozenset()
        leaf = self.leaf_of(cond)
        return frozenset({leaf.of.name}) if isinstance(leaf, kind) and not isinstance(leaf, Never) else frozenset()

    def _tests(self, cond: Any, names: frozenset[str]) -> bool:
        """Whether a condition tests one of the fields."""
        if not names:
            return False
        if not isinstance(cond, ConditionFieldEqualsValueExpression):
            return any(self._tests(arg, names) for arg in getattr(cond, "args", ()))
        fields = [cond.field, *([cond.value.field] if isinstance(cond.value, SigmaFieldReference) else [])]
        return any(self.canonical_field(name)[0] in names for name in fields)

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
                return self._unless(self.leaf_of(of))
            case _:
                return super().convert_condition_not(cond, state)
        return self.convert_condition(inner, state)

    def _unless(self, leaf: Leaf) -> str:
        match leaf:
            case Present(of):
                return self.leaf(Absent(of))
            case Absent(of):
                return self.leaf(Present(of))
        return self.unless(leaf)


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
