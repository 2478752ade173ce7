"""`keytrip baseline` list, show, diff, use, rollback and export; and who holds the store."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from baselines.conftest import Command
from baselines.days import Record, day_of, record, undated
from judge.harness import Building, built, tables_of, write

from keytrip.baselines.snapshots import prune, snapshots
from keytrip.baselines.store import Store, held, read_json, write_json
from keytrip.errors import SystemRefusedError

BUILD = ("baseline", "build", "--source", "canonical", "--format", "json")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two days of two keys, one file a day."""
    write(tmp_path / "logs" / "1.ndjson", day_of(1))
    write(tmp_path / "logs" / "2.ndjson", [*day_of(2), *day_of(2, ("c",), each=9)])
    return tmp_path / "logs"


def test_build_says_what_it_did(keytrip: Command, logs: Path) -> None:
    """The result is one row; days after the window are said."""
    done = keytrip(*BUILD, logs, "--end", "2026-04-01")
    assert done.code == 0, done.err
    expected = {"snapshot": 1, "promoted": True, "end": "2026-04-01", "keys": 2, "files": 2, "unchanged": 0}
    assert expected.items() <= done.rows[0].items()
    assert "1 days after 2026-04-01 were left out" in done.err


def test_show_has_every_table_of_a_key(keytrip: Command, logs: Path) -> None:
    """`show KEY` gives the key's rows; a key that is not known is an error with exit 1."""
    keytrip(*BUILD, logs)
    rows = keytrip("baseline", "show", "a", "--format", "json").rows
    assert {row["table"] for row in rows} >= {"keys", "key_requests_daily", "key_models", "key_active_hours"}
    assert next(row for row in rows if row["table"] == "keys")["first_seen"] == "2026-04-01T10:00:00Z"
    unknown = keytrip("baseline", "show", "nobody")
    assert (unknown.code, unknown.out) == (1, "")
    assert "'nobody'" in unknown.err


def test_diff_names_what_changed(keytrip: Command, logs: Path) -> None:
    """`diff A B` lists keys that came, went or moved."""
    keytrip(*BUILD, logs, "--end", "2026-04-01")
    keytrip(*BUILD, logs, "--end", "2026-04-02", "--days", "1")
    rows = keytrip("baseline", "diff", "1", "2", "--format", "json").rows
    assert ("keys", "c", "new") in {(row["table"], row["key"], row["change"]) for row in rows}
    back = keytrip("baseline", "diff", "2", "1", "--format", "json").rows
    assert ("keys", "c", "gone") in {(row["table"], row["key"], row["change"]) for row in back}
    assert keytrip("baseline", "diff", "1", "1", "--format", "json").rows == []
    missing = keytrip("baseline", "diff", "1", "7")
    assert (missing.code, "no snapshot 7" in missing.err) == (1, True)


def test_use_and_rollback(keytrip: Command, logs: Path) -> None:
    """`use` and `rollback` change which snapshot is active; before the first there is none to go back to."""
    for end in ("2026-04-01", "2026-04-02"):
        keytrip(*BUILD, logs, "--end", end)
    assert keytrip("baseline", "use", "1").code == 0
    assert keytrip("baseline", "rollback").code == 0
    listed = keytrip("baseline", "list", "--format", "json").rows
    assert [row["active"] for row in listed] == [False, True]
    assert keytrip("baseline", "rollback").code == 0
    none = keytrip("baseline", "rollback")
    assert (none.code, "no snapshot was active before" in none.err) == (1, True)
    assert keytrip("baseline", "use", "9").code == 1


def test_old_snapshots_are_removed(keytrip: Command, logs: Path) -> None:
    """The newest stay, the active one, and the one before it, to which `rollback` goes; nothing else is left."""
    for _ in range(4):
        assert keytrip(*BUILD, logs, "--end", "2026-04-02").code == 0
    keytrip("baseline", "use", "1")
    keytrip("baseline", "use", "2")
    assert keytrip(*BUILD, logs, "--end", "2026-04-01", "--keep", "1", "--max-lost", "0").code == 1
    assert [row["snapshot"] for row in keytrip("baseline", "list", "--format", "json").rows] == [1, 2, 5]
    assert sorted(path.name for path in Path(".keytrip/snapshots").iterdir()) == ["1", "2", "5"]
    assert keytrip("baseline", "rollback").code == 0
    assert keytrip(*BUILD, logs, "--end", "2026-04-02", "--keep", "2").code == 0
    assert [row["snapshot"] for row in keytrip("baseline", "list", "--format", "json").rows] == [1, 5, 6]
    assert keytrip("baseline", "rollback").code == 0
    assert "no snapshot was active before" in keytrip("baseline", "rollback").err


def test_a_month_of_snapshots_is_kept(tmp_path: Path) -> None:
    """Which are removed follows from their numbers, the active one and the history; a second time none is."""
    store = Store(tmp_path)
    for number in range(1, 41):
        folder = store.snapshots / str(number)
        folder.mkdir(parents=True)
        write_json(folder / "manifest.json", {"number": number})
    write_json(store.active, {"active": 3, "history": [1, 2, 5, 4]})
    assert prune(store, 30) == [1, 2, *range(5, 11)]
    assert [snapshot.number for snapshot in snapshots(store)] == [3, 4, *range(11, 41)]
    assert read_json(store.active) == {"active": 3, "history": [4]}
    assert prune(store, 30) == []


