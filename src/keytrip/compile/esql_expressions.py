"""The baseline block's arithmetic as ES|QL, whose doubles are null for a null part and a division by zero already."""

from __future__ import annotations

from keytrip.compile.esql_conditions import esql_double
from keytrip.compile.plan import Block
from keytrip.errors import ContentError
from keytrip.rules.expression import Binary, Call, Column, Compare, Expression, Logic, Negative, Not, Number

_SIGNS = {"<>": "!="}
_FUNCTIONS = {"max": "GREATEST", "min": "LEAST", "abs": "ABS"}


def esql_excess(block: Block) -> str:
    """Return the condition that the value exceeds the block's expression, and that its `where` holds."""
    if block.exceeds is None:
        raise ContentError("a membership block has no expression")
    test = f"TO_DOUBLE(value) > {_arithmetic(block.exceeds)}"
    return test if block.where is None else f"({test}) AND {_logic(block.where)}"


def _arithmetic(expression: Expression) -> str:
    match expression:
        case Number(value):
            return esql_double(value)
        case Column("value"):
            return "TO_DOUBLE(value)"
        case Column(name):
            return f"TO_DOUBLE(baseline_{name})"
        case Negative(of):
            return f"(-{_arithmetic(of)})"
        case Binary(op, left, right):
            return f"({_arithmetic(left)} {op} {_arithmetic(right)})"
        case Call(name, args):
            return f"{_FUNCTIONS[name]}({', '.join(_arithmetic(arg) for arg in args)})"
    raise ContentError("a condition stands where a number belongs")


def _logic(expression: Expression) -> str:
    match expression:
        case Compare(op, left, right):
            return f"COALESCE({_arithmetic(left)} {_SIGNS.get(op, op)} {_arithmetic(right)}, false)"
        case Logic(op, args):
            return "(" + f" {op.upper()} ".join(_logic(arg) for arg in args) + ")"
        case Not(of):
            return f"(NOT {_logic(of)})"
    raise ContentError("a number stands where a condition belongs")
