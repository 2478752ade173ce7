"""Windows of temporal correlations (semantics, section 3): every choice of events looked at, nothing clever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

# An event's time, and the numbers of the rules that it belongs to.
Moment = tuple[datetime, frozenset[int]]


def temporal_windows(
    moments: Sequence[Moment], rules: int, span: timedelta, *, ordered: bool
) -> list[tuple[datetime, datetime]]:
    """Return (start, end) of each alert of one group."""
    starts = [(time, _ordered(moments, time, mine, rules) if ordered else _any_order(moments, time, mine, rules))
              for time, mine in moments]  # fmt: skip
    completions = sorted((time, start) for time, start in starts if start is not None and time - start <= span)
    found: list[tuple[datetime, datetime]] = []
    for time, start in completions:
        if found and time - found[-1][1] <= span:
            found[-1] = (found[-1][0], time)
        else:
            found.append((start, time))
    return found


def _any_order(moments: Sequence[Moment], time: datetime, mine: frozenset[int], rules: int) -> datetime | None:
    """The event stands for one of its rules; of every other one the last event up to now is the best choice."""
    best: list[datetime] = []
    for own in mine:
        lasts = [_last(moments, rule, time) for rule in range(rules) if rule != own]
        known = [last for last in lasts if last is not None]
        if len(known) == len(lasts):
            best.append(min([time, *known]))
    return max(best, default=None)


def _last(moments: Sequence[Moment], rule: int, time: datetime) -> datetime | None:
    return max((when for when, mine in moments if rule in mine and when <= time), default=None)


def _ordered(moments: Sequence[Moment], time: datetime, mine: frozenset[int], rules: int) -> datetime | None:
    """The event is of the last rule; every series of the earlier ones before it is tried."""
    return _series(moments, time, rules - 2) if rules - 1 in mine else None


def _series(moments: Sequence[Moment], time: datetime, rule: int) -> datetime | None:
    """Return the latest beginning of a series of events of the rules 0 to `rule`, all before `time`."""
    if rule < 0:
        return time
    firsts = [_series(moments, when, rule - 1) for when, mine in moments if rule in mine and when < time]
    return max((first for first in firsts if first is not None), default=None)
