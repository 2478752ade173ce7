"""Tables of statistics that Splunk makes itself equal those of our jobs; our own machine for SPL runs, no Splunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import pytest
from compile.test_spl_meaning import events_of
from engines.spl_machine import Row, run
from engines.worlds import World

from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import DailyStatistic
from keytrip.export.desired import items_of, table_facts
from keytrip.export.layout import lookup_name, splunk_lookup_rows
from keytrip.export.manifest import destination_named
from keytrip.export.model import Item, Table
from keytrip.export.tables import row_identity
from keytrip.records.sql import quote_name

TODAY = datetime(2026, 5, 20, tzinfo=UTC)
DAY = 86_400
# A zone in which no day begins when a UTC day does.
EAST = timedelta(hours=5, minutes=45)
JOBS = {name: job for name, job in load_jobs().items() if isinstance(job, DailyStatistic)}


@cache
def searches() -> dict[str, Item]:
    """Everything that the destination makes for the statistics, by kind and name."""
    manifest = destination_named("splunk")
    options = {**manifest.options, "rebuild": "true"}
    tables = [Table(lookup_name(n), job.table_key, job.columns, 0, "", lambda: iter(())) for n, job in JOBS.items()]
    return {f"{one.kind} {one.name}": one for one in items_of(manifest, {"options": options}, [], table_facts(tables))}


def text_of(table: str, what: str) -> str:
    """A search's text."""
    return str(searches()[f"saved_search keytrip - {table} - {what}"].body["search"])


def records(seed: int) -> Iterator[dict[str, Any]]:
    """Records of 45 days: keys that come and go, gaps, nulls, fractions, several providers."""
    random = Random(seed)  # noqa: S311 - no secret
    for key, first, last in [("a", 45, 0), ("b", 45, 31), ("c", 12, 0), ("0042", 3, 2), ('x y|`$"[', 40, 5)]:
        for ago in range(first, last - 1, -1):
            for _ in range(random.choice([0, 1, 1, 3, 6])):
                moment = (
                    TODAY - timedelta(days=ago) + timedelta(seconds=random.choice([0, 86_399, random.random() * DAY]))
                )
                yield {
                    "timestamp": moment.replace(tzinfo=None),
                    "key_id": key,
                    "provider": random.choice(["openai", "anthropic", None]),
                    "cost_usd": random.choice([None, 0.0, round(random.random() * 9, 6), 1e16, -2.5])
                    if key != "c"
                    else None,
                    "input_tokens": random.choice([None, 7, 900]),
                    "output_tokens": random.choice([None, 11]),
                    "list_price": random.choice([None, 15.0, 0.6]),
                    "request_count": random.choice([1, 1, 40]),
                }


@cache
def world_of(seed: int) -> tuple[World, list[Row]]:
    """A world with these records, whose tables our jobs make of the 30 days before today; and its events."""
    world = World()
    world.add_records("usage", records(seed))
    begin = (TODAY - timedelta(days=30)).replace(tzinfo=None)
    within = f"timestamp >= timestamp '{begin}' and timestamp < timestamp '{TODAY.replace(tzinfo=None)}'"
    world.con.execute(f"create temp view window_of_days as select * from usage where {within}")
    world.learn("window_of_days")
    return world, events_of(world)


def info(now: datetime, days: int) -> dict[str, float]:
    """What a search knows that runs now over some days of its user's zone."""
    midnight = (now + EAST).replace(hour=0, minute=0, second=0) - EAST
    begin = midnight - timedelta(days=days)
    return {"now": now.timestamp(), "info_min_time": begin.timestamp(), "info_max_time": now.timestamp()}


def learned(table: str, events: list[Row], old: list[Row]) -> tuple[list[Row], list[Row]]:
    """The table as Splunk leaves it, and its days: a run over the past, then each night's, some of them twice."""
    lookups: dict[str, list[Row]] = {lookup_name(table): old, f"{lookup_name(table)}_by_day": []}
    begin = TODAY - timedelta(days=4) + timedelta(hours=2.5)
    run(text_of(table, "Days"), events, lookups, info(begin, 41))
    for night in (1, 2, 2, 3, 4):
        run(text_of(table, "Days"), events, lookups, info(begin + timedelta(days=night), 4))
    now = TODAY + timedelta(hours=3.8)
    for _ in range(2):
        run(text_of(table, "Baseline"), [], lookups, info(now, 1))
    return lookups[lookup_name(table)], lookups[f"{lookup_name(table)}_by_day"]


