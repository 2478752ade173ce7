"""Bad input from the command line: a clear line, the right exit code, nothing half-written, no traceback."""

from __future__ import annotations

import gzip
import os
import secrets
import signal
import stat
import string
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from cli.conftest import RECORD

from keytrip.cli.app import run

if TYPE_CHECKING:
    from cli.conftest import Done, Place


def _clear(done: Done, code: int, *parts: str) -> None:
    """The command ended with `code`, one or two lines that hold `parts`, and no traceback."""
    assert done.code == code, done.err
    assert done.out == b""
    assert "Traceback" not in done.err
    assert 1 <= len(done.err.strip().splitlines()) <= 2
    assert done.err.startswith("keytrip: ")
    for part in parts:
        assert part in done.err


def _live_key() -> str:
    return "sk-proj-" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))


def test_the_summary_counts_everything(place: Place) -> None:
    """Records, undated ones, rejects, files, the range and where the rejects are; rejects alone are no failure."""
    place.write(
        {
            "a.ndjson": RECORD + b'{"timestamp": "2026-04-03T01:00:00+02:00", "key_id": "k"}\n{"key_id": "k"}\nbad\n',
            "b.csv": b"timestamp,key_id\n2026-04-02,k\n,\n",
        }
    )
    done = place.read("a.ndjson", "b.csv")

    assert done.code == 0
    assert done.rows == [
        {
            "records": 4,
            "undated": 1,
            "rejected": 2,
            "duplicates": 0,
            "files": 2,
            "first": "2026-04-01T00:00:00Z",
            "last": "2026-04-02T23:00:00Z",
            "rejects_file": "records.parquet.rejects.ndjson",
        }
    ]
    assert done.err == (
        "2 lines were no records and are in records.parquet.rejects.ndjson; first: a.ndjson:4 is not JSON "
        "(unexpected character, expected a JSON value)\n"
    )
    assert len(place.records()) == 4
    assert place.left() == {"a.ndjson", "b.csv", "records.parquet", "records.parquet.rejects.ndjson"}


def test_strict_makes_rejects_a_failure(place: Place) -> None:
    """With --strict one reject ends in exit code 1, the records are written all the same; without rejects it is 0."""
    place.write({"a.ndjson": RECORD + b"bad\n", "b.ndjson": RECORD})

    assert place.read("a.ndjson", "--strict").code == 1
    assert len(place.records()) == 1
    assert place.read("b.ndjson", "--strict").code == 0


