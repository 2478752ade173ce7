"""Which rules work with which log sources on which targets, and why not where they do not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

from keytrip.baselines.jobs import columns_needed, load_jobs
from keytrip.compile.check_reach import condition_tree, holds
from keytrip.compile.targets import TARGETS, compile_to
from keytrip.records.vocabulary import Table, vocabulary
from keytrip.rules.baseline import placed_blocks
from keytrip.rules.load import Document, with_bases
from keytrip.sources import all_sources
from keytrip.sources.base import Source

_ALL_OF = ("temporal", "temporal_ordered")
# Written by the reader, whatever the log holds.
_GIVEN = {"source"}
# Jobs look at it where it is there: a record without it is no bucket.
_OPTIONAL = {"bucket_seconds"}


class Covered(StrEnum):
    """Whether a rule works there; partly: some forms of the log do not have what it needs."""

    yes = "yes"
    partly = "partly"
    no = "no"


@dataclass(frozen=True)
class Side:
    """What a rule is to one source, or to one target: whether it works there, and what keeps it from that."""

    covered: Covered
    reason: str = ""


@dataclass(frozen=True)
class Cell:
    """A rule with a source on a target.

    Attributes:
        rule, level: From the rule.
        source, target: Their names.
        covered: The worse of the two sides.
        reason: Why it is not `yes`, or an empty string.
    """

    rule: str
    level: str
    source: str
    target: str
    covered: Covered
    reason: str


@dataclass(frozen=True)
class Coverage:
    """A rule's sides: by the name of the source, and by that of the target."""

    rule: Document
    sources: Mapping[str, Side]
    targets: Mapping[str, Side]

    @property
    def cells(self) -> Iterator[Cell]:
        """Every source with every target."""
        for (source, fed), (target, told) in product(self.sources.items(), self.targets.items()):
            covered = max(fed.covered, told.covered, key=[*Covered].index)
            reasons = (f"{name}: {side.reason}" for name, side in ((source, fed), (target, told)) if side.reason)
            yield Cell(self.rule.name, self.rule.level, source, target, covered, "; ".join(reasons))


def coverage(
    chosen: Sequence[Document],
    documents: Sequence[Document],
    packs: tuple[Path, ...] = (),
    sources: Collection[str] = (),
    targets: Collection[str] = (),
) -> list[Coverage]:
    """Return the coverage of each chosen rule; no sources or targets: all of them.

    Raises:
        UsageError: There is no such target.
        ContentError: A job cannot be loaded, or a rule refers to what is not there.
    """
    fed = {name: source for name, source in all_sources().items() if not sources or name in sources}
    told = {target: compile_to(target, chosen, documents, packs) for target in targets or TARGETS}
    jobs = load_jobs(packs)
    inputs = {table: frozenset(job.inputs) - _OPTIONAL for table, job in jobs.items()}
    return [
        Coverage(
            rule,
            {name: _fed(source, rule, documents, inputs) for name, source in fed.items()},
            {target: _told(results[number].reason) for target, results in told.items()},
        )
        for number, rule in enumerate(chosen)
    ]


def _told(reason: str) -> Side:
    return Side(Covered.no, reason) if reason else Side(Covered.yes)


def _fed(source: Source, rule: Document, documents: Sequence[Document], inputs: Mapping[str, frozenset[str]]) -> Side:
    bases = [base for base in with_bases([rule], documents) if "detection" in base.data]
    sides = [_base(source, base) for base in bases]
    correlation = rule.data.get("correlation") or {}
    # each rule of a temporal correlation has to be seen, of a counting one any of them counts
    worst = max if correlation.get("type") in _ALL_OF else min
    side = worst(sides, key=_badness, default=Side(Covered.yes))
    return max((side, _fields(source, _asked(rule, inputs))), key=_badness)


def _badness(side: Side) -> int:
    return [*Covered].index(side.covered)


