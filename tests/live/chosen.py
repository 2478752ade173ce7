"""The rules that are run live, and how many cases they have."""

from __future__ import annotations

from keytrip.content import content_root
from keytrip.rules.load import load_rules, with_bases

LANGUAGE = content_root() / "docs/examples/language"
# One of each kind: plain, a window, tables in both forms, sliding, a chain, aliases with `generate`, expressions.
CHOSEN = (
    "texts",
    "event_count",
    "exceeds",
    "absent",
    "temporal",
    "temporal_ordered",
    "chain",
    "aliases",
    "expressions",
)
NAMES = tuple(f"example_{name}" for name in CHOSEN)


def cases(names: tuple[str, ...]) -> int:
    """Return how many cases rules and those that they refer to have."""
    documents = load_rules((LANGUAGE,))
    chosen = with_bases([document for document in documents if document.name in names], documents)
    return sum(len(document.data.get("tests", ())) for document in chosen)
