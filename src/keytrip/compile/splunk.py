"""SPL: filter, `stats` first, then `lookup` on the reduced rows; joins and subsearches truncate silently."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from keytrip.compile.base import METHODS, siem_pipeline
from keytrip.compile.formats import Writer, as_facts, as_it_is
from keytrip.compile.header import Header, header_of
from keytrip.compile.leaves import Leaf, LeafBackend, SameAs
from keytrip.compile.plan import Narrowing, Plan
from keytrip.compile.resolve import NARROWING
from keytrip.compile.savedsearches import combined_searches, saved_search
from keytrip.compile.splunk_beside import branch_steps, branches_of, can_stand_beside
from keytrip.compile.splunk_blocks import verdict_steps
from keytrip.compile.splunk_combined import batch_name, combined_steps
from keytrip.compile.splunk_conditions import parenthesised, quote_spl, spl_condition, spl_exactly
from keytrip.compile.splunk_events import (
    DERIVED,
    alert_column,
    day_steps,
    event_steps,
    record_source,
    search_text,
)
from keytrip.compile.splunk_groups import group_steps
from keytrip.compile.splunk_temporal import temporal_steps
from keytrip.compile.splunk_terms import any_term, narrowed_tables, present_in, term_of, terms_of
from keytrip.compile.splunk_tstats import WITHOUT_MODEL, model_field, model_named, tstats_alerts
from keytrip.compile.views import Source
from keytrip.errors import ContentError

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class SplunkBackend(LeafBackend):
    """Conditions stand in `where`, since `search` knows neither case nor escapes (reference: SEMANTICS section 2)."""

    identifier: ClassVar[str] = "keytrip_splunk"
    name: ClassVar[str] = "keytrip Splunk SPL"
    formats: ClassVar[dict[str, str]] = {
        "default": "SPL over index=keytrip and the lookups keytrip_<table>",
        "savedsearches": "stanzas of savedsearches.conf, one a rule",
        "combined": "stanzas of savedsearches.conf, one for all rules over the same events",
        "data_model": "pySigma's searches of data models; for logsources other than ai_*",
    }
    correlation_methods: ClassVar[dict[str, str] | None] = METHODS | {"stats": "pySigma's; for other logsources"}
    options: ClassVar[Mapping[str, str]] = {"data_model": "accelerated data model to read with tstats"}
    writers: ClassVar[Mapping[str, Writer]] = {
        "default": as_it_is,
        "savedsearches": saved_search,
        "combined": as_facts,
    }
    stock_formats: ClassVar[Mapping[str, str]] = {"combined": "savedsearches"}
    siem: ClassVar[str] = "splunk"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("splunk")
    or_token: ClassVar[str] = "OR"  # noqa: S105 - a word of the language
    and_token: ClassVar[str] = "AND"  # noqa: S105 - the same
    not_token: ClassVar[str] = "NOT"  # noqa: S105 - the same
    parenthesize: bool = True

    @property
    def _model(self) -> str:
        """The data model to read, or an empty string."""
        given = self.backend_options.get("data_model")
        return model_named(str(given)) if given else ""

    def column(self, name: str) -> str:
        """Return the text of a canonical field in `where` and `eval`."""
        if name in DERIVED:
            return DERIVED[name]
        if self._model:
            return model_field(self._table, name)
        field = self.siem_field(name)
        return field if _PLAIN_NAME.fullmatch(field) else "'" + field.replace("'", "") + "'"

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf.

        Raises:
            ContentError: It compares times: Splunk holds all but `_time` as text.
        """
        if isinstance(leaf, SameAs) and leaf.of.field.type == "timestamp":
            raise ContentError(
                f"{leaf.of.name}: Splunk holds times as text", hint="duckdb, spark and esql can compare them"
            )
        return spl_condition(leaf, self.column)

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return spl_exactly(self.column(field), text)

    def narrowing(self, rule: SigmaRule, parsed: Sequence[Any]) -> Narrowing:
        """Ask the index for whole texts (see `splunk_terms`)."""
        product = rule.logsource.product or ""
        found = any_term([terms_of(condition, self.leaf_of) for condition in parsed])
        search = " ".join(filter(None, dict.fromkeys([term_of(product), found])))
        return Narrowing(search, self._present(rule, parsed) if self._model else frozenset())

    def _present(self, rule: SigmaRule, parsed: Sequence[Any]) -> frozenset[str]:
        each = [present_in(condition, self.leaf_of) for condition in parsed]
        return frozenset.intersection(*each) | ({"provider"} if rule.logsource.product else set())

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with the rule and its level.

        Raises:
            ContentError: A data model is to be read, which gives counts only.
        """
        head = header_of(rule, _needs([table], ()))
        if self._model:
            raise ContentError("tstats cannot say it: it returns no events", hint=WITHOUT_MODEL)
        tables = {table: rule.custom_attributes[NARROWING].search}
        steps = [*day_steps(condition), f"where {parenthesised(condition)}", _labels(head.rule, head.level)]
        return _query(head, search_text(tables), steps)

    def correlate(self, plan: Plan) -> str:
        """Group events by window, or slide a window over them, then look the reduced rows up.

        Raises:
            ContentError: The plan's events are alerts and records together, or want a field that SPL cannot make.
        """
        lookups = [table for each in plan.all for table in each.tables]
        if self._model:
            steps = tstats_alerts(plan, self._model, self.column)
            head = header_of(plan, [f"data model {self._model} with dataset {plan.reads[0]}", *_lookups(lookups)])
            return _query(head, "", [*steps, *_shape(plan)])
        head = header_of(plan, _needs(plan.reads, lookups))
        return _query(head, search_text(narrowed_tables(plan)), [*self._alerts(plan), *_shape(plan)])

    def finalize(self, queries: list[Any], output_format: str) -> Any:
        """Put rules together where that is the format."""
        together = output_format == "combined"
        return super().finalize(combined_searches(queries, self.combined) if together else queries, output_format)

    def combined(self, plans: Sequence[Plan]) -> str:
        """Return one search for the plans of one batch (see `splunk_combined`).

        Raises:
            ContentError: A data model is to be read.
        """
        if self._model:
            raise ContentError("tstats cannot say it: several rules in one search", hint=WITHOUT_MODEL)
        self._table = plans[0].reads[0]
        lookups = [table for plan in plans for table in plan.tables]
        rules = ", ".join(plan.rule for plan in plans)
        head = Header(batch_name(plans), rules, f"{len(plans)} rules", _needs(plans[0].reads, lookups))
        narrowings = [base.narrowing.search for plan in plans for base in plan.bases]
        search = search_text({self._table: any_term(narrowings)})
        return _query(head, search, combined_steps(plans, self.column))

    def _alerts(self, plan: Plan) -> list[str]:
        """Return the steps to one row an alert."""
        groups = temporal_steps(plan) if plan.temporal else group_steps(plan)
        return [*self._events(plan), *groups, *verdict_steps(plan)]

    def _events(self, plan: Plan) -> list[str]:
        """Return the steps to one row an event, or one in each group that it is of."""
        if plan.mixed and can_stand_beside(plan):
            rows = branches_of(plan, self.column)
            return [*branch_steps(rows), *event_steps(rows.plan, rows.source)]
        inner = self.inner_of(plan)
        if inner is None:
            return event_steps(plan, partial(record_source, plan, self.column))
        found = Source("", partial(alert_column, inner))
        return [*self._alerts(inner), "eval _time = last_seen", *event_steps(plan, lambda _: found)]


def _needs(sources: Sequence[str], tables: Sequence[str]) -> list[str]:
    types = " and ".join(f"keytrip:{table}" for table in sources)
    return [f"index keytrip with sourcetype {types}", *_lookups(tables)]


def _lookups(tables: Sequence[str]) -> list[str]:
    return [f"lookup keytrip_{name}" for name in dict.fromkeys(tables)]


def _query(head: Header, search: str, steps: Sequence[str]) -> str:
    comment = "```" + "\n".join(head.lines) + "```"
    return "\n".join([comment, *([search] if search else []), *(f"| {step}" for step in steps)])


def _labels(rule: str, level: str) -> str:
    return f"eval rule = {quote_spl(rule)}, level = {quote_spl(level)}"


def _shape(plan: Plan) -> list[str]:
    """Return the steps that shape the result."""
    baseline = [f"baseline_{b.prefix}{c}" for b in plan.blocks for c in b.columns]
    columns = [*plan.group_by, "window_start", "window_end", "value", *(["share"] if plan.share_block else [])]
    columns += ["events", "first_seen", "last_seen", *baseline, "rule", "level"]
    end = [] if plan.temporal else [f"eval window_end = (window_start + {plan.seconds})"]
    return [*end, _labels(plan.rule, plan.level), f"table {' '.join(dict.fromkeys(columns))}"]
