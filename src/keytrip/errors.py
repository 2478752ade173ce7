"""The one error base: what is wrong, where, and what to do. Only `keytrip.cli` turns it into text and an exit code.

KeytripError
├── ContentError    a rule, job, pipeline or exporter is wrong (exit 1)
├── DataError       records or files cannot be read (exit 1)
├── UsageError      the command was typed wrongly (exit 2)
└── SystemRefusedError  another system, or this machine's disk, refused (exit 3)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where an error is: any of a file, a line in it (from 1), a rule and a field."""

    path: str | None = None
    line: int | None = None
    rule: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        """Return `path:line: rule: field`, of which only the known parts are there."""
        spot = self.path or ""
        if self.path and self.line is not None:
            spot = f"{self.path}:{self.line}"
        return ": ".join(part for part in (spot, self.rule, self.field) if part)


class KeytripError(Exception):
    """Something the user can act on.

    Attributes:
        message: What is wrong; never holds a secret.
        place: Where.
        hint: What to do, or an empty string.
        exit_code: The exit code that the command line ends with.
    """

    exit_code = 1

    def __init__(self, message: str, *, place: Place | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place or Place()
        self.hint = hint

    def __str__(self) -> str:
        """Return `place: message; hint` on one line."""
        where = str(self.place)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class ContentError(KeytripError):
    """A rule, a baseline job, a pipeline or an exporter is wrong."""


class DataError(KeytripError):
    """Records, files or tables cannot be read."""


class UsageError(KeytripError):
    """The command was typed in a way that cannot work."""

    exit_code = 2


class SystemRefusedError(KeytripError):
    """Another system, or this machine's disk, refused or could not be reached."""

    exit_code = 3


def own_error(error: Exception) -> KeytripError | None:
    """Return the error of ours that an error was raised from, or that it is; None where there is none."""
    return next((found for found in (error.__cause__, error) if isinstance(found, KeytripError)), None)


def words_of(error: Exception) -> str:
    """Return the first words of an error: pySigma's own print the whole rule behind them."""
    return str(error.args[0] if error.args else type(error).__name__)
