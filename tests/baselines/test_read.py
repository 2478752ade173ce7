"""`keytrip read`: canonical records as Parquet, from which a hunt says what it says from the logs."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
from baselines.conftest import Command
from baselines.days import Record, record, undated
from judge.harness import write

READ = ("read", "--source", "canonical", "--format", "json", "--out")


def rows_of(path: Path) -> list[tuple[object, ...]]:
    """Return a Parquet file's rows in their order."""
    return duckdb.execute("select * from read_parquet(?)", [str(path)]).fetchall()


def test_the_summary(keytrip: Command, tmp_path: Path) -> None:
    """It counts records, undated ones, duplicates, rejects and files, and gives the time range."""
    rows = [record(1, request_id="r"), record(2, request_id="r"), record(3), undated("u")]
    path = write(tmp_path / "log.ndjson", rows)
    path.write_text(path.read_text(encoding="utf-8") + "no json\n", encoding="utf-8")
    done = keytrip(*READ, "out.parquet", path)
    assert done.code == 0, done.err
    expected = {"records": 3, "undated": 1, "rejected": 1, "duplicates": 1, "files": 1}
    times = {"first": "2026-04-01T10:00:00Z", "last": "2026-04-03T10:00:00Z"}
    assert done.rows == [{**expected, **times, "rejects_file": "out.parquet.rejects.ndjson"}]
    assert json.loads(Path("out.parquet.rejects.ndjson").read_text(encoding="utf-8"))["line"] == 5


def test_the_order_of_files_does_not_matter(keytrip: Command, tmp_path: Path) -> None:
    """The same records give the same rows in the same order, twins of one time included."""
    twins: list[Record] = [record(1, request_id="r", model="b"), record(1, request_id="r", model="a")]
    for name, order in (("one", twins), ("two", twins[::-1])):
        for number, twin in enumerate(order):
            write(tmp_path / name / f"{number}.ndjson", [twin, record(2, "b", model=twin["model"])])
        assert keytrip(*READ, f"{name}.parquet", tmp_path / name).code == 0
    assert rows_of(tmp_path / "one.parquet") == rows_of(tmp_path / "two.parquet")
    assert len(rows_of(tmp_path / "one.parquet")) == 3


def test_a_hunt_over_what_was_read(keytrip: Command, tmp_path: Path) -> None:
    """Records that were read and kept give the alerts of their logs."""
    past = [record(day, "a", request_count=count, request_id=f"r{day}") for day, count in ((1, 9), (2, 11), (3, 10))]
    path = write(tmp_path / "log.ndjson", [*past, record(4, "a", request_count=90, source_ip="2001:DB8::1")])
    hunt = ("hunt", "--since", "2026-04-04", "--rule", "*", "--format", "json", "--source", "canonical")
    keytrip(*READ, "out.parquet", path)
    logs, kept = keytrip(*hunt, path), keytrip(*hunt, "out.parquet")
    assert "reference_volume_spike" in logs.out
    assert kept.out == logs.out


def test_a_refused_file_leaves_nothing(keytrip: Command, tmp_path: Path) -> None:
    """Where one file is refused, none is written."""
    write(tmp_path / "logs" / "1.ndjson", [record(1)])
    (tmp_path / "logs" / "2.parquet").write_bytes(b"PAR1 no PAR1")
    done = keytrip(*READ, "out.parquet", "logs")
    assert (done.code, "2.parquet" in done.err) == (1, True)
    assert not list(tmp_path.glob("*out.parquet*"))
