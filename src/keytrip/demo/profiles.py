"""What describes a key's habits: models with their prices, hours, networks, load, and what changes on which day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256


@dataclass(frozen=True)
class Model:
    """A model as the gateway calls it, with list prices in USD per million tokens (genai-prices, November 2026).

    Attributes:
        provider: LiteLLM's name of who serves it.
        name: What the provider is asked for, often a dated snapshot.
        group: The public name that clients ask the gateway for.
        price: Price of input tokens.
        cached_price: Price of input tokens read from the provider's cache.
        output_price: Price of output tokens; 0 for embeddings.
    """

    provider: str
    name: str
    group: str
    price: float
    cached_price: float
    output_price: float

    @property
    def embeds(self) -> bool:
        """Whether it makes embeddings, and so no output tokens."""
        return self.output_price == 0

    def cost(self, prompt: int, cached: int, completion: int) -> float:
        """Return USD, to the tenth decimal, of `prompt` input tokens, `cached` ones included, and `completion` ones."""
        fresh = (prompt - cached) * self.price
        return round((fresh + cached * self.cached_price + completion * self.output_price) / 1_000_000, 10)


@dataclass(frozen=True)
class Habit:
    """When a key is used: weights of the 24 local hours, and how calls cling together.

    Weights are integers: their sums are then the same on every Python (3.12 began to sum floats in another way).

    Attributes:
        weekday: Weights from Monday to Friday; they add up to one full day's load.
        weekend: Weights on Saturday and Sunday, on the same scale.
        burst: Calls that follow one another in a burst; 1 for calls on their own.
        spacing: Usual seconds between the calls of a burst.
        minutes: Calls or bursts begin in these first minutes of an hour.
    """

    weekday: tuple[int, ...]
    weekend: tuple[int, ...]
    burst: int = 1
    spacing: float = 0.0
    minutes: int = 60

    def utc_weights(self, weekday: int, utc_offset: int) -> tuple[int, ...]:
        """Return the weights of the 24 UTC hours of a `weekday` (Monday is 0) as lived at `utc_offset` hours."""
        return tuple(self._local_weight(weekday, hour + utc_offset) for hour in range(24))

    def _local_weight(self, weekday: int, hour: int) -> int:
        table = self.weekend if (weekday + hour // 24) % 7 >= 5 else self.weekday  # noqa: PLR2004  # Saturday
        return table[hour % 24]


@dataclass(frozen=True)
class Network:
    """Where calls come from.

    Attributes:
        prefixes: Beginnings of addresses, the usual one first; each is one network (the /24 of an IPv4, the /48 of
            an IPv6).
        pool: Addresses in use at a time.
        moves: Whether the pool sits elsewhere in the same network each day, as a cloud NAT's does.
    """

    prefixes: tuple[str, ...]
    pool: int = 1
    moves: bool = False


@dataclass(frozen=True)
class Site:
    """A network and the clock of the people there, in hours ahead of UTC."""

    network: Network
    utc_offset: int = 0


@dataclass(frozen=True)
class Load:
    """How much a key does on a full weekday.

    Attributes:
        calls: Calls a day.
        prompt: Usual input tokens of a call.
        completion: Usual output tokens of a call.
        growth: Growth a week, as a share.
    """

    calls: int
    prompt: int
    completion: int = 0
    growth: float = 0.0


@dataclass(frozen=True)
class Change:
    """What is different from a day on, counted back from the last one (0 is the last day itself)."""

    days_before_end: int
    models: tuple[Model, ...] | None = None
    agent: str | None = None
    away: bool = False


@dataclass(frozen=True)
class Profile:
    """One key, and how it is used.

    Attributes:
        alias: The name people gave the key.
        team: Whose it is.
        habit: When it is used.
        site: Where from.
        models: What it calls, all equally often.
        load: How much.
        agent: The client's User-Agent.
        end_users: How many end users its calls name; 0 names none.
        changes: What changes in the month, in order of time.
        since: Days before the last one on which it begins; beyond the month: it is older.
        until: Days before the last one on which it is used last.
        away: It is not used at all.
        stream: Tells apart two random streams for one key: its owner's and a thief's.
    """

    alias: str
    team: str
    habit: Habit
    site: Site
    models: tuple[Model, ...]
    load: Load
    agent: str
    end_users: int = 0
    changes: tuple[Change, ...] = ()
    since: int = 999
    until: int = 0
    away: bool = False
    stream: str = "owner"
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        """Name the key as LiteLLM does, by a SHA-256; here of a made-up name, for there is no key."""
        object.__setattr__(self, "key_id", sha256(f"keytrip demo {self.alias}".encode()).hexdigest())

    @property
    def user(self) -> str:
        """The user that the gateway knows the key by: a person, or the team."""
        return f"{self.alias if '.' in self.alias else self.team}@example.com"

    def on(self, days_before_end: int) -> Profile:
        """Return the profile as it is that many days before the last one."""
        now = replace(self, away=not self.until <= days_before_end <= self.since)
        for change in self._made_by(days_before_end):
            models, agent = change.models or now.models, change.agent or now.agent
            now = replace(now, models=models, agent=agent, away=now.away or change.away)
        return now

    def _made_by(self, days_before_end: int) -> Iterator[Change]:
        return (change for change in self.changes if change.days_before_end >= days_before_end)
