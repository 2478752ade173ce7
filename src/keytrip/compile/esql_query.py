"""The steps of an ES|QL query for a counting correlation: events to groups, groups to alerts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from keytrip.compile.esql_conditions import esql_number, quote_column, quote_esql
from keytrip.compile.esql_expressions import esql_excess
from keytrip.compile.plan import Block, Plan, Threshold
from keytrip.compile.times import civil, hour_of_day, hour_of_week
from keytrip.errors import ContentError
from keytrip.records.vocabulary import vocabulary

Column: TypeAlias = Callable[[str], str]

ROWS = 10_000
_HOURS = "TO_LONG(@timestamp) / 3600000"
_DAY = "kt_day"
# Fields of time, which the layout does not hold; they are never null.
DERIVED = {"hour_of_day": hour_of_day(_HOURS), "hour_of_week": hour_of_week(_HOURS), "day": _DAY}
# U+001F between the parts of a key, as base64: a string literal has no escape for it.
_SEPARATOR = 'FROM_BASE64("Hw==")'
# U+001E -> twice, U+001F -> U+001E and `u`: as `export.layout.lookup_key` writes what stands before a separator.
_ESCAPES = (('FROM_BASE64("Hg==")', 'FROM_BASE64("Hh4=")'), (_SEPARATOR, 'FROM_BASE64("HnU=")'))
# Of these, groups cannot be added up: events are looked up one by one.
_UNSUMMABLE = {"value_avg", "value_median", "value_percentile", "value_count"}


def labels(rule: str, level: str) -> str:
    """Return the step that names the rule and its level."""
    return f"EVAL rule = {quote_esql(rule)}, level = {quote_esql(level)}"


def day_steps(text: str) -> list[str]:
    """Return the step that makes the UTC date, where `text` uses it."""
    if not re.search(rf"\b{_DAY}\b", text):
        return []
    steps = civil("TO_LONG(@timestamp) / 86400000", lambda part, by: f"({part} / {by})")
    two = ', "-", '.join(f'RIGHT(CONCAT("0", TO_STRING(kt_{part})), 2)' for part in ("month", "dom"))
    steps.append((_DAY, f'CONCAT(TO_STRING(kt_year), "-", {two})'))
    return ["EVAL " + ", ".join(f"{name} = {value}" for name, value in steps)]


def group_steps(plan: Plan, column: Column) -> list[str]:
    """Return the steps from events to one row a group and window; `column` gives the text of a canonical field."""
    by = [_named(name, column(name)) for name in plan.group_by]
    by.append(f"window_start = {window_text(plan)}")
    fields, block = [column(name) for name in plan.fields], plan.share_block
    if block is None:
        return _counted(plan, fields, by)
    if plan.type in _UNSUMMABLE:
        return [*_absent(block, {c: column(c) for c in block.on}, "1"), *_counted(plan, fields, by)]
    by += [_named(c, column(c)) for c in block.on if c not in plan.group_by]
    summed = [f"kt_sum = SUM(TO_DOUBLE({field}))" for field in fields]
    value = ["value = SUM(kt_sum)"] if summed else []
    return [
        _stats(["kt_events = COUNT(*)", *summed, *_times("@timestamp", "@timestamp", "kt_first", "kt_last")], by),
        *_absent(block, {c: quote_column(c) for c in block.on}, "kt_events"),
        _stats([*value, *_totals(plan)], _keys(plan)),
        *_finish(plan),
    ]


def _named(name: str, text: str) -> str:
    """Return a group's column; under a name that it has already, 8.19's optimiser loses it for the values."""
    column = quote_column(name)
    return column if text == column else f"{column} = {text}"


def verdict_steps(plan: Plan) -> list[str]:
    """Return the steps that keep the rows which meet every condition; all that a temporal one asks for is met."""
    tests = [] if plan.temporal else [threshold_test("value", plan.threshold)]
    tests += [threshold_test("share", b.share) for b in plan.blocks if b.share is not None]
    steps = [f"WHERE {' AND '.join(tests)}"] if tests else []
    aside: list[tuple[str, str]] = []
    for number, block in enumerate(plan.blocks):
        steps += _block_steps(block)
        final = [(f"baseline_{c}", f"baseline_{block.prefix}{c}") for c in block.columns]
        if block.prefix:
            steps += _rename(final)
        elif number < len(plan.blocks) - 1:
            # the next join overwrites columns of the same name
            aside = [(f"kt_{name}", name) for _, name in final]
            steps += _rename([(name, kept) for kept, name in aside])
    return [*steps, *_rename(aside)]


def shape_steps(plan: Plan) -> list[str]:
    """Return the steps that shape the result."""
    end = f"EVAL window_end = TO_DATETIME(TO_LONG(window_start) + {plan.seconds * 1000})"
    steps = [] if plan.temporal else [end]
    order = ", ".join(["window_start", *_keys(plan)[:-1]])
    kept = ", ".join(quote_column(name) for name in result_columns(plan))
    return [*steps, labels(plan.rule, plan.level), f"SORT {order}", f"LIMIT {ROWS}", f"KEEP {kept}"]


def result_columns(plan: Plan) -> list[str]:
    """Return the columns of a compiled counting rule, in the order of SEMANTICS section 6."""
    share = ["share"] if plan.share_block else []
    baseline = [f"baseline_{b.prefix}{c}" for b in plan.blocks for c in b.columns]
    times = ["events", "first_seen", "last_seen"]
    names = [*plan.group_by, "window_start", "window_end", "value", *share, *times, *baseline, "rule", "level"]
    return list(dict.fromkeys(names))


def window_text(plan: Plan) -> str:
    """Return the start of an event's window.

    The shift keeps the dividend positive, since integer division truncates.
    """
    width = plan.seconds * 1000
    shift = (plan.seconds - plan.offset) * 1000 if plan.offset else 0
    if not shift:
        return f"TO_DATETIME(TO_LONG(@timestamp) / {width} * {width})"
    return f"TO_DATETIME((TO_LONG(@timestamp) + {shift}) / {width} * {width} - {shift})"


def _keys(plan: Plan) -> list[str]:
    return [*(quote_column(name) for name in plan.group_by), "window_start"]


def _stats(values: Sequence[str], by: Sequence[str]) -> str:
    return f"STATS {', '.join(values)}\n    BY {', '.join(by)}"


def _times(first: str, last: str, as_first: str = "first_seen", as_last: str = "last_seen") -> list[str]:
    return [f"{as_first} = MIN({first})", f"{as_last} = MAX({last})"]


def _totals(plan: Plan) -> list[str]:
    """Return the sums over rows that were counted before."""
    absent = ["kt_absent = SUM(kt_absent)"] if plan.share_block else []
    return ["events = SUM(kt_events)", *absent, *_times("kt_first", "kt_last")]


def _counted(plan: Plan, fields: Sequence[str], by: Sequence[str]) -> list[str]:
    if plan.type == "value_count":
        return _distinct(plan, fields, by)
    field = f"TO_DOUBLE({fields[0]})" if fields else ""
    value = {
        "value_sum": f"value = SUM({field})",
        "value_avg": f"value = AVG({field})",
        "value_median": f"value = MEDIAN({field})",
        "value_percentile": f"value = PERCENTILE({field}, {plan.percentile})",
    }.get(plan.type)
    absent = ["kt_absent = SUM(kt_absent)"] if plan.share_block else []
    values = [*([value] if value else []), "events = COUNT(*)", *absent, *_times("@timestamp", "@timestamp")]
    return [_stats(values, by), *_finish(plan)]


def _distinct(plan: Plan, fields: Sequence[str], by: Sequence[str]) -> list[str]:
    """Count distinct values exactly: one row a value, then count those rows (`COUNT_DISTINCT` is approximate)."""
    values = [f"kt_value_{number}" for number in range(len(fields))]
    named = [f"{value} = {field}" for value, field in zip(values, fields, strict=True)]
    absent = ["kt_absent = SUM(kt_absent)"] if plan.share_block else []
    inner = ["kt_events = COUNT(*)", *absent, *_times("@timestamp", "@timestamp", "kt_first", "kt_last")]
    present = " AND ".join(f"{value} IS NOT NULL" for value in values)
    count = f"value = SUM(CASE({present}, 1, 0))" if len(values) > 1 else f"value = COUNT({values[0]})"
    return [_stats(inner, [*by, *named]), _stats([count, *_totals(plan)], _keys(plan)), *_finish(plan)]


def _finish(plan: Plan) -> list[str]:
    """Return the step that makes the value and the share of what was counted, if there is one."""
    values = ["value = events"] if plan.type == "event_count" else []
    values += ["value = ROUND(value, 9)"] if plan.cost_sum else []
    values += ["share = 1.0 * kt_absent / events"] if plan.share_block else []
    return [f"EVAL {', '.join(values)}"] if values else []


def _join(table: str, columns: Sequence[str], block: Block, text: Mapping[str, str]) -> list[str]:
    """Return the steps that join a lookup index by the values of `columns`, or of the leading ones of its key.

    Raises:
        ContentError: The index has no documents by these columns.
    """
    key = block.keys[table]
    ordered = [c for c in key if c in columns]
    if set(ordered) != set(columns) or tuple(ordered) != key[: len(ordered)]:
        raise ContentError(
            f"esql cannot look {table} up by {', '.join(columns)}: its index is keyed by {', '.join(key)}",
            hint="duckdb, spark and splunk can",
        )
    parts = [_part(text[c], c, last=c == key[-1]) for c in ordered]
    joined = parts[0] if len(parts) == 1 else f"CONCAT({f', {_SEPARATOR}, '.join(parts)})"
    return [f"EVAL keytrip_key = {joined}", f"LOOKUP JOIN keytrip_{table} ON keytrip_key"]


def _part(text: str, column: str, *, last: bool) -> str:
    """Return a value of a key as its index has it; no part before the last holds a separator."""
    if _kind(column) != "string":
        return f"TO_STRING({text})"
    for found, written in () if last else _ESCAPES:
        text = f"REPLACE({text}, {found}, {written})"
    return text


def _kind(name: str) -> str:
    """Return the type of a canonical field; a name means the same in every table."""
    return next(table.columns[name].type for table in vocabulary().tables.values() if name in table.columns)


def _absent(block: Block, text: Mapping[str, str], weight: str) -> list[str]:
    present = [f"{text[c]} IS NOT NULL" for c in block.on if c not in DERIVED]
    test = " AND ".join([*present, "baseline_found IS NULL"])
    return [*_join(block.table, block.on, block, text), f"EVAL kt_absent = CASE({test}, {weight}, 0)"]


def threshold_test(name: str, threshold: Threshold) -> str:
    """Return the comparison of a column with a threshold."""
    sign = {"=": "==", "<>": "!="}.get(threshold.operator, threshold.operator)
    return f"{name} {sign} {esql_number(threshold.number)}"


def _rename(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"RENAME {', '.join(f'{old} AS {new}' for old, new in pairs)}"] if pairs else []


def _block_steps(block: Block) -> list[str]:
    own = {name: quote_column(name) for name in block.on}
    if not block.absent:
        test = esql_excess(block)
        if block.fires_without_row:
            test = f"baseline_found IS NULL OR ({test})"
        elif block.needs_row:
            test = f"baseline_found AND ({test})"
        return [*_join(block.table, block.on, block, own), f"WHERE {test}"]
    steps = []
    if block.share is None:
        steps = [*_join(block.table, block.on, block, own), "WHERE baseline_found IS NULL"]
    if block.requires is not None and block.requires[1]:
        known = {name: quote_column(name) for name in block.requires[1]}
        steps += [*_join(*block.requires, block, known), "WHERE baseline_found"]
    return steps
