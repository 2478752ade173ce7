"""Drawings of the page as inline SVG: bars of days on the habit's band, a strip of hours, and small bars.

Across, all is in per cent, and up and down in pixels: a drawing fits any width, and its text keeps its size. Colours
are the page's, by class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor, log10

from markupsafe import Markup

from keytrip.demo.facts import Habit, Hour
from keytrip.demo.svg import Element, add, add_text, add_tip, drawing, markup, ornament, per
from keytrip.demo.words import short, short_day, spans

_LEFT = 12.0  # per cent that the numbers of the scale have
_TOP, _PLOT, _FOOT = 20, 96, 20  # pixels above, in and below the plot
_STEPS = (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10)  # tops of scales whose half is a round number too
_ROW, _GAP = 22, 4
_LABELS = 4  # days named below the bars, beside the last
_SPARK = 28
_ROOM = 8  # pixels below which a band has no room for its median


@dataclass(frozen=True)
class Series:
    """One value a day, and what is usual.

    Attributes:
        title: What is drawn, for people who do not see it.
        points: (day, value); the last is the hunted one.
        habit: The band, or None for a key without a past.
        text: Writes a value.
    """

    title: str
    points: Sequence[tuple[date, float]]
    habit: Habit | None
    text: Callable[[float], str]

    @property
    def most(self) -> float:
        """The largest number to be drawn; 0 if there is none."""
        return max([value for _, value in self.points] + ([self.habit.high] if self.habit else []), default=0.0)


def scale_top(value: float) -> float:
    """Return a round number that is not below `value`; 1 if that is 0."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(round(step * unit, 12) for step in _STEPS if step * unit >= value * (1 - 1e-9))


def daily(series: Series) -> Markup:
    """Return bars of the days on the band of the habit, the last day marked with its value."""
    habit = series.habit
    height = _TOP + _PLOT + _FOOT
    svg = drawing("daily", height, series.title, _daily_text(series))
    top = scale_top(series.most)
    if habit:
        _band(svg, habit, top)
    for value in (top, top / 2, 0.0):
        add(svg, "line", "grid", x1=per(_LEFT), x2="100%", y1=_y(value, top), y2=_y(value, top))
        add_text(svg, short(value), "scale", x=per(_LEFT - 1.5), y=_y(value, top) + 4)
    _bars(svg, series, top)
    _day_names(svg, [day for day, _ in series.points])
    return markup(svg)


def _band(svg: Element, habit: Habit, top: float) -> None:
    upper, lower = _y(habit.high, top), _y(habit.low, top)
    add(svg, "rect", "band", x=per(_LEFT), width=per(100 - _LEFT), y=upper, height=max(1.5, lower - upper))
    if lower - upper >= _ROOM:
        middle = _y(habit.median, top)
        add(svg, "line", "median", x1=per(_LEFT), x2="100%", y1=middle, y2=middle)


def _bars(svg: Element, series: Series, top: float) -> None:
    slot = (100 - _LEFT) / max(1, len(series.points))
    last = len(series.points) - 1
    for number, (day, value) in enumerate(series.points):
        if value <= 0:
            continue
        y = min(_y(value, top), _TOP + _PLOT - 1.0)
        bar = add(
            svg, "rect", "bar now" if number == last else "bar",
            x=per(_LEFT + slot * (number + 0.15)), width=per(slot * 0.7), y=y, height=_TOP + _PLOT - y,
        )  # fmt: skip
        add_tip(bar, f"{short_day(day)}: {series.text(value)}")
    if series.points:
        value = series.points[-1][1]
        add_text(svg, series.text(value), "value", x="100%", y=_y(value, top) - 5)


def _day_names(svg: Element, days: Sequence[date]) -> None:
    slot, last = (100 - _LEFT) / max(1, len(days)), len(days) - 1
    step = max(1, round(last / _LABELS - 0.5))
    for number in range(last - step, -1, -step):
        add_text(svg, short_day(days[number]), "tick", x=per(_LEFT + slot * (number + 0.5)), y=_TOP + _PLOT + 15)
    if days:
        add_text(svg, short_day(days[-1]), "tick end", x="100%", y=_TOP + _PLOT + 15)


