"""Which rules a command means, and in which order levels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from keytrip.errors import UsageError

REFERENCE_TAG = "keytrip.reference"
LEVELS = ("informational", "low", "medium", "high", "critical")


class Named(Protocol):
    """Anything that has a rule's name, level and tags."""

    @property
    def name(self) -> str: ...  # noqa: D102 - said above
    @property
    def level(self) -> str: ...  # noqa: D102 - said above
    @property
    def tags(self) -> tuple[str, ...]: ...  # noqa: D102 - said above


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Selection:
    """Name patterns, tag patterns, and a lowest level. No name and no tag: all but the loud reference rules."""

    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    level: str | None = None


def choose(rules: Sequence[T], selection: Selection) -> list[T]:
    """Return the rules that `selection` means, sorted by name.

    Raises:
        UsageError: A pattern matches no rule, or the level is none.
    """
    if selection.level and selection.level not in LEVELS:
        raise UsageError(f"no level {selection.level!r}", hint="one of: " + ", ".join(LEVELS))
    for pattern in selection.names:
        if not any(fnmatchcase(rule.name, pattern) for rule in rules):
            raise UsageError(f"no rule is called {pattern!r}", hint="see `keytrip rules`")
    return sorted((rule for rule in rules if _meant(rule, selection)), key=lambda rule: rule.name)


def _meant(rule: Named, selection: Selection) -> bool:
    if selection.level and LEVELS.index(rule.level) < LEVELS.index(selection.level):
        return False
    if not selection.names and not selection.tags:
        return REFERENCE_TAG not in rule.tags
    named = any(fnmatchcase(rule.name, pattern) for pattern in selection.names)
    return named or any(fnmatchcase(tag, pattern) for tag in rule.tags for pattern in selection.tags)
