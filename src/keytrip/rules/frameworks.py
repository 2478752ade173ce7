"""The ids of ATT&CK and ATLAS that a tag may name: lists that ship with the package, each of one release."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TITLES = {"attack": "ATT&CK", "atlas": "ATLAS"}
NAMESPACES = tuple(_TITLES)


@dataclass(frozen=True)
class Framework:
    """A release of a framework.

    Attributes:
        title: What people call it.
        version: The release.
        ids: What may stand behind the namespace in a tag: tactics, techniques, groups and software, in lower case.
        retired: Ids that the framework once had and has withdrawn.
    """

    title: str
    version: str
    ids: frozenset[str]
    retired: frozenset[str]

    def __str__(self) -> str:
        """Return its name and release."""
        return f"{self.title} {self.version}"


@cache
def framework(namespace: str) -> Framework:
    """Return the framework whose tags begin with `namespace`, one of NAMESPACES (read once)."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name(f"{namespace}.yml").read_text(encoding="utf-8")
    lists = yaml.load(text, Loader=loader)  # noqa: S506 - safe loaders, both
    version = lists.pop("version")
    retired = frozenset(lists.pop("retired", "").split())
    return Framework(_TITLES[namespace], version, frozenset(i for ids in lists.values() for i in ids.split()), retired)
