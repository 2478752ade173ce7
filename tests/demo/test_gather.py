"""The page's facts: sums of days, hours, networks and models, from records and a snapshot's tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from demo.pages import PERIOD

from keytrip.demo.facts import Day, Facts, Habit, Member
from keytrip.demo.gather import RECORDS, gather
from keytrip.hunt.engine import connect

COLUMNS = (
    "timestamp timestamp, source varchar, key_id varchar, key_label varchar, model varchar, source_ip varchar, "
    "cost_usd double, request_id varchar, request_count bigint, bucket_seconds bigint"
)
ROWS = """
('2026-11-09 10:00', 's', 'a', 'old name', 'gpt-4o-2024-08-06', '198.18.1.7', 0.5, null, 1, null),
('2026-11-12 10:30', 's', 'a', 'anna', 'gpt-4o-2024-11-20', '198.18.1.9', 0.25, null, 2, null),
('2026-11-19 10:10', 's', 'a', 'anna', 'gpt-4o', '198.18.1.9', null, null, 1, null),
('2026-11-19 03:10', 's', 'a', null, 'opus', '2001:db8:1:2::3', 2.0, null, 4, null),
('2026-11-19 05:00', 's', 'a', null, 'opus', 'no address', 1.0, null, 90, 86400),
('2026-11-08 23:59', 's', 'a', 'too old', 'gpt-4', '198.18.9.9', 9.0, null, 1, null),
('2026-11-20 00:00', 's', 'a', 'too new', 'gpt-4', '198.18.9.9', 9.0, null, 1, null),
(null, 's', 'a', 'undated', 'gpt-4', '198.18.9.9', 9.0, null, 1, null),
('2026-11-19 10:00', 's', null, 'nobody', 'gpt-4', '198.18.9.9', 9.0, null, 1, null),
('2026-11-19 11:00', 's', 'b', null, null, null, null, null, 1, null)
"""


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection with the records."""
    con = connect(1, "200MB", tmp_path)
    con.execute(f"create temp table {RECORDS} ({COLUMNS})")
    con.execute(f"insert into {RECORDS} values {ROWS}")
    yield con
    con.close()


@pytest.fixture
def tables(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    """Return a folder with the tables of key a: Thursdays at ten and Mondays at nine, one network, one model."""
    made = {
        "key_requests_daily": "'a' as key_id, 1.5 as median, 0.5 as mad",
        "key_cost_daily": "'a' as key_id, 0.375 as median, 0.125 as mad",
        "key_hours_of_week": "'a' as key_id, unnest([82, 9, 10]) as hour_of_week, unnest([5, 2, 1]) as events",
        "key_source_nets": "'a' as key_id, '198.18.1.0/24' as source_net",
        "key_model_families": "'a' as key_id, 'gpt-4o' as model_family",
    }
    for name, columns in made.items():
        con.execute(f"copy (select {columns}) to '{tmp_path / name}.parquet' (format parquet)")
    return tmp_path


@pytest.fixture
def facts(con: duckdb.DuckDBPyConnection, tables: Path) -> Facts:
    """Return what is gathered."""
    return gather(con, tables, PERIOD)


def test_only_the_period_and_only_keys_count(facts: Facts) -> None:
    """Records before and after the period, undated ones and those without a key are left out; names are the latest."""
    assert facts.records == 6
    assert {key.key_id: key.label for key in facts.keys.values()} == {"a": "anna", "b": ""}


def test_every_day_is_there(facts: Facts) -> None:
    """A day without a record is nothing; requests add up counts of buckets, costs ignore what is unknown."""
    days = {day.day: day for day in facts.keys["a"].days}
    assert tuple(days) == PERIOD.days
    assert days[PERIOD.start] == Day(PERIOD.start, 1, 0.5)
    assert days[PERIOD.end] == Day(PERIOD.end, 0, 0)
    assert days[PERIOD.day] == Day(PERIOD.day, 95, 3.0)


def test_habits_are_the_snapshots(facts: Facts) -> None:
    """Medians and deviations come from the tables; a key that is in none has no habit."""
    assert facts.keys["a"].requests == Habit(1.5, 0.5)
    assert facts.keys["a"].cost == Habit(0.375, 0.125)
    assert facts.keys["b"].requests is None


def test_hours_are_news_by_the_weekday(facts: Facts) -> None:
    """Past hours of all weekdays add up; an hour is news where its weekday never had it; a wide bucket says no hour."""
    hours = facts.keys["a"].hours
    assert {cell.hour: cell.usual for cell in hours if cell.usual} == {9: 2, 10: 6}
    assert {cell.hour: (cell.now, cell.unknown) for cell in hours if cell.now} == {3: (4, True), 10: (1, False)}
    assert facts.keys["a"].weekday_hours == (10,)


def test_a_key_without_a_past_has_no_news(facts: Facts) -> None:
    """Nothing is marked as news for a key of which no hour is known."""
    assert not any(cell.unknown for cell in facts.keys["b"].hours)
    assert facts.keys["b"].networks == ()


def test_networks_and_models_are_counted_before_and_now(facts: Facts) -> None:
    """Requests of the baseline's days and of the hunted one, the busiest first; known is what the table holds."""
    key = facts.keys["a"]
    assert key.networks == (
        Member("2001:db8:1::/48", 0, 4, known=False),
        Member("198.18.1.0/24", 3, 1, known=True),
    )
    assert key.models == (Member("opus", 0, 94, known=False), Member("gpt-4o", 3, 1, known=True))


def test_a_store_without_tables_gives_no_habit(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Where a user's pack makes no such table, the days are there all the same."""
    facts = gather(con, tmp_path / "empty", PERIOD)
    assert facts.keys["a"].requests is None
    assert facts.keys["a"].days[-1].requests == 95