def findable(rows: list[Row], key: tuple[str, ...]) -> dict[tuple[str, ...], Row]:
    """What a lookup finds: rows with a key."""
    found = [row for row in rows if all(name in row for name in key)]
    by_key = {tuple(str(row[name]) for name in key): row for row in found}
    assert len(by_key) == len(found)
    return by_key


def alike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two rows are the same but for the last digits of sums of fractions."""
    return ours.keys() == theirs.keys() - {"_key"} and all(
        math.isclose(value, theirs[name], rel_tol=1e-9, abs_tol=1e-9)
        if isinstance(value, float)
        else value == theirs[name]
        for name, value in ours.items()
    )


@pytest.mark.parametrize("table", sorted(JOBS))
@pytest.mark.parametrize("seed", [1, 2])
def test_a_table_equals_that_of_the_job(table: str, seed: int) -> None:
    """Keys, columns, nulls, days of UTC and the window are the job's, whatever the user's zone; nothing doubles."""
    (world, events), key = world_of(seed), JOBS[table].table_key
    ours = findable(list(splunk_lookup_rows(world.rows(f"select * from {quote_name(table)}"))), key)
    old = {"mean": 1.0, "stddev": 0.0, "max": 1.0, "median": 1.0, "mad": 0.0, "days": 9}
    stale = [{**dict.fromkeys(key, name), **old} for name in ("gone", *next(iter(ours)))]
    stale = [{**row, "_key": row_identity(key, row)} for row in stale]
    rows, days = learned(table, events, stale)
    theirs = findable(rows, key)
    assert theirs.keys() == ours.keys()
    assert ours
    assert [name for name in ours if not alike(ours[name], theirs[name])] == []
    assert all(row["_key"] == row_identity(key, row) for row in theirs.values())
    assert len({(*(row[name] for name in key), row["day"]) for row in days}) == len(days)


def test_whole_numbers_are_exact() -> None:
    """Of requests nothing is lost but in the standard deviation's last digit."""
    world, events = world_of(1)
    ours = findable(world.rows("select * from key_requests_daily"), ("key_id",))
    theirs = findable(learned("key_requests_daily", events, [])[0], ("key_id",))
    exact = ("mean", "max", "median", "mad", "days")
    assert [{name: row[name] for name in exact} for row in ours.values()] == [
        {name: theirs[key][name] for name in exact} for key in ours
    ]


@pytest.mark.parametrize("missing", ["all", "first", "last"])
def test_a_table_stays_until_its_days_are_whole(missing: str) -> None:
    """Without days, with days that do not reach back 30, or with none of late, the snapshot's rows stay."""
    today = int(TODAY.timestamp()) // DAY
    present = {"all": range(0), "first": range(today - 29, today), "last": range(today - 40, today - 4)}[missing]
    days = [{"_key": str(day), "key_id": "a", "slot": day % 64, "day": day, "value": 1.0, "seen": 1} for day in present]
    old = [{"_key": "k", "key_id": "b", "mean": 5.0}]
    lookups = {"keytrip_key_cost_daily": list(old), "keytrip_key_cost_daily_by_day": days}
    run(text_of("key_cost_daily", "Baseline"), [], lookups, info(TODAY + timedelta(hours=3), 1))
    assert lookups["keytrip_key_cost_daily"] == old


def test_days_are_bounded() -> None:
    """However long it runs, a key has at most 64 days; one that holds the separator of identities has none."""
    moments = [TODAY - timedelta(days=ago) for ago in range(200)]
    events = [
        {"_time": moment.timestamp(), "sourcetype": "keytrip:usage", "key_id": key, "request_count": 2}
        for moment in moments
        for key in ("a", "a\x1fb")
    ]
    lookups: dict[str, list[Row]] = {"keytrip_key_requests_daily_by_day": []}
    for ago in range(120, -1, -30):
        now = TODAY - timedelta(days=ago) + timedelta(hours=3)
        run(text_of("key_requests_daily", "Days"), events, lookups, info(now, 60))
    days = lookups["keytrip_key_requests_daily_by_day"]
    assert {row["key_id"] for row in days} == {"a"}
    assert len(days) == 64
    assert max(row["day"] for row in days) == int(TODAY.timestamp()) // DAY - 1


def test_lookups_of_days() -> None:
    """Each table of statistics has a lookup for its days, with the columns that are written to it."""
    made = searches()
    assert len(made) == 3 * len(JOBS)
    for table in JOBS:
        body = made[f"lookup keytrip_{table}_by_day"].body
        written = text_of(table, "Days").partition("| table _key ")[2].splitlines()[0]
        assert written.split() == list(body["columns"])
        assert body["key"][-1] == "slot"
