"""The command line's edge: what happens becomes one or two lines and an exit code."""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable

import pytest
import typer

from keytrip.cli import app
from keytrip.errors import ContentError, DataError, KeytripError, Place, SystemRefusedError, UsageError


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let the next command raise."""

    def at(error: BaseException) -> None:
        def invoke(_: object) -> int:
            raise error

        monkeypatch.setattr(app, "_invoke", invoke)

    return at


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContentError("wrong"), 1),
        (DataError("wrong"), 1),
        (UsageError("wrong"), 2),
        (SystemRefusedError("wrong"), 3),
        (KeyboardInterrupt(), 130),
        (MemoryError(), 3),
        (OSError(errno.ENOSPC, "no space", "file"), 3),
        (FileNotFoundError(errno.ENOENT, "not there", "file"), 1),
        (RuntimeError("No space left on device"), 3),
        (RuntimeError("anything"), 1),
    ],
    ids=repr,
)
def test_each_kind_of_failure_has_its_status(
    error: BaseException, status: int, raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit codes are those of the contract, and a failure is one line on standard error."""
    raising(error)
    assert app.run(["rules"]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("keytrip: ")
    assert said.err.count("\n") == 1


def test_an_error_says_where_and_what_to_do(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Place, problem and hint are in the line, and a control character of a value is not."""
    error: KeytripError = ContentError("has \x1b[31m no id", place=Place("a.yml", 3, "rule"), hint="add one")
    raising(error)
    app.run(["check"])
    assert capsys.readouterr().err == "keytrip: a.yml:3: rule: has \\x1b[31m no id; add one\n"


def _commands(group: typer.Typer) -> list[Callable[..., object]]:
    inner = [c for g in group.registered_groups if g.typer_instance for c in _commands(g.typer_instance)]
    return [command.callback for command in group.registered_commands if command.callback] + inner


def test_every_command_has_quiet_and_verbose() -> None:
    """The two options are everywhere, as the contract says."""
    commands = _commands(app.application())
    assert len(commands) > 10
    assert [c.__name__ for c in commands if not {"quiet", "verbose"} <= set(inspect.signature(c).parameters)] == []


def test_verbose_adds_the_traceback(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only with `--verbose` is there a traceback."""
    raising(DataError("wrong"))
    app.run(["rules", "--verbose"])
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "No such command 'nothing'; see `keytrip --help`"),
        (["check", "--nothing"], "No such option: --nothing; see `keytrip check --help`"),
        (["baseline", "use", "x"], "see `keytrip baseline use --help`"),
        (["hunt"], "Missing argument 'paths'; see `keytrip hunt --help`"),
    ],
)
def test_wrong_usage_is_two(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was typed wrongly is named, with the help that tells how."""
    assert app.run(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["baseline"]])
def test_no_command_shows_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command the help is shown, and the status says that nothing was done."""
    assert app.run(arguments) == 2
    shown = capsys.readouterr()
    assert "Usage: keytrip" in shown.out + shown.err


def test_the_help_groups_commands_by_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    """`keytrip --help` fits one screen of 80 by 50, and names the groups."""
    assert app.run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"─ {panel} ─" in shown for panel in ("Content", "Data", "Deploy"))
    assert shown.count("\n") <= 50


def test_the_version_among_other_options(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` is answered behind another option too."""
    assert app.run(["--version", "rules"]) == 0
    assert capsys.readouterr().out.startswith("keytrip ")


def test_an_abort_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    """What typer takes for an abort ends as an interruption does."""

    def aborting(*_: object, **__: object) -> None:
        raise typer.Abort

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: type("Command", (), {"main": aborting})())
    assert app.run(["rules"]) == 130
