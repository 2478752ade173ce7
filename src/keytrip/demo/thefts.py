"""The four thefts of the last day: each takes another key, in another way, for other rules to notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from keytrip.demo.profiles import Habit, Load, Network, Profile, Site
from keytrip.demo.world import OPUS

# 203.0.113.0/24 and 192.0.2.0/24 are kept for documentation (RFC 5737).
_RENTED = Site(Network(("203.0.113.",), pool=40))
_ELSEWHERE = Site(Network(("192.0.2.",), pool=2))


@dataclass(frozen=True)
class Theft:
    """One theft, and what ought to notice it.

    Attributes:
        key_id: The stolen key, as the logs name it.
        alias: The name people gave the key.
        kind: `resale`, `premium_model`, `off_hours` or `long_prompts`.
        story: What happened, for people.
        expected_rules: Names of the rules that have to fire for this key on the last day; more may.
    """

    key_id: str
    alias: str
    kind: str
    story: str
    expected_rules: tuple[str, ...]


@dataclass(frozen=True)
class _Plan:
    """A theft before it happens: whose key, how a thief's use differs from the owner's, and what should notice."""

    alias: str
    kind: str
    steal: Callable[[Profile], Profile]
    expected_rules: tuple[str, ...]
    story: str


def thefts(keys: Sequence[Profile]) -> list[Theft]:
    """Return what is stolen from `keys` on the last day."""
    ids = {profile.alias: profile.key_id for profile in keys}
    return [Theft(ids[plan.alias], plan.alias, plan.kind, plan.story, plan.expected_rules) for plan in _PLANS]


def thieves(keys: Sequence[Profile]) -> list[Profile]:
    """Return the thieves of the last day, each as a profile that uses a key of `keys` in its own way."""
    owners = {profile.alias: replace(profile.on(0), away=False, stream="thief") for profile in keys}
    return [plan.steal(owners[plan.alias]) for plan in _PLANS]


def _hours(*hours: int) -> Habit:
    weights = tuple(int(hour in hours) for hour in range(24))
    return Habit(weights, weights)


def _resale(victim: Profile) -> Profile:
    """Resell the key through a proxy on rented machines, from midnight to six in Toronto (hours here are UTC)."""
    load = Load(1500, 2000, 500)
    return replace(victim, site=_RENTED, habit=_hours(5, 6, 7, 8, 9, 10), load=load, agent="Go-http-client/1.1")


def _premium_model(victim: Profile) -> Profile:
    """Call the dearest model now and then, from the key's own network and with its own client."""
    return replace(victim, models=(OPUS,), habit=_hours(*range(9, 16)), load=Load(16, 1800, 700))


def _off_hours(victim: Profile) -> Profile:
    """Do the owner's day of work, from elsewhere, in Berlin's night (hours here are UTC)."""
    return replace(victim, site=_ELSEWHERE, habit=_hours(0, 1, 2, 3, 20, 21, 22, 23))


def _long_prompts(victim: Profile) -> Profile:
    """Send a third of a million tokens a call, in few calls."""
    return replace(victim, habit=_hours(*range(10, 19)), load=Load(18, 320_000, 9000))


_PLANS = (
    _Plan(
        alias="maya.tremblay",
        kind="resale",
        steal=_resale,
        expected_rules=(
            "key_request_volume_robust",
            "key_token_volume_robust",
            "key_new_network",
            "key_hour_of_week_deviation",
        ),
        story="The key stood in a public notebook. A proxy that resells access to models used it all night from "
        "rented machines, 1,500 calls, while its owner in Toronto slept.",
    ),
    _Plan(
        alias="ticket-tagger",
        kind="premium_model",
        steal=_premium_model,
        expected_rules=("key_unknown_model", "key_model_tier_jump"),
        story="Somebody inside took the key of a service that lives on a small model and called the dearest one "
        "with it: some 16 calls, from the service's own network, hidden among its usual ones.",
    ),
    _Plan(
        alias="jonas.keller",
        kind="off_hours",
        steal=_off_hours,
        expected_rules=("key_new_network", "key_hour_of_week_deviation"),
        story="The key's owner in Berlin had a day off. Before dawn and late that evening his key did an ordinary "
        "day's work with his usual model, from a network that it had never come from.",
    ),
    _Plan(
        alias="code-review",
        kind="long_prompts",
        steal=_long_prompts,
        expected_rules=("key_token_volume_robust", "key_cost_robust"),
        story="Somebody on the build server sent whole code bases through the review service's key: the same network "
        "and model, hardly more calls, but many times the tokens and the money.",
    ),
)
