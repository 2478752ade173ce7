"""Checks of what can never hold: conditions, selections, thresholds and expressions, and rules that nothing feeds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from math import inf
from typing import TYPE_CHECKING, Any

from keytrip.compile.problems import Problem
from keytrip.errors import ContentError
from keytrip.records.vocabulary import Table, vocabulary
from keytrip.rules.baseline import placed_blocks
from keytrip.rules.expression import Column, Compare, Expression, Logic, Negative, Number, parse_expression

if TYPE_CHECKING:
    from keytrip.compile.check_rule import Rule

_OPERATORS = {"gt", "gte", "lt", "lte"}
_SIGNS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "==": "eq"}
_TURNED = {"gt": "lt", "gte": "lte", "lt": "gt", "lte": "gte", "eq": "eq"}
# Fields that have a least and a greatest value (SEMANTICS section 1), and what a correlation counts (section 3).
_RANGES = {"hour_of_day": (0.0, 23.0), "hour_of_week": (0.0, 167.0)}
_COUNTS = {"event_count": (1.0, inf), "value_count": (0.0, inf)}
_QUANTIFIED = re.compile(r"\b(1|any|all) of ([\w*?]+)")
# Selections of one condition whose combinations are all tried: 1,024 of them take a millisecond or two.
_MOST = 10
_Test = tuple[str, float]


def conditions(rule: Rule) -> Iterator[Problem]:
    """A condition can hold and can fail, and each selection in it makes a difference."""
    detection = rule.data.get("detection") or {}
    names = [str(name) for name in detection if name not in {"condition", "timeframe"}]
    given = detection.get("condition")
    if given is None:
        return
    tree = condition_tree(given if isinstance(given, list) else [given], names)
    used = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}) if tree else []
    if tree is None or len(used) > _MOST or not set(used) <= set(names):
        return  # pySigma says what is wrong with it
    table = {
        values: holds(tree, dict(zip(used, values, strict=True))) for values in product((True, False), repeat=len(used))
    }
    if len(set(table.values())) == 1:
        always = all(table.values())
        message = f"the condition {'always holds, whatever the event' if always else 'can never hold'}"
        yield rule.subject.problem(message, "detection", "condition", hint="look for a selection and its own negation")
        return
    for place, name in enumerate(used):
        if all(table[values] == table[(*values[:place], not values[place], *values[place + 1 :])] for values in table):
            message = f"selection `{name}` makes no difference to the condition"
            yield rule.subject.problem(message, "detection", name, hint="remove it, or mend the condition")


def condition_tree(conditions: Sequence[object], names: Sequence[str]) -> ast.expr | None:
    """Return Sigma conditions as an expression over the selections `names`, or None for what is none.

    `and or not` bind alike in Sigma and in Python; a list of conditions is an `or`.
    """
    text = " or ".join(f"({condition})" for condition in conditions)

    def listed(found: re.Match[str]) -> str:
        pattern = "*" if found[2] == "them" else found[2]
        meant = [name for name in names if fnmatchcase(name, pattern) and not (pattern == "*" and name[0] == "_")]
        return f"({(' and ' if found[1] == 'all' else ' or ').join(meant)})"

    try:
        return ast.parse(_QUANTIFIED.sub(listed, text), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def holds(node: ast.expr, values: Mapping[str, bool]) -> bool:
    """Return whether an expression of `condition_tree` holds where the selections have these values."""
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not holds(operand, values)
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(holds(part, values) for part in parts)
        case ast.BoolOp(values=parts):
            return any(holds(part, values) for part in parts)
    return True


def selections(rule: Rule) -> Iterator[Problem]:
    """What a selection asks of one field can be had at once."""
    for name, selection in (rule.data.get("detection") or {}).items():
        maps = enumerate(selection) if isinstance(selection, list) else [(None, selection)]
        for number, one in maps:
            path = ("detection", str(name)) if number is None else ("detection", str(name), number)
            found = _contradictions(one) if isinstance(one, Mapping) else ()
            hint = "mend the bounds, or split the selection"
            yield from (rule.subject.problem(said, *path, key, hint=hint) for key, said in found)


def _contradictions(selection: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    fields: dict[str, list[str]] = {}
    for key in map(str, selection):
        fields.setdefault(key.partition("|")[0], []).append(key)
    for field, keys in fields.items():
        if _impossible(
            (test for key in keys for test in _tests(key, selection[key])), *_RANGES.get(field, (-inf, inf))
        ):
            yield keys[-1], f"{field} can never be all that `{'`, `'.join(keys)}` ask"
        elif len(keys) > 1 and any(_asks_absence(key, selection[key]) for key in keys):
            asked = [key for key in keys if not _asks_absence(key, selection[key]) and "neq" not in key]
            if asked:
                yield asked[-1], f"{field} is to be absent, and `{'`, `'.join(asked)}` to hold"


def _tests(key: str, value: Any) -> Iterator[_Test]:
    modifiers = key.split("|")[1:]
    numbers = [*map(_number, value if isinstance(value, list) else [value])]
    if not numbers or None in numbers or len(modifiers) > 1:
        return
    known = [number for number in numbers if number is not None]
    if not modifiers:  # a list is an `or`: at least one of its values has to be in bounds
        yield ("gte", min(known))
        yield ("lte", max(known))
    elif modifiers[0] in _OPERATORS:
        yield (modifiers[0], min(known) if modifiers[0][0] == "g" else max(known))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _asks_absence(key: str, value: Any) -> bool:
    modifiers = key.split("|")[1:]
    return (value is None and not modifiers) or (modifiers == ["exists"] and value is False)


def _impossible(tests: Iterable[_Test], least: float = -inf, most: float = inf) -> bool:
    """Return whether no number meets all tests; a bound's second member tells an open one from a closed one."""
    low, high = (least, 0), (most, 1)
    for operator, number in tests:
        if operator in {"gt", "gte", "eq"}:
            low = max(low, (number, int(operator == "gt")))
        if operator in {"lt", "lte", "eq"}:
            high = min(high, (number, int(operator != "lt")))
    return low[0] > high[0] or (low[0] == high[0] and (low[1], high[1]) != (0, 1))


