"""DuckDB SQL over the view `usage` (canonical columns, derived ones included) and one table a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from keytrip.compile.base import siem_pipeline
from keytrip.compile.duckdb_conditions import sql_condition, two_valued
from keytrip.compile.duckdb_sums import double_sum, money_sum
from keytrip.compile.header import comment_text
from keytrip.compile.leaves import Leaf, LeafBackend
from keytrip.compile.plan import Block, Plan
from keytrip.errors import ContentError
from keytrip.records.sql import quote_name, quote_number, quote_text
from keytrip.records.vocabulary import usage
from keytrip.rules.expression import (
    Binary,
    Call,
    Column,
    Compare,
    Expression,
    Logic,
    Negative,
    Not,
    Number,
)


class DuckDBBackend(LeafBackend):
    """Conditions are two-valued: each leaf is false, never null, where a field is null."""

    identifier: ClassVar[str] = "keytrip_duckdb"
    name: ClassVar[str] = "keytrip DuckDB SQL"
    formats: ClassVar[dict[str, str]] = {"default": "SQL over the view usage and the baseline tables"}
    siem: ClassVar[str] = "duckdb"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("duckdb")

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf."""
        return sql_condition(leaf)

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return two_valued(f"{quote_name(field)} = {quote_text(text)}")

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with the rule and its level."""
        name, level = str(rule.name or rule.id), rule.level.name.lower() if rule.level else "medium"
        return (
            f"select *, {quote_text(name)} as rule, {quote_text(level)} as level\nfrom {table}\n"
            f"where timestamp is not null and ({condition})"
        )

    def counting(self, plan: Plan, table: str, condition: str) -> str:
        """Group events by window, then join the reduced rows with the baseline."""
        head = f"-- {comment_text(f'{plan.rule}: {plan.title}')}\n"
        events = _events(plan, table, condition)
        groups = _groups(plan)
        return f"{head}with events as (\n{events}\n), groups as (\n{groups}\n)\n{_result(plan)}"


def _window(plan: Plan) -> str:
    width, offset = plan.seconds * 1_000_000, plan.offset * 1_000_000
    shifted = f"epoch_us(timestamp) - {offset}" if offset else "epoch_us(timestamp)"
    # integer division truncates, and times before the first Monday are negative after the shift
    floor = f"cast(floor(({shifted}) / {width}) as bigint)" if offset else f"({shifted}) // {width}"
    return f"make_timestamp({floor} * {width} + {offset})"


def _events(plan: Plan, table: str, condition: str) -> str:
    columns = ["timestamp", *(quote_name(name) for name in plan.event_fields if name != "timestamp")]
    present = "".join(f" and {quote_name(name)} is not null" for name in plan.group_by)
    return (
        f"  select {', '.join(columns)}, {_window(plan)} as window_start\n  from {table}\n"
        f"  where timestamp is not null{present} and ({condition})"
    )


def value_sql(plan: Plan) -> str:
    """Return the aggregate that is the correlation's value."""
    columns = [quote_name(name) for name in plan.fields]
    match plan.type:
        case "event_count":
            return "count(*)"
        case "value_count" if len(columns) > 1:
            present = " and ".join(f"{c} is not null" for c in columns)
            return f"count(distinct row({', '.join(columns)})) filter ({present})"
        case "value_count":
            return f"count(distinct {columns[0]})"
        case "value_sum" | "value_avg" if any(_inexact(name) for name in plan.fields):
            return money_sum(columns[0]) if plan.cost_sum else double_sum(columns[0], mean=plan.type == "value_avg")
        case "value_sum":
            return f"sum({columns[0]})"
        case "value_avg":
            return f"avg({columns[0]})"
        case "value_median":
            return f"quantile_cont(cast({columns[0]} as double), 0.5)"
    return f"quantile_cont(cast({columns[0]} as double), {(plan.percentile or 0) / 100!r})"


def _inexact(name: str) -> bool:
    field = usage().columns.get(name)
    return field is not None and field.type == "double"


def _groups(plan: Plan) -> str:
    keys = [quote_name(name) for name in plan.group_by]
    parts = [*keys, "window_start", f"{value_sql(plan)} as value", "count(*) as events"]
    parts += ["min(timestamp) as first_seen", "max(timestamp) as last_seen"]
    source, block = "events", plan.share_block
    if block is not None:
        absent = " and ".join(f"e.{quote_name(c)} is not null" for c in block.on)
        parts.append(f"count(*) filter ({absent} and t.kt_found is null) / count(*) as share")
        # under names of their own, so that the events' columns need no qualifier
        keyed = ", ".join(f"{quote_name(c)} as {quote_name(f'kt_{c}')}" for c in block.on)
        match = " and ".join(f"e.{quote_name(c)} = t.{quote_name(f'kt_{c}')}" for c in block.on)
        once = "" if set(block.on) == set(block.keys[block.table]) else "distinct "
        rows = f"select {once}{keyed}, true as kt_found from {quote_name(block.table)}"
        source = f"events e left join ({rows}) t on {match}"
        parts = [p if " " in p else f"e.{p}" for p in parts]
    groups = ", ".join([*_qualified(keys, block), "window_start"])
    return f"  select {', '.join(parts)}\n  from {source}\n  group by {groups}"


