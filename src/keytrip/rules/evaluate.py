"""What an expression of the baseline block gives for known values (SEMANTICS section 4), to explain it to a person."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

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

_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_CALLS = {"max": max, "min": min}


def compared(sign: str, left: Any, right: Any) -> bool:
    """Return whether two numbers compare so; with a null they do not."""
    return left is not None and right is not None and bool(_COMPARE[sign](left, right))


def number_of(expression: Expression, columns: Mapping[str, Any]) -> float | None:
    """Return what arithmetic gives; null where any part is null, or a division is by zero.

    Raises:
        ContentError: The expression is a condition.
    """
    match expression:
        case Number(value):
            return value
        case Column(name):
            return None if columns.get(name) is None else float(columns[name])
        case Negative(of):
            inner = number_of(of, columns)
            return None if inner is None else -inner
        case Binary(op, left, right):
            return _binary(op, number_of(left, columns), number_of(right, columns))
        case Call(name, args):
            values = [number_of(arg, columns) for arg in args]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return None
            return abs(known[0]) if name == "abs" else float(_CALLS[name](known))
    raise ContentError("a condition stands where a number belongs")


def _binary(op: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (op == "/" and right == 0):
        return None
    return float(_ARITHMETIC[op](left, right))


def truth_of(expression: Expression, columns: Mapping[str, Any]) -> bool:
    """Return whether a condition holds; a comparison with null does not, and `and or not` are two-valued.

    Raises:
        ContentError: The expression is a number.
    """
    match expression:
        case Compare(op, left, right):
            return compared(op, number_of(left, columns), number_of(right, columns))
        case Logic("and", args):
            return all(truth_of(arg, columns) for arg in args)
        case Logic(_, args):
            return any(truth_of(arg, columns) for arg in args)
        case Not(of):
            return not truth_of(of, columns)
    raise ContentError("a number stands where a condition belongs")
