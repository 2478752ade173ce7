"""EQL: a plain rule is one event query. Sequences are refused: they do not mean what a temporal rule does.

A sequence takes events of one instant as ordered, ends at the first fit and gives one alert for each; SEMANTICS asks
for strictly increasing times and one alert for all completions that are close.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sigma.rule import SigmaRule

from keytrip.compile.dialects import to_lucene
from keytrip.compile.elastic import NegationAtLeaves, OneEvent, has_case, lucene_wildcards, short_enough
from keytrip.compile.esql_conditions import Condition
from keytrip.compile.formats import Writer, as_it_is
from keytrip.compile.header import header_of
from keytrip.compile.kibana import detection_rule
from keytrip.compile.leaves import (
    Absent,
    Compares,
    Equals,
    Leaf,
    Like,
    Matches,
    Named,
    Never,
    Present,
    SameAs,
    Within,
)
from keytrip.compile.values import decimal_text
from keytrip.errors import ContentError

_MILLISECONDS = "times are cut to milliseconds"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote_eql(text: str) -> str:
    """Return an EQL string literal."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'


def quote_field(name: str) -> str:
    """Return a field's name as EQL reads it."""
    plain = name.replace(".", "").replace("_", "").isalnum() and not name[0].isdigit() and name.isascii()
    # `as` and the like are words of the language
    return name if plain and "as" not in name.split(".") else "`" + name.replace("`", "``") + "`"


class EqlBackend(OneEvent, NegationAtLeaves):
    """Case is in the regular expressions; `NOT` is moved to the tests, which are null for a null field."""

    identifier: ClassVar[str] = "keytrip_eql"
    name: ClassVar[str] = "keytrip EQL"
    formats: ClassVar[dict[str, str]] = {
        "default": "event queries over logs-keytrip.*",
        "detection_rule": "detection rules for Kibana, one a line",
        "siem_rule_ndjson": "the same, under pySigma's name",
        "siem_rule": "pySigma's rule as JSON; for logsources other than ai_*",
        "eqlapi": "pySigma's request bodies; for logsources other than ai_*",
    }
    writers: ClassVar[Mapping[str, Writer]] = {
        "default": as_it_is,
        "detection_rule": detection_rule("eql", "eql"),
        "siem_rule_ndjson": detection_rule("eql", "eql"),
    }
    stock_formats: ClassVar[Mapping[str, str]] = {"detection_rule": "siem_rule_ndjson"}
    correlation_methods: ClassVar[dict[str, str] | None] = {"sequence": "pySigma's; for logsources other than ai_*"}

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf that stands positive."""
        text = self._test(leaf).text
        return f"({text})" if " and " in text else text

    def hidden_null(self, of: Named) -> str:
        """Refuse: EQL shares the optimiser, and has nothing to hide a test from it.

        Raises:
            ContentError: Always.
        """
        message = f"EQL may drop events: {of.name} is asked to be null, and tested besides"
        raise ContentError(message, hint="drop the test that cannot hold, or use esql, lucene, opensearch")

    def unless(self, leaf: Leaf) -> str:
        """Write a leaf that is negated."""
        test = self._test(leaf)
        nulls = [f"{column} == null" for column in dict.fromkeys(test.columns)]
        return " or ".join([*nulls, f"not ({test.text})"])

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return f"{quote_field(self.siem_field(field))} == {quote_eql(text)}"

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event; a comment says which rule it is."""
        self.deviations = (_MILLISECONDS,)
        head = header_of(rule, [f"data streams logs-keytrip.{table}-*"], self.deviations)
        return "\n".join([*(f"// {line}" for line in head.lines), f"any where {condition}"])

    def _test(self, leaf: Leaf) -> Condition:
        match leaf:
            case Never():
                return Condition("false")
            case Absent(of):
                return Condition(f"{quote_field(self.stored(of))} == null")
            case Present(of):
                return Condition(f"{quote_field(self.stored(of))} != null")
            case Within():
                return self._network(leaf)
            case SameAs():
                raise ContentError(f"{leaf.of.name}: EQL cannot compare fields", hint=self.can)
            case Compares(of, operator, number):
                name = quote_field(self.stored(of))
                sign = "==" if operator == "=" else operator
                return Condition(f"{name} {sign} {decimal_text(number)}", (name,))
        name = quote_field(self.text_field(leaf.of))
        return Condition(f"{name} {_text_test(leaf)}", (name,))

    def _network(self, leaf: Within) -> Condition:
        address, text = self.within(leaf)
        test = f'cidrMatch({address}, "{leaf.network}")'
        return Condition(test if text is None else f'{test} and {text} regex ".*:.*"', (address,))


def _text_test(leaf: Equals | Like | Matches) -> str:
    match leaf:
        case Equals(_, text, cased) if cased or not has_case(text):
            return f"== {quote_eql(text)}"
        case Equals(_, text, _):
            return f"regex {quote_eql(lucene_wildcards((text,), cased=False))}"
        case Like(_, parts, cased):
            return f"regex {quote_eql(lucene_wildcards(parts, cased=cased))}"
        case Matches(_, regex):
            return f"regex {quote_eql(short_enough(to_lucene(regex)))}"
