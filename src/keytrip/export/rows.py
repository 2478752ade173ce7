"""Which rows of a table changed: the destination's as a sorted list of bytes, ours looked up in it one by one."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from keytrip.export.model import Row, RowChange, Table, Transport

_ID, _DIGEST = 16, 16
# A change of more than this share of the rows is written whole: it is no less work, and `put` is held in memory.
_SHARE = 20
_FEW = 1_000


@dataclass(frozen=True)
class RowCounts:
    """How many rows are new, different, or no longer there."""

    added: int
    changed: int
    removed: int

    @property
    def total(self) -> int:
        """Rows that differ."""
        return self.added + self.changed + self.removed

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self.total > 0


def row_change(table: Table, generation: int, transport: Transport) -> tuple[RowCounts, RowChange | None]:
    """Return what differs between a table and a generation of it in the destination.

    The second part says how to make the table out of the generation; None where that is no less work than all rows.

    Raises:
        SystemRefusedError: The destination does not give its rows.
    """
    there = sorted(_entry(identity, digest) for identity, digest in transport.row_digests(table, generation))
    seen = bytearray(len(there))
    most = max(_FEW, table.count // _SHARE)
    put: list[tuple[str, Row]] = []
    added = changed = 0
    for row in table.rows():
        identity = transport.row_id(table, row)
        entry = _entry(identity, transport.row_digest(table, row))
        place = _place(there, entry)
        known = place is not None
        if place is not None:
            seen[place] = 1
            if there[place] == entry:
                continue
        added, changed = added + (not known), changed + known
        if len(put) <= most:
            put.append((identity, row))
    counts = RowCounts(added, changed, seen.count(0))
    if counts.total > most:
        return counts, None
    gone = tuple(entry[:_ID].hex() for entry, known in zip(there, seen, strict=True) if not known)
    return counts, RowChange(tuple(put), gone, added, changed)


def _entry(identity: str, digest: str) -> bytes:
    """Return the first bytes of two hexadecimal texts: a table's worth of them has to lie in memory."""
    return bytes.fromhex(identity[: 2 * _ID] + digest[: 2 * _DIGEST])


def _place(there: list[bytes], entry: bytes) -> int | None:
    """Return where a sorted list has the entry's identity."""
    place = bisect_left(there, entry[:_ID])
    return place if place < len(there) and there[place].startswith(entry[:_ID]) else None
