"""An app as one archive: the same content is the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from keytrip.baselines.store import replace_file
from keytrip.errors import DataError, Place

# What a file of the app holds: its bytes, or the file that has them.
Content: TypeAlias = bytes | Path
# 2020-01-01: archives have the seconds since 1970, and some readers dislike 0.
_MADE = 1577836800
# What a package of ours holds of small files is far below; a forged one fills no memory.
_LARGEST = 64 * 1024 * 1024


def write_package(path: Path, app: str, files: Mapping[str, Content]) -> None:
    """Write an archive into its place at once: sorted, owned by root, one date, no name in its head."""
    # whoever holds the lock is alone, and writes over what a killed process left
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            _archive(packed, app, files)
        replace_file(part, path)
    finally:
        part.unlink(missing_ok=True)


def _archive(packed: gzip.GzipFile, app: str, files: Mapping[str, Content]) -> None:
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in _folders(app, files):
            archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        for name, content in sorted(files.items()):
            _add(archive, f"{app}/{name}", content)


def _folders(app: str, files: Mapping[str, Content]) -> list[str]:
    return sorted(
        {app, *(f"{app}/{parent}" for name in files for parent in map(str, Path(name).parents) if parent != ".")}
    )


def _entry(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.mtime = kind, mode, size, _MADE
    return entry


def _add(archive: tarfile.TarFile, name: str, content: Content) -> None:
    if isinstance(content, bytes):
        archive.addfile(_entry(name, tarfile.REGTYPE, 0o644, len(content)), io.BytesIO(content))
        return
    with content.open("rb") as file:
        archive.addfile(_entry(name, tarfile.REGTYPE, 0o644, content.stat().st_size), file)


def read_package(path: Path) -> dict[str, str]:
    """Return the texts of an app's conf files by their paths in it.

    Raises:
        DataError: It is no archive.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            return dict(_conf_files(archive))
    except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
        hint = "remove it, and apply again"
        raise DataError("is no app package", place=Place(str(path)), hint=hint) from error


def _conf_files(archive: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    for member in archive:
        _, _, name = member.name.partition("/")
        file = archive.extractfile(member) if member.isfile() and name.endswith(".conf") else None
        if file is not None:
            yield name, file.read(_LARGEST).decode()
