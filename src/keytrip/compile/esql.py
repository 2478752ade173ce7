"""ES|QL for Elasticsearch 8.19 and up: filter, `STATS`, then `LOOKUP JOIN` by one concatenated key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, ClassVar

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.conversion.state import ConversionState
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule
from sigma.types import SigmaExpansion

from keytrip.compile.base import fields_of, siem_pipeline
from keytrip.compile.esql_conditions import Condition, esql_test, quote_column, quote_esql
from keytrip.compile.esql_events import alert_column, event_steps
from keytrip.compile.esql_query import DERIVED, ROWS, day_steps, group_steps, labels, shape_steps, verdict_steps
from keytrip.compile.esql_temporal import temporal_steps
from keytrip.compile.header import Header, header_of
from keytrip.compile.leaves import Absent, Leaf, LeafBackend, Present
from keytrip.compile.plan import Plan
from keytrip.errors import ContentError

_MILLISECONDS = "times are cut to milliseconds"
_LIMITED = f"at most {ROWS:,} rows"
_APPROXIMATE = "the percentile is approximate for many values"
_SCHEDULED = "the window is the schedule's: the query has to cover exactly the last timespan"


@cache
def _layout() -> dict[str, str]:
    """Return the canonical layout's names, which hold where no pipeline says otherwise."""
    from keytrip.compile.pipelines import canonical_pipeline

    return fields_of(canonical_pipeline(), EsqlBackend.siem)


class EsqlBackend(LeafBackend):
    """`NOT` is moved to the leaves, so that the conditions can be pushed down to the index."""

    identifier: ClassVar[str] = "keytrip_esql"
    name: ClassVar[str] = "keytrip Elasticsearch ES|QL"
    formats: ClassVar[dict[str, str]] = {"default": "ES|QL over logs-keytrip.* and the lookup indices keytrip_<table>"}
    siem: ClassVar[str] = "elastic"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("elastic")
    or_token: ClassVar[str] = "OR"  # noqa: S105 - a word of the language
    and_token: ClassVar[str] = "AND"  # noqa: S105 - the same
    not_token: ClassVar[str] = "NOT"  # noqa: S105 - the same
    parenthesize: bool = True
    sliding: ClassVar[bool] = False

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
        return self._test(leaf).negated

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return f"{self.column(field)} == {quote_esql(text)}"

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with what Elastic's detection engine knows it by, the rule and its level."""
        self.deviations = (_MILLISECONDS, _LIMITED)
        head = header_of(rule, _needs([table], ()), self.deviations)
        steps = [
            *day_steps(condition),
            f"WHERE {condition}",
            labels(head.rule, head.level),
            f"LIMIT {ROWS}",
            "KEEP _id, _index, _version, rule, level, *",
        ]
        return _query(head, f"{_events_of(table)} METADATA _id, _index, _version", steps)

    def correlate(self, plan: Plan) -> str:
        """Group events by window, then join the reduced rows with the baseline.

        Raises:
            ContentError: Its events are alerts and records together, or want a field that ES|QL cannot make; or it is a
                chain with a temporal correlation in it, whose window is the schedule's.
        """
        ranked = any(each.type in {"value_median", "value_percentile"} for each in plan.all)
        more = [(_APPROXIMATE, ranked), (_SCHEDULED, plan.temporal)]
        self.deviations = (_MILLISECONDS, _LIMITED, *(words for words, here in more if here))
        steps = [*self._alerts(plan), *shape_steps(plan)]
        head = header_of(plan, _needs(plan.reads, [t for each in plan.all for t in each.tables]), self.deviations)
        source = ", ".join(_events_of(table) for table in plan.reads)
        return _query(head, source if len(plan.reads) == 1 else f"{source} METADATA _index", steps)

    def _alerts(self, plan: Plan) -> list[str]:
        """Return the steps to one row an alert."""
        inner = self.inner_of(plan)
        steps, column = list[str](), self.column
        if inner is not None:
            if plan.temporal or inner.temporal:
                problem = "esql has no sliding window, and the schedule cannot be that of one rule of a chain"
                raise ContentError(f"{problem}: {plan.rule} over {inner.rule}", hint="duckdb and splunk can say it")
            steps = [*self._alerts(inner), "RENAME last_seen AS @timestamp"]
            column = partial(alert_column, inner)
        events = event_steps(plan, column)
        groups = temporal_steps(plan, events) if plan.temporal else group_steps(plan, events.columns.__getitem__)
        made = [*events.steps, *groups]
        return [*steps, *day_steps("".join(made)), *made, *verdict_steps(plan)]


def _events_of(table: str) -> str:
    return f"logs-keytrip.{table}-*"


def _needs(sources: Sequence[str], tables: Sequence[str]) -> list[str]:
    streams = " and ".join(_events_of(table) for table in sources)
    return [f"data streams {streams}", *(f"lookup index keytrip_{name}" for name in dict.fromkeys(tables))]


def _query(head: Header, source: str, steps: Sequence[str]) -> str:
    lines = [*(f"// {line}" for line in head.lines), f"FROM {source}"]
    return "\n".join([*lines, *(f"| {step}" for step in steps)])