def test_a_store_that_is_not_there(keytrip: Command) -> None:
    """Commands on a missing store say so, and make none."""
    for command in (("list",), ("show", "a"), ("diff", "1", "2"), ("use", "1"), ("rollback",), ("export", "out")):
        done = keytrip("baseline", *command)
        assert (done.code, "no such store" in done.err) == (1, True)
    assert not Path(".keytrip").exists()


ODD_KEYS = ["0042", "1e3", "NA", "null", "NULL", "nan", "true", "2026-04-01", "2026-04-01T10:00:00Z"]
ODD_KEYS += ['q"uo,te', "line\nbreak", " space ", "ключ", "-1", "'x"]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A store over keys that look like something else, an empty one, and one with only undated records."""
    rows = [record(day, key, hour, model=key) for day in (1, 2) for key in ODD_KEYS for hour in (9, 9, 10)]
    write(tmp_path / "logs" / "1.ndjson", [*rows, record(1, ""), undated("u", model="m")])
    built(tmp_path / "store", [tmp_path / "logs" / "1.ndjson"], Building())
    return tmp_path / "store"


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_exports_come_back_as_they_went(keytrip: Command, odd: Path, tmp_path: Path, form: str) -> None:
    """A hunt against exported tables says what a hunt against the store says, whatever the keys look like."""
    assert keytrip("baseline", "export", "tables", "--as", form, "--store", odd).code == 0
    day: list[Record] = [record(3, key, 23, model=f"{key}x", request_count=50) for key in ["", "u", "new", *ODD_KEYS]]
    day += [record(3, key, 9, model=key) for key in ODD_KEYS]
    write(tmp_path / "day.ndjson", day)
    hunt = ("hunt", "day.ndjson", "--source", "canonical", "--format", "json", "--rule", "*")
    stored = keytrip(*hunt, "--store", odd)
    exported = keytrip(*hunt, "--baseline", "tables")
    assert (stored.code, exported.code) == (0, 0), exported.err
    assert [{**row, "snapshot": 1} for row in exported.rows] == stored.rows
    fired = {(row["rule"], row["key_id"]) for row in stored.rows}
    assert fired >= {("reference_unknown_model", key) for key in ODD_KEYS}
    assert {key for rule, key in fired if rule == "key_never_seen"} == {"new"}


def test_a_csv_tells_null_from_empty(keytrip: Command, odd: Path) -> None:
    """An empty key is `""`, a missing time an empty cell; every text is quoted, no number is."""
    keytrip("baseline", "export", "tables", "--store", odd)
    text = Path("tables/key_requests_daily.csv").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == ['"key_id",mean,stddev,max,median,mad,days', '"",1.0,0.0,1.0,1.0,0.0,1']
    keys = Path("tables/keys.csv").read_text(encoding="utf-8")
    assert '"u",,,0,0' in keys.splitlines()
    assert {row["key_id"] for row in csv.DictReader(keys.splitlines(keepends=True))} == {*ODD_KEYS, "u"}


def test_export_of_a_chosen_snapshot(keytrip: Command, logs: Path) -> None:
    """`--snapshot` exports another than the active one; an unknown form is wrong usage."""
    for end in ("2026-04-01", "2026-04-02"):
        keytrip(*BUILD, logs, "--end", end)
    keytrip("baseline", "export", "tables", "--snapshot", "1", "--as", "ndjson")
    lines = Path("tables/keys.ndjson").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["key_id"] for line in lines] == ["a", "b"]
    assert keytrip("baseline", "export", "tables", "--as", "xml").code == 2


def test_a_second_build_names_the_holder(tmp_path: Path) -> None:
    """When the wait is over, the error says which process holds the store."""
    store = Store(tmp_path / "store")
    with held(store, 0), pytest.raises(SystemRefusedError) as caught, held(store, 0.05):
        pass
    assert f"process {os.getpid()}" in str(caught.value)
    with held(store, 0):
        assert store.root.is_dir()


def test_a_second_build_waits(tmp_path: Path) -> None:
    """A build that finds the store held goes on when it is let go, and counts what the first did."""
    logs = [write(tmp_path / f"{day}.ndjson", day_of(day)) for day in (1, 2)]
    store = Store(tmp_path / "store")
    with held(store, 0):
        other = threading.Thread(target=built, args=(store.root, logs[:1], Building()))
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join()
    built(store.root, logs[1:], Building())
    assert tables_of(store.root)["keys"][("a",)]["days"] == 2


def test_two_processes_at_once(keytrip: Command, logs: Path) -> None:
    """A process that may not wait is refused with exit 3 while another one holds the store, and works after it."""
    with held(Store(Path(".keytrip")), 0):
        command = [sys.executable, "-m", "keytrip", *BUILD, str(logs), "--wait", "0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert f"is held by process {os.getpid()}" in done.stderr
    assert keytrip(*BUILD, logs).code == 0


def test_what_the_work_raises_is_not_the_stores_fault(tmp_path: Path) -> None:
    """An error of the one who holds the store passes as it is, and the store is free again."""
    store = Store(tmp_path / "store")
    with pytest.raises(PermissionError, match="an input"), held(store, 0):
        raise PermissionError("an input")
    with held(store, 0):
        assert store.root.is_dir()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A store in an impossible place is refused with its name."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match="cannot be written"), held(Store(tmp_path / "file" / "store"), 0):
        pass
