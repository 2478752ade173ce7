"""Says in plain words what an alert saw, and the habit of the key that it is against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from keytrip.demo.facts import KeyFacts, Member

_SMALL = 100
_CENT = 0.1  # below this, two decimals would say too little
Alert = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One alert in words.

    Attributes:
        rule: The rule's name.
        level: Its level.
        title: Its title.
        what: What the key did.
        habit: What it usually does.
        tag: The same in two or three words.
    """

    rule: str
    level: str
    title: str
    what: str
    habit: str
    tag: str


Words = tuple[str, str, str]
Writer = Callable[[Alert, KeyFacts, date], Words]


def finding(alert: Alert, key: KeyFacts, day: date) -> Finding:
    """Return `alert` (an object as `hunt --format json` writes it) in words; a rule not known here says its numbers."""
    what, habit, tag = _WRITERS.get(str(alert["rule"]), _anything)(alert, key, day)
    return Finding(str(alert["rule"]), str(alert["level"]), str(alert["title"]), what, habit, tag)


def count(number: float, noun: str) -> str:
    """Return a whole number with its noun: `1 request`, `1,543 requests`."""
    return f"{number:,.0f} {noun}{'' if round(number) == 1 else 's'}"


def whole(number: float) -> str:
    """Return a number of things: a half, as a median may have, is told only of small ones."""
    return f"{number:,.1f}" if number < _SMALL and number % 1 else f"{number:,.0f}"


def short(number: float) -> str:
    """Return a round number for a scale: `800`, `12k`, `1.2M`."""
    for unit, sign in ((1_000_000, "M"), (1000, "k")):
        if number >= 10 * unit or (unit > 1000 and number >= unit):  # noqa: PLR2004  # 1,600 is as short as 1.6k
            return f"{number / unit:.10g}{sign}"
    return f"{number:,.10g}"


def money(usd: float) -> str:
    """Return an amount of USD, with two decimals or, below ten cents, two digits."""
    return f"{usd:,.2f}" if usd >= _CENT or usd == 0 else f"{usd:.2g}"


def day_text(day: date) -> str:
    """Return `19 November`; English whatever the locale."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def short_day(day: date) -> str:
    """Return `19 Nov`."""
    return f"{day.day} {_MONTHS[day.month - 1][:3]}"


def weekday(day: date) -> str:
    """Return `Thursday`."""
    return _WEEKDAYS[day.weekday()]


def listed(names: Sequence[str]) -> str:
    """Return the first name and how many more there are: `a and 3 more`."""
    more = len(names) - 1
    return f"{names[0]} and {more} more" if more > 0 else "".join(names)


def spans(hours: Iterable[int]) -> str:
    """Return hours of the day as spans: `13-23` for 13 to 22, since the last one ends at 23."""
    found: list[list[int]] = []
    for hour in sorted(hours):
        if found and found[-1][1] == hour:
            found[-1][1] = hour + 1
        else:
            found.append([hour, hour + 1])
    return ", ".join(f"{first}-{last}" for first, last in found)


def _usual(alert: Alert) -> float | None:
    baseline = alert["baseline"]
    value = baseline.get("median", baseline.get("mean"))
    return None if value is None else float(value)


def _daily(amount: Callable[[float], str], unit: str, tag: str) -> Writer:
    """Return the writer for rules that compare a day's sum with a daily statistic."""

    def write(alert: Alert, _: KeyFacts, __: date) -> Words:
        value, usual, most = float(alert["observed"]["value_sum"]), _usual(alert), alert["baseline"].get("max")
        what = f"{amount(value)} {unit}"
        if usual is None:
            return what, "a fixed bound", tag
        habit = f"usual {amount(usual)} a day" + ("" if most is None else f", at most {amount(float(most))}")
        return what, habit, tag + (f" \N{MULTIPLICATION SIGN}{value / usual:,.0f}" if usual else "")

    return write


def _new(noun: str, field: str, members: Callable[[KeyFacts], Sequence[Member]]) -> Writer:
    """Return the writer for rules on a value that is not in the key's set."""

    def write(alert: Alert, key: KeyFacts, _: date) -> Words:
        known = [member.name for member in sorted(members(key), key=lambda m: -m.before) if member.known]
        place = f"{count(alert['events'], 'request')} {'to' if noun == 'model' else 'from'} {alert['group'].get(field)}"
        return place, f"usual {listed(known)}" if known else f"no {noun} known", f"new {noun}"

    return write


def _price(alert: Alert, _: KeyFacts, __: date) -> Words:
    price, dearest = float(alert["observed"]["value_median"]), alert["baseline"].get("key_list_price_daily_max")
    what = f"a model at {money(price)} USD per million output tokens"
    return what, "no price known" if dearest is None else f"dearest so far {money(float(dearest))}", "dearer model"


def _silent_hours(alert: Alert, key: KeyFacts, day: date) -> Words:
    total = alert["observed"].get("value_sum", alert["events"])
    what = f"{alert['observed']['share']:.0%} of {count(total, 'request')} in its silent hours"
    used = f"{spans(key.weekday_hours)} UTC" if key.weekday_hours else "never"
    return what, f"usual on a {weekday(day)}: {used}", "silent hours"


def _first_use(alert: Alert, _: KeyFacts, __: date) -> Words:
    return count(alert["events"], "request"), "a key without a past", "unknown key"


def _anything(alert: Alert, _: KeyFacts, __: date) -> Words:
    what = _pairs(alert["observed"]) or count(alert["events"], "event")
    return what, _pairs(alert["baseline"]) or "no baseline", str(alert["title"])


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


_REQUESTS, _TOKENS = _daily(whole, "requests", "requests"), _daily(whole, "tokens", "tokens")
_COST = _daily(money, "USD", "cost")
_WRITERS: Mapping[str, Writer] = {
    "key_request_volume_robust": _REQUESTS,
    "reference_volume_spike": _REQUESTS,
    "reference_volume_spike_extreme": _REQUESTS,
    "key_token_volume_robust": _TOKENS,
    "key_cost_robust": _COST,
    "reference_cost_spike": _COST,
    "org_cost_spike": _COST,
    "org_spend_threshold_low": _COST,
    "org_spend_threshold_medium": _COST,
    "org_spend_threshold_critical": _COST,
    "key_new_network": _new("network", "source_net", lambda key: key.networks),
    "reference_unknown_source_ip": _new("address", "source_ip", lambda key: key.networks),
    "key_unknown_model": _new("model", "model_family", lambda key: key.models),
    "reference_unknown_model": _new("model", "model", lambda key: key.models),
    "key_model_tier_jump": _price,
    "key_hour_of_week_deviation": _silent_hours,
    "key_never_seen": _first_use,
}
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
