"""Deployment records and the lock as files of a folder, for destinations that have no other place for them.

deployments/N.json    what was put there, and before
lock.json             who is at work
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrip.baselines.store import replace_file
from keytrip.errors import SystemRefusedError
from keytrip.export.model import Deployment, Holder
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text

_PATIENCE = 10


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
            DataError: A file is none.
        """
        paths = (path for path in (self.folder / "deployments").glob("*.json") if path.stem.isdigit())
        found = sorted(paths, key=lambda path: -int(path.stem))
        return tuple(deployment_of(path.read_text(encoding="utf-8")) for path in found)

    def save(self, deployment: Deployment) -> None:
        """Write a record, over one of the same number, and remove those that no rollback needs.

        Raises:
            SystemRefusedError: The disk refuses.
        """
        below = self.folder / "deployments"
        with refused(below):
            below.mkdir(parents=True, exist_ok=True)
            self._put(f"deployments/{deployment.number}.json", deployment_text(deployment) + "\n")
            records = self.deployments()
            done = [one.number for one in records if one.state == "done"]
            for record in records:
                if done[1:] and record.number < done[1]:
                    (below / f"{record.number}.json").unlink()

    def wipe(self) -> None:
        """Remove the folder.

        Raises:
            SystemRefusedError: The disk refuses.
        """
        with refused(self.folder):
            if self.folder.is_dir():
                shutil.rmtree(self.folder)

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock, over `dead` if given; return who holds it instead."""
        with self._exclusive():
            other = self._holder()
            if other is not None and other not in (dead, holder):
                return other
            self._put("lock.json", holder_text(holder))
            return None

    def beat(self, holder: Holder) -> bool:
        """Show that the holder lives; whether the lock is still its own."""
        with self._exclusive():
            other = self._holder()
            if other is None or other.token != holder.token:
                return False
            self._put("lock.json", holder_text(holder))
            return True

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock if it is the holder's."""
        if not self.folder.is_dir():
            return
        with self._exclusive():
            other = self._holder()
            if other is not None and other.token == holder.token:
                (self.folder / "lock.json").unlink()

    def _holder(self) -> Holder | None:
        path = self.folder / "lock.json"
        return holder_of(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _put(self, name: str, text: str) -> None:
        path = self.folder / name
        # whoever holds the lock, or is about to, is alone in this folder, and writes over what a killed process left
        part = path.with_name(".part")
        part.write_text(text, encoding="utf-8")
        replace_file(part, path)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other processes of this machine away for the moment that a lock is looked at and written."""
        from filelock import FileLock, Timeout

        with refused(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with FileLock(self.folder / "lock", timeout=_PATIENCE):
                    yield
            except Timeout:
                problem = f"{self.folder}: the lock's file is held"
                raise SystemRefusedError(problem, hint="look which process holds it") from None


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into an error with the path.

    Raises:
        SystemRefusedError: The disk refused.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        hint = "look at its permissions and the disk, then apply again"
        raise SystemRefusedError(f"{where}: {error.strerror or error}", hint=hint) from error
