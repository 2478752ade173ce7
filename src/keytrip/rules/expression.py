"""The arithmetic of the baseline block (SEMANTICS section 4): parsed once, written out by each target."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from keytrip.errors import ContentError

FUNCTIONS = frozenset({"max", "min", "abs"})


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Column:
    """A column of the table, or `value` (the correlation's)."""

    name: str


@dataclass(frozen=True)
class Negative:
    """Unary minus."""

    of: Expression


@dataclass(frozen=True)
class Binary:
    """`+ - * /`; `/` is real division."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Call:
    """`max`, `min` or `abs`."""

    name: str
    args: tuple[Expression, ...]


@dataclass(frozen=True)
class Compare:
    """`< <= > >= == !=`."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Logic:
    """`and` or `or` over two or more."""

    op: str
    args: tuple[Expression, ...]


@dataclass(frozen=True)
class Not:
    """Two-valued negation."""

    of: Expression


Expression: TypeAlias = Number | Column | Negative | Binary | Call | Compare | Logic | Not

_BINARY: dict[type[ast.AST], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARE: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_LONGEST = 2000


def parse_expression(text: str, constants: Mapping[str, float] | None = None, *, logic: bool = False) -> Expression:
    """Return the parsed expression; names among `constants` (a rule's parameters) become numbers.

    Args:
        text: Arithmetic as SEMANTICS section 4 has it; its grammar is a part of Python's.
        constants: Parameter name -> value.
        logic: Whether comparisons and `and or not` are allowed (in `where`).

    Raises:
        ContentError: It is not such an expression.
    """
    if len(text) > _LONGEST:
        raise ContentError(f"an expression of {len(text)} characters", hint=f"at most {_LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ContentError(f"{text!r} is no expression", hint="write arithmetic over the table's columns") from error
    found = _convert(tree, constants or {}, text)
    if logic != isinstance(found, Compare | Logic | Not):
        raise ContentError(f"{text!r} is {'no condition' if logic else 'no number'}")
    return found


def _number(value: float) -> Number:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ContentError("a number that is not finite", hint="write one that a double holds")
    return Number(number)


def _convert(node: ast.AST, constants: Mapping[str, float], text: str) -> Expression:
    def inner(child: ast.AST) -> Expression:
        return _convert(child, constants, text)

    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _number(value)
        case ast.Name(id=name):
            return _number(constants[name]) if name in constants else Column(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Negative(_arithmetic(inner(operand), text))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_logical(inner(operand), text))
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
            return Binary(_BINARY[type(op)], _arithmetic(inner(left), text), _arithmetic(inner(right), text))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return Compare(_COMPARE[type(op)], _arithmetic(inner(left), text), _arithmetic(inner(right), text))
        case ast.BoolOp(op=op, values=values):
            name = "and" if isinstance(op, ast.And) else "or"
            return Logic(name, tuple(_logical(inner(value), text) for value in values))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS and _fits(name, len(args)):
            return Call(name, tuple(_arithmetic(inner(arg), text) for arg in args))
    raise ContentError(f"{text!r} holds what an expression may not", hint="columns, numbers, + - * / ( ), max min abs")


def _fits(name: str, arguments: int) -> bool:
    return arguments == 1 if name == "abs" else arguments > 0


def _arithmetic(found: Expression, text: str) -> Expression:
    if isinstance(found, Compare | Logic | Not):
        raise ContentError(f"{text!r} uses a condition as a number")
    return found


def _logical(found: Expression, text: str) -> Expression:
    if not isinstance(found, Compare | Logic | Not):
        raise ContentError(f"{text!r} uses a number as a condition")
    return found


def columns_of(expression: Expression | None) -> tuple[str, ...]:
    """Return the column names that an expression uses, `value` aside, in order of appearance, each once."""
    return tuple(dict.fromkeys(name for name in _names(expression) if name != "value"))


def _names(expression: Expression | None) -> Iterator[str]:
    match expression:
        case Column(name):
            yield name
        case Negative(of) | Not(of):
            yield from _names(of)
        case Binary(_, left, right) | Compare(_, left, right):
            yield from _names(left)
            yield from _names(right)
        case Call(_, args) | Logic(_, args):
            for arg in args:
                yield from _names(arg)


def divisors_of(expression: Expression | None) -> tuple[Expression, ...]:
    """Return every divisor in an expression: any of them being 0 makes the whole null."""
    match expression:
        case Negative(of) | Not(of):
            return divisors_of(of)
        case Binary(op, left, right):
            inner = divisors_of(left) + divisors_of(right)
            return (*inner, right) if op == "/" else inner
        case Compare(_, left, right):
            return divisors_of(left) + divisors_of(right)
        case Call(_, args) | Logic(_, args):
            return tuple(d for arg in args for d in divisors_of(arg))
    return ()
