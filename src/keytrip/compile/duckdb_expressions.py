"""Expressions of baseline blocks as DuckDB SQL."""

from __future__ import annotations

from keytrip.errors import ContentError
from keytrip.records.sql import quote_name
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
