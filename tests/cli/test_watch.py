"""`keytrip test --watch`: again after each save, whatever is saved, until interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from compile.small_pack import JOB, RULE, writer

from keytrip.cli import app, watch


def test_each_save_runs_the_cases_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule that is broken, mended and joined by a job is tried each time, and the interrupt ends it with 130."""
    write = writer(tmp_path)
    write("rules/more_requests.yml", RULE)
    steps = iter(
        [
            lambda: None,
            lambda: write("rules/more_requests.yml", RULE.replace("request_count: 130}", "request_count: 1320}")),
            lambda: write("rules/more_requests.yml", "title: ["),
            lambda: write("baselines/my_requests.py", JOB),
            (tmp_path / "baselines/my_requests.py").unlink,
        ]
    )

    def edit(_: float) -> None:
        try:
            next(steps)()
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(watch.again, "__kwdefaults__", {"pause": edit})
    assert app.run(["test", "more_requests", "--watch", "--pack", str(tmp_path)]) == 130
    said = capsys.readouterr().err.replace("waiting for a change; Ctrl+C ends\n", "")
    assert said.startswith("2 cases passed, 0 failed\n1 cases passed, 1 failed\nkeytrip: ")
    assert said.count("is no YAML") == 3
    assert said.endswith("keytrip: interrupted\n")


def test_a_file_that_vanishes_while_it_is_looked_at_is_passed_over(tmp_path: Path) -> None:
    """Editors save by replacing: a name that is gone for an instant is no error."""
    writer(tmp_path)("rules/a.yml", RULE)
    dangling = tmp_path / "rules/b.yml"
    dangling.symlink_to(tmp_path / "nothing")
    assert {path.name for path in watch.saved([tmp_path]) if path.is_relative_to(tmp_path)} == {"a.yml"}
