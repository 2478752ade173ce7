# ruff: noqa: ARG002, D102 - it has the signatures of what it stands for, whose docstrings are there
"""A destination in memory: what the engine is tested against. Each call may be the last before a crash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keytrip.export.model import (
    Deployment,
    Generation,
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
from keytrip.export.tables import canonical, row_identity


class CrashError(Exception):
    """The process is killed here."""


def normal(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """A server that trims texts, fills in a default and sorts tags."""
    trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in body.items()}
    filled = {"interval": "5m", **trimmed}
    return filled | ({"tags": sorted(filled["tags"])} if "tags" in filled else {})


KINDS = {
    kind.name: kind
    for kind in (
        Kind("macro", -1, frozenset({"definition"})),
        Kind("rule", 1, frozenset({"enabled", "exceptions"}), normal, "version"),
    )
}


@dataclass
class Memory:
    """A server's state, and the transport to it.

    Attributes:
        items: (kind, name) -> body; `foreign` has those that are not ours.
        rows: (table, generation) -> identity -> row.
        aliases: Table -> live generation.
        fail: Is called before and after each write; raises to crash.
        copies: Whether generations can be made inside the server.
        sent: How many rows were sent.
    """

    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    foreign: set[tuple[str, str]] = field(default_factory=set)
    rows: dict[tuple[str, int], dict[str, Row]] = field(default_factory=dict)
    digests: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    records: dict[int, Deployment] = field(default_factory=dict)
    holder: Holder | None = None
    fail: Callable[[str], None] = lambda _: None
    copies: bool = False
    loses: int = 0
    sent: int = 0
    reads: int = 0
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """All of ours, and others' items that are asked for."""
        names = {*items, *(self.items.keys() - self.foreign)}
        found = {
            identity: LiveItem(
                *identity,
                {**self.items[identity], "revision": 7},
                identity not in self.foreign,
                changed_by="anna",
                changed_at="2026-11-24T00:00:00Z",
            )
            for identity in names & self.items.keys()
        }
        live = {name: Generation(name, number, *self.digests[name, number]) for name, number in self.aliases.items()}
        records = tuple(self.records[number] for number in sorted(self.records, reverse=True))
        return Live(found, live, frozenset(self.rows), records)

    def create(self, item: Item) -> None:
        self._write(f"create {item.name}", lambda: self.items.__setitem__((item.kind, item.name), dict(item.body)))

    def update(self, item: Item, live: LiveItem) -> None:
        kept = {name: value for name, value in live.body.items() if name in self.kinds[item.kind].kept}
        body = {**self.items[item.kind, item.name], **item.body, **kept}
        self._write(f"update {item.name}", lambda: self.items.__setitem__((item.kind, item.name), body))

    def delete(self, live: LiveItem) -> None:
        self._write(f"delete {live.name}", lambda: self.items.pop((live.kind, live.name), None))

    def row_id(self, table: Table, row: Row) -> str:
        return row_identity(table.key, row)

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        self.reads += 1
        return ((key, self.row_digest(table, row)) for key, row in self.rows[table.name, generation].items())

    def row_digest(self, table: Table, row: Row) -> str:
        return hashlib.sha256(canonical(row)).hexdigest()

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        target = self.rows.setdefault((table.name, number), {})
        self.digests[table.name, number] = (table.count, table.digest)
        for row in table.rows():
            self._write("row", lambda row=row: target.__setitem__(self.row_id(table, row), row))  # type: ignore[misc]
            self.sent += 1
            progress(1)
        return len(target) - self.loses

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        if not self.copies:
            return None
        target = self.rows[table.name, number] = dict(self.rows[table.name, source])
        self.digests[table.name, number] = (table.count, table.digest)
        self._write("copy", lambda: None)
        for identity, row in change.put:
            self._write("row", lambda i=identity, row=row: target.__setitem__(i, row))  # type: ignore[misc]
            self.sent += 1
            progress(1)
        for identity in change.gone:
            target.pop(identity)
        return len(target)

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        for table, number in generations:
            self._write(f"switch {table.name}", lambda t=table.name, n=number: self.aliases.__setitem__(t, n))  # type: ignore[misc]

    def drop(self, table: str, number: int) -> None:
        assert self.aliases.get(table) != number, "a generation that is live is dropped"
        self._write(f"drop {table}", lambda: self.rows.pop((table, number), None))

    def forget(self, table: str) -> None:
        self._write(f"forget {table}", lambda: self.aliases.pop(table, None))

    def save(self, deployment: Deployment) -> None:
        self._write("save", lambda: self.records.__setitem__(deployment.number, deployment))

    def wipe(self) -> None:
        self._write("wipe", self.records.clear)
        self.holder = None

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        if self.holder is not None and self.holder not in (dead, holder):
            return self.holder
        self.holder = holder
        return None

    def beat(self, holder: Holder) -> bool:
        if self.holder is None or self.holder.token != holder.token:
            return False
        self.holder = holder
        return True

    def unlock(self, holder: Holder) -> None:
        if self.holder is not None and self.holder.token == holder.token:
            self.holder = None

    def _write(self, what: str, change: Callable[[], object]) -> None:
        self.fail(f"before {what}")
        change()
        self.fail(f"after {what}")

    def as_read(self, table: str) -> dict[str, Row]:
        """What a query finds in a table."""
        return self.rows[table, self.aliases[table]]


def crash_at(step: int) -> Callable[[str], None]:
    """Return what kills the process at its n-th moment, and again whenever it goes on as if nothing was."""
    left = [step]

    def fail(_: str) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise CrashError

    return fail


def edited(item: Item, **fields: Any) -> Item:
    """An item with other fields."""
    return replace(item, body={**item.body, **fields})
