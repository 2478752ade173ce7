"""A build that is killed at any instant leaves a store that opens, with a whole active snapshot; the next one heals."""

from __future__ import annotations

import json
import random
import time
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path

import duckdb
import pytest
from baselines.days import Record, day_of, record
from forked import start
from judge.compare import table_differences
from judge.harness import JOBS, Building, built, tables_of, write
from judge.records import read_files
from judge.tables import build, in_window, read_jobs

from keytrip.baselines.snapshots import active_snapshot, folder_of, snapshots
from keytrip.baselines.store import Store

KILLS = 50
DAYS = 20
LAST = date(2026, 4, DAYS)


def logs_of(turn: int) -> list[list[Record]]:
    """Return twenty days of records; each turn changes some of them, and moves a request from one file to another."""
    days = []
    for day in range(1, DAYS + 1):
        rows = [*day_of(day, ("a", "b", f"k{day}")), record(day, "a", 23, request_id=f"r{day % 7}", cost_usd=day)]
        days.append([*rows, record(day, "t", 1 + turn % 5)] if day % 5 == turn % 5 else rows)
    return days


def started(folder: Path, turn: int) -> BaseProcess:
    """Write the logs of a turn, and start a build over them; return once it works on the store."""
    for number, rows in enumerate(logs_of(turn)):
        write(folder / "logs" / f"{number:02}.ndjson", rows)
    holder = folder / "store" / "holder"
    holder.unlink(missing_ok=True)
    command = ["baseline", "build", "logs", "--source", "canonical", "--store", "store", "--end", str(LAST), "--quiet"]
    process = start(command, folder, {"TMPDIR": str(folder)}, folder / "out", folder / "err")
    while process.is_alive() and not holder.exists():
        time.sleep(0.002)
    return process


def ended(process: BaseProcess, seconds: float = 60) -> int | None:
    """Wait for a process; return its exit code, or None if it has not ended in time."""
    process.join(seconds)
    return process.exitcode


def whole(store: Store) -> None:
    """Check that each snapshot's tables can be read and have as many rows as the manifest says."""
    assert active_snapshot(store).number in {snapshot.number for snapshot in snapshots(store)}
    for snapshot in snapshots(store):
        rows = snapshot.manifest["rows"]
        assert {path.stem for path in folder_of(store, snapshot.number).glob("*.parquet")} == set(rows)
        for table, count in rows.items():
            path = folder_of(store, snapshot.number) / f"{table}.parquet"
            assert duckdb.execute("select count(*) from read_parquet(?)", [str(path)]).fetchall() == [(count,)]


def healed(folder: Path, turn: int) -> list[str]:
    """Build to the end; return where the tables are not those of the logs, and what half-made thing is left."""
    built(folder / "store", sorted((folder / "logs").iterdir()), Building(end=LAST))
    events = in_window(read_files(logs_of(turn)), date(2026, 4, 1), LAST)
    differences = table_differences(tables_of(folder / "store"), build(read_jobs(JOBS), events))
    return differences + [str(path) for path in (folder / "store").rglob("*.part")]


@pytest.mark.slow
def test_killed_at_any_instant(tmp_path: Path) -> None:
    """Fifty kills at random instants: the active snapshot is whole after each, and the next build heals all."""
    chance, store = random.Random(20261124), Store(tmp_path / "store")  # noqa: S311 - no secret
    assert ended(started(tmp_path, 0)) == 0
    process, began = started(tmp_path, 1), time.monotonic()
    assert ended(process) == 0
    usual, killed = time.monotonic() - began, 0
    for turn in range(2, KILLS + 2):
        process = started(tmp_path, turn)
        if ended(process, chance.uniform(0, 1.1) * usual) is None:
            process.kill()
            killed += ended(process) != 0
        whole(store)
        assert turn % 10 or healed(tmp_path, turn) == []
    assert killed > KILLS // 2
    assert healed(tmp_path, KILLS + 1) == []
    command = ["baseline", "list", "--store", "store", "--format", "json"]
    assert ended(start(command, tmp_path, {}, tmp_path / "out", tmp_path / "err")) == 0
    assert sum(json.loads(line)["active"] for line in (tmp_path / "out").read_text().splitlines()) == 1
