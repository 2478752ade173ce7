"""Expressions of baseline blocks as SQL."""

from __future__ import annotations

from keytrip.compile.sql_dialect import Dialect
from keytrip.errors import ContentError
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


def arithmetic(dialect: Dialect, expression: Expression, alias: str) -> str:
    """Return SQL whose value is null where SEMANTICS says null: any null part, any division by zero."""
    match expression:
        case Number(value):
            return dialect.double(value)
        case Column("value"):
            return "cast(g.value as double)"
        case Column(name):
            return f"cast({alias}.{dialect.name(name)} as double)"
        case Negative(of):
            return f"(-{arithmetic(dialect, of, alias)})"
        case Binary("/", left, right):
            return f"({arithmetic(dialect, left, alias)} / nullif({arithmetic(dialect, right, alias)}, 0))"
        case Binary(op, left, right):
            return f"({arithmetic(dialect, left, alias)} {op} {arithmetic(dialect, right, alias)})"
        case Call("abs", (arg,)):
            return f"abs({arithmetic(dialect, arg, alias)})"
        case Call(name, args):
            parts = [arithmetic(dialect, arg, alias) for arg in args]
            nulls = " or ".join(f"{part} is null" for part in parts)
            function = "greatest" if name == "max" else "least"
            return f"(case when {nulls} then null else {function}({', '.join(parts)}) end)"
    raise ContentError("a condition stands where a number belongs")


def logic(dialect: Dialect, expression: Expression, alias: str) -> str:
    """Return two-valued SQL."""
    match expression:
        case Compare(op, left, right):
            sign = {"==": "=", "!=": "<>"}.get(op, op)
            return f"coalesce({arithmetic(dialect, left, alias)} {sign} {arithmetic(dialect, right, alias)}, false)"
        case Logic(op, args):
            return "(" + f" {op} ".join(logic(dialect, arg, alias) for arg in args) + ")"
        case Not(of):
            return f"(not {logic(dialect, of, alias)})"
    raise ContentError("a number stands where a condition belongs")
