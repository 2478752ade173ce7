"""What a build is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from keytrip.baselines.guards import Bounds
from keytrip.baselines.incidents import Incident
from keytrip.baselines.kinds import Job
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile


@dataclass(frozen=True)
class BuildRequest:
    """One build.

    Attributes:
        files: What to read.
        source: How.
        jobs: Baseline jobs by table.
        workshop, hmac_key, chunk_bytes, tick: As for reading.
        end: Last day of the window, inclusive; None: the last day with a record that is over at `now`.
        days: Length of the window.
        incidents: Days left out.
        bounds: When a snapshot is not promoted.
        now: The clock, UTC and naive.
    """

    files: Sequence[InputFile]
    source: Source
    jobs: Mapping[str, Job]
    workshop: Workshop
    hmac_key: Callable[[], bytes]
    end: date | None = None
    days: int = 30
    incidents: Sequence[Incident] = ()
    bounds: Bounds = field(default_factory=Bounds)
    chunk_bytes: int = 256 * 2**20
    tick: Callable[[int], None] = lambda _: None
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(tzinfo=None))
