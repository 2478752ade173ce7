"""Records with the same source and request_id count once, whichever file has them, comes first, changes or goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import date
from itertools import permutations
from pathlib import Path

import pytest
from baselines.days import Record, record, undated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judge.compare import table_differences
from judge.harness import JOBS, Building, built, tables_of, write
from judge.records import read_files
from judge.tables import build, in_window, read_jobs

from keytrip.baselines.jobs import load_jobs

END = Building(end=date(2026, 4, 30))
EARLY = record(1, hour=9, request_id="r", cost_usd=1, model="early")
LATE = record(1, hour=9, request_id="r", cost_usd=2, model="late")  # its JSON is the greater
NEXT_DAY = record(2, request_id="r", cost_usd=4, model="next")
OTHERS = [record(1, "b", cost_usd=8), record(3, "b", request_id="s", cost_usd=16)]


def judged(files: Sequence[Sequence[Record]]) -> dict[str, dict[tuple[object, ...], dict[str, object]]]:
    """Return the tables of these files as the judge makes them."""
    events = in_window(read_files(files), date(2026, 4, 1), date(2026, 4, 30))
    return build(read_jobs(JOBS), events)


def differs(store: Path, files: Sequence[Sequence[Record]]) -> list[str]:
    """Return where a store's newest tables are not those of these files."""
    return table_differences(tables_of(store), judged(files))


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_any_order_of_arrival(order: tuple[int, ...], tmp_path: Path) -> None:
    """Three files with one request, built one after the other in any order: the earliest, smallest one counts."""
    files = [[EARLY, *OTHERS], [LATE], [NEXT_DAY, record(2)]]
    for number in order:
        built(tmp_path / "store", [write(tmp_path / f"{number}.ndjson", files[number])], END)
    assert differs(tmp_path / "store", files) == []
    assert {model for _, model in tables_of(tmp_path / "store")["key_models"]} == {"early", "gpt-4o"}


@pytest.mark.parametrize("together", [False, True])
def test_after_the_winner_is_replaced(together: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """When the winner's file gets other content, the record that lost to it counts, in whatever file it is."""
    first = [write(tmp_path / "1.ndjson", [EARLY]), write(tmp_path / "2.ndjson", [record(5, "c", request_id="t")])]
    second = write(tmp_path / "3.ndjson", [NEXT_DAY])
    for paths in [[*first, second]] if together else [first, [second]]:
        built(tmp_path / "store", paths, END)
    assert "next" not in {model for _, model in tables_of(tmp_path / "store")["key_models"]}
    built(tmp_path / "store", [write(tmp_path / "1.ndjson", OTHERS)], END)
    assert differs(tmp_path / "store", [OTHERS, [record(5, "c", request_id="t")], [NEXT_DAY]]) == []
    assert "next" in {model for _, model in tables_of(tmp_path / "store")["key_models"]}


def test_within_one_file(tmp_path: Path) -> None:
    """Twins within a file count once; records without a request_id are never twins."""
    rows = [LATE, EARLY, EARLY, record(1), record(1), {**EARLY, "source": "other"}]
    built(tmp_path / "store", [write(tmp_path / "1.ndjson", rows)], END)
    assert differs(tmp_path / "store", [rows]) == []
    assert tables_of(tmp_path / "store")["keys"][("a",)]["events"] == 4


def test_the_whole_record_decides_between_equal_times(tmp_path: Path) -> None:
    """The smallest JSON is that of the whole record, fields that no table looks at included."""
    twins = [{**EARLY, "asn": 5, "model": "a"}, {**EARLY, "asn": 1, "model": "z"}]
    for number, twin in enumerate(twins):
        built(tmp_path / "store", [write(tmp_path / f"{number}.ndjson", [twin])], END)
    assert {model for _, model in tables_of(tmp_path / "store")["key_models"]} == {"z"}


def test_a_dated_twin_wins_over_an_undated_one(tmp_path: Path) -> None:
    """An undated record is the latest of its twins."""
    files = [[undated("a", request_id="r", model="lost"), record(4)], [NEXT_DAY]]
    for number, rows in enumerate(files):
        built(tmp_path / "store", [write(tmp_path / f"{number}.ndjson", rows)], END)
    assert differs(tmp_path / "store", files) == []


EXAMPLES = int(os.environ.get("KEYTRIP_EXAMPLES", "5"))
TABLES = {"keys", "key_requests_daily", "key_cost_daily", "key_models"}
rows = st.builds(
    record,
    st.integers(1, 3),
    st.sampled_from(["a", "b", None]),
    st.sampled_from([0, 9, 23]),
    request_id=st.sampled_from(["r", "s", None]),
    cost_usd=st.sampled_from([1, 2.5, None]),
    model=st.sampled_from(["m", "n"]),
    asn=st.sampled_from([1, 20, None]),
)
unclear = st.builds(undated, st.just("u"), request_id=st.sampled_from(["r", None]), cost_usd=st.sampled_from([1, None]))
contents = st.lists(rows | unclear, max_size=4)
steps = st.lists(st.dictionaries(st.sampled_from("pqrs"), contents, min_size=1, max_size=3), min_size=1, max_size=5)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(steps, st.sampled_from([1, 2**20]))
def test_any_history_of_builds(history: list[dict[str, list[Record]]], chunk_bytes: int) -> None:
    """After any series of builds over files that come, change, empty and are copied, the tables are the files'."""
    with tempfile.TemporaryDirectory() as name:
        folder, live = Path(name), {"base": [record(1, "base")]}
        few = {table: job for table, job in load_jobs().items() if table in TABLES}
        options = Building(end=date(2026, 4, 30), chunk_bytes=chunk_bytes, jobs=few)
        built(folder / "store", [write(folder / "base.ndjson", live["base"])], options)
        for step in history:
            live |= step
            paths = [write(folder / f"{path}.ndjson", content) for path, content in step.items()]
            number = built(folder / "store", paths, options).number
        expected = {table: rows for table, rows in judged([*live.values()]).items() if table in TABLES}
        assert table_differences(tables_of(folder / "store", number, few), expected) == []


def test_an_empty_request_id_is_a_value(tmp_path: Path) -> None:
    """Canonical records are taken as written: `""` is an id like any other, null is none."""
    rows = [record(1, "a", hour, request_id=None) for hour in (1, 2)]
    rows += [record(1, "a", hour, request_id="") for hour in (3, 4)]
    store = tmp_path / "store"
    built(store, [write(tmp_path / "log.ndjson", rows)], Building())
    keys = tables_of(store)["keys"]
    assert [row["events"] for row in keys.values()] == [3]
