"""Runs something again whenever content is saved, by a look at the times of the files: cheap for some hundred."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keytrip.cli.output import note
from keytrip.content import FOLDERS, content_root
from keytrip.errors import KeytripError

_SECONDS = 0.3
_SUFFIXES = {".yml", ".py", ".j2"}


def again(packs: Sequence[Path], work: Callable[[], int], *, pause: Callable[[float], object] = time.sleep) -> int:
    """Run `work` now and after each change of a content file; it ends with an interrupt only.

    Args:
        packs: Folders that are watched beside our own content.
        work: Returns an exit code, which is said; a file that is broken while it is being written ends nothing.
        pause: Waits for some seconds.
    """
    while True:
        before = saved(packs)
        _run(work)
        note("waiting for a change; Ctrl+C ends")
        while saved(packs) == before:
            pause(_SECONDS)


def _run(work: Callable[[], int]) -> None:
    from keytrip.baselines.jobs import load_jobs

    load_jobs.cache_clear()
    try:
        work()
    except KeytripError as error:
        note(f"keytrip: {error}")


def saved(packs: Sequence[Path]) -> Mapping[Path, tuple[int, int]]:
    """Return time of change and size of each content file."""
    roots = [*(content_root() / name for name in FOLDERS), *packs]
    files = (path for root in roots for path in root.glob("**/*") if path.suffix in _SUFFIXES)
    found = {}
    for path in files:
        try:
            stat = path.stat()
        except OSError:
            continue  # an editor is just replacing it
        found[path] = (stat.st_mtime_ns, stat.st_size)
    return found
