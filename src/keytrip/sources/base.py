"""What a source declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Recogniser = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Source:
    """One kind of log.

    Attributes:
        name: The value of `--source` and of the canonical field `source`.
        about: One line for people.
        recognise: Whether a parsed record looks like this source's.
        members: Top-level members of a raw record that `fields` uses -> DuckDB type (VARCHAR, BIGINT or DOUBLE). Nested
            ones are VARCHAR and arrive as JSON text. A quick read takes them typed and stops at the first that is not
            what it should be; the thorough one takes all as text and says what is wrong with which.
        fields: Canonical field -> DuckDB text over the quoted members. The text gives text; the reader casts it to the
            field's type, so numbers may be text.
        lacks: Canonical field -> why this source cannot know it.
        lets: Name -> DuckDB text over the members, computed once a record and then usable in `fields`.
        line: Regular expression with named groups for a log that is plain lines; each group is a member.
        priced: Whether costs and list prices that the log lacks are taken from genai-prices.
    """

    name: str
    about: str
    recognise: Recogniser
    members: Mapping[str, str]
    fields: Mapping[str, str]
    lacks: Mapping[str, str] = field(default_factory=dict)
    lets: Mapping[str, str] = field(default_factory=dict)
    line: str | None = None
    priced: bool = False

    def has(self, name: str) -> bool:
        """Whether records of this source can carry the canonical field `name`."""
        return name in self.fields or (self.priced and name in {"cost_usd", "list_price"})


def bare_address(text: str) -> str:
    """Return DuckDB text that takes brackets, port, zone and prefix length off an address; other text stays."""
    ported = rf"regexp_replace({text}, '^([0-9]{{1,3}}(\.[0-9]{{1,3}}){{3}}):[0-9]+$', '\1')"
    boxed = rf"regexp_replace({ported}, '^\[([0-9A-Fa-f:.]+)(%[^\]]*)?\](:[0-9]+)?$', '\1')"
    return rf"regexp_replace({boxed}, '^([0-9A-Fa-f]*[.:][0-9A-Fa-f:.]*)(%.*|/[0-9]+)$', '\1')"
