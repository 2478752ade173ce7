"""Against what a hunt compares, what it leaves out, and what it says of that."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from baselines.conftest import Command
from baselines.days import Record, record, undated
from judge.harness import Building, Options, active, built, hunted, shipped, write

from keytrip.compile.compiled import CompiledRule

HUNT = ("hunt", "--source", "canonical", "--format", "json")
VOLUME = ("--rule", "reference_volume_spike")
NEW = ("--rule", "key_never_seen")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store in the working directory, over the first three days of April 2026."""
    rows = [record(day, "a", request_count=count) for day, count in ((1, 10), (2, 12), (3, 11))]
    built(tmp_path / ".keytrip", [write(tmp_path / "past.ndjson", rows)], Building())
    return tmp_path / ".keytrip"


def compiled(name: str) -> list[CompiledRule]:
    """Return a shipped rule."""
    return [rule for rule in shipped() if rule.name == name]


def log(folder: Path, *rows: Record) -> Path:
    """Write a log to hunt in."""
    return write(folder / "log.ndjson", rows)


def test_the_mode_is_said(keytrip: Command, store: Path, tmp_path: Path) -> None:
    """A store is used where it is named or lies here; `--since` alone learns from the 30 days before it."""
    path = log(tmp_path, record(4, "a", request_count=500))
    here, named = keytrip(*HUNT, path), keytrip(*HUNT, path, "--since", "2026-04-04", "--store", store)
    assert "mode: against snapshot 1" in here.err
    assert "mode: against snapshot 1" in named.err
    memory = keytrip(*HUNT, path, tmp_path / "past.ndjson", "--since", "2026-04-04", *VOLUME)
    assert "the 30 days before 2026-04-04" in memory.err
    assert [row["snapshot"] for row in memory.rows] == [None]
    assert [row["snapshot"] for row in keytrip(*HUNT, path, *VOLUME).rows] == [1]


def test_without_a_baseline_it_asks_for_one(keytrip: Command, tmp_path: Path) -> None:
    """No store and no `--since` is wrong usage, but for rules that need no baseline."""
    path = log(tmp_path, record(1, cost_usd=1000, provider="p"))
    assert keytrip(*HUNT, path).code == 2
    alone = keytrip(*HUNT, path, "--rule", "org_spend_threshold_*")
    assert alone.code == 0, alone.err
    assert len(alone.rows) == 3


@pytest.mark.usefixtures("store")
def test_windows_within_the_baseline_are_not_scored(keytrip: Command, tmp_path: Path) -> None:
    """A day that the snapshot has seen is left out and counted; if no other is left, that is an error."""
    path = log(tmp_path, record(3, "new"), record(4, "new"))
    both = keytrip(*HUNT, path, *NEW)
    assert [row["window_start"] for row in both.rows] == ["2026-04-04T00:00:00Z"]
    assert "1 windows begin before the snapshot's end" in both.err
    none = keytrip(*HUNT, log(tmp_path, record(2, "new"), record(3, "new")), *NEW)
    assert (none.code, none.out) == (1, "")
    assert "no window is left to score" in none.err


def test_only_windows_of_the_report_count_as_left_out(keytrip: Command, store: Path, tmp_path: Path) -> None:
    """Days before `--since` are none that anybody asked for."""
    path = log(tmp_path, record(2, "new"), record(3, "new"), record(4, "new"))
    done = keytrip(*HUNT, path, "--since", "2026-04-04", "--store", store, *NEW)
    assert done.code == 0
    assert len(done.rows) == 1
    assert "were not scored" not in done.err


@pytest.mark.usefixtures("store")
def test_rules_without_a_baseline_score_all_days(keytrip: Command, tmp_path: Path) -> None:
    """A static threshold does not look at the snapshot."""
    path = log(tmp_path, record(3, cost_usd=1000), record(4, cost_usd=1000))
    done = keytrip(*HUNT, path, "--rule", "org_spend_threshold_critical")
    assert [row["window_start"][:10] for row in done.rows] == ["2026-04-03", "2026-04-04"]


