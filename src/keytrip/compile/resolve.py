"""From a pySigma correlation to its plan: types, conditions, aliases, and the rules that it builds on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sigma.correlations import CorrelationConditionAND, SigmaExtendedCorrelationCondition, SigmaRuleReference

from keytrip.compile.blocks import blocks_of
from keytrip.compile.header import header_of
from keytrip.compile.plan import COUNTING, OPERATORS, TEMPORAL, Base, Narrowing, Plan, Threshold
from keytrip.errors import ContentError, KeytripError, Place
from keytrip.records.vocabulary import DUCKDB_TYPES, vocabulary

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule
    from sigma.rule import SigmaRule

# The attribute of a converted plain rule that holds what its backend can narrow events by.
NARROWING = "keytrip_narrowing"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIMESPAN = re.compile(r"(\d+)([smhdw])")
_DIGITS = 12
# A window has to end, and the history before it to begin, where the engines still have a date.
_LONGEST = 100 * 366 * 86400
_WHOLE = 100
# Windows of the unit `w` count from Monday 1970-01-05 (SEMANTICS section 3).
_MONDAY = 4 * 86400
_ALIAS = re.compile(r"[A-Za-z]\w*", re.ASCII)
# Columns that every result has (SEMANTICS section 6), and the prefixes of our own.
_TAKEN = {"window_start", "window_end", "value", "share", "events", "first_seen", "last_seen", "rule", "level"}
_PREFIXES = ("baseline_", "kt_")
_COMPARE = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


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


def table_of(rule: SigmaRule) -> str:
    """Return the canonical table that a plain rule reads.

    Raises:
        ContentError: Its logsource is none of ours.
    """
    found = vocabulary().by_category(rule.logsource.category)
    if found is None:
        raise ContentError(f"logsource category {rule.logsource.category!r} is none of ai_*", place=place_of(rule))
    return found[0]


def plan_of(rule: SigmaCorrelationRule, packs: tuple[Path, ...] = ()) -> Plan:
    """Return what a correlation means. The rules that it refers to have been converted, so that they have a condition.

    Raises:
        ContentError: The rule asks for what SEMANTICS does not have.
    """
    try:
        return _plan(rule, packs)
    except KeytripError as error:
        if str(error.place):
            raise
        raise type(error)(error.message, place=place_of(rule), hint=error.hint) from error


def _plan(rule: SigmaCorrelationRule, packs: tuple[Path, ...]) -> Plan:
    kind = rule.type.name.lower()
    if kind not in (*COUNTING, *TEMPORAL):
        raise ContentError(f"no correlation type {kind!r}", hint="one of: " + ", ".join((*COUNTING, *TEMPORAL)))
    seconds, offset = window_of(rule.timespan.spec)
    temporal = kind in TEMPORAL
    group_by = tuple(dict.fromkeys(rule.group_by or ()))
    bases = tuple(_bases(rule, packs))
    if not bases:
        raise ContentError("refers to no rule", hint="name at least one in `rules`")
    whole = ((), None, Threshold(">=", len(bases)))
    fields, percentile, threshold = whole if temporal else _counted(kind, raw_correlation(rule))
    head = header_of(rule, ())
    plan = Plan(
        rule=head.rule,
        rule_id=str(rule.id or ""),
        title=head.title,
        level=head.level,
        type=kind,
        fields=fields,
        percentile=percentile,
        threshold=threshold,
        group_by=group_by,
        seconds=seconds,
        offset=0 if temporal else offset,
        blocks=blocks_of(rule.custom_attributes, group_by, packs),
        bases=bases,
        version=head.version,
    )
    if temporal:
        _check_temporal(rule, plan)
    _check_fields(plan)
    return plan


def _counted(kind: str, condition: Mapping[str, Any]) -> tuple[tuple[str, ...], int | None, Threshold]:
    """Return (fields, percentile, threshold) of a counting condition.

    Raises:
        ContentError: It has no field where it needs one, several where it takes one, or no good percentile.
    """
    operator = next(name for name in OPERATORS if name in condition)
    named = condition.get("field")
    fields = (named,) if isinstance(named, str) else tuple(named or ())
    threshold = Threshold(OPERATORS[operator], float(condition[operator]))
    if kind == "event_count":
        return (), None, threshold
    if not fields or (len(fields) > 1 and kind != "value_count"):
        raise ContentError(f"{kind} needs one field", hint="such as `field: input_tokens` in the condition")
    return fields, _percentile(condition) if kind == "value_percentile" else None, threshold


def _percentile(condition: Mapping[str, Any]) -> int:
    number = float(condition.get("percentile", -1))
    if not (0 <= number <= _WHOLE and number.is_integer()):
        hint = "such as `percentile: 95` in the condition"
        raise ContentError("value_percentile needs a whole number from 0 to 100 as its percentile", hint=hint)
    return int(number)


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


# -- the rules that a correlation refers to ------------------------------------------------------------------------


def _bases(rule: SigmaCorrelationRule, packs: tuple[Path, ...]) -> Iterator[Base]:
    from sigma.rule import SigmaRule

    references = [reference.rule for reference in rule.referenced_rules]
    aliases = _aliases(rule, references)
    for base in references:
        name = str(base.name or base.id)
        renamed = aliases[id(base)]
        if isinstance(base, SigmaRule):
            (condition,) = base.get_conversion_result()
            narrowing = base.custom_attributes.get(NARROWING, Narrowing())
            yield Base(name, table_of(base), str(condition), renamed, narrowing)
        else:
            yield Base(name, plan_of(base, packs), aliases=renamed)


def _aliases(rule: SigmaCorrelationRule, bases: list[Any]) -> dict[int, dict[str, str]]:
    """Return identity of a referenced rule -> alias -> its own field."""
    found: dict[int, dict[str, str]] = {id(base): {} for base in bases}
    for alias in rule.aliases:
        _check_alias(alias.alias)
        for reference, name in alias.mapping.items():
            named = [base for base in bases if reference.reference in {base.name, str(base.id)}]
            if not named:
                hint = "an alias names rules of `rules`"
                raise ContentError(f"alias {alias.alias!r} is of {reference.reference!r}, none of its rules", hint=hint)
            found[id(named[0])][alias.alias] = str(name)
    return found


def _check_alias(name: str) -> None:
    if not _ALIAS.fullmatch(name):
        raise ContentError(f"{name!r} cannot be an alias", hint="a letter, then letters, digits and _")
    if name in _TAKEN or name.startswith(_PREFIXES):
        raise ContentError(f"alias {name!r} is the name of a result's column", hint="choose another name")


def _check_fields(plan: Plan) -> None:
    """Every field that the correlation names is one of each base, and of one type."""
    for name in plan.event_fields:
        types = {}
        for base in plan.bases:
            found = base.type_of(name)
            if found is None:
                own, hint = base.field(name), "name the base's own field in `aliases`, or group by another"
                raise ContentError(f"{base.name} has no field {own!r}", hint=hint)
            if name in plan.fields and plan.type != "value_count" and not found.numeric:
                hint = "`value_count` counts the values of any field"
                raise ContentError(f"{name} is no number: {plan.type} needs one", hint=hint)
            types[DUCKDB_TYPES[found.type]] = base.name
        if len(types) > 1:
            kinds = " and ".join(f"{kind.lower()} in {base}" for kind, base in types.items())
            raise ContentError(f"{name} is {kinds}", hint="alias fields of one type")


def _check_temporal(rule: SigmaCorrelationRule, plan: Plan) -> None:
    if any(block.exceeds is not None or block.share is not None for block in plan.blocks):
        hint = "a temporal correlation has no value; only `absent` can look at its group"
        raise ContentError("`exceeds` and `share` need a counting correlation", hint=hint)
    if not _asks_for_all(rule, len(plan.bases)):
        hint = f"leave the condition out, or write `gte: {len(plan.bases)}`"
        raise ContentError("the condition of a temporal correlation asks for other than all its rules", hint=hint)


def _asks_for_all(rule: SigmaCorrelationRule, count: int) -> bool:
    condition = rule.condition
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        wanted = {reference.reference for reference in rule.referenced_rules}
        return _joined(condition.parsed) and set(condition.get_referenced_rules()) == wanted
    raw = raw_correlation(rule)
    if set(raw) - set(OPERATORS):
        return False
    ((operator, number),) = raw.items()
    return [met for met in range(count + 1) if _COMPARE[operator](met, number)] == [count]


def _joined(condition: Any) -> bool:
    """Whether an extended condition says `and` only."""
    if isinstance(condition, CorrelationConditionAND):
        return all(_joined(part) for part in condition.args)
    return isinstance(condition, SigmaRuleReference)
