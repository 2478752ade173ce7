"""The application: groups of commands, and the one place where errors become text and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from keytrip import __version__
from keytrip.cli.output import harmless
from keytrip.errors import KeytripError

_INTERRUPTED = 130
_BROKEN = 1
_REFUSED = 3

app = typer.Typer(
    name="keytrip",
    help="Notice a stolen AI API key in minutes: rules, baselines that learn each key's habits, queries for your SIEM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"keytrip {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    del version  # its callback answered


def _register() -> None:
    from keytrip.cli import baseline, content, data, deploy

    content.register(app)
    data.register(app)
    app.add_typer(baseline.app, name="baseline", rich_help_panel="Data")
    deploy.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    _register()
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        return _invoke(arguments)
    except KeytripError as error:
        return _fail(str(error), error.exit_code, verbose=verbose)
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED, verbose=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("not enough memory; try a smaller --memory", _REFUSED, verbose=verbose)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = _REFUSED if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG} else _BROKEN
        return _fail(f"{where}{error.strerror or error}", code, verbose=verbose)
    except Exception as error:  # noqa: BLE001 - the one edge: whatever else happens is told in a line, not a traceback
        return _unforeseen(error, verbose=verbose)


def _invoke(arguments: Sequence[str]) -> int:
    import click

    command = typer.main.get_command(app)
    try:
        code = command.main(list(arguments), prog_name="keytrip", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int, *, verbose: bool) -> int:
    sys.stdout.flush()
    lines = [harmless(line) for line in message.splitlines() if line.strip()][:2]
    sys.stderr.write("keytrip: " + "\n".join(lines) + "\n")
    if verbose:
        traceback.print_exc()
    return code


def _unforeseen(error: Exception, *, verbose: bool) -> int:
    """DuckDB's own errors arrive here, since its module may not be loaded."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "No space left" in str(error) or "OutOfMemory" in type(error).__name__ or "File too large" in str(error):
        return _fail(f"no room: {text}; free some disk, or raise --memory", _REFUSED, verbose=verbose)
    return _fail(f"{type(error).__name__}: {text} (--verbose shows where)", _BROKEN, verbose=verbose)