def test_since_and_until(keytrip: Command, store: Path, tmp_path: Path) -> None:
    """Reported are windows that end after the first midnight, and not after the second."""
    path = log(tmp_path, *(record(day, "new") for day in (4, 5, 6, 7)))
    done = keytrip(*HUNT, path, "--store", store, "--since", "2026-04-05", "--until", "2026-04-07", *NEW)
    assert [row["window_start"][:10] for row in done.rows] == ["2026-04-05", "2026-04-06"]


@pytest.mark.usefixtures("store")
def test_alerts_alone_are_no_failure(keytrip: Command, tmp_path: Path) -> None:
    """Alerts exit 0; `--fail-on` makes those of a level and above exit 1."""
    path = log(tmp_path, record(4, "new"))
    assert keytrip(*HUNT, path, *NEW).code == 0
    assert keytrip(*HUNT, path, *NEW, "--fail-on", "medium").code == 1
    assert keytrip(*HUNT, path, *NEW, "--fail-on", "high").code == 0


@pytest.mark.parametrize(("age", "warned"), [(9, False), (12, True)])
def test_an_old_snapshot_is_reported(keytrip: Command, tmp_path: Path, age: int, warned: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A hunt says when its snapshot is over ten days old."""
    end = datetime.now(UTC) - timedelta(days=age)
    past = {**record(1), "timestamp": (end - timedelta(days=1)).isoformat()}
    built(tmp_path / ".keytrip", [write(tmp_path / "past.ndjson", [past])], Building())
    done = keytrip(*HUNT, log(tmp_path, {**record(1), "timestamp": datetime.now(UTC).isoformat()}), *NEW)
    assert done.code == 0, done.err
    assert ("days old" in done.err) is warned


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-04-14T00:00:00Z", ""),
        ("2026-04-14T00:00:01", "over 10 days old"),
        ("2026-04-14T23:59:59Z", "over 10 days old"),
        ("2026-04-15T02:00:00+02:00", "11 days old"),
    ],
)
@pytest.mark.usefixtures("store")
def test_the_age_begins_just_over_ten_days(
    keytrip: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, now: str, said: str
) -> None:
    """A snapshot that ends on 3 April is old from 14 April 00:00 UTC on, wherever the machine stands."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    monkeypatch.setenv("KEYTRIP_NOW", now)
    done = keytrip(*HUNT, log(tmp_path, record(14, "new")), *NEW)
    monkeypatch.undo()
    time.tzset()
    assert done.code == 0, done.err
    assert ("days old" in done.err) == bool(said)
    assert said in done.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--since", "0001-01-01", "before all records"),
        ("--until", "1969-12-31", "before all records"),
        ("--memory", "99999999999999999GB", "is no size"),
        ("--threads", "999999999", "--threads"),
    ],
)
@pytest.mark.usefixtures("store")
def test_numbers_beyond_all_sense(keytrip: Command, tmp_path: Path, option: str, value: str, said: str) -> None:
    """Days before 1970, more memory or threads than any machine has, are wrong usage."""
    done = keytrip(*HUNT, log(tmp_path, record(14, "new")), *NEW, option, value)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.usefixtures("store")
