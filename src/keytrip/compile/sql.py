"""Correlations as SQL, written once for every SQL engine: windows of each group, then the baseline blocks.

What engines say differently is in their `Dialect`; `duckdb` and `spark` hold one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from sigma.rule import SigmaRule

from keytrip.compile.header import header_of
from keytrip.compile.leaves import Leaf, LeafBackend
from keytrip.compile.plan import Block, Plan
from keytrip.compile.sql_conditions import sql_condition, two_valued
from keytrip.compile.sql_dialect import Dialect
from keytrip.compile.sql_events import events_sql
from keytrip.compile.sql_expressions import arithmetic, logic
from keytrip.compile.sql_temporal import temporal_sql


class SqlBackend(LeafBackend):
    """Conditions are two-valued: each leaf is false, never null, where a field is null."""

    dialect: ClassVar[Dialect]

    def header(self, rule: SigmaRule | Plan, tables: Sequence[str]) -> str:
        """Say which rule it is, and which tables it needs."""
        return "".join(f"-- {line}\n" for line in header_of(rule, tables).lines)

    def leaf(self, leaf: Leaf) -> str:
        """Write a leaf."""
        return sql_condition(self.dialect, leaf)

    def exactly(self, field: str, text: str) -> str:
        """Compare as written."""
        return two_valued(f"{self.dialect.column(field)} = {self.dialect.text(text)}")

    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Every matching event, with the rule and its level."""
        head, text = header_of(rule, ()), self.dialect.text
        return (
            f"{self.header(rule, [table])}select *, {text(head.rule)} as rule, {text(head.level)} as level\n"
            f"from {self.dialect.relation(table, [condition])}\nwhere timestamp is not null and ({condition})"
        )

    def correlate(self, plan: Plan) -> str:
        """Find the windows of each group, then join the reduced rows with the baseline."""
        tables = dict.fromkeys([*plan.reads, *(table for inner in plan.all for table in inner.tables)])
        return self.header(plan, [*tables]) + correlation_sql(self.dialect, plan)


def correlation_sql(dialect: Dialect, plan: Plan, *, nested: bool = False) -> str:
    """Return the query of a correlation; nested: of one whose alerts are another's events."""
    write = partial(correlation_sql, dialect, nested=True)
    if plan.temporal:
        steps = temporal_sql(dialect, plan, write)
    else:
        window = f"{dialect.window(plan.seconds, plan.offset)} as window_start"
        events = events_sql(dialect, plan, write, extra=[window])
        steps = f"events as (\n{events}\n), groups as (\n{_groups(dialect, plan)}\n)"
    return f"with {steps}\n{_result(dialect, plan, nested=nested)}"


def value_sql(dialect: Dialect, plan: Plan) -> str:
    """Return the aggregate that is the correlation's value."""
    columns = [dialect.name(name) for name in plan.fields]
    match plan.type:
        case "event_count":
            return "count(*)"
        case "value_count":
            return dialect.distinct(columns)
        case "value_sum" | "value_avg":
            if plan.cost_sum:
                return dialect.money(columns[0])
            total = dialect.doubles if _inexact(plan) else dialect.integers
            return total(columns[0], mean=plan.type == "value_avg")
    return dialect.percentile(columns[0], 50 if plan.type == "value_median" else plan.percentile or 0)


def _inexact(plan: Plan) -> bool:
    found = [base.type_of(name) for base in plan.bases for name in plan.fields]
    return any(field is not None and field.type == "double" for field in found)


def _groups(dialect: Dialect, plan: Plan) -> str:
    keys = [dialect.name(name) for name in plan.group_by]
    parts = [*keys, "window_start", f"{value_sql(dialect, plan)} as value", "count(*) as events"]
    parts += ["min(timestamp) as first_seen", "max(timestamp) as last_seen"]
    source, block = "events", plan.share_block
    if block is not None:
        absent = " and ".join(f"e.{dialect.name(c)} is not null" for c in block.on)
        parts.append(f"count(*) filter (where {absent} and t.kt_found is null) / count(*) as share")
        # under names of their own, so that the events' columns need no qualifier
        keyed = ", ".join(f"{dialect.name(c)} as {dialect.name(f'kt_{c}')}" for c in block.on)
        match = " and ".join(f"e.{dialect.name(c)} = t.{dialect.name(f'kt_{c}')}" for c in block.on)
        once = "" if set(block.on) == set(block.keys[block.table]) else "distinct "
        rows = f"select {once}{keyed}, true as kt_found from {dialect.name(block.table)}"
        source = f"events e left join ({rows}) t on {match}"
        parts = [p if " " in p else f"e.{p}" for p in parts]
    groups = ", ".join([*_qualified(keys, block), "window_start"])
    return f"  select {', '.join(parts)}\n  from {source}\n  group by {groups}"


def _qualified(keys: Sequence[str], block: Block | None) -> list[str]:
    return [f"e.{key}" for key in keys] if block is not None else list(keys)


def _result(dialect: Dialect, plan: Plan, *, nested: bool) -> str:
    later = dialect.later("g.window_start", plan.seconds)
    end = "g.window_end" if plan.temporal else f"{later} as window_end"
    parts = [f"g.{dialect.name(name)}" for name in plan.group_by]
    parts += ["g.window_start", end, "g.value"]
    parts += ["g.share"] if plan.share_block else []
    parts += ["g.events", "g.first_seen", "g.last_seen"]
    joins, where = [], []
    if not plan.temporal:
        where.append(f"g.value {plan.threshold.operator} {dialect.number(plan.threshold.number)}")
    if nested and plan.blocks and dialect.scored:
        where.append(dialect.scored)
    for number, block in enumerate(plan.blocks):
        alias = f"b{number}"
        if block.absent:
            where += _absence(dialect, block)
            continue
        match = " and ".join(f"g.{dialect.name(c)} = {alias}.{dialect.name(c)}" for c in block.on)
        joins.append(f"left join {dialect.name(block.table)} {alias} on {match}")
        where.append(_excess(dialect, block, alias))
        parts += [f"{alias}.{dialect.name(c)} as {dialect.name(f'baseline_{block.prefix}{c}')}" for c in block.columns]
    parts += [f"{dialect.text(plan.rule)} as rule", f"{dialect.text(plan.level)} as level"]
    lines = [f"select {', '.join(parts)}", "from groups g", *joins]
    return "\n".join([*lines, *(["where " + "\n  and ".join(where)] if where else [])])


def _exists(dialect: Dialect, table: str, columns: Sequence[str]) -> str:
    match = " and ".join(f"m.{dialect.name(c)} = g.{dialect.name(c)}" for c in columns)
    return f"exists (select 1 from {dialect.name(table)} m where {match})"


def _absence(dialect: Dialect, block: Block) -> list[str]:
    parts = []
    if block.share is not None:
        parts.append(f"g.share {block.share.operator} {dialect.number(block.share.number)}")
    else:
        parts.append(f"not {_exists(dialect, block.table, block.on)}")
    if block.requires is not None and block.requires[1]:
        parts.append(_exists(dialect, *block.requires))
    return parts


def _excess(dialect: Dialect, block: Block, alias: str) -> str:
    assert block.exceeds is not None  # noqa: S101 - the caller checked
    test = f"coalesce(cast(g.value as double) > {arithmetic(dialect, block.exceeds, alias)}, false)"
    if block.where is not None:
        test += f" and {logic(dialect, block.where, alias)}"
    key = f"{alias}.{dialect.name(block.on[0])}"
    if block.fires_without_row:
        return f"({key} is null or ({test}))"
    return f"({key} is not null and {test})" if block.needs_row else f"({test})"
