"""OpenSearch's query DSL: `bool` for conditions, a composite aggregation for groups and windows; it has no join."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.conversion.state import ConversionState
from sigma.rule import SigmaRule
from sigma.types import SigmaExpansion

from keytrip.compile.elastic import ElasticBackend
from keytrip.compile.formats import Writer, as_it_is
from keytrip.compile.header import header_of
from keytrip.compile.leaves import Leaf, Named
from keytrip.compile.monitors import monitor_rule
from keytrip.compile.opensearch_conditions import Json, all_of, any_of, dsl_condition, none_of
from keytrip.compile.opensearch_query import ROWS, aggregation, value_source
from keytrip.compile.plan import Plan
from keytrip.compile.security_analytics import security_analytics
from keytrip.errors import ContentError

_PAGED = f"a page has at most {ROWS:,} groups: ask on with after_key"


class OpensearchBackend(ElasticBackend):
    """Conditions are JSON texts throughout, since pySigma joins texts."""

    identifier: ClassVar[str] = "keytrip_opensearch"
    name: ClassVar[str] = "keytrip OpenSearch query DSL"
    formats: ClassVar[dict[str, str]] = {
        "default": "search requests over logs-keytrip.*",
        "monitor_rule": "monitors of the Alerting plugin, one a rule",
        "security_analytics": "rules of Security Analytics as YAML; plain rules only",
        "dashboards_ndjson": "pySigma's saved searches; for logsources other than ai_*",
        "dsl_lucene": "pySigma's query DSL around Lucene; for logsources other than ai_*",
    }
    writers: ClassVar[Mapping[str, Writer]] = {
        "default": as_it_is,
        "monitor_rule": monitor_rule,
        "security_analytics": security_analytics,
    }

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf."""
        return _text(dsl_condition(leaf, self))

    def any_of(self, conditions: list[str]) -> str:
        """Return a `bool` of which one condition has to hold."""
        return _text(any_of([json.loads(condition) for condition in dict.fromkeys(conditions)]))

    def narrowed(self, first: str, condition: str) -> str:
        """Return a `bool` of which both have to hold."""
        return _text(all_of([json.loads(first), json.loads(condition)]))

    def convert_condition_or(self, cond: ConditionOR, state: ConversionState) -> Any:
        """Convert an OR."""
        return _text(any_of(self._parts(cond, state)))

    def convert_condition_and(self, cond: ConditionAND, state: ConversionState) -> Any:
        """Convert an AND."""
        return _text(all_of(self._parts(cond, state)))

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Any:
        """Convert a NOT, which keeps events without the field."""
        return _text(none_of(self._parts(cond, state)))

    def _parts(self, cond: ConditionOR | ConditionAND | ConditionNOT, state: ConversionState) -> list[Json]:
        return [json.loads(str(self.convert_condition(part, state))) for part in _args(cond)]

    def convert_condition_field_eq_val(self, cond: ConditionFieldEqualsValueExpression, state: ConversionState) -> Any:
        """Convert one test of a field, or the alternatives that a modifier made of it."""
        if isinstance(cond.value, SigmaExpansion):
            return self.convert_condition_field_eq_expansion(cond, state)
        return super().convert_condition_field_eq_val(cond, state)

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return _text({"term": {self.siem_field(field): {"value": text}}})

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:  # noqa: ARG002 - the index says the table
        """Every matching event; `matched_queries` of each hit names the rule and its level."""
        self.deviations = ("times are cut to milliseconds", f"at most {ROWS:,} events")
        head = header_of(rule, ())
        matched = {"filter": [json.loads(condition)], "_name": f"{head.rule} ({head.level})"}
        return _pretty({"size": ROWS, "query": {"bool": matched}, "sort": [{"@timestamp": "asc"}]})

    def correlate(self, plan: Plan) -> str:
        """One bucket an alert: the key is the group and the window's start, `events` its `doc_count`.

        Raises:
            ContentError: It asks for a baseline, or does not count.
        """
        if plan.blocks:
            raise ContentError("query DSL cannot join a baseline table", hint="esql, splunk, duckdb and spark can")
        _, condition = self.records_of(plan)
        self.deviations = ("times are cut to milliseconds", _PAGED)
        sources = {name: value_source(self, self._of(name)) for name in (*plan.group_by, *plan.fields)}
        query = {"bool": {"filter": [json.loads(condition)]}}
        return _pretty({"size": 0, "query": query, "aggs": {"alerts": aggregation(plan, sources)}})

    def _of(self, name: str) -> Named:
        return Named(*self.canonical_field(name))


def _args(cond: Any) -> list[Any]:
    return list(cond.args)


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
