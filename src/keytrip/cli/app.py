"""The application: groups of commands, and the one place where errors become text and an exit code."""

from __future__ import annotations

import errno
import inspect
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from keytrip import __version__
from keytrip.cli.output import harmless, open_streams
from keytrip.errors import KeytripError

# typer has its own copy of click, or uses the one that is installed: the version decides.
_TYPED_WRONGLY: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if issubclass(kind, Exception) and kind.__name__ == "ClickException"
)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_ABOUT = "Notice a stolen AI API key in minutes: rules, baselines that learn each key's habits, queries for your SIEM."
_SETTINGS = {"help_option_names": ["-h", "--help"]}
# The modules of commands in the order of the help, and what each has.
_MODULES: Mapping[str, tuple[str, ...]] = {
    "content": ("rules", "check", "test", "compile", "coverage"),
    "new": ("new",),
    "data": ("read", "hunt", "demo"),
    "baseline": ("baseline",),
    "deploy": ("plan", "apply"),
    "deployed": ("drift", "rollback", "destroy", "doctor"),
}
_INTERRUPTED = 130
_BROKEN = 1
_WRONG_USAGE = 2
_REFUSED = 3


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"keytrip {__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    del version  # its callback answered


def application(first: str = "") -> typer.Typer:
    """Return the application.

    Args:
        first: A command; only the module that has it is then loaded. With anything else all commands are there.
    """
    app = typer.Typer(
        name="keytrip",
        help=_ABOUT,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=_SETTINGS,
    )
    app.callback()(_root)
    for module in [name for name, commands in _MODULES.items() if first in commands] or _MODULES:
        import_module(f"keytrip.cli.{module}").register(app)
    _examples_last(app)
    return app


def _examples_last(group: typer.Typer) -> None:
    """Move the examples of each docstring behind the options, where the help ends and people look."""
    for command in group.registered_commands:
        about, _, examples = inspect.cleandoc(command.callback.__doc__ or "").partition("Examples:\n")
        command.help = about.rstrip("\b \n")
        # only an empty line keeps two lines of an epilog apart
        command.epilog = "\n\n".join(["Examples:", *(line.strip() for line in examples.splitlines())])
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            _examples_last(inner.typer_instance)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code."""
    open_streams()
    verbose = "--verbose" in arguments or "-v" in arguments
    try:
        return _invoke(arguments)
    except KeytripError as error:
        return _fail(str(error), error.exit_code, verbose=verbose)
    except KeyboardInterrupt:
        return _interrupted()
    except MemoryError:
        return _fail("not enough memory; try a smaller --memory", _REFUSED, verbose=verbose)
    except OSError as error:
        return _refused(error, verbose=verbose)
    except Exception as error:  # noqa: BLE001 - the one edge: whatever else happens is told in a line, not a traceback
        return _unforeseen(error, verbose=verbose)


def _invoke(arguments: Sequence[str]) -> int:
    command = typer.main.get_command(application(arguments[0] if arguments else ""))
    try:
        code = command.main(list(arguments), prog_name="keytrip", standalone_mode=False)
    except _TYPED_WRONGLY as error:
        return _usage(error)
    except typer.Abort:
        return _interrupted()
    if code == _INTERRUPTED:  # typer's newer versions turn the interrupt into a code
        return _interrupted()
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return _WRONG_USAGE
    command = error.ctx.command_path if getattr(error, "ctx", None) else "keytrip"
    return _fail(f"{error.format_message().rstrip('.')}; see `{command} --help`", _WRONG_USAGE, verbose=False)


def _interrupted() -> int:
    from keytrip.sources.work import sweep

    sweep()
    return _fail("interrupted", _INTERRUPTED, verbose=False)


def _refused(error: OSError, *, verbose: bool) -> int:
    what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    if error.errno not in _NO_ROOM:
        return _fail(what, _BROKEN, verbose=verbose)
    return _fail(f"no room: {what}; free some disk, or let TMPDIR name a larger one", _REFUSED, verbose=verbose)


def _fail(message: str, code: int, *, verbose: bool) -> int:
    from keytrip.sources.secrets import mask

    lines = [harmless(line) for line in mask(message).splitlines() if line.strip()][:2]
    if verbose:
        lines += [harmless(line) for line in mask(traceback.format_exc()).splitlines()]
    with suppress(OSError):  # there is no other place to complain to
        sys.stderr.write("keytrip: " + "\n".join(lines) + "\n")
    return code


def _unforeseen(error: Exception, *, verbose: bool) -> int:
    """DuckDB's own errors arrive here, since its module may not be loaded."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    if text == "Query interrupted":
        return _interrupted()
    if "No space left" in str(error) or "OutOfMemory" in type(error).__name__ or "File too large" in str(error):
        return _fail(f"no room: {text}; free some disk, or raise --memory", _REFUSED, verbose=verbose)
    return _fail(f"{type(error).__name__}: {text} (--verbose shows where)", _BROKEN, verbose=verbose)
