"""SPL: filter, `stats` first, then `lookup` on the reduced rows; joins and subsearches truncate silently."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from keytrip.compile.base import METHODS, siem_pipeline
from keytrip.compile.formats import Writer, as_it_is
from keytrip.compile.header import Header, header_of
from keytrip.compile.leaves import Leaf, LeafBackend, SameAs
from keytrip.compile.plan import Block, Plan
from keytrip.compile.resolve import NARROWING
from keytrip.compile.savedsearches import saved_search
from keytrip.compile.splunk_conditions import parenthesised, quote_spl, spl_condition, spl_exactly
from keytrip.compile.splunk_events import DERIVED, alert_column, day_steps, event_steps, search_text
from keytrip.compile.splunk_expressions import spl_all, spl_excess, spl_threshold
from keytrip.compile.splunk_temporal import temporal_steps
from keytrip.compile.splunk_terms import any_term, narrowed_tables, term_of, terms_of
from keytrip.errors import ContentError

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_RANKED = {"value_median", "value_percentile"}
_TIMES = "min(_time) as first_seen max(_time) as last_seen"


class SplunkBackend(LeafBackend):
    """Conditions stand in `where`, since `search` knows neither case nor escapes (reference: SEMANTICS section 2)."""

    identifier: ClassVar[str] = "keytrip_splunk"
    name: ClassVar[str] = "keytrip Splunk SPL"
    formats: ClassVar[dict[str, str]] = {
        "default": "SPL over index=keytrip and the lookups keytrip_<table>",
        "savedsearches": "stanzas of savedsearches.conf, one a rule",
        "data_model": "pySigma's searches of data models; for logsources other than ai_*",
    }
    correlation_methods: ClassVar[dict[str, str] | None] = METHODS | {"stats": "pySigma's; for other logsources"}
    writers: ClassVar[Mapping[str, Writer]] = {"default": as_it_is, "savedsearches": saved_search}
    siem: ClassVar[str] = "splunk"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("splunk")
    or_token: ClassVar[str] = "OR"  # noqa: S105 - a word of the language
    and_token: ClassVar[str] = "AND"  # noqa: S105 - the same
    not_token: ClassVar[str] = "NOT"  # noqa: S105 - the same
    parenthesize: bool = True

    def column(self, name: str) -> str:
        """Return the text of a canonical field in `where` and `eval`."""
        if name in DERIVED:
            return DERIVED[name]
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

    def narrowing(self, rule: SigmaRule, parsed: Sequence[Any]) -> str:
        """Ask the index for whole texts (see `splunk_terms`)."""
        product = [term_of(rule.logsource.product)] if rule.logsource.product else []
        found = any_term([terms_of(condition, self.leaf_of) for condition in parsed])
        return " ".join(filter(None, dict.fromkeys([*product, found])))

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with the rule and its level."""
        head = header_of(rule, _needs([table], ()))
        tables = {table: str(rule.custom_attributes.get(NARROWING, ""))}
        steps = [*day_steps(condition), f"where {parenthesised(condition)}", _labels(head.rule, head.level)]
        return _query(head, tables, steps)

    def correlate(self, plan: Plan) -> str:
        """Group events by window, or slide a window over them, then look the reduced rows up.

        Raises:
            ContentError: The plan's events are alerts and records together, or want a field that SPL cannot make.
        """
        head = header_of(plan, _needs(plan.reads, [table for each in plan.all for table in each.tables]))
        return _query(head, narrowed_tables(plan), [*self._alerts(plan), *_shape(plan)])

    def _alerts(self, plan: Plan) -> list[str]:
        """Return the steps to one row an alert."""
        inner = self.inner_of(plan)
        steps: list[str] = []
        column = self.column
        if inner is not None:
            steps = [*self._alerts(inner), "eval _time = last_seen"]
            column = partial(alert_column, inner)
        groups = temporal_steps(plan) if plan.temporal else _groups(plan)
        return [*steps, *event_steps(plan, column), *groups, *_verdict(plan)]


