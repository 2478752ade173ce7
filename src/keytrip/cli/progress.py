"""A bar on a terminal, once work takes over a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 1.0


class Bar:
    """Counts work that is done; without a bar of rich's it says nothing."""

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task = bar, task
        self._began, self._shown = time.monotonic(), False

    def total(self, steps: int) -> None:
        """Set how many steps there will be."""
        if self._bar is not None:
            self._bar.update(self._task, total=steps)

    def step(self, done: int) -> None:
        """Add steps that are done."""
        if self._bar is None:
            return
        self._bar.advance(self._task, done)
        if not self._shown and time.monotonic() - self._began > _PATIENCE:
            self._bar.start()
            self._shown = True


@contextmanager
def work_bar(what: str, *, quiet: bool, total: int | None = None) -> Iterator[Bar]:
    """Yield a bar for the work of the block; it is gone when the block ends."""
    if quiet or not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True, disable=False)
    try:
        yield Bar(bar, bar.add_task(what, total=total))
    finally:
        bar.stop()