def _qualified(keys: Sequence[str], block: Block | None) -> list[str]:
    return [f"e.{key}" for key in keys] if block is not None else list(keys)


def _result(plan: Plan) -> str:
    width = f"to_seconds({plan.seconds})"
    parts = [f"g.{quote_name(name)}" for name in plan.group_by]
    parts += ["g.window_start", f"g.window_start + {width} as window_end", "g.value"]
    parts += ["g.share"] if plan.share_block else []
    parts += ["g.events", "g.first_seen", "g.last_seen"]
    joins, where = [], [f"g.value {plan.threshold.operator} {quote_number(plan.threshold.number)}"]
    for number, block in enumerate(plan.blocks):
        alias = f"b{number}"
        if block.absent:
            where += _absence(block)
            continue
        match = " and ".join(f"g.{quote_name(c)} = {alias}.{quote_name(c)}" for c in block.on)
        joins.append(f"left join {quote_name(block.table)} {alias} on {match}")
        where.append(_excess(block, alias))
        parts += [f"{alias}.{quote_name(c)} as {quote_name(f'baseline_{block.prefix}{c}')}" for c in block.columns]
    parts += [f"{quote_text(plan.rule)} as rule", f"{quote_text(plan.level)} as level"]
    lines = [f"select {', '.join(parts)}", "from groups g", *joins, "where " + "\n  and ".join(where)]
    return "\n".join(lines)


def _exists(table: str, columns: Sequence[str]) -> str:
    match = " and ".join(f"m.{quote_name(c)} = g.{quote_name(c)}" for c in columns)
    return f"exists (select 1 from {quote_name(table)} m where {match})"


def _absence(block: Block) -> list[str]:
    parts = []
    if block.share is not None:
        parts.append(f"g.share {block.share.operator} {quote_number(block.share.number)}")
    else:
        parts.append(f"not {_exists(block.table, block.on)}")
    if block.requires is not None and block.requires[1]:
        parts.append(_exists(*block.requires))
    return parts


def _excess(block: Block, alias: str) -> str:
    assert block.exceeds is not None  # noqa: S101 - the caller checked
    test = f"coalesce(cast(g.value as double) > {arithmetic(block.exceeds, alias)}, false)"
    if block.where is not None:
        test += f" and {logic(block.where, alias)}"
    if block.fires_without_row:
        return f"({alias}.{quote_name(block.on[0])} is null or ({test}))"
    return f"({test})"


def arithmetic(expression: Expression, alias: str) -> str:
    """Return SQL whose value is null where SEMANTICS says null: any null part, any division by zero."""
    match expression:
        case Number(value):
            return f"cast({value!r} as double)"
        case Column("value"):
            return "cast(g.value as double)"
        case Column(name):
            return f"cast({alias}.{quote_name(name)} as double)"
        case Negative(of):
            return f"(-{arithmetic(of, alias)})"
        case Binary("/", left, right):
            return f"({arithmetic(left, alias)} / nullif({arithmetic(right, alias)}, 0))"
        case Binary(op, left, right):
            return f"({arithmetic(left, alias)} {op} {arithmetic(right, alias)})"
        case Call("abs", (arg,)):
            return f"abs({arithmetic(arg, alias)})"
        case Call(name, args):
            parts = [arithmetic(arg, alias) for arg in args]
            nulls = " or ".join(f"{part} is null" for part in parts)
            function = "greatest" if name == "max" else "least"
            return f"(case when {nulls} then null else {function}({', '.join(parts)}) end)"
    raise ContentError("a condition stands where a number belongs")


def logic(expression: Expression, alias: str) -> str:
    """Return two-valued SQL."""
    match expression:
        case Compare(op, left, right):
            sign = {"==": "=", "!=": "<>"}.get(op, op)
            return f"coalesce({arithmetic(left, alias)} {sign} {arithmetic(right, alias)}, false)"
        case Logic(op, args):
            return "(" + f" {op} ".join(logic(arg, alias) for arg in args) + ")"
        case Not(of):
            return f"(not {logic(of, alias)})"
    raise ContentError("a number stands where a condition belongs")
