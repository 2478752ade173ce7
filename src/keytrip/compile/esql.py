"""ES|QL for Elasticsearch 8.19 and up: filter, `STATS`, then `LOOKUP JOIN` by one concatenated key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from sigma.rule import SigmaRule

from keytrip.compile.base import METHODS
from keytrip.compile.elastic import NegationAtLeaves
from keytrip.compile.esql_beside import branch_steps, branches_of, can_stand_beside
from keytrip.compile.esql_conditions import Condition, esql_test, quote_column, quote_esql
from keytrip.compile.esql_events import alert_column, event_steps, record_source
from keytrip.compile.esql_query import DERIVED, ROWS, day_steps, group_steps, labels, shape_steps, verdict_steps
from keytrip.compile.esql_temporal import temporal_steps
from keytrip.compile.formats import Writer, as_it_is
from keytrip.compile.header import Header, header_of
from keytrip.compile.kibana import detection_rule
from keytrip.compile.leaves import Absent, Leaf, Named
from keytrip.compile.plan import Plan
from keytrip.compile.views import Source
from keytrip.errors import ContentError, UsageError

_OLDEST = "8.19"
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}(\.\d{1,3})*")
_MILLISECONDS = "times are cut to milliseconds"
_LIMITED = f"at most {ROWS:,} rows"
_COUNTED = "the count of distinct values of an inner rule is approximate beyond 40,000"
_APPROXIMATE = "the percentile is approximate for many values"
_SCHEDULED = "the window is the schedule's: the query has to cover exactly the last timespan"


class EsqlBackend(NegationAtLeaves):
    """`NOT` is moved to the leaves, so that the conditions can be pushed down to the index."""

    identifier: ClassVar[str] = "keytrip_esql"
    name: ClassVar[str] = "keytrip Elasticsearch ES|QL"
    formats: ClassVar[dict[str, str]] = {
        "default": "ES|QL over logs-keytrip.* and the lookup indices keytrip_<table>",
        "detection_rule": "detection rules for Kibana, one a line",
        "siem_rule_ndjson": "the same, under pySigma's name",
        "siem_rule": "pySigma's rule as JSON; for logsources other than ai_*",
        "kibana_ndjson": "pySigma's saved searches; for logsources other than ai_*",
    }
    correlation_methods: ClassVar[dict[str, str] | None] = METHODS | {"stats": "pySigma's; for other logsources"}
    stock_formats: ClassVar[Mapping[str, str]] = {"detection_rule": "siem_rule_ndjson"}
    writers: ClassVar[Mapping[str, Writer]] = {
        "default": as_it_is,
        "detection_rule": detection_rule("esql", "esql"),
        "siem_rule_ndjson": detection_rule("esql", "esql"),
    }
    or_token: ClassVar[str] = "OR"  # noqa: S105 - a word of the language
    and_token: ClassVar[str] = "AND"  # noqa: S105 - the same
    not_token: ClassVar[str] = "NOT"  # noqa: S105 - the same
    sliding: ClassVar[bool] = False
    options: ClassVar[Mapping[str, str]] = {"target_version": "version of Elasticsearch, 8.19 if left out"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make a backend; every version from 8.19 on reads the same text.

        Several fields may be joined by from 9.2 on, but the lookup indices hold one key for all of a table's columns.

        Raises:
            UsageError: The version is none, or has no `LOOKUP JOIN`.
        """
        version = str(options.get("target_version", _OLDEST))
        if not _VERSION.fullmatch(version):
            raise UsageError(f"esql: {version!r} is no version of Elasticsearch", hint="such as 8.19 or 9.2")
        if tuple(map(int, version.split(".")[:2])) < tuple(map(int, _OLDEST.split("."))):
            hint = f"{_OLDEST} or later, or the target lucene for plain rules"
            raise UsageError(f"esql: Elasticsearch {version} has no LOOKUP JOIN to rely on", hint=hint)
        super().__init__(*arguments, **options)

    def column(self, name: str) -> str:
        """Return the text of a canonical field."""
        return DERIVED.get(name) or quote_column(self.siem_field(name))

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf that stands positive."""
        text = self._test(leaf).text
        return f"({text})" if " AND " in text else text

    def _test(self, leaf: Leaf) -> Condition:
        return esql_test(leaf, self.column)

    def hidden_null(self, of: Named) -> str:
        """Write it in a `COALESCE`, which the index is not asked for."""
        return f"COALESCE({self.leaf(Absent(of))}, false)"

    def unless(self, leaf: Leaf) -> str:
        """Write a leaf that is negated."""
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
        counted = any(inner.type == "value_count" for each in plan.all if each.mixed for inner in each.inner)
        more = [(_APPROXIMATE, ranked), (_COUNTED, counted), (_SCHEDULED, plan.temporal)]
        self.deviations = (_MILLISECONDS, _LIMITED, *(words for words, here in more if here))
        steps = [*self._alerts(plan), *shape_steps(plan)]
        head = header_of(plan, _needs(plan.reads, [t for each in plan.all for t in each.tables]), self.deviations)
        source = ", ".join(_events_of(table) for table in plan.reads)
        beside = any(each.mixed for each in plan.all)
        metadata = " METADATA _index, _id" if beside else " METADATA _index" if len(plan.reads) > 1 else ""
        return _query(head, f"{source}{metadata}", steps)

    def _alerts(self, plan: Plan) -> list[str]:
        """Return the steps to one row an alert."""
        if plan.mixed and can_stand_beside(plan):
            rows = branches_of(plan, self.column)
            steps = [*branch_steps(rows)]
            return [*day_steps("\n".join(steps)), *steps, *self._of_events(rows.plan, rows.source)]
        inner = self.inner_of(plan)
        steps, column = list[str](), self.column
        if inner is not None:
            if plan.temporal or inner.temporal:
                problem = "esql has no sliding window, and the schedule cannot be that of one rule of a chain"
                raise ContentError(
                    f"{problem}: {plan.rule} over {inner.rule}", hint="duckdb, spark and splunk can say it"
                )
            steps = [*self._alerts(inner), "RENAME last_seen AS @timestamp"]
            column = partial(alert_column, inner)
        return [*steps, *self._of_events(plan, record_source(column))]

    @staticmethod
    def _of_events(plan: Plan, read: Callable[[str | Plan], Source]) -> list[str]:
        """Return the steps from events, or rows of several kinds, to one row an alert."""
        events = event_steps(plan, read)
        groups = temporal_steps(plan, events) if plan.temporal else group_steps(plan, events.columns.__getitem__)
        made = [*events.steps, *groups]
        return [*day_steps("\n".join(made)), *made, *verdict_steps(plan)]


def _events_of(table: str) -> str:
    return f"logs-keytrip.{table}-*"


def _needs(sources: Sequence[str], tables: Sequence[str]) -> list[str]:
    streams = " and ".join(_events_of(table) for table in sources)
    return [f"data streams {streams}", *(f"lookup index keytrip_{name}" for name in dict.fromkeys(tables))]


def _query(head: Header, source: str, steps: Sequence[str]) -> str:
    lines = [*(f"// {line}" for line in head.lines), f"FROM {source}"]
    return "\n".join([*lines, *(f"| {step}" for step in steps)])
