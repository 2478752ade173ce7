"""The folders in which a command keeps what it needs while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def work_folder() -> Iterator[Path]:
    """Yield a new folder under TMPDIR that goes, with all in it, when the block ends.

    Raises:
        FileNotFoundError: No folder for temporary files can be written to.
    """
    with ExitStack() as until_the_end:
        with uninterrupted():  # tempfile tries its place with a file that an interrupt would leave there
            folder = tempfile.TemporaryDirectory(prefix=_prefix(), ignore_cleanup_errors=True)
            until_the_end.enter_context(folder)
        yield Path(folder.name)


def sweep() -> None:
    """Remove this process's work folders: an interrupt may come just when one is removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interrupt back until the block ends (on Windows it comes at once)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prefix() -> str:
    return f"keytrip-{os.getpid()}-"
