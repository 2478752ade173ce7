"""The whole demo, as a newcomer runs it: what it prints, what it finds, and the page it leaves."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo.pages import Seen, alert, drawings, facts_of, key_facts

from keytrip.demo.company import company
from keytrip.demo.report import cases_of
from keytrip.demo.run import Command, _run, commands, judge, run_demo, table
from keytrip.demo.thefts import Theft, thefts
from keytrip.errors import DataError, SystemRefusedError

STOLEN = thefts(company())
# One worker runs these tests, so that the demo is run once.
pytestmark = pytest.mark.xdist_group("demo")


@dataclass(frozen=True)
class Ran:
    """One run of the demo: its folder, exit code, and lines."""

    folder: Path
    code: int
    lines: list[str]
    notes: list[str]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that its hunt wrote."""
        text = (self.folder / "demo" / "alerts.ndjson").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    @property
    def page(self) -> str:
        """Its page."""
        return (self.folder / "demo" / "report.html").read_text(encoding="utf-8")


def keytrip(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in `folder`."""
    command = [sys.executable, "-m", "keytrip", *arguments]
    later = {**os.environ, "KEYTRIP_NOW": "2030-01-01"}  # what it does is the same in any year
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=later)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return one run of `keytrip demo`, without options."""
    folder = tmp_path_factory.mktemp("newcomer")
    done = keytrip(folder, "demo")
    return Ran(folder, done.returncode, done.stdout.decode().splitlines(), done.stderr.decode().splitlines())


@pytest.mark.slow
def test_exactly_the_stolen_keys_are_alarmed(ran: Ran) -> None:
    """All four thefts raise every alert that they should, nothing else raises any, and it exits 0."""
    assert ran.code == 0
    found = {(one["key_id"], one["rule"]) for one in ran.alerts}
    assert {(theft.key_id, rule) for theft in STOLEN for rule in theft.expected_rules} <= found
    assert {key for key, _ in found} == {theft.key_id for theft in STOLEN}


@pytest.mark.slow
def test_it_ends_with_the_table_and_the_page(ran: Ran) -> None:
    """The last line counts the alerts and names the page; above it is a row an alert, each stolen key named once."""
    assert ran.lines[-1] == f"{len(ran.alerts)} alerts; the page is demo/report.html"
    assert ran.lines[-2] == "All 4 thefts found, no other key alarmed."
    head = next(n for n, line in enumerate(ran.lines) if line.startswith("key  "))
    rows = ran.lines[head + 2 : -3]
    assert len(rows) == len(ran.alerts)
    assert {row.split()[0] for row in rows if not row.startswith(" ")} == {theft.alias for theft in STOLEN}
    assert any(re.search(r"key_request_volume_robust +1,543 requests; usual 30.5 a day", row) for row in rows)
    assert max(map(len, rows)) <= 120


@pytest.mark.slow
def test_each_command_is_shown_and_can_be_typed(ran: Ran) -> None:
    """The four commands stand in the output as a shell takes them, and the hunt, typed again, gives the same alerts."""
    shown = [line.removeprefix("$ ") for line in ran.lines if line.startswith("$ ")]
    assert [shlex.split(line)[:2] for line in shown] == [
        ["keytrip", "baseline"],
        ["keytrip", "hunt"],
        ["keytrip", "compile"],
        ["keytrip", "compile"],
    ]
    typed, _, into = shown[1].partition(" > ")
    again = keytrip(ran.folder, *shlex.split(typed)[1:])
    assert again.stdout == (ran.folder / into).read_bytes()


@pytest.mark.slow
def test_both_queries_are_printed(ran: Ran) -> None:
    """After its command comes the text of the query: SPL with a lookup, ES|QL with a lookup join."""
    text = "\n".join(ran.lines)
    assert "| lookup keytrip_key_source_nets" in text
    assert "| LOOKUP JOIN keytrip_key_source_nets" in text


@pytest.mark.slow
def test_the_page_shows_the_thefts_and_loads_nothing(ran: Ran) -> None:
    """Each stolen key has a section with its story and three drawings, every other a small drawing; no resource."""
    seen = Seen(ran.page)
    assert [theft.alias for theft in STOLEN if f"{theft.story}" not in seen.text] == []
    assert seen.tags["section"] == len(STOLEN) + 1
    assert re.search(r"https?://|url\(|@import|<script|<link", ran.page) is None
    styles = [svg.get("class") for svg in drawings(ran.page)]
    assert (styles.count("daily"), styles.count("hours"), styles.count("spark")) == (8, 4, 56)
    assert "4 of 60 keys broke their habits" in seen.text


@pytest.mark.slow
def test_a_second_run_finds_the_same(ran: Ran) -> None:
    """In a folder that holds a demo already, it builds the next snapshot and ends with the same lines."""
    before = ran.lines[-14:]
    again = keytrip(ran.folder, "demo", "--quiet")
    assert again.returncode == 0
    typed = [line for line in again.stdout.decode().splitlines() if line.startswith("$ keytrip")]
    assert [" --quiet" in line for line in typed] == [True] * 4
    assert again.stdout.decode().splitlines()[-14:] == before
    assert again.stderr == b""


@pytest.mark.slow
def test_it_does_not_depend_on_the_date(ran: Ran) -> None:
    """Its baseline is not called old, although the month is over."""
    assert any(line.startswith("mode: against snapshot") for line in ran.notes)
    assert [line for line in ran.notes if "days old" in line] == []


def test_a_folder_with_a_space_is_quoted() -> None:
    """The commands can be typed whatever the folder is called."""
    shown = [str(command) for command in commands(Path("my demo"))]
    assert all(shlex.split(line.replace(" > ", " "))[0] == "keytrip" for line in shown)
    assert shown[1].endswith("> 'my demo/alerts.ndjson'")
    assert "'my demo/logs'" in shown[0]


def test_a_command_that_fails_stops_the_demo() -> None:
    """Its own complaint, and the command, are in the error; what it said is passed on."""
    said: list[str] = []
    with pytest.raises(DataError, match=r"keytrip compile no_such_rule: .*no_such_rule"):
        _run(Command(("compile", "no_such_rule")), said.append, said.append)
    assert said[1] == "$ keytrip compile no_such_rule"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Where a file is in the way, the error names it."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match="taken"):
        run_demo(tmp_path / "taken", print, print)


def test_the_demo_judges_itself() -> None:
    """A theft that is missed, and a key that is alarmed for nothing, are said and fail the demo."""
    stolen = [Theft("a", "anna", "resale", "", ()), Theft("b", "ben", "resale", "", ())]
    assert judge(stolen, [{"key_id": "a"}, {"key_id": "b"}, {"key_id": "a"}]) == (
        "All 2 thefts found, no other key alarmed.",
        0,
    )
    assert judge(stolen, [{"key_id": "a"}, {"key_id": None}]) == ("1 of 2 thefts found, 1 other keys alarmed.", 1)


def test_a_row_an_alert() -> None:
    """A key is named in its first row only; columns are as wide as their widest cell; no alert leaves the head."""
    facts = facts_of(key_facts())
    rows = list(table(cases_of([alert(), alert("key_never_seen")], facts)))
    assert [row.split("  ")[0] for row in rows[2:]] == ["anna", ""]
    assert len({row.index(text) for row, text in zip(rows[2:], ("300 requests;", "300 requests;"), strict=True)}) == 1
    assert len(list(table(()))) == 2
