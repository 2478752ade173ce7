"""What a sharing destination tells of an indicator, and what is to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from keytrip.export.indicators import Indicator
from keytrip.export.model import Body


@dataclass(frozen=True)
class Published:
    """An indicator as it is told.

    Attributes:
        name: As `Indicator.name`.
        body: As `Indicator` in JSON; one that somebody else changed may hold what no indicator can.
        revision: How often it was revoked and told again.
        raw: The destination's own objects, the indicator first.
        changed_at: When it was last changed, if the destination says so.
    """

    name: str
    body: Body
    revision: int = 0
    raw: tuple[Mapping[str, Any], ...] = ()
    changed_at: str | None = None


@dataclass(frozen=True)
class Change:
    """One thing to tell.

    Attributes:
        indicator: As it is to be told; None to take back what was told.
        before: What is told now.
    """

    indicator: Indicator | None
    before: Published | None = None


class Channel(Protocol):
    """Where indicators are told."""

    def load(self) -> Iterator[Published]:
        """Yield what is told there by us, by reading alone."""
        ...

    def tell(self, changes: Sequence[Change]) -> None:
        """Carry out changes; doing it twice does no harm."""
        ...


def body_of(data: Mapping[str, Any]) -> Body:
    """Return what was read in the form in which an item has it, or as it is where it is no indicator."""
    try:
        return Indicator.model_validate(data).model_dump(mode="json")
    except ValidationError:
        return dict(data)
