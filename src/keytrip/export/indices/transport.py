"""The half of a transport that Elasticsearch and OpenSearch share: tables, records and the lock in indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keytrip.export.indices import documents, generations, records
from keytrip.export.indices.generations import Indices
from keytrip.export.model import Deployment, Holder, Progress, Row, RowChange, Table


@dataclass
class IndexTransport:
    """One cluster's tables, records and lock; what it holds besides is its product's own.

    Attributes:
        indices: Its indices.
    """

    indices: Indices

    def row_id(self, table: Table, row: Row) -> str:
        """Return a row's document id."""
        return documents.row_id(table, row)

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (id, digest) of every row of a generation."""
        return generations.row_digests(self.indices, table, generation)

    def row_digest(self, table: Table, row: Row) -> str:
        """Return the digest of a row's document."""
        return documents.row_digest(table, row)

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a generation whole."""
        return generations.stage(self.indices, table, number, progress)

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Make a generation out of another by `_clone`."""
        return generations.copy(self.indices, table, number, source, change, progress)

    def switch(self, generations_wanted: Sequence[tuple[Table, int]]) -> None:
        """Lead the aliases of all tables to their generations, in one step."""
        generations.switch(self.indices, generations_wanted)

    def drop(self, table: str, number: int) -> None:
        """Remove a generation."""
        generations.drop(self.indices, table, number)

    def forget(self, table: str) -> None:
        """Remove an alias."""
        generations.forget(self.indices, table)

    def save(self, deployment: Deployment) -> None:
        """Write a record."""
        records.save_deployment(self.indices.send, deployment)

    def wipe(self) -> None:
        """Remove records and lock."""
        records.wipe_records(self.indices.send)

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock."""
        return records.take_lock(self.indices.send, holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Write a new beat."""
        return records.beat_lock(self.indices.send, holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        records.free_lock(self.indices.send, holder)
