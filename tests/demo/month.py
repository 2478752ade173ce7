"""The demo's month of logs as tests hold it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from keytrip.demo.thefts import Theft


@dataclass(frozen=True)
class Month:
    """The folder of the logs, and what was stolen in them."""

    folder: Path
    stolen: list[Theft]
