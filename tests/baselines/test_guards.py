"""A snapshot that lost keys or moved far is built, but not promoted."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from baselines.conftest import Command
from baselines.days import Record, day_of, record
from judge.harness import Building, active, built, write

from keytrip.baselines.guards import Bounds

KEYS = [f"k{number}" for number in range(10)]


def days(*counts: int) -> list[list[Record]]:
    """Return days of ten keys, each with that many requests."""
    return [[record(day, key, request_count=count) for key in KEYS] for day, count in enumerate(counts, 1)]


def second(folder: Path, before: list[Record], after: list[Record], bounds: Bounds | None = None) -> tuple[bool, str]:
    """Build day 1, then day 2 alone; return whether the second was promoted, and the objections."""
    logs = [write(folder / f"{day}.ndjson", rows) for day, rows in enumerate((before, after), 1)]
    built(folder / "store", logs[:1], Building(end=date(2026, 4, 1), days=1))
    done = built(folder / "store", logs, Building(end=date(2026, 4, 2), days=1, bounds=bounds or Bounds()))
    assert (active(folder / "store").number == 2) is done.promoted
    return done.promoted, "; ".join(done.objections)


@pytest.mark.parametrize(("kept", "promoted"), [(8, True), (7, False), (0, False)])
def test_lost_keys(kept: int, promoted: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """Over 20 % of the keys gone is too much; exactly 20 % is not. New keys do not make up for them."""
    before, after = days(5, 5)
    fewer = [row for row in after if row["key_id"] in KEYS[:kept]] + [record(2, f"new{n}") for n in range(20)]
    assert second(tmp_path, before, fewer)[0] is promoted


@pytest.mark.parametrize(
    ("count", "moved", "promoted"), [(30, 10, True), (31, 10, False), (31, 2, True), (31, 3, False), (3, 10, False)]
)
def test_moved_means(count: int, moved: int, promoted: bool, tmp_path: Path) -> None:  # noqa: FBT001 - as above
    """Over 20 % of the keys' means moved more than threefold, up or down, is too much."""
    before, after = days(10, 10)
    changed = [{**row, "request_count": count} if row["key_id"] in KEYS[:moved] else row for row in after]
    assert second(tmp_path, before, changed)[0] is promoted


def test_objections_say_what_happened(tmp_path: Path) -> None:
    """Each objection has the numbers and the bound."""
    before, after = days(1, 100)
    _, said = second(tmp_path, before, after[:5])
    assert "5 of 10 keys are gone (50%, bound 20%)" in said
    assert "the mean of 5 of 5 keys moved more than 3-fold (100%, bound 20%)" in said


def test_bounds_can_be_set(tmp_path: Path) -> None:
    """Both bounds are parameters."""
    before, after = days(1, 100)
    assert second(tmp_path, before, after[:5], Bounds(lost=0.5, moved=1.0)) == (True, "")


def test_from_the_command_line(keytrip: Command, tmp_path: Path) -> None:
    """It exits 1, names the snapshot and the way out; hunts use the old one until `use`, and `rollback` goes back."""
    write(tmp_path / "1.ndjson", day_of(1, KEYS))
    write(tmp_path / "2.ndjson", day_of(2, KEYS[:3]))
    build = ("baseline", "build", "1.ndjson", "2.ndjson", "--source", "canonical", "--days", "1", "--end")
    assert keytrip(*build, "2026-04-01").code == 0
    done = keytrip(*build, "2026-04-02", "--format", "json")
    assert done.code == 1
    assert done.rows[0]["promoted"] is False
    assert "snapshot 2 was built, but not promoted: 7 of 10 keys are gone" in done.err
    assert "baseline use 2" in done.err
    listed = keytrip("baseline", "list", "--format", "json").rows
    assert [(row["snapshot"], row["active"]) for row in listed] == [(1, True), (2, False)]
    assert "7 of 10 keys are gone" in listed[1]["objections"]
    assert keytrip("baseline", "use", "2").code == 0
    assert keytrip("baseline", "use", "2").code == 0
    assert keytrip("baseline", "rollback").code == 0
    assert active(tmp_path / ".keytrip").number == 1
    assert keytrip(*build, "2026-04-02", "--max-lost", "0.9").code == 0
