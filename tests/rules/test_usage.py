"""The rules of rules/usage/ on whole days: silent on a service that goes on as before, loud on a stolen key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from statistics import mean, median, stdev
from typing import Any

import pytest

from keytrip.hunt.casetest import run_cases
from keytrip.rules.load import Document, alerting, load_rules

DOCUMENTS = load_rules()
USAGE = [rule for rule in alerting(DOCUMENTS) if rule.path.parent.name == "usage"]
MONDAY = date(2026, 10, 19)
TOKENS, USD = 4000, 0.001
Row = Mapping[str, Any]

ROUND_THE_CLOCK = tuple(range(24))


@dataclass(frozen=True)
class Service:
    """Thirty days of a key, and the day after: requests of each day, and the hours it spreads them over."""

    past: Sequence[int]
    next_day: int
    hours: Sequence[int] = ROUND_THE_CLOCK
    weekdays: int = 7

    @property
    def days(self) -> list[date]:
        """Days with a record, as many as `past` has."""
        calendar = (MONDAY + timedelta(days=n) for n in range(60))
        return [day for day in calendar if day.weekday() < self.weekdays][: len(self.past)]

    @property
    def tomorrow(self) -> date:
        """The first day after those, on which it works."""
        later = (self.days[-1] + timedelta(days=n) for n in range(1, 4))
        return next(day for day in later if day.weekday() < self.weekdays)


def uneven(usual: int, days: int = 30) -> list[int]:
    """Return days that differ from the usual one by up to a fifth, in an order like chance."""
    return [usual + usual * ((7 * n) % 11 - 5) // 25 for n in range(days)]


SERVICES = {
    "a service with uneven days": Service(uneven(300), 362),
    "a timer, every day the same": Service([240] * 30, 240),
    "a timer, one request more": Service([240] * 30, 241),
    "a weekly batch beside little use": Service([5000, *[60] * 6] * 4 + [5000, 60], 60),
    "a weekly batch, on its day": Service([60, 60, 5000, *[60] * 4] * 4 + [60, 60], 5600),
    "a nightly job": Service(uneven(80), 95, hours=(2,)),
    "an office": Service(uneven(40, 22), 48, hours=range(8, 18), weekdays=5),
    "little use": Service([0, 1, 4, 2, 3] * 6, 9, hours=(9, 10)),
}


def statistic(values: Sequence[float], **key: str) -> Row:
    """Return the row that a DailyStatistic makes of the days' values."""
    middle = median(values)
    mad = median(abs(value - middle) for value in values)
    spread = {"mean": mean(values), "stddev": stdev(values), "max": max(values), "median": middle, "mad": mad}
    return {**key, **spread, "days": len(values)}


def tables(service: Service) -> dict[str, list[Row]]:
    """Return what the baseline jobs make of the service's past."""
    key, past = {"key_id": "key_a"}, service.past
    hours = {day.weekday() * 24 + hour for day in service.days for hour in service.hours}
    return {
        "keys": [key],
        "key_requests_daily": [statistic(past, **key)],
        "key_tokens_daily": [statistic([n * TOKENS for n in past], **key)],
        "key_cost_daily": [statistic([n * USD for n in past], **key)],
        "key_list_price_daily": [statistic([0.6] * len(past), **key)],
        "key_models": [{**key, "model": "gpt-4o-mini-2024-07-18"}],
        "key_model_families": [{**key, "model_family": "gpt-4o-mini"}],
        "key_source_nets": [{**key, "source_net": "198.51.100.0/24"}],
        "key_hours_of_week": [{**key, "hour_of_week": hour} for hour in sorted(hours)],
        "org_cost_daily": [statistic([n * USD for n in past], provider="openai")],
    }


def record(day: date, hour: int, requests: int, **changes: object) -> Row:
    """Return one hour of the service as a bucket."""
    return {
        "timestamp": f"{day}T{hour:02}:00:00Z",
        "provider": "openai",
        "key_id": "key_a",
        "model": "gpt-4o-mini-2024-07-18",
        "list_price": 0.6,
        "input_tokens": requests * TOKENS,
        "cost_usd": requests * USD,
        "source_ip": "198.51.100.7",
        "request_count": requests,
        "bucket_seconds": 3600,
        **changes,
    }


def ordinary_day(service: Service) -> list[Row]:
    """Return the records of the day after the past; its requests spread over the service's hours."""
    share, rest = divmod(service.next_day, len(service.hours))
    counts = [share + (n < rest) for n in range(len(service.hours))]
    return [record(service.tomorrow, h, n) for h, n in zip(service.hours, counts, strict=True) if n]


