"""Runs EQL event queries as Elasticsearch documents them, on what the `eql` package parses; its own engine folds case.

Elastic's EQL syntax reference says: `==` compares with case, `regex` takes Lucene's regular expressions and matches the
whole value, a comparison with a missing field is null, and an event that is not true does not match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from eql import ast, parse_query
from eql.parser import elasticsearch_syntax

Event = Mapping[str, Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def parsed(query: str) -> ast.EventQuery:
    """Return a query's tree; a wrong one raises the parser's error."""
    with elasticsearch_syntax:
        tree = parse_query(query)
    assert isinstance(tree.first, ast.EventQuery)
    assert tree.first.event_type == "any"
    return tree.first


def matches(query: ast.EventQuery, event: Event) -> bool:
    """Whether an event, as the layout holds it, matches."""
    return _value(query.query, event) is True


def _value(node: Any, event: Event) -> Any:
    read = _READERS.get(type(node))
    return node.value if read is None and isinstance(node, ast.Literal) else _READERS[type(node)](node, event)


def _and(node: ast.And, event: Event) -> bool | None:
    return _negated(_either([_negated(_value(term, event)) for term in node.terms]))


def _in(node: ast.InSet, event: Event) -> bool | None:
    return _either([_compared(ast.Comparison(node.expression, "==", item), event) for item in node.container])


def _negated(value: bool | None) -> bool | None:  # noqa: FBT001 - three values
    return None if value is None else not value


def _either(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def _compared(node: ast.Comparison, event: Event) -> bool | None:
    left, right = _value(node.left, event), _value(node.right, event)
    return None if left is None or right is None else _COMPARE[node.comparator](left, right)


def _called(node: ast.FunctionCall, event: Event) -> bool | None:
    first, *others = (_value(argument, event) for argument in node.arguments)
    if first is None:
        return None
    match node.name:
        case "match":
            return any(re.fullmatch(pattern, first, re.DOTALL) is not None for pattern in others)
        case "cidrMatch":
            return any(_within(first, network) for network in others)
    raise NotImplementedError(node.name)


def _within(address: str, network: str) -> bool:
    """Elasticsearch keeps an IPv4 address as ::ffff:a.b.c.d."""
    found, net = ip_address(address), ip_network(network)
    if found.version == 4 and net.version == 6:
        found = ip_address(f"::ffff:{found}")
    return found in net


def _field(node: ast.Field, event: Event) -> Any:
    value: Any = event
    for step in node.full_path:
        # a quoted name is one step
        for part in str(step).strip("`").split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


_READERS: dict[type, Callable[[Any, Event], Any]] = {
    ast.Or: lambda node, event: _either([_value(term, event) for term in node.terms]),
    ast.And: _and,
    ast.Not: lambda node, event: _negated(_value(node.term, event)),
    ast.IsNull: lambda node, event: _value(node.expr, event) is None,
    ast.IsNotNull: lambda node, event: _value(node.expr, event) is not None,
    ast.Comparison: _compared,
    ast.InSet: _in,
    ast.FunctionCall: _called,
    ast.Field: _field,
    ast.Null: lambda _, __: None,
}
