"""The baseline blocks of a rule as its file has them: one alone, or a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def with_on(block: Any) -> Any:
    """Return a block whose `on` is called so: YAML 1.1 reads the key as the boolean true. What is no block stays."""
    return {"on" if key is True else key: v for key, v in block.items()} if isinstance(block, Mapping) else block


def placed_blocks(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield (path of its members in the document, block) of each baseline block of a rule."""
    given = data.get("baseline") or []
    if isinstance(given, list):
        yield from ((("baseline", number), with_on(block)) for number, block in enumerate(given))
    else:
        yield ("baseline",), with_on(given)
