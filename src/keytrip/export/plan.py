"""What has to be done so that a destination holds what it should: a difference, field by field and row by row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keytrip.errors import ContentError, SystemRefusedError
from keytrip.export.desired import Desired
from keytrip.export.model import (
    Action,
    Body,
    Deployment,
    Generation,
    Item,
    Kind,
    Live,
    LiveItem,
    RowChange,
    Server,
    Table,
)
from keytrip.export.rows import RowCounts

Differ = Callable[[Table, int], tuple[RowCounts, RowChange | None]]
_ABSENT = object()


@dataclass(frozen=True)
class FieldChange:
    """A field before and after; the path of a nested one has dots. None stands for a field that is not there."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class ItemChange:
    """What is to be done with an item.

    Attributes:
        action: It; `kept` is an item of ours that is not wanted any more and stays, since nobody said --prune.
        kind, name: The item's.
        item: As it is to be written, with its version; None where nothing is written.
        live: As it is, or None.
        fields: What an update changes.
        renamed_from: The name that the same rule's item had; its `kept` fields are taken over.
        title: What people call it, where its name is an id.
    """

    action: Action
    kind: str
    name: str
    item: Item | None = None
    live: LiveItem | None = None
    fields: tuple[FieldChange, ...] = ()
    renamed_from: str = ""
    title: str = ""


@dataclass(frozen=True)
class TableChange:
    """What is to be done with a table.

    Attributes:
        action: It.
        name: Of the lookup.
        table: As it should be; None for one that goes or stays without being wanted.
        live: The generation that is read now.
        counts: Which rows an update changes.
        rows: How to make the table out of the live generation, where that is less work.
        generation: An older generation that is there and holds it; 0 where one has to be written.
    """

    action: Action
    name: str
    table: Table | None = None
    live: Generation | None = None
    counts: RowCounts | None = None
    rows: RowChange | None = None
    generation: int = 0


@dataclass(frozen=True)
class Plan:
    """What has to be done, in order.

    Attributes:
        items, tables: All of them, the unchanged ones too.
        refused: Rule -> why no target of the destination can say it.
        snapshot: Number of the snapshot that the tables come from.
        world: Fingerprint of what the destination holds, as far as the plan rests on it.
        wanted: Fingerprint of what it should hold.
        server: What it was made for, where that matters.
    """

    items: tuple[ItemChange, ...]
    tables: tuple[TableChange, ...]
    refused: Mapping[str, str]
    snapshot: int | None
    world: str
    wanted: str
    server: Server | None = None

    @property
    def changes(self) -> tuple[ItemChange | TableChange, ...]:
        """All of it, tables first: the order in which it is shown."""
        return (*self.tables, *self.items)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(change.action in {"create", "update", "delete"} for change in self.changes)

    @property
    def counts(self) -> dict[str, int]:
        """How many items and tables there are of each action."""
        found = Counter(change.action for change in self.changes)
        return {action: found[action] for action in ("create", "update", "delete", "kept", "unchanged")}


def last_done(live: Live) -> Deployment | None:
    """Return the newest record of a deployment that was finished."""
    return next((one for one in live.deployments if one.state == "done"), None)


def plan_for(desired: Desired, live: Live, kinds: Mapping[str, Kind], differ: Differ, *, prune: bool = False) -> Plan:
    """Return what has to be done.

    Args:
        desired: What the destination should hold.
        live: What it holds.
        kinds: Its kinds of items.
        differ: Compares a table with one of its generations (`keytrip.export.rows.row_change`).
        prune: Whether items and tables of ours go that are not wanted any more.

    Raises:
        ContentError: The transport has no items of a kind that the manifest names.
        SystemRefusedError: Something that is not ours has a name that we want.
    """
    _refuse_unknown(desired, kinds)
    _refuse_foreign(desired, live)
    items = tuple(_items(desired, live, kinds, prune=prune))
    tables = tuple(_tables(desired, live, differ, prune=prune))
    world, wanted = world_of(desired, live, kinds), wanted_of(desired)
    return Plan(items, tables, desired.refused, desired.snapshot, world, wanted, desired.server)


