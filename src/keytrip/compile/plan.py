"""What an alerting rule means, target by target the same: the correlation and its baseline blocks, resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import Job
from keytrip.errors import ContentError, KeytripError, Place
from keytrip.rules.expression import Expression, columns_of, parse_expression

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule

OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "<>"}
COUNTING = ("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIMESPAN = re.compile(r"(\d+)([smhdw])")
_DIGITS = 12
# A window has to end, and the history before it to begin, where the engines still have a date.
_LONGEST = 100 * 366 * 86400
# Windows of the unit `w` count from Monday 1970-01-05 (SEMANTICS section 3).
_MONDAY = 4 * 86400
_NUMBERS = ("DOUBLE", "BIGINT")
_BLOCK_MEMBERS = {"table", "on", "exceeds", "where", "missing", "absent", "requires", "share"}


@dataclass(frozen=True)
class Threshold:
    """A value compared with a number: `operator` is SQL's."""

    operator: str
    number: float


@dataclass(frozen=True)
class Block:
    """One baseline block.

    Attributes:
        table: The baseline table.
        on: Columns to join by.
        prefix: Put before the names of its baseline columns in the result (from the second block on).
        exceeds: The value must be greater; None for membership.
        where: Must hold too.
        fires_without_row: Whether a group without a row fires (`missing: fire`).
        requires: (table, columns) that must hold a row; no columns: nothing is required.
        share: Compared with the share of absent events; None: a single absent group fires.
        keys: Table -> its key columns in order, of `table` and of the required one.
    """

    table: str
    on: tuple[str, ...]
    prefix: str = ""
    exceeds: Expression | None = None
    where: Expression | None = None
    fires_without_row: bool = False
    requires: tuple[str, tuple[str, ...]] | None = None
    share: Threshold | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the expressions name."""
        return tuple(dict.fromkeys((*columns_of(self.exceeds), *columns_of(self.where))))

    @property
    def absent(self) -> bool:
        """Whether this is the membership form."""
        return self.exceeds is None


@dataclass(frozen=True)
class Plan:
    """One correlation rule of a counting type.

    Attributes:
        rule: The rule's name.
        rule_id: Its id.
        title: Its title.
        level: Its level.
        type: The correlation type.
        fields: The counted or summed fields (none for event_count).
        percentile: For value_percentile.
        threshold: The static condition.
        group_by: Canonical group fields.
        seconds: Width of the window.
        offset: Seconds after the epoch that windows count from.
        blocks: Baseline blocks, all of which must hold.
    """

    rule: str
    rule_id: str
    title: str
    level: str
    type: str
    fields: tuple[str, ...]
    percentile: int | None
    threshold: Threshold
    group_by: tuple[str, ...]
    seconds: int
    offset: int
    blocks: tuple[Block, ...]

    @property
    def share_block(self) -> Block | None:
        """The block that asks for a share, if one does."""
        return next((b for b in self.blocks if b.share), None)

    @property
    def tables(self) -> tuple[str, ...]:
        """Baseline tables that the rule reads."""
        required = (b.requires[0] for b in self.blocks if b.requires)
        return tuple(dict.fromkeys([*(b.table for b in self.blocks), *required]))

    @property
    def event_fields(self) -> tuple[str, ...]:
        """Fields of the events that the aggregation reads."""
        shared = self.share_block.on if self.share_block else ()
        return tuple(dict.fromkeys((*self.group_by, *self.fields, *shared)))

    @property
    def cost_sum(self) -> bool:
        """Whether the value is a sum of money, which every engine rounds to nine decimals."""
        return self.type == "value_sum" and self.fields == ("cost_usd",)


def raw_correlation(rule: SigmaCorrelationRule) -> Mapping[str, Any]:
    """Return the correlation's condition with its numbers as written: pySigma cuts them to integers.

    Our loader keeps them in a custom attribute; a rule that stock sigma-cli loaded is looked up in its file.
    """
    kept = rule.custom_attributes.get("keytrip_condition")
    if isinstance(kept, dict):
        return kept
    path = getattr(rule.source, "path", None)
    if path is not None and Path(path).is_file():
        from keytrip.rules.load import read_documents

        for document in read_documents(Path(path)):
            same = str(document.data.get("id")) == str(rule.id) and document.data.get("name") == rule.name
            condition = (document.data.get("correlation") or {}).get("condition")
            if same and isinstance(condition, dict):
                return condition
    condition = rule.condition.to_dict()
    return condition if isinstance(condition, dict) else {}


def place_of(rule: Any) -> Place:
    """Return where a pySigma rule stands."""
    source = rule.source
    line = rule.custom_attributes.get("keytrip_line")
    path = str(source.path) if source is not None and getattr(source, "path", None) else None
    return Place(path, line, str(rule.name or rule.id or rule.title))


def plan_of(rule: SigmaCorrelationRule, packs: tuple[Path, ...] = ()) -> Plan:
    """Return what a counting correlation means.

    Raises:
        ContentError: The rule asks for what SEMANTICS does not have.
    """
    try:
        return _plan(rule, packs)
    except KeytripError as error:
        raise type(error)(error.message, place=place_of(rule), hint=error.hint) from error


def _plan(rule: SigmaCorrelationRule, packs: tuple[Path, ...]) -> Plan:
    kind = rule.type.name.lower()
    if kind not in COUNTING:
        raise ContentError(f"correlation type {kind!r} is not compiled yet", hint="one of: " + ", ".join(COUNTING))
    condition = raw_correlation(rule)
    operator = next(name for name in OPERATORS if name in condition)
    named = condition.get("field")
    fields = (named,) if isinstance(named, str) else tuple(named or ())
    seconds, offset = window_of(rule.timespan.spec)
    group_by = tuple(rule.group_by or ())
    return Plan(
        rule=str(rule.name or rule.id),
        rule_id=str(rule.id or ""),
        title=rule.title or "",
        level=rule.level.name.lower() if rule.level else "medium",
        type=kind,
        fields=fields if kind != "event_count" else (),
        percentile=condition.get("percentile"),
        threshold=Threshold(OPERATORS[operator], float(condition[operator])),
        group_by=group_by,
        seconds=seconds,
        offset=offset,
        blocks=blocks_of(rule.custom_attributes, group_by, packs),
    )


def window_of(timespan: str) -> tuple[int, int]:
    """Return (seconds, offset) of a timespan such as `1d` or `2w`.

    Raises:
        ContentError: It is none of s m h d w.
    """
    match = _TIMESPAN.fullmatch(timespan)
    if match is None or len(match[1]) > _DIGITS or int(match[1]) == 0:
        raise ContentError(f"timespan {timespan!r} is refused", hint="a whole number and one of s m h d w")
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > _LONGEST:
        raise ContentError(f"timespan {timespan!r} is refused", hint="at most a hundred years")
    return seconds, _MONDAY if match[2] == "w" else 0


def constants_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return a rule's parameters by name."""
    declared = attributes.get("parameters") or {}
    return {name: float(p["default"]) for name, p in declared.items() if isinstance(p, dict) and "default" in p}


def blocks_of(attributes: Mapping[str, Any], group_by: tuple[str, ...], packs: tuple[Path, ...]) -> tuple[Block, ...]:
    """Return the baseline blocks of a rule's custom attributes.

    Raises:
        ContentError: A block is not what SEMANTICS section 4 says.
    """
    found = attributes.get("baseline") or []
    # YAML 1.1 reads the key `on` as the boolean true
    raw = [{"on" if k is True else k: v for k, v in b.items()} for b in ([found] if isinstance(found, dict) else found)]
    constants = constants_of(attributes)
    blocks = tuple(_block(data, group_by, constants, packs, first=i == 0) for i, data in enumerate(raw))
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
        required = (other, tuple(c for c in jobs[other].table_key if c in on and c in group_by))
    keys = {name: jobs[name].table_key for name in (table, *([required[0]] if required else []))}
    return replace(block, requires=required, share=threshold, keys=keys)
