"""Which files a check reads: our content, packs, and what was named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keytrip.sources
from keytrip.compile.problems import Problem
from keytrip.content import FOLDERS, content_files, content_root
from keytrip.errors import Place, UsageError
from keytrip.rules.packs import PACK_FILE

_SUFFIXES = {"rules": ".yml", "baselines": ".py", "pipelines": ".yml", "exporters": "manifest.yml"}
_SOURCES = Path(keytrip.sources.__file__).parent


@dataclass(frozen=True)
class Files:
    """Files by their kind.

    Attributes:
        packs: User packs: those that were given, and named folders that are laid out as one.
        all: Kind (a content folder's name, `packs` or `sources`) -> every file that has a say, ours first.
        paths: Files and folders that problems are wanted of; none: of everything.
    """

    packs: tuple[Path, ...]
    all: dict[str, list[Path]]
    paths: tuple[Path, ...]

    def wanted(self, path: Path) -> bool:
        """Return whether problems of `path` are asked for."""
        return not self.paths or any(path.resolve().is_relative_to(named) for named in self.paths)

    def of(self, kind: str) -> list[Path]:
        """Return the files of a kind that are to be checked."""
        return [path for path in self.all[kind] if self.wanted(path)]

    def layer(self, path: Path) -> Path:
        """Return the content root or pack that a file belongs to, else its own folder."""
        layers = (*self.packs, content_root())
        return next((root for root in layers if path.resolve().is_relative_to(root.resolve())), path.parent)


def find_files(packs: Sequence[Path], paths: Sequence[Path]) -> Files:
    """Return what is to be checked, and what it is checked against.

    Args:
        packs: Folders layered over our content.
        paths: Files and folders whose problems are wanted; none: all.

    Raises:
        UsageError: A path is not there, or nothing of ours is in it.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder", hint="name rule files, or folders of content")
    layers = tuple(dict.fromkeys((*packs, *(path for path in paths if _is_pack(path)))))
    found = {kind: content_files(kind, suffix, layers) for kind, suffix in _SUFFIXES.items()}
    found["sources"] = [p for p in sorted(_SOURCES.glob("*.py")) if declares_source(p)] if _is_checkout() else []
    found["packs"] = [root / PACK_FILE for root in layers if (root / PACK_FILE).is_file()]
    known = {path.resolve() for group in found.values() for path in group}
    named = [file for path in paths for file in _below(path)]
    for file in named:
        if file.resolve() not in known:
            known.add(file.resolve())
            found[_kind(file)].append(file)
    if paths and not named:
        raise UsageError(f"{paths[0]}: no content in it", hint="rules end in .yml, baseline jobs in .py")
    return Files(layers, found, tuple(path.resolve() for path in paths))


def _is_pack(path: Path) -> bool:
    inside = path.resolve() == content_root().resolve()
    return not inside and any((path / name).is_dir() for name in FOLDERS)


def _below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if _is_pack(path) or path.resolve() == content_root().resolve():
        inner = [file for kind, suffix in _SUFFIXES.items() for file in sorted((path / kind).glob(f"**/*{suffix}"))]
        return inner + [file for file in (path / PACK_FILE,) if file.is_file()]
    return sorted(file for file in path.glob("**/*") if file.suffix in {".yml", ".py"} and file.name[0] not in "._")


def _kind(path: Path) -> str:
    if path.name == PACK_FILE:
        return "packs"
    if path.name == "manifest.yml":
        return "exporters"
    if path.suffix == ".py":
        return "sources" if declares_source(path) else "baselines"
    return "pipelines" if "pipelines" in path.resolve().parts[:-1] else "rules"


def _is_checkout() -> bool:
    return _SOURCES.is_relative_to(content_root())


def declares_source(path: Path) -> bool:
    """Return whether a module of Python declares a log source, and no baseline job."""
    return b"\nSOURCE = " in path.read_bytes()


def unread(files: Files) -> Iterator[Problem]:
    """Yield files that look like rules and are none, for their suffix."""
    for root in (content_root(), *files.packs):
        for path in sorted((root / "rules").glob("**/*.yaml")):
            yield Problem(Place(str(path)), "is not read", "rules end in .yml")
