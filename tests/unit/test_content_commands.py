"""`keytrip rules`, `check`, `test` and `compile`: what they print, and what they exit with."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from compile.small_pack import RULE, Writer, writer

from keytrip.cli import app


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file of the pack `tmp_path`."""
    return writer(tmp_path)


def test_rules_are_listed_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    """Table, NDJSON and CSV name the same rules, and the reference rules are among them."""
    names = []
    for form in ("json", "csv"):
        assert app.run(["rules", "--format", form]) == 0
        text = capsys.readouterr().out
        rows = map(json.loads, text.splitlines()) if form == "json" else csv.DictReader(io.StringIO(text))
        names.append([row["rule"] for row in rows])
    assert names[0] == names[1] == sorted(names[0])
    assert {"reference_cost_spike", "key_new_network"} <= set(names[0])
    assert app.run(["rules"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names[0])


def test_rules_are_chosen_by_level_and_tag(capsys: pytest.CaptureFixture[str]) -> None:
    """`--level` is a lower bound, and `--tag` takes a pattern."""
    assert app.run(["rules", "--level", "critical", "--format", "json"]) == 0
    assert {json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()} == {"critical"}
    assert app.run(["rules", "--tag", "keytrip.*", "--format", "json"]) == 0
    assert {json.loads(line)["rule"][:9] for line in capsys.readouterr().out.splitlines()} == {"reference"}


def test_one_rule_is_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """A single rule comes with its triage text, and without its tests."""
    assert app.run(["rules", "key_new_network"]) == 0
    shown = capsys.readouterr().out
    assert "first_questions:" in shown
    assert "\ntests:" not in shown


def test_check_exits_one_with_a_line_a_problem(write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    """A faulty file gives its problems as lines, or as objects, and the status 1."""
    path = write("rules/more_requests.yml", RULE.replace("level: high", "level: urgent"))
    assert app.run(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith(f"{path}:36: more_requests: `level`: ")
    assert app.run(["check", str(path), "--format", "json"]) == 1
    problem = json.loads(capsys.readouterr().out)
    assert (problem["line"], problem["rule"], problem["path"]) == (36, "more_requests", str(path))


def test_a_pack_without_a_fault_exits_zero(write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No problem prints nothing on standard output."""
    write("rules/more_requests.yml", RULE)
    assert app.run(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


def test_a_failing_case_is_shown_with_its_events(
    write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A case that goes the other way fails the command, with the events and the expectation in the output."""
    write("rules/more_requests.yml", RULE.replace("request_count: 130}", "request_count: 132}"))
    assert app.run(["test", "more_requests", "--pack", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "test 'exactly the bound': expected no alert, got 1" in shown.out
    assert "request_count=132" in shown.out
    assert shown.err == "1 cases passed, 1 failed\n"
    assert app.run(["test", "more_requests", "--pack", str(tmp_path), "--format", "json"]) == 1
    assert [json.loads(line)["passed"] for line in capsys.readouterr().out.splitlines()] == [True, False]


def test_a_rule_compiles_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """One rule is printed as text."""
    assert app.run(["compile", "key_new_network", "--target", "duckdb"]) == 0
    assert "-- key_new_network" in capsys.readouterr().out


def test_rules_compile_into_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All rules become files with an index; a second run changes nothing, and says so by saying nothing."""
    assert app.run(["compile", "--target", "splunk", "--out", str(tmp_path), "--format", "json"]) == 0
    first = capsys.readouterr()
    index = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in index} | {"index.json"} == {path.name for path in tmp_path.iterdir()}
    assert "new: key_new_network.spl" in first.err
    assert app.run(["compile", "--target", "splunk", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_what_a_target_refuses_is_named(write: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that cannot be compiled exits 1 with the reason."""
    write("rules/more_requests.yml", RULE.replace("type: value_sum", "type: temporal"))
    assert app.run(["compile", "more_requests", "--pack", str(tmp_path)]) == 1
    assert "more_requests refused: " in capsys.readouterr().err
