"""What lies beside the app package: deployment records, generations of the tables as CSV files, and the lock."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keytrip.errors import DataError, Place, SystemRefusedError
from keytrip.export.files.folder import write_text
from keytrip.export.model import Deployment, Generation, Holder
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text

_FILE = re.compile(r"(keytrip_.+)_g([1-9][0-9]*)\.csv")
_KEPT = 10
_PATIENCE = 10.0


class State:
    """The folder of one app's state.

    Attributes:
        folder: Is made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def table_file(self, table: str, number: int) -> Path:
        """Return the file of a generation."""
        return self.folder / "tables" / f"{table}_g{number}.csv"

    def generations(self) -> frozenset[tuple[str, int]]:
        """Return the generations that are there."""
        matches = (_FILE.fullmatch(path.name) for path in self.folder.glob("tables/*.csv"))
        return frozenset((match[1], int(match[2])) for match in matches if match)

    def deployments(self) -> tuple[Deployment, ...]:
        """Return the records, newest first."""
        return tuple(deployment_of(text) for text in self._read("deployments.json"))

    def save(self, deployment: Deployment) -> None:
        """Write a record, over one of the same number; the newest ten are kept."""
        others = [one for one in self.deployments() if one.number != deployment.number]
        kept = sorted([deployment, *others], key=lambda one: -one.number)[:_KEPT]
        self._write("deployments.json", [deployment_text(one) for one in kept])

    def whole(self) -> dict[tuple[str, int], Generation]:
        """Return the generations that were written to the end."""
        found = [Generation(*values) for values in self._read("generations.json")]
        return {(one.table, one.number): one for one in found if self.table_file(one.table, one.number).is_file()}

    def remember(self, generation: Generation) -> None:
        """Say that a generation is whole."""
        found = {**self.whole(), (generation.table, generation.number): generation}
        self._write("generations.json", [[g.table, g.number, g.count, g.digest] for _, g in sorted(found.items())])

    def drop(self, table: str, number: int) -> None:
        """Remove a generation."""
        self.table_file(table, number).unlink(missing_ok=True)

    def holder(self) -> Holder | None:
        """Return who holds the lock."""
        found = self._read("lock.json")
        return holder_of(found[0]) if found else None

    def take(self, holder: Holder, dead: Holder | None) -> Holder | None:
        """Take the lock; return who holds it instead."""
        with self._alone():
            now = self.holder()
            free = now is None or now.token == holder.token
            if not free and (dead is None or now is None or (now.token, now.beat) != (dead.token, dead.beat)):
                return now
            self._write("lock.json", [holder_text(holder)])
        return None

    def beat(self, holder: Holder) -> bool:
        """Write the holder's beat; whether the lock is still ours."""
        with self._alone():
            now = self.holder()
            if now is None or now.token != holder.token:
                return False
            self._write("lock.json", [holder_text(holder)])
        return True

    def release(self, holder: Holder) -> None:
        """Let go of the lock if it is ours."""
        if not self.folder.is_dir():
            return
        with self._alone():
            now = self.holder()
            if now is not None and now.token == holder.token:
                (self.folder / "lock.json").unlink(missing_ok=True)

    def wipe(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self._made()
        try:
            with FileLock(self.folder / ".alone", timeout=_PATIENCE):
                yield
        except Timeout:
            hint = "another keytrip works on it; try again"
            raise SystemRefusedError(f"{self.folder} is busy", hint=hint) from None

    def _made(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SystemRefusedError(f"{self.folder}: {error.strerror}", hint="name a folder with --url") from None

    def _read(self, name: str) -> list[Any]:
        path = self.folder / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (ValueError, OSError) as error:
            raise DataError("cannot be read", place=Place(str(path)), hint="remove it, and apply again") from error
        return found if isinstance(found, list) else []

    def _write(self, name: str, values: list[Any]) -> None:
        self._made()
        write_text(self.folder / name, json.dumps(values))


def writable(folder: Path) -> bool:
    """Whether a folder, or the nearest one above it that is there, can be written."""
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    return there.is_dir() and os.access(there, os.W_OK)