def _refuse_unknown(desired: Desired, kinds: Mapping[str, Kind]) -> None:
    unknown = next((item.kind for item in desired.items if item.kind not in kinds), None)
    if unknown is not None:
        raise ContentError(f"this destination has no items of kind {unknown!r}", hint=f"one of: {', '.join(kinds)}")


def _refuse_foreign(desired: Desired, live: Live) -> None:
    wanted = [(item.kind, item.name) for item in desired.items] + [("table", table.name) for table in desired.tables]
    foreign = [identity for identity in wanted if identity in live.items and not live.items[identity].ours]
    if foreign:
        kind, name = foreign[0]
        more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        problem = f"{kind} {name!r} is there already and was not made by keytrip{more}"
        raise SystemRefusedError(problem, hint="rename or remove it; nothing of others is overwritten")


# -- items -------------------------------------------------------------------------------------------------------------


def _items(desired: Desired, live: Live, kinds: Mapping[str, Kind], *, prune: bool) -> Iterator[ItemChange]:
    wanted = {(item.kind, item.name) for item in desired.items}
    left = {identity: one for identity, one in live.items.items() if one.ours and identity not in wanted}
    old = _of_rules(live, left)
    renamed = _renamed(desired.items, live, old)
    for item in desired.items:
        change = _item(item, live.items.get((item.kind, item.name)), renamed.get((item.kind, item.name)), kinds)
        yield replace(change, title=title_of(kinds[item.kind], item.body))
    marks = {(item.kind, item.rule_id) for item in desired.items}
    # a rule that is there under its new name needs no old one: both would alert
    moved = {(one.kind, one.name) for mark, ones in old.items() if mark in marks for one in ones}
    for identity, one in sorted(left.items()):
        action: Action = "delete" if prune or identity in moved else "kept"
        yield ItemChange(action, *identity, live=one, title=title_of(kinds[one.kind], one.body))


def title_of(kind: Kind, body: Body) -> str:
    """Return what people call an item, or nothing where its name says it."""
    return str(body.get(kind.title, "")) if kind.title else ""


def _item(item: Item, live: LiveItem | None, old: LiveItem | None, kinds: Mapping[str, Kind]) -> ItemChange:
    kind = kinds[item.kind]
    if live is None:
        return _new(item, old, kind)
    fields = tuple(field_changes(item, live, kind))
    if not fields:
        return ItemChange("unchanged", item.kind, item.name, None, live)
    return ItemChange("update", item.kind, item.name, _versioned(item, live, kind), live, fields)


def _new(item: Item, old: LiveItem | None, kind: Kind) -> ItemChange:
    if old is None:
        return ItemChange("create", item.kind, item.name, item)
    theirs = {name: old.body[name] for name in kind.kept if name in old.body}
    moved = _versioned(replace(item, body={**item.body, **theirs}), old, kind)
    return ItemChange("create", item.kind, item.name, moved, renamed_from=old.name)


def field_changes(item: Item, live: LiveItem, kind: Kind) -> Iterator[FieldChange]:
    """Yield what differs in the fields that are ours; those of the user and the version are not looked at."""
    ours, theirs = kind.normal(item.body), kind.normal(live.body)
    left_out = {*kind.kept, kind.version}
    for name in sorted(ours):
        if name not in left_out:
            yield from _compared(name, theirs.get(name, _ABSENT), ours[name])


