"""Keys, alerts and pages for tests, made here; and what a browser would see of a page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

from keytrip.demo.facts import Day, Facts, Habit, Hour, KeyFacts, Member, Period
from keytrip.demo.report import Report, cases_of, render

PERIOD = Period(date(2026, 11, 9), date(2026, 11, 18), date(2026, 11, 19))


def key_facts(key_id: str = "key_a", label: str = "anna", **changes: Any) -> KeyFacts:
    """Return a key that did 30 requests a day, and 300 on the last; `changes` replace what it has."""
    counts = [*range(26, 36), 300]
    values: dict[str, Any] = {
        "days": tuple(Day(day, n, n / 100) for day, n in zip(PERIOD.days, counts, strict=True)),
        "requests": Habit(30.5, 2.5),
        "cost": Habit(0.305, 0.025),
        "hours": tuple(Hour(h, 10.0 * (h > 7), 5.0 * (h < 2), unknown=h < 2) for h in range(24)),
        "weekday_hours": tuple(range(8, 24)),
        "networks": (Member("203.0.113.0/24", 0, 280, known=False), Member("198.18.1.0/24", 300, 20, known=True)),
        "models": (Member("gpt-4o-mini", 300, 300, known=True),),
    }
    return KeyFacts(key_id, label, **(values | changes))


def alert(rule: str = "key_request_volume_robust", key_id: str | None = "key_a", **changes: Any) -> dict[str, Any]:
    """Return an alert as `hunt --format json` writes it; `changes` replace members."""
    return {
        "alert_id": "0" * 32,
        "rule": rule,
        "title": "A Title",
        "level": "high",
        "key_id": key_id,
        "group": {} if key_id is None else {"key_id": key_id},
        "observed": {"value_sum": 300},
        "baseline": {"median": 30.5, "mad": 2.5, "max": 35, "days": 10},
        "events": 300,
    } | changes


def facts_of(*keys: KeyFacts) -> Facts:
    """Return the facts of `keys`."""
    return Facts(PERIOD, {key.key_id: key for key in keys}, 1000)


def page(
    alerts: Sequence[Mapping[str, Any]] = (), keys: Sequence[KeyFacts] = (), stories: Mapping[str, str] | None = None
) -> str:
    """Return the page of `alerts` and `keys`."""
    facts = facts_of(*keys)
    return render(Report(facts, cases_of(alerts, facts, stories), 1, ("$ keytrip hunt",)))


class Seen(HTMLParser):
    """Elements, attributes and text of a page; fails where an end tag has no start."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        """Read a page."""
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a start tag."""
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content, as SVG has them."""
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Note an end tag."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data

    def all(self, name: str) -> list[str | None]:
        """Return every value of an attribute."""
        return [value for key, value in self.attributes if key == name]


def drawings(text: str) -> list[ET.Element]:
    """Return every drawing of a page; fails where one is not well-formed."""
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]  # noqa: S314  # ours


def texts(svg: ET.Element) -> list[str]:
    """Return the lines of text in a drawing."""
    return [element.text or "" for element in svg.iter("text")]


def styled(svg: ET.Element, style: str) -> list[ET.Element]:
    """Return the elements of a drawing that have a class."""
    return [element for element in svg.iter() if style in element.get("class", "").split()]


def day(number: int) -> date:
    """Return a day of the period, 0 being the first."""
    return PERIOD.start + timedelta(days=number)
