"""Lucene query strings: a plain rule is one condition; a query string has nothing to count with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sigma.conditions import ConditionNOT
from sigma.conversion.state import ConversionState
from sigma.rule import SigmaRule

from keytrip.compile.elastic import OneEvent
from keytrip.compile.formats import Writer, as_it_is
from keytrip.compile.kibana import detection_rule
from keytrip.compile.leaves import Leaf
from keytrip.compile.lucene_conditions import lucene_condition, quote_lucene, quote_name


class LuceneBackend(OneEvent):
    """`NOT` keeps events without the field, as SEMANTICS wants; case is in the regular expressions."""

    identifier: ClassVar[str] = "keytrip_lucene"
    name: ClassVar[str] = "keytrip Lucene"
    formats: ClassVar[dict[str, str]] = {
        "default": "query strings over logs-keytrip.*",
        "detection_rule": "detection rules for Kibana, one a line",
        "siem_rule_ndjson": "the same, under pySigma's name",
        "siem_rule": "pySigma's rule as JSON; for logsources other than ai_*",
        "kibana_ndjson": "pySigma's saved searches; for logsources other than ai_*",
        "dsl_lucene": "pySigma's query DSL; for logsources other than ai_*",
    }
    writers: ClassVar[Mapping[str, Writer]] = {
        "default": as_it_is,
        "detection_rule": detection_rule("query", "lucene"),
        "siem_rule_ndjson": detection_rule("query", "lucene"),
    }
    stock_formats: ClassVar[Mapping[str, str]] = {"detection_rule": "siem_rule_ndjson"}
    or_token: ClassVar[str] = "OR"  # noqa: S105 - a word of the language
    and_token: ClassVar[str] = "AND"  # noqa: S105 - the same
    not_token: ClassVar[str] = "NOT"  # noqa: S105 - the same

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf."""
        return lucene_condition(leaf, self)

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Any:
        """Negate within all events: a clause that only negates matches nothing in some parsers."""
        of: Any = cond.args[0]
        return f"(*:* AND NOT ({self.convert_condition(of, state)}))"

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return f"{quote_name(self.siem_field(field))}:{quote_lucene(text)}"

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:  # noqa: ARG002 - the index says the table
        """Return the condition: a query string knows no comments and no labels."""
        return condition