def thresholds(rule: Rule) -> Iterator[Problem]:
    """A correlation's condition, a block's share and its `where` can hold."""
    correlation = rule.data.get("correlation") or {}
    condition, kind = correlation.get("condition"), str(correlation.get("type"))
    if kind in _COUNTS and isinstance(condition, Mapping) and _impossible(_asked(condition), *_COUNTS[kind]):
        least = int(_COUNTS[kind][0])
        message = f"no {kind} meets the condition: the least one of a window with events is {least}"
        yield rule.subject.problem(message, "correlation", "condition", hint="windows without events give no alert")
    constants = {name: p["default"] for name, p in (rule.data.get("parameters") or {}).items() if "at" not in p}
    for path, block in placed_blocks(rule.data):
        if isinstance(block, Mapping):
            yield from (rule.subject.problem(m, *path, at, hint=h) for at, m, h in _unmet(block, constants))


def _asked(condition: Mapping[Any, Any]) -> Iterator[_Test]:
    for operator in (*_OPERATORS, "eq"):
        number = _number(condition.get(operator))
        if number is not None:
            yield operator, number


def _unmet(block: Mapping[Any, Any], constants: Mapping[str, float]) -> Iterator[tuple[str, str, str]]:
    share = block.get("share")
    if isinstance(share, Mapping) and _impossible(_asked(share), 0.0, 1.0):
        yield "share", "no share meets this: it is a part of 1", "a number from 0 to 1"
    try:
        where = parse_expression(str(block.get("where") or "1 < 2"), constants, logic=True)
    except ContentError:
        return  # said when the block is read
    tests: dict[str, list[_Test]] = {}
    for name, test in _required(where):
        tests.setdefault(name, []).append(test)
    for name, asked in tests.items():
        if _impossible(asked):
            yield "where", f"`where` can never hold: no {name} meets all that it asks", "mend the bounds"


def _required(expression: Expression) -> Iterator[tuple[str, _Test]]:
    """Yield what an expression asks of single columns, all of which must hold."""
    match expression:
        case Logic("and", args):
            for arg in args:
                yield from _required(arg)
        case Compare(sign, Column(name), bound) if sign in _SIGNS and (number := _constant(bound)) is not None:
            yield name, (_SIGNS[sign], number)
        case Compare(sign, bound, Column(name)) if sign in _SIGNS and (number := _constant(bound)) is not None:
            yield name, (_TURNED[_SIGNS[sign]], number)


def _constant(expression: Expression) -> float | None:
    match expression:
        case Number(value):
            return value
        case Negative(Number(value)):
            return -value
    return None


def fed(rule: Rule) -> Iterator[Problem]:
    """Some source reads the records that the rule is about; a SIEM may hold others, so this is but a warning."""
    named = vocabulary().by_category((rule.data.get("logsource") or {}).get("category"))
    read = [table.category for table in vocabulary().tables.values() if _is_read(table)]
    if named is not None and named[1].category not in read:
        message = f"no source reads {named[1].category} records"
        hint = f"ship them to the SIEM yourself, or write one of: {', '.join(read)}"
        yield replace(rule.subject.problem(message, "logsource", "category", hint=hint), warning=True)


def _is_read(table: Table) -> bool:
    from keytrip.sources import all_sources

    return any(set(source.fields) <= set(table.fields) for source in all_sources().values())