def _asked(rule: Document, inputs: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the fields that a rule cannot do without, those of its conditions aside."""
    correlation = rule.data.get("correlation") or {}
    condition = correlation.get("condition")
    counted = condition.get("field") if isinstance(condition, Mapping) else None
    aliases = correlation.get("aliases") or {}
    names = [*(correlation.get("group-by") or ()), *([counted] if isinstance(counted, str) else counted or ())]
    found = [field for name in names for field in (aliases[name].values() if name in aliases else [name])]
    for _, block in placed_blocks(rule.data):
        found += [*(block.get("on") or ()), *sorted(inputs.get(str(block.get("table")), ()))]
    return [*dict.fromkeys(["timestamp", *found])]


def _base(source: Source, base: Document) -> Side:
    """Return whether a plain rule can match a source's records."""
    named = vocabulary().by_category((base.data.get("logsource") or {}).get("category"))
    if named is None or not set(source.fields) <= set(named[1].fields):
        return Side(Covered.no, f"reads no {named[0] if named else 'such'} records")
    detection = base.data["detection"]
    needs = {str(n): _needs(s, named[1]) for n, s in detection.items() if n not in {"condition", "timeframe"}}
    lacking = {name: {field for field in fields if not _has(source, field)} for name, fields in needs.items()}
    if _can_hold(detection, {name for name, fields in lacking.items() if fields}):
        kept = [field for name, fields in needs.items() if not lacking[name] for field in fields]
        return _fields(source, kept)
    return _fields(source, sorted({field for fields in lacking.values() for field in fields}))


def _needs(selection: Any, table: Table) -> list[str]:
    """Return the fields that must be there for a selection to hold; of a list of selections, what all of them need."""
    if isinstance(selection, list):
        parts = [set(_needs(part, table)) for part in selection]
        return sorted(set.intersection(*parts)) if parts else []
    if not isinstance(selection, Mapping):
        return []
    found = []
    for key, value in selection.items():
        field, _, modifiers = str(key).partition("|")
        absent = (value is None and not modifiers) or (modifiers == "exists" and value is False)
        if not absent and "neq" not in modifiers and field in table.columns:
            found.append(field)
    return found


def _can_hold(detection: Mapping[str, Any], false: Collection[str]) -> bool:
    """Return whether a condition can hold while some selections cannot."""
    names = [str(name) for name in detection if name not in {"condition", "timeframe"}]
    given = detection.get("condition")
    tree = condition_tree(given if isinstance(given, list) else [given], names)
    free = [name for name in names if name not in false]
    if tree is None or not set(false) <= set(names):
        return not false
    choices = product((True, False), repeat=len(free))
    return any(holds(tree, dict.fromkeys(false, False) | dict(zip(free, values, strict=True))) for values in choices)


def _fields(source: Source, names: Sequence[str]) -> Side:
    """Return what a source is to a rule that needs the fields `names`."""
    lacking = [name for name in names if not _has(source, name)]
    if lacking:
        return Side(Covered.no, "; ".join(f"no {name} ({_why(source, name)})" for name in lacking))
    some = [name for name in names for field in _columns(name) if field in source.lacks]
    if some:
        return Side(Covered.partly, "; ".join(f"{name}: {_why(source, name)}" for name in dict.fromkeys(some)))
    return Side(Covered.yes)


def _columns(name: str) -> list[str]:
    return sorted(columns_needed([name])) if any(name in t.columns for t in vocabulary().tables.values()) else [name]


def _has(source: Source, name: str) -> bool:
    fields = {n: field for table in vocabulary().tables.values() for n, field in table.fields.items()}
    known = [source.has(n) or n in _GIVEN or fields[n].default is not None for n in _columns(name) if n in fields]
    # the total of tokens counts one that is missing as none
    return any(known) if name == "total_tokens" else all(known)


def _why(source: Source, name: str) -> str:
    return next((source.lacks[n] for n in (name, *_columns(name)) if n in source.lacks), "not in this log")
