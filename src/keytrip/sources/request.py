"""What is asked of reading, and what it reports back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile
from keytrip.sources.lines import Reject
from keytrip.sources.select import ALWAYS

# Columns that pricing needs beside the ones asked for.
PRICING = ("provider", "model", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "list_price")


@dataclass(frozen=True)
class Chunk:
    """Records that lie in the temporary table `kt_chunk` until the next chunk is asked for.

    Attributes:
        files: The files they come from.
        records: How many.
        identified: Whether some carry a request_id, so that duplicates are possible.
    """

    files: tuple[InputFile, ...]
    records: int
    identified: bool


@dataclass
class Report:
    """What reading met: counts, and what was set aside."""

    records: int = 0
    undated: int = 0
    files: int = 0
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """What to read and how.

    Attributes:
        source: How raw records map.
        columns: Canonical columns wanted.
        workshop: Where and how faulty or packed files are converted.
        hmac_key: Gives the key for pseudonyms, asked for only when a log carries a secret.
        chunk_bytes: Files are read together up to this size.
        tick: Called with the bytes done.
    """

    source: Source
    columns: frozenset[str]
    workshop: Workshop
    hmac_key: Callable[[], bytes]
    chunk_bytes: int = 256 * 2**20
    tick: Callable[[int], None] = lambda _: None

    @property
    def wanted(self) -> frozenset[str]:
        """The columns to read, with those that pricing needs."""
        priced = self.source.priced and {"cost_usd", "list_price", "cost_source"} & self.columns
        return self.columns | set(ALWAYS) | (set(PRICING) if priced else set())
