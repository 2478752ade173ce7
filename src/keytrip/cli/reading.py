"""What the reading commands have in common: files, source, work folder, progress, rejects."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrip.cli.output import note
from keytrip.errors import SystemRefusedError
from keytrip.sources import source_named
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile, input_files
from keytrip.sources.read import Report, write_rejects
from keytrip.sources.recognise import recognise
from keytrip.sources.streams import spool

_PATIENCE = 1.0


@dataclass(frozen=True)
class Inputs:
    """Files, the source that wrote them, and where faulty ones are converted."""

    files: Sequence[InputFile]
    source: Source
    workshop: Workshop


@contextmanager
def inputs(paths: Sequence[str], source: str | None, max_line: int, *, quiet: bool) -> Iterator[Inputs]:
    """Find the files and the source; the work folder goes when the block ends."""
    with tempfile.TemporaryDirectory(prefix="keytrip-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        named = [path for path in paths if path != "-"]
        files = input_files(named) if named or "-" not in paths else []
        if "-" in paths:
            files.append(spool(sys.stdin.buffer, folder))
        chosen = source_named(source) if source else recognise(files)
        if source is None:
            note(f"source: {chosen.name} (recognised; --source says it outright)", quiet=quiet)
        yield Inputs(files, chosen, Workshop(folder, max_line, chosen.line))


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a callable that takes bytes done; a bar appears on a terminal once the work takes over a second."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True, disable=False)
    task = bar.add_task("reading", total=total)
    began, shown = time.monotonic(), False

    def tick(done: int) -> None:
        nonlocal shown
        bar.advance(task, done)
        if not shown and time.monotonic() - began > _PATIENCE:
            bar.start()
            shown = True

    try:
        yield tick
    finally:
        bar.stop()


def report_rejects(report: Report, path: Path, *, quiet: bool) -> str | None:
    """Write what was set aside, say so, and return where it is."""
    if not report.rejects:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rejects(report.rejects, path)
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be written ({error.strerror})", hint="use --rejects FILE") from error
    first = report.rejects[0]
    note(
        f"{len(report.rejects)} lines were no records and are in {path}; first: {first.file}:{first.line} {first.reason}",
        quiet=quiet,
    )
    return str(path)
