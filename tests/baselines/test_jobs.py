"""Job files: what is a job, and how a file that is none is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from baselines.conftest import Command
from baselines.days import record
from judge.harness import Building, built, tables_of, write

from keytrip.baselines.jobs import load_jobs
from keytrip.errors import ContentError

IMPORT = "from keytrip.baselines import DailyStatistic, HourProfile, KnownSet\n"
FAULTS = {
    "no Python": ("JOB = (\n", "is no job: SyntaxError"),
    "no JOB": ("OTHER = 1\n", "declares no JOB"),
    "JOB is something else": ("JOB = 5\n", "declares no JOB"),
    "an error of its own": ("x = {}['nothing']\n", "is no job: KeyError"),
    "an unknown import": ("import nothing_of_that_name\n", "is no job: ModuleNotFoundError"),
    "an unknown argument": (IMPORT + "JOB = KnownSet(keys=('key_id',))\n", "is no job: TypeError"),
    "an unknown field": (IMPORT + "JOB = KnownSet(key=('key_id', 'colour'))\n", "'colour' is no field"),
    "no measure": (IMPORT + "JOB = DailyStatistic(key=('key_id',), measure='avg(cost_usd)')\n", "is no measure"),
    "a measure of nothing": (IMPORT + "JOB = DailyStatistic(key=('key_id',), measure='sum(x)')\n", "is no measure"),
    "no hour": (IMPORT + "JOB = HourProfile(key=('key_id',), hour='hour')\n", "'hour' is no hour"),
    "no key": (IMPORT + "JOB = KnownSet(key=())\n", "its key has no column"),
}


def pack_with(folder: Path, name: str, text: str) -> Path:
    """Write a pack with one job; return its folder."""
    path = folder / "baselines" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_no_job_is_named(fault: str, tmp_path: Path) -> None:
    """Loading says which file is wrong, and why."""
    text, reason = FAULTS[fault]
    with pytest.raises(ContentError) as caught:
        load_jobs((pack_with(tmp_path, "mine", text),))
    assert "mine.py" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["My_Table", "1st", "with-dash", "usage"])
def test_a_name_that_is_no_table_is_refused(name: str, tmp_path: Path) -> None:
    """The file's name is the table's, so it has to be one, and not that of records."""
    pack = pack_with(tmp_path, name, IMPORT + "JOB = KnownSet(key=('key_id',))\n")
    with pytest.raises(ContentError, match="is no name for a table"):
        load_jobs((pack,))


def test_the_command_says_so_in_a_line(keytrip: Command, tmp_path: Path) -> None:
    """A build with a broken job exits 1 with a line that names the file, and makes no snapshot."""
    write(tmp_path / "log.ndjson", [record(1)])
    pack = pack_with(tmp_path / "pack", "mine", "JOB = (\n")
    done = keytrip("baseline", "build", "log.ndjson", "--source", "canonical", "--pack", pack)
    assert done.code == 1
    assert "mine.py" in done.err
    assert len(done.err.splitlines()) <= 2
    assert not (tmp_path / ".keytrip" / "snapshots").exists()


def test_a_job_of_a_pack_makes_its_table(tmp_path: Path) -> None:
    """A user's job is built beside ours, its key columns typed by the vocabulary; the same name replaces ours."""
    pack = pack_with(tmp_path / "pack", "key_statuses", IMPORT + "JOB = KnownSet(key=('key_id', 'status_code'))\n")
    pack_with(pack, "key_models", IMPORT + "JOB = KnownSet(key=('key_id', 'model_family'))\n")
    jobs = load_jobs((pack,))
    log = write(tmp_path / "log.ndjson", [record(1, status_code=429, model="m-2026-01-01")])
    built(tmp_path / "store", [log], Building(jobs=jobs))
    found = tables_of(tmp_path / "store", jobs=jobs)
    assert set(found["key_statuses"]) == {("a", 429)}
    assert set(found["key_models"]) == {("a", "m")}


def test_new_jobs_need_the_logs_again(tmp_path: Path) -> None:
    """Files reduced without a job are not counted with it, and said so, until they are given again."""
    first, second = (write(tmp_path / f"{day}.ndjson", [record(day)]) for day in (1, 2))
    built(tmp_path / "store", [first])
    pack = pack_with(tmp_path / "pack", "key_statuses", IMPORT + "JOB = KnownSet(key=('key_id', 'endpoint'))\n")
    jobs = load_jobs((pack,))
    assert built(tmp_path / "store", [second], Building(jobs=jobs)).stale == 1
    assert tables_of(tmp_path / "store", jobs=jobs)["keys"][("a",)]["days"] == 1
    assert built(tmp_path / "store", [first], Building(jobs=jobs)).stale == 0
    assert tables_of(tmp_path / "store", jobs=jobs)["keys"][("a",)]["days"] == 2
