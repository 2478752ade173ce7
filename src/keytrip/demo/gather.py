"""Gathers the page's facts with DuckDB: from the records, and from the tables of the snapshot that the hunt used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.baselines.kinds import HOURLY
from keytrip.baselines.reduce import drop_duplicates
from keytrip.demo.facts import Day, Facts, Habit, Hour, KeyFacts, Member, Period
from keytrip.hunt.engine import append, midnight
from keytrip.records.sql import derived_sql, quote_text
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks

if TYPE_CHECKING:
    import duckdb

RECORDS = "kt_records"
COLUMNS = (
    "timestamp", "source", "key_id", "key_label", "model", "source_ip", "cost_usd", "request_id", "request_count",
    "bucket_seconds",
)  # fmt: skip
_DERIVED = ("hour_of_week", "source_net", "model_family")
_VIEW = "kt_shown"


def read_records(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[InputFile],
    source: Source,
    workshop: Workshop,
    hmac_key: Callable[[], bytes],
) -> None:
    """Read `files` into the temporary table `kt_records`, duplicates dropped.

    Raises:
        DataError: A file cannot be read.
    """
    columns, identified = ", ".join(COLUMNS), False
    for chunk in chunks(con, files, Request(source, frozenset(COLUMNS), workshop, hmac_key), Report()):
        append(con, RECORDS, f"select {columns} from {CHUNK}")
        identified = identified or chunk.identified
    if identified:
        drop_duplicates(con, RECORDS)


def gather(con: duckdb.DuckDBPyConnection, tables: Path, period: Period) -> Facts:
    """Return the facts of every key in the table `kt_records`, against the tables in the folder of a snapshot."""
    _view(con, period)
    days, hours = _days(con), _hours(con, tables, period)
    usual = {name: _habits(con, tables / f"{name}.parquet") for name in ("key_requests_daily", "key_cost_daily")}
    networks = _members(con, tables / "key_source_nets.parquet", "source_net", period)
    models = _members(con, tables / "key_model_families.parquet", "model_family", period)
    keys = [
        KeyFacts(
            key_id=key,
            label=label or "",
            days=tuple(days[key].get(day, Day(day)) for day in period.days),
            requests=usual["key_requests_daily"].get(key),
            cost=usual["key_cost_daily"].get(key),
            hours=hours[key].cells,
            weekday_hours=hours[key].on_weekday,
            networks=tuple(networks[key]),
            models=tuple(models[key]),
        )
        for key, label in _labels(con)
    ]
    (records,) = con.execute(f"select count(*) from {_VIEW}").fetchone() or (0,)
    ordered = sorted(keys, key=lambda key: (key.label or key.key_id, key.key_id))
    return Facts(period, {key.key_id: key for key in ordered}, records)


def _view(con: duckdb.DuckDBPyConnection, period: Period) -> None:
    derived = ", ".join(f"{derived_sql(name)} as {name}" for name in _DERIVED)
    con.execute(
        f"create or replace temp view {_VIEW} as select *, cast(timestamp as date) as day, {derived} from {RECORDS} "
        f"where key_id is not null and timestamp >= timestamp '{midnight(period.start)}' "
        f"and timestamp < timestamp '{midnight(period.day + timedelta(days=1))}'"
    )


def _labels(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str | None]]:
    """Return each key with its latest name, or None."""
    return con.execute(f"select key_id, arg_max(key_label, timestamp) from {_VIEW} group by 1").fetchall()


def _days(con: duckdb.DuckDBPyConnection) -> Mapping[str, dict[date, Day]]:
    found: dict[str, dict[date, Day]] = defaultdict(dict)
    sums = "coalesce(sum(request_count), 0), coalesce(sum(cost_usd), 0)"
    for key, day, requests, cost in con.execute(f"select key_id, day, {sums} from {_VIEW} group by 1, 2").fetchall():
        found[key][day] = Day(day, float(requests), float(cost))
    return found


def _table(con: duckdb.DuckDBPyConnection, path: Path, columns: str) -> Sequence[Any]:
    """Return the rows of a snapshot's table; none where the store's jobs make no such table."""
    if not path.is_file():
        return []
    return con.execute(f"select {columns} from read_parquet({quote_text(str(path))})").fetchall()


def _habits(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, Habit]:
    return {key: Habit(median, mad) for key, median, mad in _table(con, path, "key_id, median, mad")}


@dataclass(frozen=True)
class _Hours:
    cells: tuple[Hour, ...]
    on_weekday: tuple[int, ...]


def _hours(con: duckdb.DuckDBPyConnection, tables: Path, period: Period) -> Mapping[str, _Hours]:
    past: dict[str, dict[int, int]] = defaultdict(dict)
    for key, hour, events in _table(con, tables / "key_hours_of_week.parquet", "key_id, hour_of_week, events"):
        past[key][hour] = events
    now: dict[str, dict[int, float]] = defaultdict(dict)
    rows = con.execute(
        f"select key_id, hour_of_week, sum(request_count) from {_VIEW} where day = ? and {HOURLY} group by 1, 2",
        [period.day],
    ).fetchall()
    for key, hour, requests in rows:
        now[key][hour] = float(requests)
    monday = period.day.weekday() * 24
    empty = _Hours(tuple(Hour(hour) for hour in range(24)), ())
    found = {key: _hours_of(past.get(key, {}), now.get(key, {}), monday) for key in past.keys() | now.keys()}
    return defaultdict(lambda: empty, found)


def _hours_of(past: Mapping[int, int], now: Mapping[int, float], first: int) -> _Hours:
    def cell(hour: int) -> Hour:
        usual = sum(past.get(hour + 24 * weekday, 0) for weekday in range(7))
        requests = now.get(first + hour, 0.0)
        return Hour(hour, usual, requests, bool(past and requests and first + hour not in past))

    return _Hours(tuple(map(cell, range(24))), tuple(hour for hour in range(24) if first + hour in past))


def _members(con: duckdb.DuckDBPyConnection, path: Path, column: str, period: Period) -> Mapping[str, list[Member]]:
    known = set(_table(con, path, f"key_id, {column}"))
    rows = con.execute(
        f"select key_id, {column}, coalesce(sum(request_count) filter (day <= ?), 0), "
        f"coalesce(sum(request_count) filter (day = ?), 0) from {_VIEW} where {column} <> '' "
        "group by 1, 2 order by 4 desc, 3 desc, 2",
        [period.end, period.day],
    ).fetchall()
    found: dict[str, list[Member]] = defaultdict(list)
    for key, name, before, now in rows:
        found[key].append(Member(name, int(before), int(now), (key, name) in known))
    return found
