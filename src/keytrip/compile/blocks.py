"""Baseline blocks (SEMANTICS section 4) as a rule file has them, checked against the jobs that make their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import Job
from keytrip.compile.plan import OPERATORS, Block, Threshold
from keytrip.errors import ContentError
from keytrip.rules.baseline import placed_blocks
from keytrip.rules.expression import parse_expression

_NUMBERS = ("DOUBLE", "BIGINT")
_BLOCK_MEMBERS = {"table", "on", "exceeds", "where", "missing", "absent", "requires", "share"}


def constants_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return a rule's parameters by name."""
    declared = attributes.get("parameters") or {}
    return {name: float(p["default"]) for name, p in declared.items() if isinstance(p, dict) and "default" in p}


def blocks_of(attributes: Mapping[str, Any], group_by: tuple[str, ...], packs: tuple[Path, ...]) -> tuple[Block, ...]:
    """Return the baseline blocks of a rule's custom attributes.

    Raises:
        ContentError: A block is not what SEMANTICS section 4 says.
    """
    constants = constants_of(attributes)
    raw = enumerate(placed_blocks(attributes))
    blocks = tuple(_block(data, group_by, constants, packs, first=i == 0) for i, (_, data) in raw)
    if sum(block.share is not None for block in blocks) > 1:
        raise ContentError("two baseline blocks ask for a share", hint="write two rules")
    return blocks


def _block(
    data: Mapping[str, Any],
    group_by: tuple[str, ...],
    constants: Mapping[str, float],
    packs: tuple[Path, ...],
    *,
    first: bool,
) -> Block:
    table = str(data.get("table"))
    unknown = sorted(set(data) - _BLOCK_MEMBERS)
    if unknown:
        raise ContentError(f"baseline has no member {unknown[0]!r}", hint=", ".join(sorted(_BLOCK_MEMBERS)))
    jobs = load_jobs(packs)
    if table not in jobs:
        raise ContentError(f"no job makes the table {table!r}", hint="one of: " + ", ".join(sorted(jobs)))
    on = tuple(data.get("on") or jobs[table].table_key)
    _check_form(data, on, group_by)
    strange = [c for c in on if c not in jobs[table].columns]
    if strange:
        raise ContentError(f"{table} has no column {strange[0]!r}", hint="one of: " + ", ".join(jobs[table].columns))
    block = Block(table, on, "" if first else f"{table}_", keys={table: jobs[table].table_key})
    if data.get("absent"):
        return _membership(data, block, group_by, constants, jobs)
    exceeds, where = data.get("exceeds"), data.get("where")
    block = replace(
        block,
        exceeds=parse_expression(str(exceeds), constants),
        where=parse_expression(str(where), constants, logic=True) if where is not None else None,
        fires_without_row=data.get("missing") == "fire",
    )
    numbers = [c for c, kind in jobs[table].columns.items() if kind in _NUMBERS]
    unknown = [c for c in block.columns if c not in numbers]
    if unknown:
        raise ContentError(f"{table} has no number {unknown[0]!r}", hint="one of: " + ", ".join(numbers))
    missing = [c for c in jobs[table].table_key if c not in on]
    if missing:
        raise ContentError(f"exceeds needs every key column of {table} in `on`", hint=f"add {missing[0]}")
    return block


def _check_form(data: Mapping[str, Any], on: tuple[str, ...], group_by: tuple[str, ...]) -> None:
    if bool(data.get("absent")) == ("exceeds" in data):
        raise ContentError("a baseline block has either `exceeds` or `absent: true`")
    if data.get("absent") and {"where", "missing"} & set(data):
        raise ContentError("`where` and `missing` belong to `exceeds`")
    if data.get("missing", "ignore") not in {"ignore", "fire"}:
        raise ContentError(f"`missing` is {data['missing']!r}"[:100], hint="`ignore` or `fire`")
    if not data.get("absent") and {"share", "requires"} & set(data):
        raise ContentError("`share` and `requires` belong to `absent`")
    outside = [] if "share" in data else [c for c in on if c not in group_by]
    if outside:
        raise ContentError(f"`on` column {outside[0]!r} is no group-by field", hint="add it to group-by")
    if "share" in data and not (set(group_by) <= set(on) and set(on[:-1]) <= set(group_by)):
        raise ContentError("`share` needs the key in group-by", hint="group by the `on` columns but the last")


def _membership(
    data: Mapping[str, Any],
    block: Block,
    group_by: tuple[str, ...],
    constants: Mapping[str, float],
    jobs: Mapping[str, Job],
) -> Block:
    share = data.get("share")
    threshold = None
    if share is not None:
        ((operator, number),) = share.items()
        if operator not in OPERATORS:
            raise ContentError(f"share has no operator {operator!r}", hint=", ".join(OPERATORS))
        number = constants[number] if isinstance(number, str) else number
        threshold = Threshold(OPERATORS[operator], float(number))
    table, on = block.table, block.on
    required: tuple[str, tuple[str, ...]] | None = (table, on[:-1]) if len(on) > 1 else None
    if "requires" in data:
        other = str(data["requires"])
        if other not in jobs:
            raise ContentError(f"no job makes the table {other!r}", hint="one of: " + ", ".join(sorted(jobs)))
        required = (other, tuple(c for c in jobs[other].table_key if c in group_by))
        if not required[1]:
            hint = "group by " + " or ".join(jobs[other].table_key)
            raise ContentError(f"`requires: {other}` needs a key column of that table in group-by", hint=hint)
    keys = {name: jobs[name].table_key for name in (table, *([required[0]] if required else []))}
    return replace(block, requires=required, share=threshold, keys=keys)
