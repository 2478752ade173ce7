"""The folders in which a command keeps what it needs while it runs."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType


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
    """Hold an interrupt back until the block ends.

    The handler is changed, not the mask of signals: a signal that one thread masks goes to another one.
    """
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield  # interrupts are ignored, or come to another thread
        return
    came: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: came.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(signal.SIGINT, came[-1])


def _prefix() -> str:
    return f"keytrip-{os.getpid()}-"
