"""Checks of a new snapshot against the active one: a baseline that lost keys or moved far is built, not promoted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keytrip.baselines.snapshots import active_number, table_path
from keytrip.baselines.store import Store
from keytrip.records.sql import quote_text

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Bounds:
    """How far a snapshot may be from the active one (INTERFACE: over 20 % of the keys, means moved over threefold).

    Attributes:
        lost: Share of the active snapshot's keys that may be gone.
        moved: Share of the kept keys whose mean requests a day may have moved more than `fold`.
        fold: Factor, up or down.
    """

    lost: float = 0.2
    moved: float = 0.2
    fold: float = 3.0


def objections(con: duckdb.DuckDBPyConnection, store: Store, bounds: Bounds) -> Iterator[str]:
    """Yield why the tables `keys` and `key_requests_daily` of this connection must not replace the active ones."""
    number = active_number(store)
    if number is None:
        return
    keys = quote_text(str(table_path(store, number, "keys")))
    row = con.execute(
        f"select count(*), count(*) filter (n.key_id is null) "
        f"from read_parquet({keys}) o left join keys n using (key_id)"
    ).fetchone() or (0, 0)
    if row[0] and row[1] / row[0] > bounds.lost:
        yield f"{row[1]} of {row[0]} keys are gone ({row[1] / row[0]:.0%}, bound {bounds.lost:.0%})"
    daily = quote_text(str(table_path(store, number, "key_requests_daily")))
    row = con.execute(
        f"select count(*), count(*) filter (n.mean > o.mean * ? or n.mean * ? < o.mean) "
        f"from read_parquet({daily}) o join key_requests_daily n using (key_id)",
        [bounds.fold, bounds.fold],
    ).fetchone() or (0, 0)
    if row[0] and row[1] / row[0] > bounds.moved:
        share = f"{row[1] / row[0]:.0%}, bound {bounds.moved:.0%}"
        yield f"the mean of {row[1]} of {row[0]} keys moved more than {bounds.fold:g}-fold ({share})"