def _daily_text(series: Series) -> str:
    if not series.points:
        return "No day."
    day, value = series.points[-1]
    now = f"On {short_day(day)}: {series.text(value)}."
    if series.habit is None:
        return f"{now} There is no past to compare with."
    habit = series.habit
    usual = f"usual {series.text(habit.median)} a day, band {series.text(habit.low)} to {series.text(habit.high)}"
    return f"{now} In the {len(series.points) - 1} days before: {usual}."


def hours(title: str, cells: Sequence[Hour], day: date) -> Markup:
    """Return two rows of 24 hours: how much of the past, and of the hunted day, falls into each."""
    svg = drawing("hours", 2 * _ROW + _GAP + 18, title, _hours_text(cells, day))
    _row(svg, "usual", 0, [(cell.usual, "cell") for cell in cells])
    _row(svg, short_day(day), _ROW + _GAP, [(cell.now, "cell new" if cell.unknown else "cell") for cell in cells])
    for hour in range(0, 24, 6):
        add_text(svg, f"{hour}:00", "tick start", x=per(_hour_x(hour)), y=2 * _ROW + _GAP + 15)
    add_text(svg, "24:00", "tick end", x="100%", y=2 * _ROW + _GAP + 15)
    return markup(svg)


def _row(svg: Element, name: str, y: int, cells: Sequence[tuple[float, str]]) -> None:
    add_text(svg, name, "scale", x=per(_LEFT - 1.5), y=y + _ROW / 2 + 4)
    most = max((value for value, _ in cells), default=0) or 1
    for hour, (value, style) in enumerate(cells):
        x, width = per(_hour_x(hour)), per((100 - _LEFT) / 24 * 0.88)
        add(svg, "rect", "empty", x=x, width=width, y=y, height=_ROW)
        if value > 0:
            # the least of a row is still to be seen
            opacity = round(0.2 + 0.8 * value / most, 2)
            add(svg, "rect", style, x=x, width=width, y=y, height=_ROW, fill_opacity=opacity)


def _hour_x(hour: int) -> float:
    return _LEFT + (100 - _LEFT) / 24 * hour


def _hours_text(cells: Sequence[Hour], day: date) -> str:
    usual = spans(cell.hour for cell in cells if cell.usual) or "none"
    now = spans(cell.hour for cell in cells if cell.now) or "none"
    news = spans(cell.hour for cell in cells if cell.unknown) or "none"
    return f"Hours in use before: {usual}. On {short_day(day)}: {now}; of these always silent on that weekday: {news}."


def share(part: float, whole: float, *, new: bool) -> Markup:
    """Return a thin bar as long as `part` of `whole`; it repeats a number beside it, so it is hidden from readers."""
    svg = ornament("share", 8)
    width = 100 * part / whole if whole else 0
    if width:
        add(svg, "rect", "now" if new else "bar", x=0, y=0, width=per(max(width, 0.8)), height=8)
    return markup(svg)


def spark(series: Series) -> Markup:
    """Return the days as bars without scale and text, on the band of the habit."""
    svg = drawing("spark", _SPARK, series.title, _daily_text(series))
    svg.set("viewBox", f"0 0 {max(1, len(series.points))} {_SPARK}")
    svg.set("preserveAspectRatio", "none")
    habit = series.habit
    top = series.most or 1
    if habit:
        upper, lower = (_SPARK * (1 - value / top) for value in (habit.high, habit.low))
        add(svg, "rect", "band", x=0, width=len(series.points), y=round(upper, 1), height=round(lower - upper, 1))
    bars = (f"M{n}.15 {_SPARK}v{-_SPARK * value / top:.1f}h.7V{_SPARK}z" for n, (_, value) in enumerate(series.points))
    add(svg, "path", "bar", d="".join(bars))
    return markup(svg)


def _y(value: float, top: float) -> float:
    return round(_TOP + _PLOT * (1 - value / top), 1)
