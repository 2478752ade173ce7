"""The transport of every destination that shares indicators: changes are gathered, and told before a record is written.

So a list of ten thousand goes out in a few requests. A crash before that leaves the destination as it was, and the next
plan finds the same difference again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from pydantic import ValidationError

from keytrip.errors import ContentError
from keytrip.export.indicators import ITEM_KIND, Indicator
from keytrip.export.model import (
    Body,
    Deployment,
    Holder,
    Item,
    Kind,
    Live,
    LiveItem,
    Progress,
    Row,
    RowChange,
    Table,
)
from keytrip.export.records import Records
from keytrip.export.sharing.published import Change, Channel, Published, body_of

KINDS = {ITEM_KIND: Kind(ITEM_KIND, 0, normal=body_of)}


class Sharing:
    """A channel as a transport.

    Attributes:
        kinds: Indicators alone.
    """

    kinds: Mapping[str, Kind] = KINDS

    def __init__(self, channel: Channel, records: Records) -> None:
        self._channel = channel
        self._records = records
        self._told: dict[str, Published] | None = None
        self._changes: dict[str, Change] = {}

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:  # noqa: ARG002 - it has no tables
        """Return what is told; what was revoked is gone, unless it is asked for by name."""
        self._told = {one.name: one for one in self._channel.load()}
        asked = {name for _, name in items}
        shown = (one for one in self._told.values() if not one.body.get("revoked") or one.name in asked)
        live = {
            (ITEM_KIND, one.name): LiveItem(ITEM_KIND, one.name, one.body, changed_at=one.changed_at) for one in shown
        }
        return Live(live, {}, frozenset(), self._records.deployments())

    def create(self, item: Item) -> None:
        """Tell of an indicator."""
        self._change(item.name, indicator_in(item.name, item.body))

    def update(self, item: Item, live: LiveItem) -> None:  # noqa: ARG002 - ours alone are here, by our id
        """Tell of an indicator anew."""
        self._change(item.name, indicator_in(item.name, item.body))

    def delete(self, live: LiveItem) -> None:
        """Take an indicator back."""
        if live.name in self._known():
            self._change(live.name, None)

    def save(self, deployment: Deployment) -> None:
        """Tell what was gathered, then write the record."""
        self._flush()
        self._records.save(deployment)

    def wipe(self) -> None:
        """Tell what was gathered, then remove the records; what was revoked stays, so that others learn of it."""
        self._flush()
        self._records.wipe()

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock."""
        return self._records.lock(holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Write a new beat."""
        return self._records.beat(holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        self._records.unlock(holder)

    def row_id(self, table: Table, row: Row) -> str:  # noqa: ARG002
        """Refuse: no tables."""
        _no_tables(table.name)

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """Refuse: no tables."""
        _no_tables(table.name)

    def row_digest(self, table: Table, row: Row) -> str:  # noqa: ARG002
        """Refuse: no tables."""
        _no_tables(table.name)

    def stage(self, table: Table, number: int, progress: Progress) -> int:  # noqa: ARG002
        """Refuse: no tables."""
        _no_tables(table.name)

    def copy(
        self,
        table: Table,
        number: int,  # noqa: ARG002
        source: int,  # noqa: ARG002
        change: RowChange,  # noqa: ARG002
        progress: Progress,  # noqa: ARG002
    ) -> int | None:
        """Refuse: no tables."""
        _no_tables(table.name)

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Refuse: no tables."""
        for table, _ in generations:
            _no_tables(table.name)

    def drop(self, table: str, number: int) -> None:  # noqa: ARG002
        """Refuse: no tables."""
        _no_tables(table)

    def forget(self, table: str) -> None:
        """Refuse: no tables."""
        _no_tables(table)

    def _change(self, name: str, indicator: Indicator | None) -> None:
        self._changes[name] = Change(indicator, self._known().get(name))

    def _known(self) -> Mapping[str, Published]:
        if self._told is None:
            self._told = {one.name: one for one in self._channel.load()}
        return self._told

    def _flush(self) -> None:
        if self._changes:
            self._channel.tell([change for _, change in sorted(self._changes.items())])
        self._changes.clear()
        self._told = None


def indicator_in(name: str, body: Body) -> Indicator:
    """Return the indicator that an item is.

    Raises:
        ContentError: It is none.
    """
    try:
        return Indicator.model_validate(dict(body))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ContentError(f"{name!r} is no indicator: {where} {first['msg']}") from error


def _no_tables(table: str) -> NoReturn:
    raise ContentError(
        f"{table}: this destination takes indicators, no tables", hint="leave `tables` out of its manifest"
    )
