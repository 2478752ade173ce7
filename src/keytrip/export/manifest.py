"""What a destination's folder in `exporters/` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keytrip.content import content_files
from keytrip.errors import ContentError, Place, UsageError

TransportName = Literal["files", "splunk", "splunk_app", "elastic", "opensearch", "stix", "taxii", "misp"]
# These take indicators alone: no rules, no tables, no templates.
SHARING = frozenset({"stix", "taxii", "misp"})


class Template(BaseModel):
    """A Jinja2 template of the folder and the path that it is written to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str
    path: str


class ItemTemplate(BaseModel):
    """What items of one kind are made of.

    Attributes:
        kind: One of the transport's kinds.
        each: (`for` in the file) What there is one of them for: each rule, each parameter of each rule, each baseline
            table, each IOC list; or one in all.
        name: Jinja expression of the item's name.
        template: File of the folder, or of another as `splunk/search.yml.j2`: YAML in which each `{{ ... }}` stands for
            a whole value.
        when: Jinja expression that has to be true of the rule or table; empty for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    each: Literal["rule", "parameter", "table", "ioc_list", "once"] = Field(alias="for")
    name: str
    template: str
    when: str = ""


class Manifest(BaseModel):
    """A destination.

    Attributes:
        name: Its name, that of its folder.
        about: One line for people.
        transport: One of `keytrip.export.transports`.
        tables: Of a folder, the format of the tables; None for no tables there. A server takes all tables.
        indicator_table: Whether a list of indicators is a table there, with generations, like baselines.
        targets: Compile targets of the rules: of a folder all of them, of a server the first one that can say a rule.
        templates: Texts that a folder gets.
        items: What a server gets, in this order.
        options: The destination's own settings and what they are unless the user says otherwise.
        credential: What a token from a file, a command or the keyring is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    transport: TransportName
    tables: Literal["csv", "ndjson", "parquet"] | None = None
    indicator_table: bool = False
    targets: tuple[str, ...] = ()
    templates: tuple[Template, ...] = ()
    items: tuple[ItemTemplate, ...] = ()
    options: Mapping[str, str] = {}
    credential: Literal["bearer", "api_key"] = "bearer"
    folder: Path = Path()


def template_folders(folder: Path) -> tuple[Path, Path]:
    """Return where a destination's templates are: its folder, or another destination's (`splunk/search.yml.j2`)."""
    return folder, folder.parent


def template_file(folder: Path, name: str) -> Path:
    """Return the file of a template, or where it should be."""
    places = [one / name for one in template_folders(folder)]
    return next((place for place in places if place.is_file()), places[0])


def read_manifest(path: Path) -> Manifest:
    """Return a destination's manifest.

    Raises:
        ContentError: It is none.
    """
    import yaml

    from keytrip.rules.load import LOADER

    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - a safe loader
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