def test_quiet_says_nothing_but_errors(place: Place) -> None:
    """--quiet leaves only the result, and an error if there is one."""
    place.write({"a.ndjson": RECORD + b"bad\n", "b.md": b"", "c.parquet": b"x"})

    assert place.read("a.ndjson", "--quiet").err == ""
    _clear(place.read("c.parquet", "--quiet"), 1, "c.parquet: cannot be read as Parquet")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.ndjson.gz", RECORD, "a.ndjson.gz: is no whole .gz file"),
        ("a.ndjson.gz", gzip.compress(RECORD * 99)[:-9], "a.ndjson.gz: is no whole .gz file"),
        ("a.ndjson.zst", zstandard.compress(os.urandom(999))[:-9], "a.ndjson.zst: is no whole .zst file"),
        ("a.parquet", RECORD, "a.parquet: cannot be read as Parquet"),
        ("a.ndjson", bytes(range(256)) * 99, "a.ndjson: not one record can be read: line 1 holds a NUL"),
        ("a.json", b"[" + RECORD, "a.json: is no JSON array"),
        ("a.csv", bytes(range(128, 256)), "a.csv: is no CSV: its first line is no header"),
        ("a.ndjson", b"[" * 100_000, "a.ndjson: not one record can be read: line 1 is nested too deeply"),
        ("a.xyz", RECORD, "a.xyz: its suffix does not say what it holds"),
    ],
)
@pytest.mark.parametrize("source", ["--source=canonical", None])
def test_a_file_that_is_not_what_it_says_is_refused_and_nothing_remains(
    place: Place, name: str, content: bytes, part: str, source: str | None
) -> None:
    """One such file among good ones: named, exit code 1, with and without --source; the old result is as it was."""
    place.write({"0.ndjson": RECORD, name: content, "records.parquet": b"old", "z.ndjson": RECORD + b"bad\n"})
    arguments = ["0.ndjson", "z.ndjson", name] if source else [name, "0.ndjson", "z.ndjson"]
    done = place.run("read", *arguments, "--out", "records.parquet", *([source] if source else []))

    assert (done.code, done.out) == (1, b"")
    assert "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith(f"keytrip: {name}: ")
    if source:
        _clear(done, 1, part)
    assert (place.folder / "records.parquet").read_bytes() == b"old"
    assert place.left() == {"0.ndjson", name, "records.parquet", "z.ndjson"}


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["nothing.ndjson"], 1, "nothing.ndjson: no such file, folder or match; check the path"),
        (["*.csv"], 1, "*.csv: no such file"),
        (["empty"], 1, "empty: the folder holds no log file; files must end in .ndjson"),
        (["pipe"], 1, "pipe: is no regular file; pipe it in, and name it -"),
        (["loop.ndjson"], 1, "loop.ndjson: no such file"),
        ([], 2, "Missing argument"),
        (["a.ndjson", "--max-line", "0"], 2, "--max-line"),
        (["a.ndjson", "--memory", "lots"], 2, "--memory 'lots' is no size"),
        (["a.ndjson", "--source", "nothing"], 2, "no source 'nothing'; one of: canonical"),
        (["a.ndjson", "--out", "empty"], 2, "--out empty is a folder; name a file"),
        (["a.ndjson", "--out", "no/where.parquet"], 2, "there is no folder no; make it first"),
        (["a.ndjson", "--format", "xml"], 2, "--format"),
    ],
)
def test_wrong_paths_and_options(place: Place, arguments: list[str], code: int, part: str) -> None:
    """Paths that name nothing end in 1, a command that cannot work in 2; nothing is written."""
    place.write({"a.ndjson": RECORD})
    (place.folder / "empty").mkdir()
    os.mkfifo(place.folder / "pipe")
    (place.folder / "loop.ndjson").symlink_to("loop.ndjson")

    _clear(place.read(*arguments), code, part)
    assert place.left() == {"a.ndjson"}


def test_a_result_whose_name_is_no_text_is_refused(place: Place) -> None:
    """DuckDB could not be told the name."""
    place.write({"a.ndjson": RECORD})

    _clear(place.read("a.ndjson", "--out", "caf\udce9"), 2, "--out: the name is no UTF-8")


def test_a_line_of_20_mb_is_set_aside(place: Place) -> None:
    """A line beyond 16 MiB is named, the ones around it are read; a higher limit takes it."""
    place.write({"a.ndjson": RECORD + RECORD[:-2] + b', "x": "' + b"x" * 20_000_000 + b'"}\n' + RECORD})
    done = place.read("a.ndjson")

    assert done.code == 0
    assert (done.rows[0]["records"], done.rows[0]["rejected"]) == (2, 1)
    assert "a.ndjson:2 is longer than 16777216 bytes" in done.err
    assert place.read("a.ndjson", "--max-line", 2**25).rows[0]["records"] == 3


def test_nesting_100000_deep_is_no_crash(place: Place) -> None:
    """A record with a member nested that deeply is a record; a line that is nothing else is none."""
    deep = b"[" * 100_000 + b"]" * 100_000
    place.write({"a.ndjson": RECORD + RECORD[:-2] + b', "x": ' + deep + b"}\n" + deep + b"\n"})
    done = place.read("a.ndjson")

    assert done.code == 0
    assert (done.rows[0]["records"], done.rows[0]["rejected"]) == (2, 1)
    assert "a.ndjson:3 is nested too deeply" in done.err


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_nothing_to_read_is_no_failure(place: Place, content: bytes) -> None:
    """Empty input gives an empty result with every column."""
    place.write({"a.ndjson": content})
    done = place.read("a.ndjson")

    assert done.code == 0
    assert done.rows[0]["records"] == 0
    assert done.rows[0]["first"] is None
    assert place.records() == []


