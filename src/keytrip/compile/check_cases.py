"""Checks of a rule's cases: a near miss has to differ from a hit in the one fact that decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keytrip.compile.problems import Problem, Subject
from keytrip.rules.cases import Case

_SHOWN = 5


@dataclass(frozen=True)
class Pair:
    """A near miss beside a hit.

    Attributes:
        number: Place of the near miss among the cases.
        hit, miss: The two cases.
        facts: What differs: columns, with their table where it is a baseline table, and numbers of rows.
    """

    number: int
    hit: Case
    miss: Case
    facts: tuple[str, ...]


def near_misses(subject: Subject, cases: Sequence[Case]) -> Iterator[Problem]:
    """Yield near misses that contradict a hit, and say so where none is within one fact of a hit."""
    pairs = [
        Pair(number, hit, miss, differences(hit, miss))
        for number, miss in enumerate(cases)
        if not miss.hit
        for hit in cases
        if hit.hit
    ]
    for pair in pairs:
        if not pair.facts:
            message = f"test {pair.miss.name!r} expects the contrary of {pair.hit.name!r} on the same facts"
            yield subject.problem(message, "tests", pair.number, hint="change the fact that decides")
    nearest = min(pairs, key=lambda pair: len(pair.facts), default=None)
    if nearest is not None and len(nearest.facts) > 1:
        listed = ", ".join(nearest.facts[:_SHOWN]) + (", ..." if len(nearest.facts) > _SHOWN else "")
        message = (
            f"test {nearest.miss.name!r} differs from {nearest.hit.name!r} in {len(nearest.facts)} facts ({listed})"
        )
        hint = "have one near miss that differs from a hit in one fact, or it may not fire for another reason"
        yield subject.problem(message, "tests", nearest.number, hint=hint)


def differences(one: Case, other: Case) -> tuple[str, ...]:
    """Return what differs between two cases: a column counts once, however many rows it changes in."""
    tables = dict.fromkeys((*one.baseline, *other.baseline))
    rows = [(name, one.baseline.get(name, ()), other.baseline.get(name, ())) for name in tables]
    return tuple(
        fact for name, left, right in [("", one.events, other.events), *rows] for fact in _between(name, left, right)
    )


def _between(table: str, left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> list[str]:
    mine, theirs = _without(left, right), _without(right, left)
    if bool(mine) != bool(theirs):
        return [f"the rows of {table}" if table else "the number of events"]
    names = dict.fromkeys(name for row in (*mine, *theirs) for name in row)
    pairs = [*zip(mine, theirs, strict=False)]
    changed = [name for name in names if any(a.get(name) != b.get(name) for a, b in pairs)]
    counted = ["the number of rows" if table else "the number of events"] if len(mine) != len(theirs) else []
    return [f"{table}.{fact}" if table else fact for fact in (*changed, *counted)]


def _without(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows that `others` has no equal of, one for one."""
    left = [*others]
    kept = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            kept.append(row)
    return kept
