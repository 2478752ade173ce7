"""Log sources: one module each says how to recognise a log, how to map it, and what it cannot know."""

from __future__ import annotations

from functools import cache

from keytrip.errors import UsageError
from keytrip.sources.base import Source


@cache
def all_sources() -> dict[str, Source]:
    """Return every source by name: each module of this folder that declares SOURCE."""
    import pkgutil
    from importlib import import_module

    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = (getattr(import_module(f"{__name__}.{name}"), "SOURCE", None) for name in names)
    return {source.name: source for source in found if source}


def source_named(name: str) -> Source:
    """Return the source called `name`.

    Raises:
        UsageError: There is none.
    """
    try:
        return all_sources()[name]
    except KeyError:
        raise UsageError(f"no source {name!r}", hint="one of: " + ", ".join(all_sources())) from None
