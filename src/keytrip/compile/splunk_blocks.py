"""Baseline blocks in SPL: `lookup` on the few rows that are left, and a test of what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keytrip.compile.plan import Block, Plan
from keytrip.compile.splunk_expressions import spl_all, spl_excess, spl_threshold


@dataclass(frozen=True)
class Looked:
    """What a block asks of one table.

    Attributes:
        table: The baseline table.
        on: Columns to look up by.
        output: (column of the table, name in the result).
        test: The condition on the result.
    """

    table: str
    on: tuple[str, ...]
    output: tuple[tuple[str, str], ...]
    test: str


def verdict_steps(plan: Plan) -> list[str]:
    """Return the steps that keep the rows which meet every condition; all that a temporal one asks for is met."""
    tests = threshold_tests(plan)
    steps = [f"where {spl_all(tests)}"] if tests else []
    for number, block in enumerate(plan.blocks):
        for one in looked_up(block, f"kt_found_{number}", f"kt_known_{number}"):
            steps += [lookup(one.table, one.on, one.output), f"where {one.test}"]
    return steps


def threshold_tests(plan: Plan) -> list[str]:
    """Return the tests that need no table."""
    tests = [] if plan.temporal else [spl_threshold("value", plan.threshold)]
    return tests + [spl_threshold("share", b.share) for b in plan.blocks if b.share is not None]


def looked_up(block: Block, found: str, known: str) -> list[Looked]:
    """Return what a block asks of its tables, in order.

    Args:
        block: The block.
        found: Name of the column that says whether its table has a row.
        known: Name of the one that says it of the table that it requires.
    """
    return _membership(block, found, known) if block.absent else [_excess(block, found)]


def lookup(table: str, columns: Sequence[str], output: Sequence[tuple[str, str]]) -> str:
    """Return the step that looks columns of a table up under other names."""
    outputs = " ".join(f"{column} as {name}" for column, name in output)
    return f"lookup keytrip_{table} {' '.join(columns)} OUTPUT {outputs}"


def _membership(block: Block, found: str, known: str) -> list[Looked]:
    """Several rows do no harm: the names are null where the table has no row."""
    looks = []
    if block.share is None:
        looks.append(Looked(block.table, block.on, ((block.on[0], found),), f"(isnull({found}))"))
    if block.requires is not None and block.requires[1]:
        table, columns = block.requires
        looks.append(Looked(table, columns, ((columns[0], known),), f"(isnotnull({known}))"))
    return looks


def _excess(block: Block, found: str) -> Looked:
    output = [(c, f"baseline_{block.prefix}{c}") for c in block.columns]
    test = spl_excess(block)
    if block.fires_without_row:
        test = f"((isnull({found})) OR {test})"
    elif block.needs_row:
        test = f"((isnotnull({found})) AND {test})"
    if block.fires_without_row or block.needs_row:
        output.append((block.on[0], found))
    return Looked(block.table, block.on, tuple(output), test)
