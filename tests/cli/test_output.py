"""What is printed: the same for people and programs, and harmless whatever the logs say."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrip.cli import output
from keytrip.cli.output import Format, csv_cell, harmless, json_line, note, open_streams, show, write
from keytrip.cli.reading import inputs, progress
from keytrip.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.conftest import Done, Place

_ESCAPES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
HOSTILE = [
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[31m",
    "\x9b31m",
    "a\rb",
    "a\nb",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "a\u2028b",
    "a\u200bb",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\uff1d1",
    '"; drop table x; --',
    "[red]markup[/red]",
    "a,b",
    "x" * 300,
]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(_TEXT)
def test_no_text_can_steer_a_terminal(text: str) -> None:
    """Control characters, marks of direction and invisible characters are written out, in text and in JSON."""
    assert not _ESCAPES.search(harmless(text))
    assert "\n" not in harmless(text)
    assert not _ESCAPES.search(json_line({"a": text, text: 1}))


@given(
    st.dictionaries(
        _TEXT, st.one_of(st.none(), st.integers(-(2**60), 2**60), _TEXT, st.lists(_TEXT), st.floats(-1e9, 1e9))
    )
)
def test_json_is_the_same_after_it_was_made_harmless(value: dict[str, Any]) -> None:
    """A program reads back what was meant."""
    assert json.loads(json_line(value)) == value


@given(_TEXT)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    """A spreadsheet takes every cell for a text; nothing but the apostrophe and the escapes is new."""
    cell = csv_cell(text)

    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20"))
    assert cell.removeprefix("'") == harmless(text).removeprefix("'")


@pytest.mark.parametrize(
    ("value", "cell"),
    [(-1.5, -1.5), (None, None), ({"a": -1}, '{"a":-1}'), (["=1"], '["=1"]'), (("\x7f",), '["\\u007f"]')],
)
def test_numbers_and_lists_are_cells_too(value: object, cell: object) -> None:
    """A negative number stays a number; lists and mappings are JSON."""
    assert csv_cell(value) == cell


def _shown(capfdbinary: pytest.CaptureFixture[bytes], form: Format) -> str:
    show(
        [{"a": text, "level": "high", "n": {"x": 1, "y": text}} for text in HOSTILE], ["a", "level", "n"], form, "title"
    )
    return capfdbinary.readouterr().out.decode()


def test_a_table_holds_every_text_on_a_line_of_its_own(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """In a pipe the table has one line a row, whole and without colour, and markup is text."""
    text = _shown(capfdbinary, Format.table)

    assert not _ESCAPES.search(text)
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 2 + len(HOSTILE)
    assert all(line == line.rstrip() for line in lines)
    assert [harmless(value) for value in HOSTILE if harmless(value) not in text] == []


def test_csv_and_json_hold_the_same_rows(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Programs get every member, CSV with one line a row."""
    rows = list(csv.DictReader(io.StringIO(_shown(capfdbinary, Format.csv))))
    records = [json.loads(line) for line in _shown(capfdbinary, Format.json).splitlines()]

    assert [record["a"] for record in records] == HOSTILE
    assert [row["a"].removeprefix("'") for row in rows] == [harmless(text) for text in HOSTILE]
    assert [json.loads(row["n"])["y"] for row in rows] == HOSTILE


