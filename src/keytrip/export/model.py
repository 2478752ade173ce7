"""What a destination should hold and what it holds: the words between content, plan, engine and transports.

A destination holds *items* (rules, macros, definitions: small, each a mapping of fields) and *tables* (baselines, IOC
lists: many rows, written as whole *generations* of which one is live). Its *deployment record* says what keytrip put
there last, and before that; it lives in the destination, so that any engineer can go on where another stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Body = Mapping[str, Any]
Row = Mapping[str, Any]
Action = Literal["create", "update", "delete", "unchanged", "kept"]


@dataclass(frozen=True)
class Kind:
    """A kind of item.

    Attributes:
        name: Such as `saved_search`.
        rank: Items of lower rank are written first, and removed last; those below 0 before the tables are switched.
        kept: Fields that are the user's own after the item was made: never compared, never overwritten.
        normal: Brings a body, ours or the server's, into one form: defaults, order, whitespace, 1 for true.
        version: The field that holds the version, or None; a changed item gets the live one's plus one.
        title: The field with what people call an item, where its name is an id; or None.
    """

    name: str
    rank: int
    kept: frozenset[str] = frozenset()
    normal: Callable[[Body], Body] = dict
    version: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class Server:
    """The server of a destination whose rules and tables depend on its version.

    Attributes:
        name: Product and version, as people say them.
        version: What rules are compiled for.
        no_tables: Why it holds no tables, or an empty string.
        no_lookups: Why its queries cannot ask a table by the name that we give it, or an empty string.
    """

    name: str
    version: str
    no_tables: str = ""
    no_lookups: str = ""


@dataclass(frozen=True)
class Item:
    """An item as it should be.

    Attributes:
        kind, name: Its identity in the destination.
        body: JSON values by field: those that are ours, and those of `Kind.kept` for the day it is made.
        rule_id: The rule that it was made of, or an empty string; a rule keeps it when it is renamed.
    """

    kind: str
    name: str
    body: Body
    rule_id: str = ""


@dataclass(frozen=True)
class LiveItem:
    """An item as it is.

    Attributes:
        body: As the server gives it; `Kind.normal` is not yet applied.
        ours: Whether it carries our mark. Others' items of the same name are never overwritten.
        lock: What an update must match, so that nobody's change in between is lost; empty where the server has none.
        changed_by, changed_at: Who changed it last and when (ISO 8601, UTC), where the server says so.
    """

    kind: str
    name: str
    body: Body
    ours: bool = True
    lock: Body = field(default_factory=dict)
    changed_by: str | None = None
    changed_at: str | None = None


@dataclass(frozen=True)
class Table:
    """A table as it should be.

    Attributes:
        name: Of the lookup, such as `keytrip_key_models`.
        key: Key columns; one row for each combination.
        columns: Every column -> DuckDB type.
        count: Rows.
        digest: Of all rows, whatever their order (SHA-256, hex): equal tables have equal digests.
        rows: Reads them anew at each call, in the same order.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    count: int
    digest: str
    rows: Callable[[], Iterator[Row]]


@dataclass(frozen=True)
class Generation:
    """One writing of a table; which one is live, the lookup's name says.

    Attributes:
        table, number: Which.
        count, digest: Of its rows, as in `Table`; of a live one an empty digest where the destination does not know it.
        key, columns: As in `Table`; a record has them, so that a rollback can switch to a table of other columns.
    """

    table: str
    number: int
    count: int
    digest: str
    key: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RowChange:
    """What makes one generation out of another: rows by their identity in the destination.

    Attributes:
        put: Rows to write, each under the identity that its key gives it: new ones and changed ones.
        gone: Identities to remove.
        added, changed: How many of `put` are new, and how many are not.
    """

    put: Sequence[tuple[str, Row]]
    gone: Sequence[str]
    added: int
    changed: int


@dataclass(frozen=True)
class Deployment:
    """A record of what was put into the destination.

    Attributes:
        number: Rises by one with each deployment, a rollback too.
        state: `applying` until all of it is there.
        made, by, version: When (ISO 8601, UTC), by whom (user@host), by which keytrip.
        items: Every item as it was written.
        tables: The live generation of each table.
        snapshot: Number of the snapshot that the tables come from.
    """

    number: int
    state: Literal["applying", "done"]
    made: str
    by: str
    version: str
    items: tuple[Item, ...]
    tables: tuple[Generation, ...]
    snapshot: int | None = None


@dataclass(frozen=True)
class Live:
    """All that a destination holds of ours, and others' items whose names we want.

    Attributes:
        items: By (kind, name). Where a table's name is someone else's, ("table", name) is an item that is not ours.
        tables: Table -> generation that its lookup's name leads to now; a table without one is not there.
        generations: Every generation that is there, half-written ones and older ones too, as (table, number).
        deployments: The last records, newest first; at least the one before the last finished one.
    """

    items: Mapping[tuple[str, str], LiveItem]
    tables: Mapping[str, Generation]
    generations: frozenset[tuple[str, int]]
    deployments: tuple[Deployment, ...]


@dataclass(frozen=True)
class Holder:
    """Who holds a destination's lock.

    Attributes:
        token: Made anew by each run.
        by: user@host.
        pid: Of the process, on that host.
        beat: Rises while the holder lives. One that stands still for longer than a lease was left by a dead process:
            nobody's clock is asked.
    """

    token: str
    by: str
    pid: int
    beat: int


Progress = Callable[[int], None]


class Transport(Protocol):
    """How one kind of SIEM is read and written: small steps, each of which may be the last before a crash.

    Every method raises SystemRefusedError when the server refuses, cannot be reached, or goes on failing after the
    retries; the message says which object, and what to do.
    """

    kinds: Mapping[str, Kind]

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what is there, by reading alone; the arguments name what else to look for besides what is ours."""
        ...

    def create(self, item: Item) -> None:
        """Make an item, with our mark on it."""
        ...

    def update(self, item: Item, live: LiveItem) -> None:
        """Write the fields of `item` over a live item, and leave the user's; refused when `live.lock` moved."""
        ...

    def delete(self, live: LiveItem) -> None:
        """Remove an item of ours; no error when it is gone already."""
        ...

    def row_id(self, table: Table, row: Row) -> str:
        """Return a row's identity in the destination: a function of its key alone."""
        ...

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (identity, digest) of every row of a generation, the digest as `row_digest` gives it."""
        ...

    def row_digest(self, table: Table, row: Row) -> str:
        """Return the digest of a row as the destination will hold it."""
        ...

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a new generation whole; return how many rows the server counts in it. Nothing reads it yet."""
        ...

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Make a generation inside the server out of another, and send only what differs; None where that can't be."""
        ...

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Let each table's lookup name lead to a generation; each at once, all together where the server can."""
        ...

    def drop(self, table: str, number: int) -> None:
        """Remove a generation that is not live; no error when it is gone already."""
        ...

    def forget(self, table: str) -> None:
        """Remove a lookup's name; its generations stay."""
        ...

    def save(self, deployment: Deployment) -> None:
        """Write a deployment record, over one of the same number."""
        ...

    def wipe(self) -> None:
        """Remove the records, the lock and where they are kept: the last step of `destroy`."""
        ...

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock, over `dead` if given; return who holds it instead, or None when it is ours now."""
        ...

    def beat(self, holder: Holder) -> bool:
        """Write the holder's new beat; whether the lock is still ours."""
        ...

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock if it is ours."""
        ...
