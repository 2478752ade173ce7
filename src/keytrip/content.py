"""Finds the content folders: packed beside the module in a wheel, else the checkout's, with user packs on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keytrip.errors import UsageError

# What `keytrip new` leaves for a person to write begins with this.
HOLE = "FILL IN"
FOLDERS = ("rules", "baselines", "pipelines", "exporters")


def content_root() -> Path:
    """Return the folder that holds `rules`, `baselines`, `pipelines` and `exporters`, as a real path."""
    packed = Path(__file__).parent / "content"
    return packed if packed.is_dir() else Path(__file__).parents[2]


def content_files(folder: str, suffix: str, packs: Sequence[Path] = ()) -> list[Path]:
    """Return the files with `suffix` below `folder`, ours first, then each pack's, each sorted by path.

    Raises:
        UsageError: A pack is no folder.
    """
    return [path for layer in content_layers(folder, suffix, packs) for path in layer]


def content_layers(folder: str, suffix: str, packs: Sequence[Path] = ()) -> list[list[Path]]:
    """Return the same files as one list for our content, and one for each pack.

    Raises:
        UsageError: A pack is no folder.
    """
    for root in packs:
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder", hint="give --pack a folder that holds rules/ or baselines/")
    roots = (content_root(), *packs)
    return [
        sorted(p for p in (root / folder).glob(f"**/*{suffix}") if p.is_file() and p.name[0] not in "._")
        for root in roots
    ]
