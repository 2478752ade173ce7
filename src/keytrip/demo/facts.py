"""What the page shows of each key: its days, hours, networks and models. Plain values; `gather` fills them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

_LEAST_SPREAD = 0.1  # as in the rules: a MAD below a tenth of the median is chance
_FACTOR = 6  # the rules' distance from the median, in MADs


@dataclass(frozen=True)
class Period:
    """The days of the baseline, `start` to `end` inclusive, and the day that was hunted (all UTC)."""

    start: date
    end: date
    day: date

    @property
    def days(self) -> tuple[date, ...]:
        """Every day from the baseline's first to the hunted one."""
        return tuple(self.start + timedelta(days=n) for n in range((self.day - self.start).days + 1))


@dataclass(frozen=True)
class Habit:
    """What is usual a day, in requests or USD: median and median absolute deviation over the days with a record."""

    median: float
    mad: float

    @property
    def low(self) -> float:
        """Where the band begins: never below nothing."""
        return max(0.0, self.median - _FACTOR * self._spread)

    @property
    def high(self) -> float:
        """Where the band ends: the bound of the shipped rules, without their floor and headroom."""
        return self.median + _FACTOR * self._spread

    @property
    def _spread(self) -> float:
        return max(self.mad, _LEAST_SPREAD * self.median)


@dataclass(frozen=True)
class Day:
    """One UTC day of a key: requests and USD, both 0 where it made none."""

    day: date
    requests: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class Hour:
    """One hour of the day (UTC): records of the baseline, requests of the hunted day, and whether those are news."""

    hour: int
    usual: float = 0.0
    now: float = 0.0
    unknown: bool = False


@dataclass(frozen=True)
class Member:
    """A network or model of a key: its requests before and on the hunted day, and whether the baseline knows it."""

    name: str
    before: int
    now: int
    known: bool


@dataclass(frozen=True)
class KeyFacts:
    """One key.

    Attributes:
        key_id: As the records name it.
        label: The name people gave it, or an empty string.
        days: Every day of the period.
        requests, cost: The habits; None for a key without a past.
        hours: The 24 hours.
        weekday_hours: Hours in which the key is used on the hunted day's weekday.
        networks, models: The busiest of the hunted day first.
    """

    key_id: str
    label: str
    days: tuple[Day, ...]
    requests: Habit | None = None
    cost: Habit | None = None
    hours: tuple[Hour, ...] = ()
    weekday_hours: tuple[int, ...] = ()
    networks: tuple[Member, ...] = ()
    models: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Facts:
    """All keys of the records, by id, in the order of their names."""

    period: Period
    keys: Mapping[str, KeyFacts]
    records: int
