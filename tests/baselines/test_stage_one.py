"""Stage one: what is new is reduced once; what was known, changed, moved, copied or grew counts right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
from baselines.days import Record, day_of, record, undated
from judge.compare import table_differences
from judge.harness import Building, built, tables_of, write

from keytrip.errors import DataError

MAY = Building(end=date(2026, 4, 30))


def fresh(folder: Path, files: Sequence[Sequence[Record]]) -> dict[str, dict[object, object]]:
    """Return the tables of a store that is built once, from these files."""
    paths = [write(folder / "fresh" / f"{number}.ndjson", rows) for number, rows in enumerate(files)]
    built(folder / "fresh" / "store", paths, MAY)
    return tables_of(folder / "fresh" / "store")


def same(folder: Path, files: Sequence[Sequence[Record]]) -> bool:
    """Whether the store has the tables that building from these files at once gives."""
    assert table_differences(tables_of(folder / "store"), fresh(folder, files)) == []
    return True


def test_an_unchanged_file_adds_nothing(tmp_path: Path) -> None:
    """Given again, under its name or another, a file is not read again and counts once."""
    log = write(tmp_path / "log.ndjson", day_of(1))
    built(tmp_path / "store", [log], MAY)
    again = built(tmp_path / "store", [log], MAY)
    assert (again.unchanged, again.report.files) == (1, 0)
    copied = built(tmp_path / "store", [log, write(tmp_path / "copy.ndjson", day_of(1))], MAY)
    assert (copied.unchanged, copied.report.files) == (2, 0)
    assert same(tmp_path, [day_of(1)])


def test_two_copies_at_once_count_once(tmp_path: Path) -> None:
    """Equal files in one build count once."""
    logs = [write(tmp_path / name, day_of(1)) for name in ("1.ndjson", "2.ndjson")]
    assert built(tmp_path / "store", logs, MAY).report.files == 1
    assert same(tmp_path, [day_of(1)])


def test_a_copy_outlives_the_first(tmp_path: Path) -> None:
    """When one of two equal files gets other content, the other still counts, whichever it is."""
    for changed, kept in (("1.ndjson", "2.ndjson"), ("2.ndjson", "1.ndjson")):
        folder = tmp_path / changed
        built(folder / "store", [write(folder / name, day_of(1)) for name in (changed, kept)], MAY)
        built(folder / "store", [write(folder / changed, day_of(2))], MAY)
        assert same(folder, [day_of(1), day_of(2)])


def test_replaced_content_replaces_its_share(tmp_path: Path) -> None:
    """A known path with new content counts with that alone."""
    built(tmp_path / "store", [write(tmp_path / "log.ndjson", [*day_of(1), *day_of(2)])], MAY)
    built(tmp_path / "store", [write(tmp_path / "log.ndjson", day_of(3, ("a", "b", "c")))], MAY)
    assert same(tmp_path, [day_of(3, ("a", "b", "c"))])


def test_same_size_and_time_do_not_deceive(tmp_path: Path) -> None:
    """Content of the same length, with its old time put back, is still seen to be new."""
    log = write(tmp_path / "log.ndjson", day_of(1))
    old = log.stat().st_mtime_ns - 10**12
    os.utime(log, ns=(old, old))
    built(tmp_path / "store", [log], MAY)
    write(log, day_of(2))
    os.utime(log, ns=(old, old))
    built(tmp_path / "store", [log], MAY)
    assert same(tmp_path, [day_of(2)])


def test_an_appended_file(tmp_path: Path) -> None:
    """A log that grew counts whole."""
    log = write(tmp_path / "log.ndjson", day_of(1))
    built(tmp_path / "store", [log], MAY)
    write(log, [*day_of(1), *day_of(1, ("c",)), *day_of(2)])
    built(tmp_path / "store", [log], MAY)
    assert same(tmp_path, [[*day_of(1), *day_of(1, ("c",)), *day_of(2)]])


def test_a_day_split_over_two_files(tmp_path: Path) -> None:
    """Halves of a day, built together or one after the other, are one day."""
    halves = [day_of(1, each=3), [record(1, "a", 20, cost_usd=4)]]
    logs = [write(tmp_path / f"{number}.ndjson", rows) for number, rows in enumerate(halves)]
    for log in logs:
        built(tmp_path / "store", [log], MAY)
    assert same(tmp_path, [[*halves[0], *halves[1]]])
    assert tables_of(tmp_path / "store")["key_requests_daily"][("a",)]["max"] == 4


def test_late_records_redo_just_their_day(tmp_path: Path) -> None:
    """Records that come late are read alone; the files of other days are not touched."""
    logs = [write(tmp_path / f"{day}.ndjson", day_of(day)) for day in range(1, 6)]
    built(tmp_path / "store", logs, MAY)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store" / "segments").rglob("*.parquet")}
    late = write(tmp_path / "late.ndjson", [record(2, "a", 23)])
    done = built(tmp_path / "store", [*logs, late], MAY)
    assert (done.unchanged, done.report.files, done.report.records) == (5, 1, 1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert same(tmp_path, [[row for day in range(1, 6) for row in day_of(day)] + [record(2, "a", 23)]])


def test_a_rotated_log(tmp_path: Path) -> None:
    """A log that was renamed, with a new one in its place, loses nothing."""
    log = write(tmp_path / "log.ndjson", day_of(1))
    built(tmp_path / "store", [log], MAY)
    log.rename(tmp_path / "log-1.ndjson")
    write(log, day_of(2))
    built(tmp_path / "store", [log, tmp_path / "log-1.ndjson"], MAY)
    assert same(tmp_path, [day_of(1), day_of(2)])


def test_a_log_that_is_gone_stays_counted(tmp_path: Path) -> None:
    """Logs may be deleted once they are reduced."""
    log = write(tmp_path / "1.ndjson", day_of(1))
    built(tmp_path / "store", [log], MAY)
    log.unlink()
    built(tmp_path / "store", [write(tmp_path / "2.ndjson", day_of(2))], MAY)
    assert same(tmp_path, [day_of(1), day_of(2)])


def test_the_window_rolls(tmp_path: Path) -> None:
    """A later end needs no log again, and forgets the days before the window."""
    logs = [write(tmp_path / f"{day}.ndjson", day_of(day, ("a", f"only-{day}"))) for day in range(1, 6)]
    built(tmp_path / "store", logs, Building(end=date(2026, 4, 3), days=3))
    assert {key for (key,) in tables_of(tmp_path / "store")["keys"]} == {"a", "only-1", "only-2", "only-3"}
    rolled = built(tmp_path / "store", logs, Building(end=date(2026, 4, 5), days=3))
    assert rolled.report.files == 0
    found = tables_of(tmp_path / "store", rolled.number)
    assert {key for (key,) in found["keys"]} == {"a", "only-3", "only-4", "only-5"}
    assert rolled.manifest["window"] == {"start": "2026-04-03", "end": "2026-04-05", "days": 3}


def test_the_default_end(tmp_path: Path) -> None:
    """The window ends with the last day that is over; later days are counted as left out."""
    logs = [write(tmp_path / f"{day}.ndjson", day_of(day)) for day in (1, 2, 4, 5)]
    done = built(tmp_path / "store", logs, Building(now=datetime(2026, 4, 4, 23, 59)))  # noqa: DTZ001 - naive UTC
    assert done.manifest["window"]["end"] == "2026-04-02"
    assert done.later_days == 2


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ([record(1)], Building(now=datetime(2026, 4, 1, 12)), "no day with a record is over yet"),  # noqa: DTZ001 - naive UTC
        ([record(1)], Building(end=date(2026, 7, 1)), "no record lies between"),
        ([undated("a")], Building(), "no day with a record is over yet"),
        ([], Building(), "no day with a record is over yet"),
    ],
)
def test_nothing_to_learn_from(tmp_path: Path, rows: list[Record], options: Building, reason: str) -> None:
    """Without a record in the window there is no snapshot, and the reason is said."""
    with pytest.raises(DataError, match=reason):
        built(tmp_path / "store", [write(tmp_path / "log.ndjson", rows)], options)
    assert not (tmp_path / "store" / "active.json").exists()


def test_files_without_records_do_no_harm(tmp_path: Path) -> None:
    """Empty files, and one with blank lines only, count as nothing, in chunks of their own too."""
    files = [[], day_of(1), []]
    logs = [write(tmp_path / f"{number}.ndjson", rows) for number, rows in enumerate(files)]
    blank = tmp_path / "blank.ndjson"
    blank.write_text("\n\n", encoding="utf-8")
    built(tmp_path / "store", [*logs, blank], Building(end=date(2026, 4, 30), chunk_bytes=1))
    assert same(tmp_path, [day_of(1)])


def test_undated_records_belong_to_their_files_last_day(tmp_path: Path) -> None:
    """They roll out of the window with that day, whatever is read together with their file."""
    logs = [write(tmp_path / f"{day}.ndjson", [*day_of(day), undated(f"u{day}")]) for day in (1, 5)]
    logs.append(write(tmp_path / "none.ndjson", [undated("n")]))
    for chunk_bytes in (1, 2**20):
        store = tmp_path / f"store-{chunk_bytes}"
        built(store, logs, Building(end=date(2026, 4, 4), chunk_bytes=chunk_bytes))
        assert {key for (key,) in tables_of(store)["keys"]} == {"a", "b", "u1", "n"}
        later = built(store, logs, Building(end=date(2026, 4, 6), days=2, chunk_bytes=chunk_bytes))
        assert {key for (key,) in tables_of(store, later.number)["keys"]} == {"a", "b", "u5", "n"}


def test_old_files_are_forgotten(tmp_path: Path) -> None:
    """Files whose last day is older than the retention leave the store; a longer window keeps them."""
    old = write(tmp_path / "old.ndjson", [{"timestamp": "2025-04-01T10:00:00Z", "key_id": "old"}])
    new = write(tmp_path / "new.ndjson", day_of(1))
    built(tmp_path / "store", [old], Building(end=date(2025, 4, 1)))
    built(tmp_path / "store", [new], Building(end=date(2026, 4, 1), days=400))
    assert len(list((tmp_path / "store" / "segments").iterdir())) == 2
    done = built(tmp_path / "store", [new], Building(end=date(2026, 4, 1)))
    assert {key for (key,) in tables_of(tmp_path / "store", done.number)["keys"]} == {"a", "b"}
    assert len(list((tmp_path / "store" / "segments").iterdir())) == 1


def test_a_broken_file_leaves_nothing(tmp_path: Path) -> None:
    """A file that is refused stops the build by name; the store is as before."""
    good = write(tmp_path / "good.ndjson", day_of(1))
    built(tmp_path / "store", [good], MAY)
    before = sorted(path.relative_to(tmp_path) for path in (tmp_path / "store").rglob("*"))
    broken = tmp_path / "broken.ndjson"
    broken.write_bytes(b"\x00\x01binary")
    with pytest.raises(DataError, match=r"broken\.ndjson"):
        built(tmp_path / "store", [good, write(tmp_path / "more.ndjson", day_of(2)), broken], MAY)
    assert sorted(path.relative_to(tmp_path) for path in (tmp_path / "store").rglob("*")) == before
    assert same(tmp_path, [day_of(1)])