def _needs(sources: Sequence[str], tables: Sequence[str]) -> list[str]:
    types = " and ".join(f"keytrip:{table}" for table in sources)
    return [f"index keytrip with sourcetype {types}", *(f"lookup keytrip_{name}" for name in dict.fromkeys(tables))]


def _query(head: Header, tables: Mapping[str, str], steps: Sequence[str]) -> str:
    comment = "```" + "\n".join(head.lines) + "```"
    return "\n".join([comment, search_text(tables), *(f"| {step}" for step in steps)])


def _labels(rule: str, level: str) -> str:
    return f"eval rule = {quote_spl(rule)}, level = {quote_spl(level)}"


def _by(plan: Plan, extra: Sequence[str] = ()) -> str:
    return "by " + " ".join(dict.fromkeys([*plan.group_by, "window_start", *extra]))


def _groups(plan: Plan) -> list[str]:
    """Return the steps from events to one row a group and window."""
    if plan.share_block is not None and plan.type in {"event_count", "value_sum"}:
        steps = _shared_sums(plan, plan.share_block)
    else:
        mark = _absent_events(plan.share_block) if plan.share_block is not None else []
        steps = [*mark, *(_ranked(plan) if plan.type in _RANKED else _simple(plan))]
    values = []
    if plan.type == "event_count":
        values.append("value = events")
    if plan.cost_sum:
        values.append("value = exact(round(value, 9))")
    if plan.share_block is not None:
        values.append("share = exact(kt_absent / events)")
    return [*steps, f"eval {', '.join(values)}"] if values else steps


def _simple(plan: Plan) -> list[str]:
    field, before = (plan.fields or ("",))[0], []
    if len(plan.fields) > 1:
        # lengths in front keep ("a", "bc") apart from ("ab", "c")
        present = " AND ".join(f"(isnotnull({f}))" for f in plan.fields)
        lengths = '.":".'.join(f"len({f})" for f in plan.fields)
        before = [f'eval kt_values = if(({present}), ({lengths}.":".{".".join(plan.fields)}), null())']
        field = "kt_values"
    value = {"value_sum": f"sum({field})", "value_avg": f"avg({field})", "value_count": f"dc({field})"}.get(plan.type)
    parts = [f"{value} as value"] if value else []
    parts += ["count as events", _TIMES, *(["sum(kt_absent) as kt_absent"] if plan.share_block else [])]
    return [*before, f"stats {' '.join(parts)} {_by(plan)}"]


def _ranked(plan: Plan) -> list[str]:
    """Interpolate between ranks: `median` and `perc` take the nearest one."""
    field = plan.fields[0]
    part = 50 if plan.type == "value_median" else plan.percentile or 0
    taken = [f"if(((isnotnull({field})) AND (kt_rank = {f}(kt_place))), {field}, null())" for f in ("floor", "ceiling")]
    share = " sum(kt_absent) as kt_absent" if plan.share_block else ""
    rows = "max(kt_low) as kt_low max(kt_high) as kt_high max(kt_place) as kt_place"
    return [
        f"sort 0 num({field})",
        f"streamstats count({field}) as kt_rank {_by(plan)}",
        f"eventstats count({field}) as kt_count {_by(plan)}",
        f"eval kt_place = exact((({part} / 100) * (kt_count - 1)) + 1)",
        f"eval kt_low = {taken[0]}, kt_high = {taken[1]}",
        f"stats {rows} count as events {_TIMES}{share} {_by(plan)}",
        "eval value = exact(kt_low + ((kt_place - floor(kt_place)) * (kt_high - kt_low)))",
    ]


def _lookup(table: str, columns: Sequence[str], output: Sequence[tuple[str, str]]) -> str:
    outputs = " ".join(f"{column} as {name}" for column, name in output)
    return f"lookup keytrip_{table} {' '.join(columns)} OUTPUT {outputs}"