@pytest.mark.parametrize(
    "data",
    [
        RECORD + b"bad\n" + RECORD,
        b"\xef\xbb\xbf" + (RECORD + b"\n" + RECORD).replace(b"\n", b"\r\n"),
        b" [" + RECORD + b"," + RECORD + b"]",
        b"timestamp,key_id\n2026-04-01,k\n2026-04-02,k\n",
        gzip.compress(RECORD * 2),
        zstandard.compress(RECORD * 2),
    ],
    ids=["lines", "bom and crlf", "array", "csv", "gzip", "zstd"],
)
def test_standard_input_is_read_in_every_form(place: Place, data: bytes) -> None:
    """`-` reads what is piped in, whatever it is; messages call it standard input."""
    done = place.read("-", input=data)

    assert done.code == 0
    assert done.rows[0]["records"] == 2
    assert len(place.records()) == 2
    assert done.rows[0]["rejected"] == 0 or "standard input:2 is not JSON" in done.err


def test_standard_input_beside_files_and_recognised(place: Place) -> None:
    """`-` may stand among files, and its source is recognised."""
    place.write({"a.ndjson": RECORD})
    done = place.run("read", "a.ndjson", "-", "--out", "records.parquet", "--format", "json", input=RECORD)

    assert done.code == 0
    assert done.rows[0]["records"] == 2
    assert done.err == "source: canonical (recognised; --source says it outright)\n"


def test_standard_input_that_is_closed_is_said(place: Place) -> None:
    """Reading what is not there is wrong usage."""
    done = place.read("-", preexec_fn=lambda: os.close(0))

    _clear(done, 2, "standard input is closed; name files, globs or folders")


def test_the_same_file_twice_is_one_file(place: Place) -> None:
    """By whatever paths it is named; files of one name in two folders are two."""
    place.write({"x/a.ndjson": RECORD + b"bad\n", "y/a.ndjson": RECORD + b"\nbad\n"})
    (place.folder / "link.ndjson").symlink_to("x/a.ndjson")
    done = place.read("x/a.ndjson", "./x/a.ndjson", "x", "**/a.ndjson", "link.ndjson")

    assert done.rows[0]["files"] == 2
    assert done.rows[0]["records"] == 2
    rejects = (place.folder / "records.parquet.rejects.ndjson").read_text(encoding="utf-8")
    assert '"line":2,' in rejects
    assert '{"file":"y/a.ndjson","line":3,' in rejects


def test_a_folder_is_read_without_the_commands_own_result(place: Place) -> None:
    """Reading a folder into a file in it a second time gives the same; what is no log is said to be skipped."""
    place.write({"a.ndjson": RECORD + b"bad\n", "README.md": b"hello"})
    first = place.read(".")
    second = place.read(".")

    assert first.rows[0]["records"] == second.rows[0]["records"] == 1
    assert "1 file skipped: no log by the suffix; first: README.md" in first.err
    assert "2 files skipped: no log by the suffix; first: README.md" in second.err
    assert place.read(".", "--quiet").err == ""


def test_names_with_special_characters_are_read(place: Place) -> None:
    """Brackets, stars, quotes, spaces, line ends, a leading dash and other alphabets are characters as any other."""
    names = [
        "a[1].ndjson",
        "b*.ndjson",
        "c'q\".ndjson",
        "d e.ndjson",
        "ü.ndjson",
        "f?.csv",
        "{g}.json",
        "-h.ndjson",
        "i\nj.ndjson",
    ]
    place.write({name: RECORD if not name.endswith("csv") else b"key_id,user\nk,u\n" for name in names})
    done = place.read(*(f"./{name}" for name in names))

    assert done.code == 0, done.err
    assert done.rows[0]["records"] == len(names)


