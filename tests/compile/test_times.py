"""Dates and hours by arithmetic are the calendar's."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from keytrip.compile.times import civil, hour_of_day, hour_of_week


def test_civil() -> None:
    """Every day from 1970 to 2261 gets its date."""
    steps = [(name, compile(text, name, "eval")) for name, text in civil("d", lambda part, by: f"({part} // {by})")]
    for day in range((date(2262, 1, 1) - date(1970, 1, 1)).days):
        names: dict[str, Any] = {"d": day}
        for name, code in steps:
            names[name] = eval(code, {}, names)  # noqa: S307 - our own text
        expected = date(1970, 1, 1) + timedelta(days=day)
        assert (names["kt_year"], names["kt_month"], names["kt_dom"]) == (expected.year, expected.month, expected.day)


def test_hours() -> None:
    """The epoch began on a Thursday at hour 0; Monday's first hour is hour 0 of the week."""
    monday = 4 * 24
    assert [eval(hour_of_week(str(h))) for h in (0, monday - 1, monday)] == [72, 167, 0]  # noqa: S307 - as above
    assert [eval(hour_of_day(str(h))) for h in (0, 23, 24)] == [0, 23, 0]  # noqa: S307 - as above
