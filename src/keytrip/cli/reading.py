"""What the reading commands have in common: files, source, work folder, progress, rejects."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keytrip.cli.output import harmless, note
from keytrip.cli.progress import work_bar
from keytrip.errors import SystemRefusedError, UsageError
from keytrip.sources import source_named
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile, input_files
from keytrip.sources.read import Report, write_rejects
from keytrip.sources.recognise import recognise
from keytrip.sources.streams import spool
from keytrip.sources.work import uninterrupted, work_folder


@dataclass(frozen=True)
class Inputs:
    """Files, the source that wrote them, and where faulty ones are converted."""

    files: Sequence[InputFile]
    source: Source
    workshop: Workshop


@contextmanager
def inputs(
    paths: Sequence[str], source: str | None, max_line: int, *, quiet: bool, out: Path | None = None
) -> Iterator[Inputs]:
    """Find the files and the source; the work folder goes when the block ends.

    Args:
        paths: What the user named.
        source: The source's name, or None to recognise it.
        max_line: Longest line in bytes.
        quiet: Whether to say nothing on standard error.
        out: The command's own result, which is no log even if it lies among them.
    """
    _load_duckdb()
    with work_folder() as folder:
        files = _files(paths, out, quiet=quiet)
        if "-" in paths:
            if sys.stdin is None:
                raise UsageError("standard input is closed", hint="name files, globs or folders")
            files.append(spool(sys.stdin.buffer, folder))
        chosen = source_named(source) if source else recognise(files)
        if source is None:
            note(f"source: {chosen.name} (recognised; --source says it outright)", quiet=quiet)
        yield Inputs(files, chosen, Workshop(folder, max_line, chosen.line))


def _load_duckdb() -> None:
    """Import DuckDB with the interrupt held back: it aborts the process if one comes while its types are made."""
    with uninterrupted():
        import duckdb  # noqa: F401 - only loaded


def _files(paths: Sequence[str], out: Path | None, *, quiet: bool) -> list[InputFile]:
    named = [path for path in paths if path != "-"]
    if not named and "-" in paths:
        return []
    skipped: list[str] = []
    found = input_files(named, skipped)
    if out is not None and any(file.path.resolve() == out.resolve() for file in found) and str(out) not in paths:
        found = [file for file in found if file.path.resolve() != out.resolve()]
        skipped.append(str(out))
    if skipped:
        many = "1 file" if len(skipped) == 1 else f"{len(skipped)} files"
        note(f"{many} skipped: no log by the suffix; first: {skipped[0]}", quiet=quiet)
    return found


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield a callable that takes bytes done; a bar appears on a terminal once the work takes over a second."""
    with work_bar("reading", quiet=quiet, total=total) as bar:
        yield bar.step


def report_rejects(report: Report, path: Path, *, quiet: bool) -> str | None:
    """Write what was set aside, say so, and return where it is."""
    if not report.rejects:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rejects(report.rejects, path)
    except OSError as error:
        raise SystemRefusedError(f"{path}: cannot be written ({error.strerror})", hint="use --rejects FILE") from error
    first = min(report.rejects, key=lambda r: (r.file, r.line))
    count = len(report.rejects)
    told = "1 line was no record and is" if count == 1 else f"{count} lines were no records and are"
    note(f"{told} in {path}; first: {first.file}:{first.line} {first.reason}", quiet=quiet)
    return harmless(path)