def _found(block: Block, name: str = "kt_found") -> str:
    """Return the lookup that leaves `name` null where the table has no row; several rows do no harm."""
    return _lookup(block.table, block.on, [(block.on[0], name)])


def _absence(block: Block) -> str:
    present = " AND ".join(f"(isnotnull({c}))" for c in block.on)
    return f"({present} AND (isnull(kt_found)))"


def _absent_events(block: Block) -> list[str]:
    return [_found(block), f"eval kt_absent = if({_absence(block)}, 1, 0)"]


def _shared_sums(plan: Plan, block: Block) -> list[str]:
    """Count per combination, look that up, add up; nulls are marked, since `stats` drops rows without a by-field."""
    extra = [c for c in block.on if c not in plan.group_by]
    nullable = [c for c in extra if c not in DERIVED]
    marked = [f'kt_on_{c} = if((isnull({c})), "n", ("v".{c}))' for c in nullable]
    back = [f'{c} = if((kt_on_{c} = "n"), null(), substr(kt_on_{c}, 2))' for c in nullable]
    summed = plan.type == "value_sum"
    inner = ["count as kt_events", *([f"sum({plan.fields[0]}) as kt_sum"] if summed else [])]
    outer = [*(["sum(kt_sum) as value"] if summed else []), "sum(kt_events) as events", "sum(kt_absent) as kt_absent"]
    by_columns = _by(plan, [f"kt_on_{c}" if c in nullable else c for c in extra])
    return [
        *([f"eval {', '.join(marked)}"] if nullable else []),
        f"stats {' '.join(inner)} min(_time) as kt_first max(_time) as kt_last {by_columns}",
        *([f"eval {', '.join(back)}"] if nullable else []),
        _found(block),
        f"eval kt_absent = if({_absence(block)}, kt_events, 0)",
        f"stats {' '.join(outer)} min(kt_first) as first_seen max(kt_last) as last_seen {_by(plan)}",
    ]


def _verdict(plan: Plan) -> list[str]:
    """Return the steps that keep the rows which meet every condition; all that a temporal one asks for is met."""
    tests = [] if plan.temporal else [spl_threshold("value", plan.threshold)]
    tests += [spl_threshold("share", b.share) for b in plan.blocks if b.share is not None]
    steps = [f"where {spl_all(tests)}"] if tests else []
    for number, block in enumerate(plan.blocks):
        steps += _membership(block, number) if block.absent else _excess(block, number)
    return steps


def _shape(plan: Plan) -> list[str]:
    """Return the steps that shape the result."""
    baseline = [f"baseline_{b.prefix}{c}" for b in plan.blocks for c in b.columns]
    columns = [*plan.group_by, "window_start", "window_end", "value", *(["share"] if plan.share_block else [])]
    columns += ["events", "first_seen", "last_seen", *baseline, "rule", "level"]
    end = [] if plan.temporal else [f"eval window_end = (window_start + {plan.seconds})"]
    return [*end, _labels(plan.rule, plan.level), f"table {' '.join(dict.fromkeys(columns))}"]


def _membership(block: Block, number: int) -> list[str]:
    steps = []
    if block.share is None:
        steps = [_found(block, f"kt_found_{number}"), f"where (isnull(kt_found_{number}))"]
    if block.requires is not None and block.requires[1]:
        table, columns = block.requires
        known = f"kt_known_{number}"
        steps += [_lookup(table, columns, [(columns[0], known)]), f"where (isnotnull({known}))"]
    return steps


def _excess(block: Block, number: int) -> list[str]:
    output = [(c, f"baseline_{block.prefix}{c}") for c in block.columns]
    test = spl_excess(block)
    if block.fires_without_row or not output:
        output.append((block.on[0], f"kt_found_{number}"))
    test = f"((isnull(kt_found_{number})) OR {test})" if block.fires_without_row else test
    return [_lookup(block.table, block.on, output), f"where {test}"]