def test_what_standard_output_cannot_encode_is_written_out(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half of a pair is escaped; a stream without bytes below it takes text."""
    write("é\udce9\n")
    assert capfdbinary.readouterr().out == "é\\udce9\n".encode()

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    write("é\n")
    assert sys.stdout.getvalue() == "é\n"


def test_streams_that_are_closed_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a caller's >&- there is something to write to."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_streams()
    opened = (sys.stdout, sys.stderr)

    write("x")
    note("x")
    for stream in opened:
        stream.close()


def test_notes_are_one_line_and_can_be_silenced(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note is a line on standard error; --quiet drops it, and a full standard error does no harm."""
    note("a\nb\x1b")
    note("nothing", quiet=True)
    assert capsys.readouterr().err == "a\\nb\\x1b\n"

    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    note("lost")


def _hostile_log() -> bytes:
    lines = [
        {
            "timestamp": f"2026-04-{day}T0{n % 9}:00:00Z",
            "key_id": text,
            "model": text,
            "user_agent": text,
            "source_ip": text,
        }
        for n, text in enumerate(HOSTILE)
        for day in ("01", "09")
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _hunt(place: Place, form: str) -> Done:
    return place.run(
        "hunt",
        "a.ndjson",
        "--source",
        "canonical",
        "--since",
        "2026-04-09",
        "--rule",
        "key_never_seen",
        "--format",
        form,
    )


@pytest.fixture(name="hunted")
def _hunted(place: Place) -> Place:
    lines = [
        json.dumps({"timestamp": "2026-04-01", "key_id": "known"}),
        json.dumps({"timestamp": "2026-04-09", "key_id": "known"}),
    ]
    new = [json.dumps({"timestamp": "2026-04-09T01:00:00Z", "key_id": text, "model": text}) for text in HOSTILE]
    place.write({"a.ndjson": "\n".join([*lines, *new]).encode()})
    return place


def test_alerts_on_hostile_records_are_harmless_in_every_format(hunted: Place) -> None:
    """Key ids that are escapes, markup or formulas come out as text: the same alerts in table, JSON and CSV."""
    table, as_json, as_csv = (_hunt(hunted, form) for form in ("table", "json", "csv"))

    assert [done.code for done in (table, as_json, as_csv)] == [0, 0, 0]
    for done in (table, as_json, as_csv):
        assert not _ESCAPES.search(done.out.decode())
        assert not _ESCAPES.search(done.err)
    keys = sorted(row["key_id"] for row in as_json.rows)
    assert keys == sorted(HOSTILE)
    rows = list(csv.DictReader(io.StringIO(as_csv.out.decode())))
    assert sorted(row["key_id"].removeprefix("'") for row in rows) == sorted(harmless(key) for key in keys)
    assert not [row["key_id"] for row in rows if row["key_id"].startswith(("=", "+", "-", "@"))]
    assert [key for key in keys if harmless(key) not in table.out.decode()] == []


def test_the_table_is_the_default_and_plain_in_a_pipe(hunted: Place) -> None:
    """Without --format it is a table; colour is not forced into a pipe."""
    arguments = ["hunt", "a.ndjson", "--source", "canonical", "--since", "2026-04-09", "--rule", "key_never_seen"]
    plain = hunted.run(*arguments)
    forced = hunted.run(*arguments, env={"FORCE_COLOR": "1", "TERM": "xterm-256color"})

    assert plain.out == _hunt(hunted, "table").out
    assert forced.out == plain.out
    assert b"\x1b" not in forced.out


def _on_a_terminal(place: Place, env: dict[str, str]) -> str:
    """Run a hunt whose standard output is a terminal."""
    arguments = ["hunt", "a.ndjson", "--source", "canonical", "--since", "2026-04-09", "--rule", "key_never_seen"]
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "keytrip", *arguments],
        cwd=place.folder,
        env=place.environment({"TERM": "xterm-256color", "COLUMNS": "200"} | env),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    parts = []
    while part := _read(ours):
        parts.append(part)
    os.close(ours)
    assert done.wait(timeout=60) == 0
    return b"".join(parts).decode()


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # Linux says that the other side is closed by an error
        return b""


def test_colour_is_for_terminals_and_can_be_switched_off(place: Place) -> None:
    """On a terminal levels have colours; NO_COLOR takes them away, an empty NO_COLOR does not."""
    place.write(
        {"a.ndjson": b'{"timestamp": "2026-04-01", "key_id": "a"}\n{"timestamp": "2026-04-09", "key_id": "b"}\n'}
    )
    colours = re.compile("\x1b\\[[0-9;]*3[0-7]m")

    assert colours.search(_on_a_terminal(place, {}))
    assert colours.search(_on_a_terminal(place, {"NO_COLOR": ""}))
    assert not colours.search(_on_a_terminal(place, {"NO_COLOR": "1"}))


def test_a_terminal_gets_no_escapes_from_a_log(hunted: Place) -> None:
    """The only escapes on a terminal are our own styles."""
    text = re.sub("\x1b\\[[0-9;]*m", "", _on_a_terminal(hunted, {})).replace("\r\n", "\n")

    assert not _ESCAPES.search(text)


def test_records_keep_what_the_log_says(place: Place) -> None:
    """`read` stores hostile text as it is: it is made harmless where it is shown."""
    place.write({"a.ndjson": _hostile_log()})
    done = place.read("a.ndjson")

    assert done.code == 0
    assert {row["model"] for row in place.records()} == set(HOSTILE)


def test_one_format_each_is_known() -> None:
    """The three formats of the contract."""
    assert [form.value for form in output.Format] == ["table", "json", "csv"]


def test_a_bar_appears_on_a_terminal_once_the_work_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its patience has ended the bar is started, once; --quiet and a pipe get none."""
    started = []
    monkeypatch.setattr("rich.progress.Progress.start", lambda _: started.append(1))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("keytrip.cli.progress._PATIENCE", 60.0)
    with progress(10, quiet=False) as tick:
        tick(5)
    assert started == []

    monkeypatch.setattr("keytrip.cli.progress._PATIENCE", -1.0)
    with progress(10, quiet=False) as tick:
        tick(5)
        tick(5)
    with progress(10, quiet=True) as tick:
        tick(10)
    assert started == [1]


def test_a_closed_standard_input_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` without a standard input is wrong usage, also where interrupts cannot be held back."""
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.delattr("signal.pthread_sigmask")

    with pytest.raises(UsageError, match="standard input is closed"), inputs(["-"], "canonical", 1, quiet=True):
        pytest.fail("there is nothing to read")


def test_the_progress_bar_is_for_people_who_wait(place: Place, tmp_path: Path) -> None:
    """Standard error that is no terminal gets no bar; one that is gets it at most for long work."""
    place.write({"a.ndjson": b'{"timestamp": "2026-04-01", "key_id": "a"}\n'})
    ours, theirs = pty.openpty()
    arguments = ["read", "a.ndjson", "--source", "canonical", "--out", str(tmp_path / "r.parquet")]
    done = subprocess.run(
        [sys.executable, "-m", "keytrip", *arguments],
        cwd=place.folder,
        env=place.environment({"TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)

    assert done.returncode == 0
    assert place.read("a.ndjson").err == ""