Day = tuple[Sequence[Row], Mapping[str, Sequence[Row]]]


def fired(days: Mapping[str, Day]) -> dict[str, set[str]]:
    """Return, for each day by its name, which usage rules fire on its events beside its tables."""
    tried = {rule.name: with_days(rule, days) for rule in USAGE}
    others = [Document({**d.data, "tests": []}, d.path, d.line) for d in DOCUMENTS if d.name not in tried]
    results = run_cases([*others, *tried.values()])
    assert len(results) == len(tried) * len(days)
    loud = [result for result in results if not result.passed]
    assert all("expected no alert" in result.report for result in loud)
    return {name: {result.rule for result in loud if result.case == name} for name in days}


def with_days(rule: Document, days: Mapping[str, Day]) -> Document:
    """Return the rule with the days as its cases, each with the tables that the rule names."""
    named = str(rule.data.get("baseline"))
    cases = [
        {"name": name, "fires": False, "events": [*events], "baseline": {t: rows[t] for t in rows if f"'{t}'" in named}}
        for name, (events, rows) in days.items()
    ]
    return Document({**rule.data, "tests": cases}, rule.path, rule.line)


def test_a_service_that_goes_on_as_before_is_silent() -> None:
    """A key that does tomorrow what it did for a month gives no alert of any rule."""
    days = {name: (ordinary_day(service), tables(service)) for name, service in SERVICES.items()}
    assert fired(days) == {name: set() for name in SERVICES}


OFFICE = SERVICES["an office"]
THEFTS = {
    "resold from elsewhere at night": (
        {"hours": (1, 2, 3, 4), "requests": 500, "source_ip": "203.0.113.9"},
        {"key_request_volume_robust", "key_token_volume_robust", "key_new_network", "key_hour_of_week_deviation"},
    ),
    "the dearest model, a little": (
        {"hours": (9,), "requests": 3, "model": "claude-opus-4-1-20250805", "list_price": 75},
        {"key_unknown_model", "key_model_tier_jump"},
    ),
    "a new snapshot of its own model, from its own network": (
        {"hours": (9,), "requests": 3, "model": "gpt-4o-mini-2026-10-01"},
        set[str](),
    ),
    "long prompts": (
        {"hours": (10, 11), "requests": 4, "input_tokens": 3_000_000, "cost_usd": 6.0},
        {"key_token_volume_robust", "key_cost_robust"},
    ),
    "a key that nobody knows, at great cost": (
        {"hours": (10, 11), "requests": 30, "key_id": "key_b", "cost_usd": 40.0},
        {"key_never_seen", "org_cost_spike", "org_spend_threshold_low"},
    ),
    "a very dear night": (
        {"hours": (1, 2, 3), "requests": 1, "cost_usd": 200.0},
        {
            "key_cost_robust",
            "org_cost_spike",
            "org_spend_threshold_low",
            "org_spend_threshold_medium",
            "org_spend_threshold_critical",
        },
    ),
}


def test_a_theft_beside_the_ordinary_day_is_noticed() -> None:
    """Each way to abuse a key is noticed by the rules made for it, and by no other."""
    days = {name: (stolen_day(theft), tables(OFFICE)) for name, (theft, _) in THEFTS.items()}
    assert fired(days) == {name: expected for name, (_, expected) in THEFTS.items()}


def stolen_day(theft: Mapping[str, Any]) -> list[Row]:
    """Return half a day of the office, and the theft's records beside it."""
    changes = {name: value for name, value in theft.items() if name not in {"hours", "requests"}}
    stolen = (record(OFFICE.tomorrow, hour, theft["requests"], **changes) for hour in theft["hours"])
    return [*ordinary_day(OFFICE)[:5], *stolen]


@pytest.mark.parametrize("rule", USAGE, ids=lambda rule: rule.name)
def test_each_number_is_a_parameter_with_a_reason(rule: Document) -> None:
    """The static numbers of a rule are its parameters' defaults, and each says why it is what it is."""
    declared = rule.data["parameters"]
    placed = {p["at"]: p["default"] for p in declared.values() if "at" in p}
    assert {at: _found(rule.data, at) for at in placed} == placed
    floor = next(value for name, value in rule.data["correlation"]["condition"].items() if name != "field")
    assert floor in placed.values()
    assert all(len(p["why"].split()) >= 5 for p in declared.values())


def _found(data: Any, path: str) -> Any:
    return reduce(lambda value, part: value[int(part) if isinstance(value, list) else part], path.split("."), data)
