"""Alerts in plain words: what fired, and against which habit."""

from __future__ import annotations

from typing import Any

import pytest
from demo.pages import PERIOD, alert, key_facts

from keytrip.demo.facts import Member
from keytrip.demo.words import finding, listed, money, short, spans, whole


def said(rule: str, **changes: Any) -> tuple[str, str, str]:
    """Return an alert's three texts, against the key of the tests."""
    found = finding(alert(rule, **changes), key_facts(), PERIOD.day)
    return found.what, found.habit, found.tag


@pytest.mark.parametrize(
    ("rule", "changes", "expected"),
    [
        (
            "key_request_volume_robust",
            {},
            ("300 requests", "usual 30.5 a day, at most 35", "requests \N{MULTIPLICATION SIGN}10"),
        ),
        ("key_cost_robust", {}, ("300.00 USD", "usual 30.50 a day, at most 35.00", "cost \N{MULTIPLICATION SIGN}10")),
        (
            "reference_volume_spike",
            {"baseline": {"mean": 20, "stddev": 2}},
            ("300 requests", "usual 20 a day", "requests \N{MULTIPLICATION SIGN}15"),
        ),
        ("key_token_volume_robust", {"baseline": {"median": 0.0}}, ("300 tokens", "usual 0 a day", "tokens")),
        ("org_spend_threshold_low", {"baseline": {}}, ("300.00 USD", "a fixed bound", "cost")),
        (
            "key_new_network",
            {"group": {"source_net": "203.0.113.0/24"}, "events": 1},
            ("1 request from 203.0.113.0/24", "usual 198.18.1.0/24", "new network"),
        ),
        (
            "key_unknown_model",
            {"group": {"model_family": "opus"}},
            ("300 requests to opus", "usual gpt-4o-mini", "new model"),
        ),
        (
            "key_model_tier_jump",
            {"observed": {"value_median": 75.0}, "baseline": {"key_list_price_daily_max": 0.6}},
            ("a model at 75.00 USD per million output tokens", "dearest so far 0.60", "dearer model"),
        ),
        (
            "key_model_tier_jump",
            {"observed": {"value_median": 75.0}, "baseline": {}},
            ("a model at 75.00 USD per million output tokens", "no price known", "dearer model"),
        ),
        (
            "key_hour_of_week_deviation",
            {"observed": {"value_sum": 40, "share": 0.975}},
            ("98% of 40 requests in its silent hours", "usual on a Thursday: 8-24 UTC", "silent hours"),
        ),
        ("key_never_seen", {}, ("300 requests", "a key without a past", "unknown key")),
        ("own_rule", {}, ("value sum 300", "median 30.5, mad 2.5, max 35, days 10", "A Title")),
        ("own_rule", {"observed": {}, "baseline": {}}, ("300 events", "no baseline", "A Title")),
    ],
)
def test_an_alert_in_words(rule: str, changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    """Each rule says its number, its unit and the habit it is against; a rule that is not known says its numbers."""
    assert said(rule, **changes) == expected


def test_a_set_that_is_empty_is_said() -> None:
    """A key without known networks, or without hours on that weekday, has no habit to name."""
    bare = key_facts(networks=(Member("203.0.113.0/24", 0, 5, known=False),), weekday_hours=())
    network = finding(alert("key_new_network", group={"source_net": "n"}), bare, PERIOD.day)
    hours = finding(alert("key_hour_of_week_deviation", observed={"share": 1.0}), bare, PERIOD.day)
    assert (network.habit, hours.habit) == ("no network known", "usual on a Thursday: never UTC".removesuffix(" UTC"))


def test_names_in_a_row() -> None:
    """None, one, and more names than the one that is shown."""
    assert [listed("abcd"[:n]) for n in (0, 1, 2, 4)] == ["", "a", "a and 1 more", "a and 3 more"]


def test_hours_as_spans() -> None:
    """Hours that follow one another are one span, which ends when its last hour does."""
    assert spans([]) == ""
    assert spans([22, 0, 1, 9, 23]) == "0-2, 9-10, 22-24"


def test_numbers() -> None:
    """Money keeps two digits where cents are too coarse, counts a half where they are few, scales their unit."""
    assert [money(value) for value in (0, 0.0384, 0.1, 1234.5)] == ["0.00", "0.038", "0.10", "1,234.50"]
    assert [whole(value) for value in (30, 30.5, 650_234.5)] == ["30", "30.5", "650,234"]
    assert [short(value) for value in (0, 1.5, 1600, 12_000, 1_200_000)] == ["0", "1.5", "1,600", "12k", "1.2M"]
