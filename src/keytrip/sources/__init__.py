"""Log sources: one module each says how to recognise a log, how to map it, and what it cannot know."""

from __future__ import annotations

from functools import cache

from keytrip.errors import UsageError
from keytrip.sources.base import Source

_INFRASTRUCTURE = {"base", "files", "lines", "convert", "select", "passes", "read", "pricing", "secrets", "recognise"}


@cache
def all_sources() -> dict[str, Source]:
    """Return every source by name: each module of this folder that declares SOURCE."""
    import pkgutil
    from importlib import import_module

    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _INFRASTRUCTURE)
    found = (import_module(f"{__name__}.{name}").SOURCE for name in names)
    return {source.name: source for source in found}


def source_named(name: str) -> Source:
    """Return the source called `name`.

    Raises:
        UsageError: There is none.
    """
    try:
        return all_sources()[name]
    except KeyError:
        raise UsageError(f"no source {name!r}", hint="one of: " + ", ".join(all_sources())) from None
