"""plan, apply, drift, rollback, destroy and doctor as a user types them, over a folder; no server is used."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from keytrip.baselines.store import Store
from keytrip.cli import app
from keytrip.export.files.transport import FileTransport
from keytrip.export.indicators import read_indicators
from keytrip.export.locking import whoami
from keytrip.export.model import Holder

RULE = ("--rule", "key_new_network", "--rule", "key_never_seen")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Typed:
    """Runs commands on one folder and one store."""

    def __init__(self, store: Store, shown: pytest.CaptureFixture[str]) -> None:
        self.store, self.shown, self.err = store, shown, ""

    def __call__(self, command: str, *arguments: str, code: int = 0) -> str:
        """Return what a command writes to standard output."""
        first, second = command.split()[:2]
        more = () if second.endswith(".json") else ("--url", "export")
        more += ("--store", str(self.store.root)) if more and first in {"plan", "apply", "drift"} else ()
        self.shown.readouterr()
        assert app.run([*command.split(), *more, *arguments]) == code, self.shown.readouterr().err
        found = self.shown.readouterr()
        self.err = found.err
        return found.out

    def rows(self, command: str, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Return its rows of JSON."""
        return [json.loads(line) for line in self(command, "--format", "json", *arguments, code=code).splitlines()]


@pytest.fixture
def typed(store: Store, capsys: pytest.CaptureFixture[str]) -> Typed:
    """A command line."""
    return Typed(store, capsys)


def test_the_way_of_a_deployment(typed: Typed) -> None:
    """Planned, applied, found in order, found edited, put right, rolled back and removed."""
    assert typed("plan csv", *RULE).splitlines()[-1].endswith(" to create")
    assert not Path("export").exists()
    typed("apply csv", *RULE)
    assert typed.err == "csv: applied to export\n"
    assert typed("plan csv", *RULE).startswith("nothing to do: ")
    assert typed("drift csv") == "nothing drifted\n"
    path = Path("export/rules/splunk/key_new_network.spl")
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}| head 1\n", encoding="utf-8")
    drifted = typed("drift csv", code=1).splitlines()
    assert drifted[0].startswith("changed rule rules/splunk/key_new_network.spl (at 20")
    assert "      +| head 1" in drifted
    planned = typed("plan csv", *RULE).splitlines()
    assert planned[0] == "~ rule rules/splunk/key_new_network.spl"
    assert "      -| head 1" in planned
    typed("apply csv", *RULE)
    assert path.read_text(encoding="utf-8") == text
    one = [row for row in typed.rows("plan csv", "--rule", "key_new_network") if row["action"] != "unchanged"]
    assert {(row["kind"], row["action"]) for row in one} == {("rule", "kept"), ("list", "update"), ("text", "update")}
    assert "--prune deletes what is kept" in typed("apply csv", "--rule", "key_new_network")
    Path("pack").mkdir()
    Path("pack/pack.yml").write_text("disabled: [key_never_seen]\n", encoding="utf-8")
    typed("apply csv", "--pack", "pack", "--prune")
    assert not Path("export/rules/splunk/key_never_seen.spl").exists()
    typed("rollback csv")
    assert Path("export/rules/splunk/key_never_seen.spl").exists()
    assert [row["ok"] for row in typed.rows("doctor csv")] == [True, True, True]
    assert "destroy asks first" in (typed("destroy csv", code=2) or typed.err)
    typed("destroy csv", "--yes")
    assert not Path("export").exists()


IOCS = "kind,value,first_seen,last_seen\nuser_agent,{agent},2026-04-01T00:00:00Z,2026-04-02T00:00:00Z\n"


def test_a_list_of_indicators_is_a_file(typed: Typed) -> None:
    """What `--iocs` names is planned, written in the form that it reads, found edited, rolled back and removed."""
    path = Path("export/iocs/indicators.csv")
    for agent in ("=1+1", "curl"):
        Path(f"{agent}.csv").write_text(IOCS.format(agent=agent), encoding="utf-8")
    assert "+ ioc_list iocs/indicators.csv" in typed("plan csv --iocs =1+1.csv", *RULE).splitlines()
    typed("plan csv --out plan.json --iocs =1+1.csv", *RULE)
    typed("apply plan.json")
    assert read_indicators(path) == read_indicators(Path("=1+1.csv"))
    assert '"user_agent","=1+1",' in path.read_text("utf-8")
    assert "- `iocs/indicators.csv`: 1 indicators" in Path("export/README.md").read_text("utf-8")
    assert typed("plan csv --iocs =1+1.csv", *RULE).startswith("nothing to do: ")
    path.write_text(path.read_text("utf-8").replace("=1+1", "wget"), encoding="utf-8")
    assert typed("drift csv", code=1).startswith("changed ioc_list iocs/indicators.csv")
    typed("apply csv --iocs curl.csv", *RULE)
    assert read_indicators(path) == read_indicators(Path("curl.csv"))
    typed("rollback csv")
    assert read_indicators(path) == read_indicators(Path("=1+1.csv"))
    typed("apply csv", *RULE)
    assert path.exists()
    typed("apply csv --prune")
    assert not path.parent.exists()


