"""The baseline block's arithmetic as SPL for `where`: never assigned, since an assigned result would be rounded."""

from __future__ import annotations

from collections.abc import Sequence

from keytrip.compile.plan import Block, Threshold
from keytrip.compile.values import decimal_text
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
    columns_of,
    divisors_of,
)

_SIGNS = {"<>": "!=", "==": "="}


def spl_threshold(name: str, threshold: Threshold) -> str:
    """Return the comparison of a result column with a number."""
    sign = _SIGNS.get(threshold.operator, threshold.operator)
    return f"({name} {sign} {decimal_text(threshold.number)})"


def spl_excess(block: Block) -> str:
    """Return the condition that the value exceeds the block's expression, and that its `where` holds."""
    if block.exceeds is None:
        raise ContentError("a membership block has no expression")
    tests = _compare(Compare(">", Column("value"), block.exceeds), block.prefix)
    if block.where is not None:
        # a null under NOT would have to be false: only there is the longer form needed
        tests.append(_logic(block.where, block.prefix, two_valued=_negates(block.where)))
    return spl_all(tests)


def spl_all(tests: Sequence[str]) -> str:
    """Return the conjunction of parenthesised tests, each once."""
    each = list(dict.fromkeys(tests))
    return each[0] if len(each) == 1 else f"({' AND '.join(each)})"


def _negates(expression: Expression) -> bool:
    match expression:
        case Not():
            return True
        case Logic(_, args):
            return any(_negates(arg) for arg in args)
    return False


def _compare(test: Compare, prefix: str) -> list[str]:
    """Return a comparison with its guards in front: no column null, no divisor 0, inner divisors first."""
    names = dict.fromkeys([*columns_of(test.left), *columns_of(test.right)])
    divisors = dict.fromkeys([*divisors_of(test.left), *divisors_of(test.right)])
    sign = _SIGNS.get(test.op, test.op)
    return [
        *(f"(isnotnull({_column(name, prefix)}))" for name in names),
        *(f"({_arithmetic(divisor, prefix)} != 0)" for divisor in divisors),
        f"({_arithmetic(test.left, prefix)} {sign} {_arithmetic(test.right, prefix)})",
    ]


def _column(name: str, prefix: str) -> str:
    return "value" if name == "value" else f"tonumber(baseline_{prefix}{name})"


def _arithmetic(expression: Expression, prefix: str) -> str:
    match expression:
        case Number(value):
            return decimal_text(value) if value >= 0 else f"({decimal_text(value)})"
        case Column(name):
            return _column(name, prefix)
        case Negative(of):
            return f"(0 - {_arithmetic(of, prefix)})"
        case Binary(op, left, right):
            return f"({_arithmetic(left, prefix)} {op} {_arithmetic(right, prefix)})"
        case Call(name, args):
            return f"{name}({', '.join(_arithmetic(arg, prefix) for arg in args)})"
    raise ContentError("a condition stands where a number belongs")


def _logic(expression: Expression, prefix: str, *, two_valued: bool) -> str:
    match expression:
        case Compare():
            *guards, comparison = _compare(expression, prefix)
            if two_valued and guards:
                return f"(if({spl_all(guards)}, if({comparison}, 1, 0), 0) = 1)"
            return spl_all([*guards, comparison])
        case Logic(op, args):
            return "(" + f" {op.upper()} ".join(_logic(arg, prefix, two_valued=two_valued) for arg in args) + ")"
        case Not(of):
            return f"(NOT {_logic(of, prefix, two_valued=two_valued)})"
    raise ContentError("a number stands where a condition belongs")