def test_broken_names_and_texts_cannot_steer_the_terminal(place: Place) -> None:
    """An escape sequence in a file's name or in a broken line is written out, never sent."""
    name = "\x1b[2J\u202egnp.ndjson"
    place.write({name: RECORD + b"\x1b]0;owned\x07\n"})
    done = place.read(f"./{name}")
    missing = place.read("\x1b[31mnone.ndjson")

    for text in (done.err, missing.err, done.out.decode()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "\\x1b[2J\\u202egnp.ndjson:2" in done.err


def test_rejects_go_where_they_are_wanted(place: Place) -> None:
    """--rejects names the file; its folder is made."""
    place.write({"a.ndjson": RECORD + b"bad\n"})
    done = place.read("a.ndjson", "--rejects", "set/aside.ndjson")

    assert done.rows[0]["rejects_file"] == "set/aside.ndjson"
    assert place.left() == {"a.ndjson", "records.parquet", "set/aside.ndjson"}


def test_rejects_that_cannot_be_written_take_the_result_along(place: Place) -> None:
    """Without the rejects file nothing of the run remains."""
    place.write({"a.ndjson": RECORD + b"bad\n", "records.parquet": b"old"})
    (place.folder / "folder").mkdir()

    _clear(
        place.read("a.ndjson", "--rejects", "folder"),
        3,
        "folder: cannot be written (Is a directory); use --rejects FILE",
    )
    assert (place.folder / "records.parquet").read_bytes() == b"old"
    assert place.left() == {"a.ndjson", "records.parquet"}


def _big(lines: int) -> bytes:
    return b"".join(
        f'{{"timestamp": "2026-04-01T00:00:00Z", "key_id": "k{secrets.token_hex(20)}"}}\n'.encode()
        for _ in range(lines)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", _big(9000)),
        ("a.ndjson.gz", gzip.compress(_big(9000))),
        ("a.ndjson", RECORD + b"{bad\n" * 3 + _big(9000)),
    ],
    ids=["result", "unpacked", "converted"],
)
def test_a_full_disk_is_said_and_nothing_is_left(place: Place, name: str, content: bytes) -> None:
    """Where the result, what is unpacked or what is converted does not fit: exit code 3, and the old result stays."""
    place.write({name: content, "records.parquet": b"old"})
    done = place.read(name, most=100_000)

    _clear(done, 3, "no room: ", "File too large", "free some disk")
    assert (place.folder / "records.parquet").read_bytes() == b"old"
    assert place.left() == {name, "records.parquet"}


def test_rejects_that_do_not_fit_leave_no_part(place: Place) -> None:
    """The rejects file is there whole or not at all."""
    place.write({"a.ndjson": RECORD + b"this is no record at all, and there are many of it\n" * 5000})
    done = place.read("a.ndjson", most=200_000)

    _clear(done, 3, "cannot be written (File too large); use --rejects FILE")
    assert place.left() == {"a.ndjson"}


def test_a_full_standard_output_is_said(place: Place) -> None:
    """A result that cannot be said is no success; a full standard error is no reason to fail."""
    place.write({"a.ndjson": RECORD + b"bad\n"})
    command = [sys.executable, "-m", "keytrip", "read", "a.ndjson", "--source", "canonical", "--out", "records.parquet"]
    options = {"cwd": place.folder, "env": place.environment(), "check": False, "timeout": 120}
    with Path("/dev/full").open("wb") as full:
        out = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, **options)  # noqa: PLW1510 - options has it
        err = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, **options)  # noqa: PLW1510 - options has it

    assert out.returncode == 3
    assert b"No space left on device; free some disk" in out.stderr
    assert b"Traceback" not in out.stderr
    assert err.returncode == 0
    assert b"records" in err.stdout


def test_closed_streams_are_no_failure(place: Place) -> None:
    """Run from a daemon without standard streams, the command does its work."""
    place.write({"a.ndjson": RECORD + b"bad\n"})

    def close() -> None:
        os.close(1)
        os.close(2)

    assert place.read("a.ndjson", preexec_fn=close).code == 0
    assert len(place.records()) == 1


