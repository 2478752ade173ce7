"""The page: one self-contained HTML file that shows each alarmed key's last day beside its habits.

It loads nothing and runs no script, and its policy forbids both. All text of logs is hostile: the template escapes it,
and what could turn the direction of text or hide in it is written out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from keytrip import __version__
from keytrip.demo import charts
from keytrip.demo.charts import Series
from keytrip.demo.facts import Facts, KeyFacts, Member
from keytrip.demo.svg import plain
from keytrip.demo.words import Alert, Finding, count, day_text, finding, money, short_day, weekday, whole

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = Path(__file__).with_name("report.html.j2")
LEVELS = ("critical", "high", "medium", "low", "informational")
_ALL = "all keys together"  # alerts that name no key
_SHORT = 12  # characters of a key's id that tell keys apart, where it has no name
_MEMBERS, _FINDINGS, _OTHERS = 6, 8, 120  # shown of a key's networks or models, of its alerts, and of the other keys


@dataclass(frozen=True)
class Case:
    """One key with its alerts, the gravest first.

    Attributes:
        key: Its facts; for alerts without a key, those of no key.
        findings: What fired, in words.
        alerts: The same as `hunt` wrote them.
        story: What really happened, where it is known.
    """

    key: KeyFacts
    findings: tuple[Finding, ...]
    alerts: tuple[Alert, ...]
    story: str = ""

    @property
    def name(self) -> str:
        """What people call the key."""
        return name_of(self.key)

    @property
    def level(self) -> str:
        """The gravest level of its alerts."""
        return self.findings[0].level

    @property
    def tags(self) -> tuple[str, ...]:
        """The findings in two or three words each, none twice."""
        return tuple(dict.fromkeys(found.tag for found in self.findings))


@dataclass(frozen=True)
class Report:
    """What the page is made of.

    Attributes:
        facts: Every key.
        cases: The alarmed ones.
        snapshot: Number of the snapshot that was hunted against.
        commands: What was typed to get here.
    """

    facts: Facts
    cases: tuple[Case, ...]
    snapshot: int | None = None
    commands: tuple[str, ...] = field(default=())


def name_of(key: KeyFacts) -> str:
    """Return the name that people gave a key, or the start of its id."""
    return key.label or (key.key_id if len(key.key_id) <= _SHORT else f"{key.key_id[:_SHORT]}\N{HORIZONTAL ELLIPSIS}")


def cases_of(alerts: Sequence[Alert], facts: Facts, stories: Mapping[str, str] | None = None) -> tuple[Case, ...]:
    """Return the keys of `alerts` (objects as `hunt --format json` writes them), each with its own.

    The gravest come first, of equals those with more alerts. Alerts without a key are one case of their own.
    """
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.get("key_id") or "", []).append(alert)
    cases = [_case(key, own, facts, (stories or {}).get(key, "")) for key, own in found.items()]
    return tuple(sorted(cases, key=lambda case: (_rank(case.level), -len(case.alerts), case.name)))


def _case(key_id: str, alerts: Sequence[Alert], facts: Facts, story: str) -> Case:
    key = facts.keys.get(key_id) or KeyFacts(key_id, "" if key_id else _ALL, ())
    ordered = sorted(alerts, key=lambda alert: (_rank(alert["level"]), alert["rule"]))
    return Case(key, tuple(finding(alert, key, facts.period.day) for alert in ordered), tuple(ordered), story)


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def render(report: Report) -> str:
    """Return the page."""
    alarmed = {case.key.key_id for case in report.cases}
    others = [key for key in report.facts.keys.values() if key.key_id not in alarmed]
    period = report.facts.period
    return _template().render(
        report=report,
        period=period,
        past=(period.end - period.start).days + 1,
        cases=report.cases,
        alerts=sum(len(case.alerts) for case in report.cases),
        alarmed=len(alarmed - {""}),
        others=others[:_OTHERS],
        hidden=len(others[_OTHERS:]),
        most_members=_MEMBERS,
        most_findings=_FINDINGS,
        version=__version__,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals |= {
        "count": count, "day_text": day_text, "money": money, "short_day": short_day, "weekday": weekday,
        "whole": whole, "name_of": name_of, "requests_chart": _requests_chart, "cost_chart": _cost_chart,
        "hours_chart": _hours_chart, "share": _share, "spark": _spark, "json": _json, "levels": LEVELS,
    }  # fmt: skip
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """Write out what cannot be seen in every text that the template prints; drawings are made of such text already."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _requests(key: KeyFacts) -> Series:
    points = tuple((day.day, day.requests) for day in key.days)
    return Series(f"Requests per day, {name_of(key)}", points, key.requests, whole)


def _requests_chart(key: KeyFacts) -> Markup:
    return charts.daily(_requests(key))


def _cost_chart(key: KeyFacts) -> Markup:
    points = tuple((day.day, day.cost) for day in key.days)
    return charts.daily(Series(f"Cost per day in USD, {name_of(key)}", points, key.cost, money))


def _hours_chart(key: KeyFacts) -> Markup:
    return charts.hours(f"Hours of the day in UTC, {name_of(key)}", key.hours, key.days[-1].day)


def _spark(key: KeyFacts) -> Markup:
    return charts.spark(_requests(key))


def _share(member: Member, members: Sequence[Member]) -> Markup:
    return charts.share(member.now, sum(m.now for m in members), new=not member.known)


def _json(alert: Alert) -> str:
    return json.dumps(alert, ensure_ascii=False, default=str)
