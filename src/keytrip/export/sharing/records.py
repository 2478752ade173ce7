"""Deployment records and the lock of destinations that have no place for them: files in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrip.errors import SystemRefusedError
from keytrip.export.files.folder import write_text
from keytrip.export.model import Deployment, Holder
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text

_PATIENCE = 30


@dataclass(frozen=True)
class Records:
    """A folder of records.

    Attributes:
        folder: Is made by the first write.
    """

    folder: Path

    def deployments(self) -> tuple[Deployment, ...]:
        """Return every record, newest first.

        Raises:
            DataError: A file of that name is none.
        """
        files = sorted(self.folder.glob("deployment-*.json"), reverse=True)
        return tuple(deployment_of(path.read_text(encoding="utf-8")) for path in files)

    def save(self, deployment: Deployment) -> None:
        """Write a record, over one of the same number."""
        self._write(f"deployment-{deployment.number:08d}.json", deployment_text(deployment))

    def wipe(self) -> None:
        """Remove all records, the lock and the folder."""
        for path in (*self.folder.glob("deployment-*.json"), self._lock, self._guard):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock, over `dead` if given; return who holds it instead."""
        with self._guarded():
            now = self._holder()
            if now not in {None, dead} and now.token != holder.token:
                return now
            self._write(self._lock.name, holder_text(holder))
        return None

    def beat(self, holder: Holder) -> bool:
        """Write a new beat; whether the lock is still ours."""
        with self._guarded():
            if not self._ours(holder):
                return False
            self._write(self._lock.name, holder_text(holder))
        return True

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock if it is ours."""
        with self._guarded():
            if self._ours(holder):
                self._lock.unlink()

    @property
    def _lock(self) -> Path:
        return self.folder / "lock.json"

    @property
    def _guard(self) -> Path:
        return self.folder / "lock.guard"

    def _holder(self) -> Holder | None:
        return holder_of(self._lock.read_text(encoding="utf-8")) if self._lock.is_file() else None

    def _ours(self, holder: Holder) -> bool:
        now = self._holder()
        return now is not None and now.token == holder.token

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self._make()
        try:
            with FileLock(self._guard, timeout=_PATIENCE):
                yield
        except Timeout:
            raise SystemRefusedError(
                f"{self._guard} is held by another process", hint="wait for it, or end it"
            ) from None

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SystemRefusedError(
                f"{self.folder}: {error.strerror}", hint="name a folder that can be written"
            ) from None

    def _write(self, name: str, text: str) -> None:
        self._make()
        try:
            write_text(self.folder / name, text + "\n")
        except OSError as error:
            raise SystemRefusedError(f"{self.folder / name}: {error.strerror or os.strerror(0)}") from None
