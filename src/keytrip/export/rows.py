"""Which rows of a table changed: two lists of (identity, digest), merged. A million rows take well under 300 MB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keytrip.export.model import RowChange, Table, Transport

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

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.added or self.changed or self.removed)


def row_change(table: Table, generation: int, transport: Transport) -> tuple[RowCounts, RowChange | None]:
    """Return what differs between a table and a generation of it in the destination.

    The second part says how to make the table out of the generation; None where that is no less work than all rows.

    Raises:
        SystemRefusedError: The destination does not give its rows.
    """
    there = _sorted(transport.row_digests(table, generation))
    here = _sorted((transport.row_id(table, row), transport.row_digest(table, row)) for row in table.rows())
    added, changed, gone = _merged(here, there)
    counts = RowCounts(len(added), len(changed), len(gone))
    if sum((counts.added, counts.changed, counts.removed)) > max(_FEW, table.count // _SHARE):
        return counts, None
    wanted = added | changed
    put = tuple(
        (identity, row)
        for identity, row in ((transport.row_id(table, row), row) for row in table.rows())
        if _packed(identity, _ID) in wanted
    )
    return counts, RowChange(put, tuple(sorted(part.hex() for part in gone)), counts.added, counts.changed)


def _packed(text: str, size: int) -> bytes:
    """Return the first bytes of a hexadecimal text."""
    return bytes.fromhex(text[: 2 * size])


def _sorted(pairs: Iterable[tuple[str, str]]) -> list[bytes]:
    return sorted(_packed(identity, _ID) + _packed(digest, _DIGEST) for identity, digest in pairs)


def _merged(here: list[bytes], there: list[bytes]) -> tuple[set[bytes], set[bytes], set[bytes]]:
    """Return the identities that are only here, in both with another digest, and only there."""
    added: set[bytes] = set()
    changed: set[bytes] = set()
    gone: set[bytes] = set()
    for ours, theirs in _pairs(iter(here), iter(there)):
        if theirs is None and ours is not None:
            added.add(ours[:_ID])
        elif ours is None and theirs is not None:
            gone.add(theirs[:_ID])
        elif ours is not None and ours != theirs:
            changed.add(ours[:_ID])
    return added, changed, gone


def _pairs(here: Iterator[bytes], there: Iterator[bytes]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield entries of two sorted lists side by side, those of one identity together."""
    ours, theirs = next(here, None), next(there, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[:_ID] < theirs[:_ID]):
            yield ours, None
            ours = next(here, None)
        elif ours is None or theirs[:_ID] < ours[:_ID]:
            yield None, theirs
            theirs = next(there, None)
        else:
            yield ours, theirs
            ours, theirs = next(here, None), next(there, None)
