"""What Splunk's index can be asked for before the exact test: `TERM()` for texts that a matching event must hold whole.

A text of a JSON event stands between quotes, which are major breakers, so a text without major breakers is one term of
the index, whatever case it is written in (Splunk's Search Manual, Use CASE() and TERM() to match phrases; breakers:
segmenters.conf). So `TERM` only narrows, to more than what matches, and the exact test follows in `where`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionOR
from sigma.types import SigmaExpansion

from keytrip.compile.leaves import Absent, Equals, Leaf, Never, SameAs
from keytrip.compile.plan import Plan
from keytrip.compile.splunk_conditions import parenthesised

# Neither a major breaker nor anything that some writer of JSON escapes; `/` is `\/` to some. At the ends no minor
# breaker either, and nowhere `--`, which is a major one.
_TERM = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9._:@-]*[a-z0-9])?", re.ASCII)
# Splunk may take these from what it knows of an event, not from its text.
_METADATA = {"source", "host", "index", "sourcetype"}

LeafOf = Callable[[ConditionFieldEqualsValueExpression], Leaf]


def term_of(text: str) -> str:
    """Return the `TERM()` of a whole text, or an empty string where it is no term of its own."""
    folded = text.lower() if text.isascii() else ""
    return f"TERM({folded})" if _TERM.fullmatch(folded) else ""


def terms_of(condition: Any, leaf_of: LeafOf) -> str:
    """Return a search that every event which meets a parsed condition meets too; empty if there is nothing to ask for.

    Under NOT nothing is asked for, and of alternatives only where each of them has a term.
    """
    match condition:
        case ConditionAND(args=args):
            return " ".join(dict.fromkeys(found for arg in args if (found := terms_of(arg, leaf_of))))
        case ConditionOR(args=args):
            return any_term([terms_of(arg, leaf_of) for arg in args])
        case ConditionFieldEqualsValueExpression(value=SigmaExpansion(values=values)):
            parts = [ConditionFieldEqualsValueExpression(condition.field, value) for value in values]
            return any_term([terms_of(part, leaf_of) for part in parts])
        case ConditionFieldEqualsValueExpression():
            leaf = leaf_of(condition)
            shipped = isinstance(leaf, Equals) and leaf.of.field.shipped and leaf.of.name not in _METADATA
            return term_of(leaf.text) if isinstance(leaf, Equals) and shipped else ""
    return ""


def present_in(condition: Any, leaf_of: LeafOf) -> frozenset[str]:
    """Return the canonical fields that every event which meets a parsed condition has."""
    match condition:
        case ConditionAND(args=args):
            return frozenset[str]().union(*(present_in(arg, leaf_of) for arg in args))
        case ConditionOR(args=args):
            return frozenset[str].intersection(*(present_in(arg, leaf_of) for arg in args))
        case ConditionFieldEqualsValueExpression(value=SigmaExpansion(values=values)):
            parts = [ConditionFieldEqualsValueExpression(condition.field, value) for value in values]
            return frozenset[str].intersection(*(present_in(part, leaf_of) for part in parts))
        case ConditionFieldEqualsValueExpression():
            return _present(leaf_of(condition))
    return frozenset()


def _present(leaf: Leaf) -> frozenset[str]:
    match leaf:
        case Never() | Absent():
            return frozenset()
        case SameAs(of, other):
            return frozenset({of.name, other.name})
    return frozenset({leaf.of.name})


def any_term(searches: Sequence[str]) -> str:
    """Return the search that one of `searches` is met; empty where one of them asks for nothing."""
    each = list(dict.fromkeys(searches))
    if not all(each):
        return ""
    return each[0] if len(each) == 1 else f"({' OR '.join(parenthesised(s) if ' ' in s else s for s in each)})"


def narrowed_tables(plan: Plan) -> dict[str, str]:
    """Return each table that a plan reads with the search that its events of it meet."""
    found: dict[str, list[str]] = {table: [] for table in plan.reads}
    for table, narrowing in _narrowings(plan):
        found[table].append(narrowing)
    return {table: any_term(searches) for table, searches in found.items()}


def _narrowings(plan: Plan) -> Iterator[tuple[str, str]]:
    for base in plan.bases:
        if isinstance(base.source, str):
            yield base.source, base.narrowing.search
        else:
            yield from _narrowings(base.source)