def test_a_clock_that_is_none_is_refused(keytrip: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KEYTRIP_NOW has to be a time."""
    monkeypatch.setenv("KEYTRIP_NOW", "soon")
    done = keytrip(*HUNT, log(tmp_path, record(14, "new")), *NEW)
    assert done.code == 2
    assert "KEYTRIP_NOW 'soon' is no time" in done.err


def tables(folder: Path, **texts: str) -> Path:
    """Write tables as CSV; return their folder."""
    for table, text in texts.items():
        path = folder / "tables" / f"{table}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "tables"


def test_a_missing_table_skips_its_rules(keytrip: Command, tmp_path: Path) -> None:
    """A rule whose table is not there is skipped and named; if that is all of them, it is an error."""
    folder = tables(tmp_path, keys="key_id,first_seen,last_seen,days,events\na,,,1,1\n")
    path = log(tmp_path, record(1, "new", request_count=900))
    some = keytrip(*HUNT, path, "--baseline", folder, *NEW, *VOLUME)
    assert some.code == 0
    assert [row["rule"] for row in some.rows] == ["key_never_seen"]
    assert "skipped reference_volume_spike: the table key_requests_daily is missing" in some.err
    every = keytrip(*HUNT, path, "--baseline", folder, *VOLUME)
    assert every.code == 1
    assert "reference_volume_spike" in every.err


def test_a_rule_that_is_refused_says_why(keytrip: Command, tmp_path: Path) -> None:
    """With its place; no table is asked for that would not help."""
    rule = "id: 5f3a7a3e-3a56-4b57-8d0e-1f2a3b4c5d6e\ntitle: T\nname: odd\nlogsource: {category: ai_usage}\n"
    path = tmp_path / "pack/rules/odd.yml"
    path.parent.mkdir(parents=True)
    path.write_text(f"{rule}detection: {{a: {{model|cidr: x}}, condition: a}}\n", encoding="utf-8")
    some = keytrip(*HUNT, log(tmp_path, record(1)), "--rule", "odd", "--pack", tmp_path / "pack")
    assert some.code == 1
    assert f"skipped odd: {path}:1: odd: Invalid CIDR expression" in some.err
    assert "no rule could run; each line above says why" in some.err


def test_an_empty_table_is_not_missing(keytrip: Command, tmp_path: Path) -> None:
    """A header alone is a table: of it every key is absent."""
    folder = tables(tmp_path, keys="key_id,first_seen,last_seen,days,events\n")
    assert len(keytrip(*HUNT, log(tmp_path, record(1, "new")), "--baseline", folder, *NEW).rows) == 1
    (folder / "keys.csv").unlink()
    (folder / "keys.ndjson").write_text("", encoding="utf-8")
    assert len(keytrip(*HUNT, log(tmp_path, record(1, "new")), "--baseline", folder, *NEW).rows) == 1


def test_cells_are_typed_by_the_job(keytrip: Command, tmp_path: Path) -> None:
    """Digits, exponents and NA are key ids; an empty cell is null and matches nothing, `""` is the empty string."""
    header = "key_id,model,first_seen,last_seen,days,events\r\n"
    rows = ["0042,1e3,,,1,1", "NA,null,,,1,1", ",m,,,1,1", '"",m,,,1,1', "b,,,,1,1"]
    keys = 'key_id\n0042\nNA\n""\nb\n'
    folder = tables(tmp_path, key_models=header + "".join(f"{row}\r\n" for row in rows), keys=keys)
    known = [record(1, "0042", model="1e3"), record(1, "NA", model="null"), record(1, "", model="m")]
    unknown = [record(1, "0042", model="1000"), record(1, "42", model="1e3"), record(1, "b", model="m")]
    done = keytrip(*HUNT, log(tmp_path, *known, *unknown), "--baseline", folder, "--rule", "reference_unknown_model")
    assert {(row["key_id"], row["group"]["model"]) for row in done.rows} == {("0042", "1000"), ("b", "m")}


FAULTS = {
    "a key twice": ("key_id,mean\na,1\na,2\n", "holds the key 'a' twice"),
    "no key": ("key,mean\na,1\n", "has no column 'key_id'"),
    "no number": ("key_id,mean,stddev\na,many,1\n", "is no table key_requests_daily"),
    "a row too long": ("key_id,mean,stddev\na,1,2,3\n", "is no table key_requests_daily"),
    "nothing": ("", "has no column 'key_id'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_is_none_is_named(keytrip: Command, tmp_path: Path, fault: str) -> None:
    """A file that is no such table exits 1, with its name and what is wrong."""
    text, reason = FAULTS[fault]
    done = keytrip(*HUNT, log(tmp_path, record(1)), "--baseline", tables(tmp_path, key_requests_daily=text), *VOLUME)
    assert done.code == 1
    assert "key_requests_daily.csv" in done.err
    assert reason in done.err


def test_no_folder_of_tables(keytrip: Command, tmp_path: Path) -> None:
    """A `--baseline` that is no folder is named."""
    done = keytrip(*HUNT, log(tmp_path, record(1)), "--baseline", "nowhere", *VOLUME)
    assert (done.code, "nowhere: no folder of tables" in done.err) == (1, True)


@pytest.mark.usefixtures("store")
def test_identical_files_count_once(keytrip: Command, tmp_path: Path) -> None:
    """A file given twice, or as a copy, counts once in a hunt, as it does in a store."""
    rows = [record(4, "a", request_count=12)]
    copies = [write(tmp_path / "copies" / f"{number}.ndjson", rows) for number in range(3)]
    assert keytrip(*HUNT, *copies, copies[0], tmp_path / "copies", *VOLUME).rows == []
    different = write(tmp_path / "copies" / "other.ndjson", [record(4, "a", 11, request_count=12)])
    assert len(keytrip(*HUNT, *copies, different, *VOLUME).rows) == 1


@pytest.mark.usefixtures("store")
def test_no_dated_record_is_no_alert(keytrip: Command, tmp_path: Path) -> None:
    """Undated records and empty files give no alert, in every mode, and exit 0."""
    undated_log = write(tmp_path / "undated.ndjson", [undated("a")])
    empty = write(tmp_path / "empty.ndjson", [])
    for path in (undated_log, empty):
        for mode in ((), ("--since", "2026-04-04")):
            done = keytrip(*HUNT, path, *mode, "--rule", "*")
            assert (done.code, done.out) == (0, ""), done.err


@pytest.mark.usefixtures("store")
def test_columns_that_are_null_throughout(keytrip: Command, tmp_path: Path) -> None:
    """Records with nothing but a time and a key are hunted by every rule."""
    bare: list[dict[str, Any]] = [{"timestamp": f"2026-04-04T{hour:02}:00:00Z", "key_id": "a"} for hour in range(24)]
    done = keytrip(*HUNT, log(tmp_path, *bare), "--rule", "*")
    assert done.code == 0, done.err
    assert [row["rule"] for row in done.rows] == ["reference_off_hours_usage", "reference_volume_spike"]


def test_chunks_with_and_without_faults(keytrip: Command, store: Path, tmp_path: Path) -> None:
    """Files with faulty lines and files without, all with request_ids, are read together; each twin counts once."""
    rows = [record(4, "a", hour, request_id=f"r{hour}", request_count=3) for hour in range(8)]
    good, bad = write(tmp_path / "good.ndjson", rows), tmp_path / "bad.ndjson"
    lines = [json.dumps(row) for row in [*rows[:4], record(4, "a", 20, request_id="x", request_count=30)]]
    bad.write_text("\n".join([*lines[:2], "no json", *lines[2:]]), encoding="utf-8")
    for paths in ((good, bad), (bad, good)):
        found = keytrip(*HUNT, *paths, *VOLUME)
        assert [row["observed"]["value_sum"] for row in found.rows] == [54]
        assert "bad.ndjson:3 is not JSON" in found.err
        alerts = hunted(paths, active(store), Options(chunk_bytes=1, rules=compiled(VOLUME[1]))).alerts
        assert [alert.observed["value_sum"] for alert in alerts] == [54]


@pytest.mark.usefixtures("store")
def test_the_whole_record_decides_between_equal_times(keytrip: Command, tmp_path: Path) -> None:
    """Twins of one time are told apart by fields that no chosen rule reads."""
    first, second = (record(4, request_id="r", asn=asn, request_count=count) for asn, count in ((1, 90), (5, 20)))
    for order in ((first, second), (second, first)):
        paths = [write(tmp_path / f"{number}.ndjson", [row]) for number, row in enumerate(order)]
        assert [row["observed"]["value_sum"] for row in keytrip(*HUNT, *paths, *VOLUME).rows] == [90]


@pytest.mark.usefixtures("store")
def test_sums_of_money_have_nine_decimals(keytrip: Command, tmp_path: Path) -> None:
    """A sum of costs is rounded to nine decimals, not to 12 digits, and does not depend on the records' order."""
    costs = [123456.123456789, 0.0000000004, 0.1, 0.2]
    for order in (costs, costs[::-1]):
        rows = [record(4, hour=hour, cost_usd=cost) for hour, cost in enumerate(order)]
        done = keytrip(*HUNT, log(tmp_path, *rows), "--rule", "org_spend_threshold_low")
        assert '"value_sum":123456.423456789}' in done.out
