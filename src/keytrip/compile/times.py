"""Fields of time that no SIEM holds, as text: arithmetic on the epoch, as SEMANTICS section 1 asks for."""

from __future__ import annotations

from collections.abc import Callable

# Days of a 400-year cycle, and from its start (0000-03-01) to 1970-01-01: the civil calendar in integer arithmetic.
_CYCLE, _SHIFT = 146097, 719468


def hour_of_day(hours: str) -> str:
    """Return the hour of the day, 0-23; `hours` is the text of whole hours since the epoch."""
    return f"({hours} % 24)"


def hour_of_week(hours: str) -> str:
    """Return the hour of the week, 0-167: 1970-01-01 was a Thursday, whose midnight is hour 72."""
    return f"(({hours} + 72) % 168)"


def civil(days: str, divide: Callable[[str, int], str]) -> list[tuple[str, str]]:
    """Return (column, text) steps after which `kt_year`, `kt_month` and `kt_dom` are the date.

    Args:
        days: Text of whole days since the epoch.
        divide: Gives the text of an integer quotient.
    """
    cycle = divide("kt_days", _CYCLE)
    leaps = f"(kt_doe - {divide('kt_doe', 1460)} + {divide('kt_doe', 36524)} - {divide('kt_doe', 146096)})"
    years = f"((365 * kt_yoe) + {divide('kt_yoe', 4)} - {divide('kt_yoe', 100)})"
    month = divide("((5 * kt_doy) + 2)", 153)
    return [
        ("kt_days", f"({days} + {_SHIFT})"),
        ("kt_doe", f"(kt_days - ({cycle} * {_CYCLE}))"),
        ("kt_yoe", divide(leaps, 365)),
        ("kt_doy", f"(kt_doe - {years})"),
        ("kt_moy", month),
        ("kt_dom", f"(kt_doy - {divide('((153 * kt_moy) + 2)', 5)} + 1)"),
        ("kt_month", f"(kt_moy + 3 - (12 * {divide('kt_moy', 10)}))"),
        ("kt_year", f"(kt_yoe + ({cycle} * 400) + {divide('kt_moy', 10)})"),
    ]
