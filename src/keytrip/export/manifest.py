"""What a destination's folder in `exporters/` says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from keytrip.content import content_files
from keytrip.errors import ContentError, Place, UsageError


class Template(BaseModel):
    """A Jinja2 template of the folder and the path that it is written to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    path: str


class Manifest(BaseModel):
    """A destination.

    Attributes:
        name: Its name, that of its folder.
        about: One line for people.
        transport: The module of `keytrip.export` that writes it.
        tables: Format of the tables, or None.
        targets: Compile targets of the rules.
        templates: What else is written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    transport: Literal["files"]
    tables: Literal["csv", "ndjson", "parquet"] | None = None
    targets: tuple[str, ...] = ()
    templates: tuple[Template, ...] = ()
    folder: Path = Path()


def read_manifest(path: Path) -> Manifest:
    """Return a destination's manifest.

    Raises:
        ContentError: It is none.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Manifest.model_validate({**(data or {}), "folder": path.parent})
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise ContentError("is no YAML", place=Place(str(path))) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ContentError(f"{where}: {first['msg']}", place=Place(str(path))) from error


def destinations(packs: Sequence[Path] = ()) -> dict[str, Manifest]:
    """Return every destination by name, a pack's over ours."""
    found = (read_manifest(p) for p in content_files("exporters", "manifest.yml", packs))
    return {manifest.name: manifest for manifest in found}


def destination_named(name: str, packs: Sequence[Path] = ()) -> Manifest:
    """Return a destination.

    Raises:
        UsageError: There is none of that name.
    """
    known = destinations(packs)
    if name not in known:
        raise UsageError(f"no destination {name!r}", hint="one of: " + ", ".join(known))
    return known[name]
