"""What someone changed in a destination since the last apply: the record against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from keytrip.errors import DataError
from keytrip.export.model import Deployment, Generation, Item, Live, LiveItem, Table, Transport
from keytrip.export.plan import FieldChange, field_changes, last_done, title_of
from keytrip.export.rows import RowCounts, row_change


@dataclass(frozen=True)
class Drift:
    """One thing that is not as it was left.

    Attributes:
        what: `changed` and `gone` are of items and tables; `added` carries our mark and is in no record; `switched` is
            a lookup that leads to another generation; `unread` a table whose rows could not be compared.
        kind, name: Whose; the kind of a table is `table`.
        fields: What changed, with what was left as `before` and what is there as `after`.
        counts: Rows that are more, others, and fewer than were left.
        by, at: Who changed it last and when, where the destination says so.
        title: What people call it, where its name is an id.
    """

    what: Literal["changed", "gone", "added", "switched", "unread"]
    kind: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    counts: RowCounts | None = None
    by: str | None = None
    at: str | None = None
    title: str = ""


def drift(transport: Transport, tables: Mapping[str, Table]) -> list[Drift]:
    """Return what changed since the last finished apply; the destination is only read.

    Args:
        transport: The destination.
        tables: Tables of the snapshot that was applied, by name; rows of others cannot be compared.

    Raises:
        DataError: Nothing was applied.
        SystemRefusedError: The destination refuses.
    """
    record = recorded(transport)
    live = transport.read([(one.kind, one.name) for one in record.items], [one.table for one in record.tables])
    found = [*_items(record, live, transport), *_tables(record, live, transport, tables)]
    return [one for one in found if one is not None]


def recorded(transport: Transport) -> Deployment:
    """Return the last finished deployment.

    Raises:
        DataError: There is none.
    """
    record = last_done(transport.read((), ()))
    if record is None:
        raise DataError("nothing was applied there", hint="`keytrip apply` first")
    return record


def _items(record: Deployment, live: Live, transport: Transport) -> Iterator[Drift | None]:
    for item in sorted(record.items, key=lambda item: (item.kind, item.name)):
        yield _item(item, live.items.get((item.kind, item.name)), transport)
    names = {(one.kind, one.name) for one in record.items}
    for identity, one in sorted(live.items.items()):
        if one.ours and identity not in names:
            title = title_of(transport.kinds[one.kind], one.body)
            yield Drift("added", *identity, by=one.changed_by, at=one.changed_at, title=title)


def _item(item: Item, live: LiveItem | None, transport: Transport) -> Drift | None:
    kind = transport.kinds[item.kind]
    title = title_of(kind, item.body)
    if live is None or not live.ours:
        return Drift("gone", item.kind, item.name, title=title)
    fields = tuple(FieldChange(one.field, one.after, one.before) for one in field_changes(item, live, kind))
    if not fields:
        return None
    return Drift("changed", item.kind, item.name, fields, None, live.changed_by, live.changed_at, title)


def _tables(
    record: Deployment, live: Live, transport: Transport, tables: Mapping[str, Table]
) -> Iterator[Drift | None]:
    for left in record.tables:
        yield _table(left, live.tables.get(left.table), transport, tables.get(left.table))


def _table(left: Generation, now: Generation | None, transport: Transport, table: Table | None) -> Drift | None:
    if now is None:
        return Drift("gone", "table", left.table)
    if now.number != left.number:
        fields = (FieldChange("generation", left.number, now.number),)
        return Drift("switched", "table", left.table, fields)
    if table is not None and table.digest == left.digest:
        counts, _ = row_change(table, now.number, transport)
        # seen from here, a row that has to be put back is one fewer there
        there = RowCounts(counts.removed, counts.changed, counts.added)
        return Drift("changed", "table", left.table, counts=there) if counts else None
    if now.count != left.count:
        return Drift("changed", "table", left.table, (FieldChange("rows", left.count, now.count),))
    return Drift("unread", "table", left.table)
