"""ES|QL for Elasticsearch 8.19 and up: filter, `STATS`, then `LOOKUP JOIN` by one concatenated key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.conversion.state import ConversionState
from sigma.processing.pipeline import ProcessingPipeline
from sigma.processing.transformations import FieldMappingTransformation
from sigma.rule import SigmaRule
from sigma.types import SigmaExpansion

from keytrip.compile.base import siem_pipeline
from keytrip.compile.esql_conditions import Condition, esql_test, quote_column, quote_esql
from keytrip.compile.esql_query import DERIVED, ROWS, day_steps, group_steps, labels, verdict_steps
from keytrip.compile.header import Header, header_of
from keytrip.compile.leaves import Leaf, LeafBackend
from keytrip.compile.plan import Plan

_MILLISECONDS = "times are cut to milliseconds"
_LIMITED = f"at most {ROWS:,} rows"
_APPROXIMATE = "the percentile is approximate for many values"


@cache
def _layout() -> dict[str, str]:
    """Return the canonical layout's names, which hold where no pipeline says otherwise."""
    from keytrip.compile.pipelines import canonical_pipeline

    found: dict[str, str] = {}
    for item in canonical_pipeline().items:
        transformation = item.transformation
        if isinstance(transformation, FieldMappingTransformation) and "_elastic_" in f"_{item.identifier}_":
            found |= {k: v for k, v in transformation.mapping.items() if k and isinstance(v, str)}
    return found


class EsqlBackend(LeafBackend):
    """`NOT` is moved to the leaves, so that the conditions can be pushed down to the index."""

    identifier: ClassVar[str] = "keytrip_esql"
    name: ClassVar[str] = "keytrip Elasticsearch ES|QL"
    formats: ClassVar[dict[str, str]] = {"default": "ES|QL over logs-keytrip.* and the lookup indices keytrip_<table>"}
    siem: ClassVar[str] = "elastic"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("elastic")
    or_token: ClassVar[str | None] = "OR"
    and_token: ClassVar[str | None] = "AND"
    not_token: ClassVar[str | None] = "NOT"
    parenthesize: ClassVar[bool] = True

    def field_map(self) -> dict[str, str]:
        """Return the pipeline's names, or the canonical layout's where it has none."""
        return super().field_map() or _layout()

    def column(self, name: str) -> str:
        """Return the text of a canonical field."""
        return DERIVED.get(name) or quote_column(self.siem_field(name))

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf that stands positive."""
        text = self._test(leaf).text
        return f"({text})" if " AND " in text else text

    def _test(self, leaf: Leaf) -> Condition:
        return esql_test(leaf, self.column)

    def convert_condition_not(self, cond: ConditionNOT, state: ConversionState) -> Any:
        """Move the negation to the leaves."""
        of: Any = cond.args[0]
        match of:
            case None:
                return None
            case ConditionNOT():
                return self.convert_condition(of.args[0], state)
            case ConditionAND():
                return self.convert_condition(ConditionOR([ConditionNOT([arg]) for arg in of.args]), state)
            case ConditionOR():
                return self.convert_condition(ConditionAND([ConditionNOT([arg]) for arg in of.args]), state)
            case ConditionFieldEqualsValueExpression(value=SigmaExpansion(values=values)):
                each = [ConditionNOT([ConditionFieldEqualsValueExpression(of.field, value)]) for value in values]
                return self.convert_condition(ConditionAND(each), state)
            case ConditionFieldEqualsValueExpression():
                return self._test(self.leaf_of(of)).negated
        return super().convert_condition_not(cond, state)

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return f"{self.column(field)} == {quote_esql(text)}"

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with what Elastic's detection engine knows it by, the rule and its level."""
        head = header_of(rule, _needs(table, ()), [_MILLISECONDS, _LIMITED])
        steps = [
            *day_steps(condition),
            f"WHERE {condition}",
            labels(head.rule, head.level),
            f"LIMIT {ROWS}",
            "KEEP _id, _index, _version, rule, level, *",
        ]
        return _query(head, f"{_events_of(table)} METADATA _id, _index, _version", steps)

    def counting(self, plan: Plan, table: str, condition: str) -> str:
        """Group events by window, then join the reduced rows with the baseline."""
        approximate = [_APPROXIMATE] if plan.type in {"value_median", "value_percentile"} else []
        head = header_of(plan, _needs(table, plan.tables), [_MILLISECONDS, _LIMITED, *approximate])
        present = [f"{self.column(name)} IS NOT NULL" for name in plan.group_by if name not in DERIVED]
        tests = [*present, condition if condition in present else f"({condition})"]
        where = " AND ".join(dict.fromkeys(tests)) if present else condition
        groups = group_steps(plan, self.column)
        steps = [*day_steps(where + "".join(groups)), f"WHERE {where}", *groups, *verdict_steps(plan)]
        return _query(head, _events_of(table), steps)


def _events_of(table: str) -> str:
    return f"logs-keytrip.{table}-*"


def _needs(table: str, tables: Sequence[str]) -> list[str]:
    return [f"data streams {_events_of(table)}", *(f"lookup index keytrip_{name}" for name in tables)]


def _query(head: Header, source: str, steps: Sequence[str]) -> str:
    lines = [*(f"// {line}" for line in head.lines), f"FROM {source}"]
    return "\n".join([*lines, *(f"| {step}" for step in steps)])