def _compared(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _compared(f"{path}.{name}", before.get(name, _ABSENT), after.get(name, _ABSENT))
    elif not _same(before, after):
        yield FieldChange(path, None if before is _ABSENT else before, None if after is _ABSENT else after)


def _same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; true is not 1 unless the kind's `normal` makes it so."""
    if left is _ABSENT or right is _ABSENT:
        return left is right or left is None or right is None
    return _text(left) == _text(right)


def _versioned(item: Item, live: LiveItem, kind: Kind) -> Item:
    """Return an item with the live version plus one: the version of a changed item never stands still or falls."""
    if kind.version is None:
        return item
    before = str(live.body.get(kind.version))
    number = int(before) if before.isdecimal() else 0
    return replace(item, body={**item.body, kind.version: number + 1})


def _of_rules(live: Live, left: Mapping[tuple[str, str], LiveItem]) -> dict[tuple[str, str], list[LiveItem]]:
    """Return (kind, rule) -> items of ours that nobody wants by their names; which rule's they are, the records say."""
    rules = {(one.kind, one.name): one.rule_id for record in reversed(live.deployments) for one in record.items}
    found: dict[tuple[str, str], list[LiveItem]] = defaultdict(list)
    for identity, rule in rules.items():
        if identity in left and rule:
            found[identity[0], rule].append(left[identity])
    return found


def _renamed(
    items: Sequence[Item], live: Live, old: Mapping[tuple[str, str], Sequence[LiveItem]]
) -> dict[tuple[str, str], LiveItem]:
    """Return new (kind, name) -> the item that the same rule had under another name.

    A rule may have several items of a kind: they are paired in order, if there are as many as before.
    """
    new: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if (item.kind, item.name) not in live.items and item.rule_id:
            new[item.kind, item.rule_id].append(item)
    pairs = ((ones, old[mark]) for mark, ones in new.items() if len(ones) == len(old.get(mark, ())))
    return {(item.kind, item.name): one for ones, olds in pairs for item, one in zip(ones, olds, strict=True)}


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(desired: Desired, live: Live, differ: Differ, *, prune: bool) -> Iterator[TableChange]:
    record = last_done(live)
    recorded = {one.table: one for one in record.tables} if record else {}
    for table in desired.tables:
        now = live.tables.get(table.name)
        yield _table(table, now, recorded.get(table.name), differ)
    names = {table.name for table in desired.tables}
    for name in sorted(live.tables.keys() - names):
        yield TableChange("delete" if prune else "kept", name, live=live.tables[name])


def _table(table: Table, now: Generation | None, recorded: Generation | None, differ: Differ) -> TableChange:
    if now is None:
        return TableChange("create", table.name, table)
    if recorded is not None and _untouched(now, recorded) and recorded.digest == table.digest:
        return TableChange("unchanged", table.name, table, now)
    counts, rows = differ(table, now.number)
    if not counts and _shape(recorded, table):
        return TableChange("unchanged", table.name, table, now)
    return TableChange("update", table.name, table, now, counts, rows if _shape(recorded, table) else None)


def _untouched(now: Generation, recorded: Generation) -> bool:
    """Whether a lookup leads to what was recorded, as far as that is known without reading its rows."""
    digest = now.digest in {"", recorded.digest}
    return now.number == recorded.number and now.count == recorded.count and digest


def _shape(recorded: Generation | None, table: Table) -> bool:
    """Whether a table has the columns that were recorded; where none were, its rows say enough."""
    return recorded is None or not recorded.columns or dict(recorded.columns) == dict(table.columns)


# -- fingerprints ------------------------------------------------------------------------------------------------------


def wanted_of(desired: Desired) -> str:
    """Return the fingerprint of what a destination should hold."""
    items = [[item.kind, item.name, item.rule_id, item.body] for item in desired.items]
    return _digest([items, [[table.name, table.key, dict(table.columns), table.digest] for table in desired.tables]])


def world_of(desired: Desired, live: Live, kinds: Mapping[str, Kind]) -> str:
    """Return the fingerprint of what a plan rests on: fields of ours, locks, live generations and the last record."""
    wanted = {(item.kind, item.name): item for item in desired.items}
    items = [
        [*identity, one.ours, dict(one.lock), _looked_at(wanted.get(identity), one, kinds)]
        for identity, one in sorted(live.items.items())
    ]
    tables = [[one.table, one.number, one.count, one.digest] for _, one in sorted(live.tables.items())]
    return _digest([items, tables, [[one.number, one.state] for one in live.deployments[:1]]])


def _looked_at(item: Item | None, live: LiveItem, kinds: Mapping[str, Kind]) -> Body:
    if item is None or item.kind not in kinds:
        return {}
    theirs = kinds[item.kind].normal(live.body)
    return {name: theirs.get(name) for name in kinds[item.kind].normal(item.body)}


def _digest(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=list)