def test_a_reader_that_goes_away_is_no_failure(place: Place) -> None:
    """`keytrip ... | head -0` ends with the command's own code and without a word."""
    place.write({"a.ndjson": RECORD})
    command = [sys.executable, "-m", "keytrip", "read", "a.ndjson", "--source", "canonical", "--out", "records.parquet"]
    gone, write = os.pipe()
    os.close(gone)
    done = subprocess.run(
        command,
        cwd=place.folder,
        env=place.environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
    os.close(write)

    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.parametrize("seen", [b"0.ndjson", b"a.ndjson.gz"])
def test_an_interrupt_ends_quietly_and_leaves_nothing(place: Place, seen: bytes) -> None:
    """Ctrl-C while files are read: exit code 130, no traceback, no part of a result, an empty work folder."""
    name = seen.decode()
    content = _big(400_000)
    place.write({name: gzip.compress(content, 1) if name.endswith("gz") else content, "records.parquet": b"old"})
    arguments = ["read", name, "--source", "canonical", "--out", "records.parquet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "keytrip", *arguments],
        cwd=place.folder,
        # an interrupt within the lock of the measuring would never end
        env=place.environment(measured=False),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell that starts the tests in the background has it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )
    with process:
        _wait_for(lambda: any(place.work.iterdir()) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 130
    assert out == b""
    assert err == b"keytrip: interrupted\n"
    assert (place.folder / "records.parquet").read_bytes() == b"old"
    assert place.left() == {name, "records.parquet"}


def _wait_for(ready: Callable[[], bool]) -> None:
    """Wait until the command has begun its work, for at most a minute."""
    until = time.monotonic() + 60
    while not ready() and time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(place: Place) -> None:
    """What may not be read is named with the system's reason."""
    place.write({"a.ndjson": RECORD, "b.ndjson": RECORD})
    (place.folder / "b.ndjson").chmod(0)

    _clear(place.read("a.ndjson", "b.ndjson"), 1, "b.ndjson: Permission denied")
    assert place.left() == {"a.ndjson", "b.ndjson"}


def test_a_folder_with_the_name_of_a_file_is_read_as_a_folder(place: Place) -> None:
    """A folder named like a log is a folder; one that the result needs is in the way."""
    place.write({"a.ndjson/b.ndjson": RECORD})

    assert place.read("a.ndjson").rows[0]["records"] == 1


def test_keys_in_clear_are_in_nothing_that_is_written(place: Place) -> None:
    """A live key in records, texts, broken lines and refused files is in no result, reject, message, store or table."""
    key = _live_key()
    record = (
        f'{{"timestamp": "2026-04-01T00:00:00Z", "key_id": "{key}", "user_agent": "x {key}", "request_id": "%s"}}\n'
    )
    place.write(
        {
            "a.ndjson": (
                record % "1"
                + record % "1"
                + record % "2"
                + f"broken {key}\n"
                + f'{{"key_id": "{key}", "cost_usd": "x"}}\n'
            ).encode(),
            "b.json": f'[{{"key_id": "{key}", garbage]'.encode(),
            "c.csv": f"key_id,user\n{key},u\n{key}\n".encode(),
        }
    )
    runs = [
        place.read("a.ndjson", "c.csv"),
        place.read("b.json"),
        place.read("b.json", "--verbose"),
        place.run(
            "hunt",
            "a.ndjson",
            "--source",
            "canonical",
            "--since",
            "2026-04-01",
            "--rule",
            "key_never_seen",
            "--format",
            "json",
        ),
        place.run("hunt", "a.ndjson", "--source", "canonical", "--since", "2026-04-01", "--rule", "key_never_seen"),
        place.run("baseline", "build", "a.ndjson", "--source", "canonical", "--end", "2026-04-01"),
        place.run("baseline", "export", "exported"),
    ]

    assert [done.code for done in runs] == [0, 1, 1, 0, 0, 0, 0]
    shown = b"".join(done.out + done.err.encode() for done in runs)
    written = b"".join(
        p.read_bytes() for p in place.folder.rglob("*") if p.is_file() and p.name not in {"a.ndjson", "b.json", "c.csv"}
    )
    for half in (key[4:24].encode(), key[-20:].encode()):
        assert half not in shown
        assert half not in written
    assert b"hmac-" in shown
    assert {row["key_id"][:5] for row in place.records()} == {"hmac-"}
    assert len({row["key_id"] for row in place.records()}) == 1


def test_the_key_of_pseudonyms_is_private_and_can_be_shared(place: Place) -> None:
    """It is made on first use with mode 0600, in the store or where KEYTRIP_HMAC_KEY_FILE says; same file, same ids."""
    key = _live_key()
    place.write({"a.ndjson": f'{{"timestamp": "2026-04-01", "key_id": "{key}"}}\n'.encode(), "b.ndjson": RECORD})
    shared = {"KEYTRIP_HMAC_KEY_FILE": str(place.folder / "shared" / "my.key")}

    assert place.read("b.ndjson").code == 0
    assert not (place.folder / ".keytrip").exists()
    ids = []
    for options, env in ([[], {}], [[], shared], [["--store", "other"], shared], [["--store", "other"], {}]):
        assert place.read("a.ndjson", *options, env=env).code == 0
        ids.append(place.records()[0]["key_id"])
    files = [place.folder / name for name in (".keytrip/hmac.key", "shared/my.key", "other/hmac.key")]

    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * 3
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3


def test_a_key_file_that_is_none_is_refused(place: Place) -> None:
    """A wrong key file is named, and nothing is written; it is not asked for where no log carries a key."""
    place.write(
        {
            "a.ndjson": f'{{"timestamp": "2026-04-01", "key_id": "{_live_key()}"}}\n'.encode(),
            "b.ndjson": RECORD,
            "k": b"no key",
        }
    )
    env = {"KEYTRIP_HMAC_KEY_FILE": "k"}

    _clear(place.read("a.ndjson", env=env), 1, "k: is no HMAC key file; it holds 64 hex digits")
    assert place.left() == {"a.ndjson", "b.ndjson", "k"}
    assert place.read("b.ndjson", env=env).code == 0


def test_verbose_adds_the_traceback_and_no_secret(place: Place) -> None:
    """--verbose shows where an error was raised."""
    place.write({"a.parquet": b"x"})
    done = place.read("a.parquet", "--verbose")

    assert done.code == 1
    assert done.err.startswith("keytrip: a.parquet: cannot be read as Parquet")
    assert "Traceback (most recent call last)" in done.err


@pytest.mark.parametrize("command", ["read", "hunt", "build"])
def test_all_reading_commands_refuse_alike(place: Place, command: str) -> None:
    """`hunt` and `baseline build` refuse a broken file by name as `read` does, and leave no store behind."""
    place.write({"a.ndjson": RECORD, "b.ndjson.gz": RECORD * 2})
    arguments = {
        "read": ["read", "--out", "records.parquet"],
        "hunt": ["hunt", "--since", "2026-04-01"],
        "build": ["baseline", "build"],
    }[command]
    done = place.run(*arguments, "a.ndjson", "b.ndjson.gz", "--source", "canonical")

    assert done.code == 1
    assert done.err.strip().splitlines()[-1].startswith("keytrip: b.ndjson.gz: is no whole .gz file")
    assert "Traceback" not in done.err
    assert not [name for name in place.left() if name.endswith((".parquet", ".part", "active.json"))]


def test_duplicates_are_dropped_whatever_file_they_are_in(place: Place) -> None:
    """Records of one source and request_id are one: the earliest; without an id they are all kept."""
    row = '{"timestamp": "%s", "key_id": "%s", "request_id": %s}\n'
    place.write(
        {
            "a.ndjson": (row % ("2026-04-02", "late", '"r"') + row % ("2026-04-01", "k", "null") * 2).encode(),
            "b.csv": b"timestamp,key_id,request_id\n2026-04-01,early,r\n",
        }
    )
    done = place.read("a.ndjson", "b.csv")

    assert done.rows[0]["duplicates"] == 1
    assert sorted(r["key_id"] for r in place.records()) == ["early", "k", "k"]


def test_a_variable_that_is_no_utf8(capfd: pytest.CaptureFixture[str]) -> None:
    """Bytes that no record holds are refused with the variable they are in."""
    assert run(["compile", "key_new_network", "--target", "splunk", "--var", "office=a\udcffb"]) == 2
    assert "--var 'office=a\\udcffb' is no UTF-8" in capfd.readouterr().err
