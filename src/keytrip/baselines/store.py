"""The store on disk: who holds it, and how files get there so that a kill at any instant leaves it whole.

    hmac.key             key of the pseudonyms (0600)
    index.parquet        the live input files: the one commit point of stage one
    segments/N/          what one build reduced: a Parquet a partial, records that carry a request_id
    snapshots/N/         manifest.json and a Parquet a table; never changed once there
    active.json          which snapshot is in use, and which were before

Every file is written beside its place, flushed, and renamed. What no commit point names, the next build sweeps away.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keytrip.errors import DataError, Place, SystemRefusedError

# Begins the names of partials of identified records: see `keytrip.baselines.identified`.
GENERATION = "ids_"


class Store:
    """Paths of a store; makes nothing by itself."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def hmac_key(self) -> Path:
        """The key of the pseudonyms."""
        return self.root / "hmac.key"

    @property
    def index(self) -> Path:
        """The live input files."""
        return self.root / "index.parquet"

    @property
    def segments(self) -> Path:
        """The folder of segments."""
        return self.root / "segments"

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots."""
        return self.root / "snapshots"

    @property
    def active(self) -> Path:
        """Names the active snapshot."""
        return self.root / "active.json"


@contextmanager
def held(store: Store, wait: float) -> Iterator[None]:
    """Hold the store for writing; wait up to `wait` seconds for another process.

    Raises:
        SystemRefusedError: Another process holds it, or the folder cannot be written.
    """
    lock = _locked(store, wait)
    holder = store.root / "holder"
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _locked(store: Store, wait: float) -> Any:
    from filelock import FileLock, Timeout

    try:
        store.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(store.root / "lock", timeout=wait)
        lock.acquire()
    except Timeout as error:
        held_by = f"is held by {_holder(store)}"
        raise SystemRefusedError(held_by, place=Place(str(store.root)), hint="wait, or use --wait") from error
    except OSError as error:
        why = f"cannot be written ({error.strerror or error})"
        raise SystemRefusedError(why, place=Place(str(store.root)), hint="use --store DIR") from error
    return lock


def _holder(store: Store) -> str:
    try:
        return (store.root / "holder").read_text(encoding="utf-8")
    except OSError:
        return "another process"


def flush(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk (folders only where the system can)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(part: Path, path: Path) -> None:
    """Put a finished file in its place at once."""
    flush(part)
    part.replace(path)
    flush(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that readers see the old file or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    replace_file(part, path)


def read_json(path: Path) -> Any:
    """Return a JSON file's value.

    Raises:
        DataError: It is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("cannot be read", place=Place(str(path)), hint="is this a store?") from error


def next_number(folder: Path) -> int:
    """Return the number after the highest that `folder` holds."""
    numbers = [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.is_dir() else []
    return max(numbers, default=0) + 1


@contextmanager
def new_folder(parent: Path, number: int) -> Iterator[Path]:
    """Yield a folder to fill; it appears under its number, whole, when the block ends well."""
    part = parent / f".{number}.{os.getpid()}.part"
    parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        for path in part.iterdir():
            flush(path)
        flush(part)
        part.rename(parent / str(number))
        flush(parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def sweep(store: Store, live: Mapping[int, int]) -> None:
    """Remove parts of builds that were killed, and what no live file needs. The store must be held.

    Args:
        store: The store.
        live: Segment -> generation of its identified records that is in force.
    """
    for folder in (store.root, store.segments, store.snapshots, *(store.segments / str(number) for number in live)):
        for path in folder.glob(".*.part"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in store.segments.glob("*"):
        if path.name.isdigit() and int(path.name) not in live:
            shutil.rmtree(path)
    for number, generation in live.items():
        for path in (store.segments / str(number)).glob(f"{GENERATION}*"):
            if not path.name.startswith(generation_prefix(generation)):
                path.unlink()


def generation_prefix(generation: int) -> str:
    """Return how the files of a generation of identified records begin."""
    return f"{GENERATION}{generation}_"
