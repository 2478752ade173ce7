"""`incidents.yml`: days that a baseline leaves out, and files that are none."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from baselines.conftest import Command
from baselines.days import day_of, record, undated
from judge.harness import Building, built, tables_of, write

from keytrip.baselines.incidents import Incident, read_incidents
from keytrip.errors import DataError

FAULTS = {
    "no YAML": ("incidents: [", "is no YAML"),
    "a list": ("- {key_id: a}", "the file"),
    "another member": ("incidents: []\nmore: 1", "more"),
    "no key": ("incidents: [{from: 2026-04-01, to: 2026-04-02}]", "incidents.0.key_id"),
    "a list for a key": ("incidents: [{key_id: [a], from: 2026-04-01, to: 2026-04-02}]", "incidents.0.key_id"),
    "no end": ("incidents: [{key_id: a, from: 2026-04-01}]", "incidents.0.to"),
    "no day": ("incidents: [{key_id: a, from: 2026-04-31, to: 2026-05-01}]", "incidents.0.from"),
    "a time": ("incidents: [{key_id: a, from: 2026-04-01T10:00:00Z, to: 2026-05-01}]", "incidents.0.from"),
    "a number": ("incidents: [{key_id: a, from: 20260401, to: 2026-05-01}]", "incidents.0.from"),
    "an end before its start": ("incidents: [{key_id: a, from: 2026-04-02, to: 2026-04-01}]", "`to` is before `from`"),
}


def incident(key: str, first: int, last: int) -> Incident:
    """Return an incident in April 2026."""
    return Incident(key_id=key, first=date(2026, 4, first), last=date(2026, 4, last))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_none_is_named(fault: str, tmp_path: Path) -> None:
    """Reading says which file is wrong, where in it and why."""
    text, reason = FAULTS[fault]
    path = tmp_path / "incidents.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_incidents(path)
    assert "incidents.yml" in str(caught.value)
    assert reason in str(caught.value)


def test_keys_are_texts(tmp_path: Path) -> None:
    """A key id of digits is read as it stands, quoted or not; `*` has to be quoted, as YAML demands."""
    path = tmp_path / "incidents.yml"
    days = "from: 2026-04-01, to: 2026-04-02"
    keys = "".join(f"- {{key_id: {key}, {days}}}\n" for key in ("0042", '"1e3"', "NA", '"*"'))
    path.write_text(f"incidents:\n{keys}", encoding="utf-8")
    assert [found.key_id for found in read_incidents(path)] == ["0042", "1e3", "NA", "*"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """So is one that is not there."""
    with pytest.raises(DataError, match="cannot be read"):
        read_incidents(tmp_path / "incidents.yml")


def test_an_empty_file_excludes_nothing(tmp_path: Path) -> None:
    """An empty file has no incidents."""
    path = tmp_path / "incidents.yml"
    path.write_text("", encoding="utf-8")
    assert read_incidents(path) == ()


def test_days_of_a_key_are_left_out(tmp_path: Path) -> None:
    """Both ends are left out, of that key only, and of its provider's sum."""
    records = [record(day, key, provider="p", cost_usd=1) for day in range(1, 6) for key in ("a", "b")]
    log = write(tmp_path / "log.ndjson", records)
    built(tmp_path / "store", [log], Building(incidents=[incident("a", 2, 4)]))
    found = tables_of(tmp_path / "store")
    assert {key: row["days"] for key, row in found["key_requests_daily"].items()} == {("a",): 2, ("b",): 5}
    assert found["org_cost_daily"][("p",)]["max"] == 2
    assert found["org_cost_daily"][("p",)]["median"] == 1


def test_a_star_leaves_days_out_for_all(tmp_path: Path) -> None:
    """`*` means every key, and records without one."""
    records = [record(day, key, provider="p", cost_usd=1) for day in (1, 2) for key in ("a", None)]
    log = write(tmp_path / "log.ndjson", records)
    built(tmp_path / "store", [log], Building(incidents=[incident("*", 2, 2)]))
    found = tables_of(tmp_path / "store")
    assert found["org_cost_daily"][("p",)]["days"] == found["keys"][("a",)]["days"] == 1


def test_undated_records_go_with_their_day(tmp_path: Path) -> None:
    """An undated record is left out with its file's last day; without any dated one it belongs to no day, and stays."""
    log = write(tmp_path / "log.ndjson", [record(1), record(2), undated("u")])
    other = write(tmp_path / "other.ndjson", [undated("w")])
    built(tmp_path / "store", [log, other], Building(incidents=[incident("u", 2, 2), incident("w", 1, 2)]))
    assert set(tables_of(tmp_path / "store")["keys"]) == {("a",), ("w",)}


def test_from_the_command_line(keytrip: Command, tmp_path: Path) -> None:
    """`--exclude` reads the file; the manifest keeps what was left out, and the list counts it."""
    for day in range(1, 5):
        write(tmp_path / "logs" / f"{day}.ndjson", day_of(day))
    text = 'incidents: [{key_id: a, from: 2026-04-03, to: 2026-04-04, why: "stolen"}]'
    (tmp_path / "incidents.yml").write_text(text, encoding="utf-8")
    built_ = keytrip("baseline", "build", "logs", "--source", "canonical", "--exclude", "incidents.yml")
    assert built_.code == 0, built_.err
    assert keytrip("baseline", "list", "--format", "json").rows[0]["excluded"] == 1
    rows = keytrip("baseline", "show", "a", "--format", "json").rows
    assert next(row for row in rows if row["table"] == "keys")["days"] == 2
