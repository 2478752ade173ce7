"""docs/rules.md: the rule that it shows is a good one, its cases pass, and a failure looks as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keytrip.cli import app
from keytrip.compile.check import check_content

_TEXT = (Path(__file__).parents[2] / "docs/rules.md").read_text(encoding="utf-8")
(RULE,) = (block for block in re.findall(r"```yaml\n(.*?)```", _TEXT, re.DOTALL) if block.startswith("title:"))
(REPORT,) = re.findall(r"```text\n(.*?)```", _TEXT, re.DOTALL)


def test_the_rule_of_the_page_is_a_good_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What readers copy is accepted, and does what its cases say."""
    path = tmp_path / "rules/key_failures.yml"
    path.parent.mkdir()
    path.write_text(RULE, encoding="utf-8")
    assert [str(problem) for problem in check_content((tmp_path,), (path,))] == []
    assert app.run(["test", "key_failures_beyond_use", "--pack", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "3 cases passed, 0 failed\n"


def test_the_failure_of_the_page_is_shown_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The case that does not fire, asked to fire, gives the page's report, but for the end of a long line."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mypack/rules/key_failures.yml"
    path.parent.mkdir(parents=True)
    name = "name: as many as on its busiest day\n    fires: "
    path.write_text(RULE.replace(f"{name}false", f"{name}true"), encoding="utf-8")
    assert app.run(["test", "key_failures_beyond_use", "--pack", "mypack"]) == 1
    shown = capsys.readouterr().out.splitlines()
    expected = REPORT.splitlines()
    assert len(shown) == len(expected)
    for line, wanted in zip(shown, expected, strict=True):
        assert line.startswith(wanted.removesuffix("...")) if wanted.endswith("...") else line == wanted
