"""The expressions of baseline blocks (semantics, section 4), evaluated by hand."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
_COMPARE = {ast.Lt: "lt", ast.LtE: "lte", ast.Gt: "gt", ast.GtE: "gte", ast.Eq: "eq", ast.NotEq: "neq"}
_ARITHMETIC: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"max": max, "min": min, "abs": abs}


def parse(text: object) -> ast.expr:
    """Return an expression's tree."""
    return ast.parse(str(text).strip(), mode="eval").body


def names_in(tree: ast.AST) -> list[str]:
    """Return the names that an expression uses, functions aside."""
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in called]


def arithmetic(tree: ast.AST, known: Mapping[str, Any]) -> float | None:
    """Return an expression's value; None: it holds a null or a division by zero."""
    match tree:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return None if known[name] is None else float(known[name])
        case ast.UnaryOp(operand=of):
            inner = arithmetic(of, known)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            a, b = arithmetic(left, known), arithmetic(right, known)
            zero = b == 0 and isinstance(op, ast.Div)
            return None if a is None or b is None or zero else _ARITHMETIC[type(op)](a, b)
        case ast.Call(func=ast.Name(id=name), args=args):
            values = [value for arg in args if (value := arithmetic(arg, known)) is not None]
            return _FUNCTIONS[name](values if len(values) > 1 else values[0]) if len(values) == len(args) else None
    raise AssertionError(ast.dump(tree))


def logic(tree: ast.AST, known: Mapping[str, Any]) -> bool:
    """Return whether a condition holds; a comparison with null is false."""
    match tree:
        case ast.BoolOp(op=op, values=values):
            found = [logic(value, known) for value in values]
            return all(found) if isinstance(op, ast.And) else any(found)
        case ast.UnaryOp(operand=of):
            return not logic(of, known)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            a, b = arithmetic(left, known), arithmetic(right, known)
            return a is not None and b is not None and OPERATORS[_COMPARE[type(op)]](a, b)
    raise AssertionError(ast.dump(tree))