def test_indicators_are_not_dropped_in_silence(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destination that makes nothing of them says so."""
    monkeypatch.setenv("KEYTRIP_SPLUNK_APP_URL", "app")
    Path("iocs.csv").write_text(IOCS.format(agent="curl"), encoding="utf-8")
    typed("plan splunk_app --iocs iocs.csv", *RULE, code=2)
    assert "nothing is made of indicators" in typed.err


def test_a_plan_file_is_held_to(typed: Typed) -> None:
    """What somebody agreed to is done; when the world or the content is another one, nothing is."""
    typed("plan csv --out plan.json", *RULE)
    plan = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    assert plan["arguments"]["rules"] == ["key_new_network", "key_never_seen"]
    typed("apply plan.json")
    assert Path("export/rules/esql/key_never_seen.esql").is_file()
    typed("apply plan.json", code=3)
    assert "csv changed since the plan was made" in typed.err
    typed("plan csv --out plan.json")
    Path("export/README.md").write_text("edited", encoding="utf-8")
    typed("apply plan.json", code=3)
    assert Path("export/README.md").read_text(encoding="utf-8") == "edited"
    typed("plan csv --out plan.json")
    plan = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    Path("plan.json").write_text(json.dumps({**plan, "wanted": "another"}), encoding="utf-8")
    typed("apply plan.json", code=1)
    assert "changed since the plan was made" in typed.err


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 2, "destination": "", "world": "", "wanted": "", "arguments": {}}']
)
def test_what_is_no_plan_is_told(text: str, typed: Typed) -> None:
    """A file that `plan --out` did not write is refused by name."""
    Path("x.json").write_text(text, encoding="utf-8")
    typed("apply x.json", code=1)
    assert typed.err.startswith("keytrip: x.json: is ")
    full = {"format": 1, "destination": "csv", "world": "", "wanted": "", "arguments": {}}
    Path("x.json").write_text(json.dumps(full), encoding="utf-8")
    typed("apply x.json", code=1)
    assert "is no plan" in typed.err


WRONG = {
    "leave out what follows it": ("apply plan.json", "--prune"),
    "would delete all other rules": ("apply csv", "--prune", "--rule", "key_new_network"),
    "both say where": ("apply csv", "--out", "x"),
    "no destination 'nowhere'": ("plan nowhere",),
    "no rule is called": ("plan csv", "--rule", "nothing"),
    "has no option 'x'": ("plan csv", "--option", "x=y"),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_cannot_be_meant_is_told(words: str, typed: Typed) -> None:
    """Wrong usage ends with 2, in one line that says what to do."""
    typed(*WRONG[words], code=2)
    assert words in typed.err
    assert not Path("export").exists()


def test_a_rollback_or_drift_of_nothing_is_told(typed: Typed) -> None:
    """There is nothing to go back to, and nothing to compare with."""
    typed("rollback csv", code=1)
    assert "no deployment before" in typed.err
    typed("drift csv", code=1)
    assert "nothing was applied there" in typed.err


def test_of_two_applies_one_says_who_holds_the_folder(typed: Typed) -> None:
    """The second one ends with 3 and the holder's name, or goes on once the first is done."""
    there = FileTransport(Path("export"))
    first = Holder("t", whoami(), os.getpid(), 0)
    assert there.lock(first) is None
    typed("apply csv", *RULE, "--wait", "0.1", code=3)
    assert f"waiting for {whoami()} (process {os.getpid()})" in typed.err
    assert f"keytrip: held by {whoami()} (process {os.getpid()})" in typed.err
    assert not Path("export/README.md").exists()
    there.unlock(first)
    typed("apply csv", *RULE)
    assert Path("export/README.md").exists()


def test_rows_are_counted_where_the_snapshot_is_gone(typed: Typed, tmp_path: Path) -> None:
    """Drift says so, and still compares what it can."""
    typed("apply csv", *RULE)
    typed.store = Store(tmp_path / "other")
    assert typed("drift csv").splitlines()[-1] == "nothing drifted"
    assert "has no snapshot 1: rows are counted, not compared" in typed.err


def test_hostile_names_do_not_steer_the_terminal(typed: Typed) -> None:
    """Escapes of a template's text are written out, in a plan and in a drift."""
    folder = Path("pack/exporters/evil")
    folder.mkdir(parents=True)
    manifest = "name: evil\nabout: x\ntransport: files\ntemplates: [{template: t.j2, path: 'a\\tb.md'}]\n"
    (folder / "manifest.yml").write_text(manifest.replace("'a\\tb.md'", '"a\\x1b[2Jb.md"'), encoding="utf-8")
    (folder / "t.j2").write_text("one\n\x1b]0;pwned\x07\u202e\n", encoding="utf-8")
    shown = typed("apply evil", "--pack", "pack")
    assert shown.splitlines()[0] == "+ text a\\x1b[2Jb.md"
    (folder / "t.j2").write_text("two\n\x1b]0;pwned\x07\u202d\n", encoding="utf-8")
    for form in ("table", "json", "csv"):
        shown = typed("plan evil", "--pack", "pack", "--format", form)
        assert not {"\x1b", "\x07", "\u202e", "\u202d"} & set(shown), form
        assert "pwned" in shown


def test_a_person_sees_colours(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal additions are green; NO_COLOR and pipes get the same text without."""
    plain = typed("plan csv", *RULE)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = typed("plan csv", *RULE)
    assert "\x1b[32m+ rule rules/splunk/key_never_seen.spl\x1b[0m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert typed("plan csv", *RULE) == plain
