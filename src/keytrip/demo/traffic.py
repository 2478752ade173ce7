"""Writes a month of LiteLLM gateway logs of one company, with four thefts on the last day; the same bytes each time.

Only `Random.random`, sums of integers, and + - * / on doubles are used: nothing that another Python, C library or
processor would round in another way. (zlib's output does differ between its versions, so the files are not compressed.)
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TypeVar

from keytrip.demo.company import company
from keytrip.demo.payload import Call, line
from keytrip.demo.profiles import Network, Profile
from keytrip.demo.thefts import Theft, thefts, thieves
from keytrip.errors import Place, SystemRefusedError

_T = TypeVar("_T")
DAYS = 31
LAST_DAY = date(2026, 11, 19)  # a Thursday: offices are at work, so their keys have something to hide in

_DAY_SECONDS = 86_400
_BLOCKS = 6  # an office stays on one way out of its house for four hours at a time
_SPREAD = 0.2  # a key's load differs from its usual day by at most this share, each value as likely as another
_RATE_LIMITED, _FAILED = 0.004, 0.006  # shares of calls that end in 429 and, up to the second number, in 500
_CACHE_FROM, _CACHE_STEP, _CACHE_SHARE = 1024, 128, 0.4  # prompts of 1,024 tokens are cached in steps of 128


@dataclass(frozen=True)
class _Day:
    """One day of the month: its date, how many days before the last, and the seed of all randomness."""

    date: date
    before_end: int
    seed: int

    @property
    def midnight(self) -> int:
        """Unix seconds at which it begins (UTC)."""
        return (self.date - date(1970, 1, 1)).days * _DAY_SECONDS


def write_logs(directory: Path, seed: int = 7, last_day: date = LAST_DAY) -> list[Theft]:
    """Write the logs of the 31 days up to `last_day`, and return the thefts that are in them.

    There is one file a UTC day, `litellm-YYYY-MM-DD.ndjson`, its records in order of time. The same `seed` and
    `last_day` give the same bytes on every Python and system. A file of the same name is replaced, others stay.
    On a weekend the few calls of an office would fall into hours that it never worked in, so end on a weekday.

    Raises:
        SystemRefusedError: The folder cannot be written.
    """
    keys = company()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for before_end in reversed(range(DAYS)):
            day = _Day(last_day - timedelta(days=before_end), before_end, seed)
            text = "".join(f"{line(call)}\n" for call in _calls(keys, day))
            (directory / f"litellm-{day.date.isoformat()}.ndjson").write_bytes(text.encode("ascii"))
    except OSError as error:
        problem = f"cannot write the demo's logs ({error.strerror})"
        raise SystemRefusedError(problem, place=Place(str(directory)), hint="name another folder") from error
    return thefts(keys)


def _calls(keys: tuple[Profile, ...], day: _Day) -> list[Call]:
    """Return all calls of a day, thieves' ones too, in order of time."""
    users = [key.on(day.before_end) for key in keys] + (thieves(keys) if day.before_end == 0 else [])
    calls = (call for user in users if not user.away for call in _calls_of(user, day))
    return sorted(calls, key=lambda call: (call.start, call.serial))


def _calls_of(user: Profile, day: _Day) -> Iterator[Call]:
    """Yield one user's calls of a day, from a random stream of its own, so that no key's change moves another's."""
    name = f"{day.seed} {user.alias} {user.stream} {day.before_end}"
    rng = Random(name)  # noqa: S311  # traffic, not secrets
    addresses = _addresses(user.site.network, rng)
    for number, second in enumerate(_seconds(user, day, rng)):
        block = addresses[int(second * _BLOCKS / _DAY_SECONDS)]
        serial = blake2b(f"{name} {number}".encode(), digest_size=16).hexdigest()
        yield _call(user, serial, round(day.midnight + second, 6), _pick(rng, block), rng)


def _call(user: Profile, serial: str, start: float, address: str, rng: Random) -> Call:
    model = _pick(rng, user.models)
    prompt = max(4, int(user.load.prompt * _skew(rng)))
    completion = 0 if model.embeds else max(1, int(user.load.completion * _skew(rng)))
    return Call(
        serial=serial,
        profile=user,
        model=model,
        start=start,
        seconds=round(0.2 + completion / 90 + rng.random(), 6),
        prompt=prompt,
        cached=0 if model.embeds else _cached(prompt, rng),
        completion=completion,
        address=address,
        end_user=f"u-{int(rng.random() * user.end_users):04d}" if user.end_users else None,
        failure=_failure(rng),
    )


def _seconds(user: Profile, day: _Day, rng: Random) -> Iterator[float]:
    """Yield the seconds of the day at which `user` calls."""
    habit = user.habit
    weights = habit.utc_weights(day.date.weekday(), user.site.utc_offset)
    calls = round(_volume(user, day, rng) * sum(weights) / sum(habit.weekday))
    bursts = max(1, round(calls / habit.burst)) if calls else 0
    done = list(accumulate(weights))
    for number in range(bursts):
        # the hour by whose end that share of the day's work is done
        hour = bisect(done, (number + rng.random()) / bursts * done[-1])
        second = hour * 3600 + rng.random() * habit.minutes * 60
        for _ in range(calls * (number + 1) // bursts - calls * number // bursts):
            yield min(second, _DAY_SECONDS - 1 - rng.random())  # what would reach into the next day ends this one
            second += habit.spacing * (0.5 + rng.random())


def _volume(user: Profile, day: _Day, rng: Random) -> float:
    """Return the calls of a full weekday: grown since the middle of the month, and a little more or less."""
    weeks = (DAYS // 2 - day.before_end) / 7
    return user.load.calls * (1 + user.load.growth * weeks) * (1 - _SPREAD + 2 * _SPREAD * rng.random())


def _addresses(network: Network, rng: Random) -> list[list[str]]:
    """Return the addresses in use in each block of hours; the usual network is picked most."""
    first = 1 + int(rng.random() * (250 - network.pool)) if network.moves else 10
    picks = (network.prefixes[int(rng.random() * rng.random() * len(network.prefixes))] for _ in range(_BLOCKS))
    return [[f"{prefix}{first + host}" for host in range(network.pool)] for prefix in picks]


def _cached(prompt: int, rng: Random) -> int:
    hit = rng.random() < _CACHE_SHARE and prompt >= _CACHE_FROM
    return prompt // 2 // _CACHE_STEP * _CACHE_STEP if hit else 0


def _failure(rng: Random) -> str:
    luck = rng.random()
    if luck < _RATE_LIMITED:
        return "429"
    return "500" if luck < _FAILED else ""


def _skew(rng: Random) -> float:
    """Return a factor between 0.4 and 2.4 with the mean 1: most calls are small, few are long."""
    tail = rng.random()
    return 0.4 + 0.4 * rng.random() + 1.6 * tail * tail * tail


def _pick(rng: Random, options: Sequence[_T]) -> _T:
    return options[int(rng.random() * len(options))]
