"""The drawings: where bars and bands stand, what is marked, and what is said to those who do not see."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest
from demo.pages import day, styled, texts
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from keytrip.demo import charts
from keytrip.demo.charts import Series, scale_top
from keytrip.demo.facts import Habit, Hour
from keytrip.demo.words import whole


def drawn(markup: Markup) -> ET.Element:
    """Return a drawing as a tree."""
    return ET.fromstring(markup)  # noqa: S314  # ours


def series(values: Sequence[float], habit: Habit | None = None) -> Series:
    """Return values of the days from the first."""
    return Series("Requests of <anna>", [(day(n), value) for n, value in enumerate(values)], habit, whole)


def test_a_bar_for_each_day_with_a_value() -> None:
    """A day with nothing has no bar; the last day's is marked, and its value written; heights follow the values."""
    svg = drawn(charts.daily(series([10, 0, 20, 40])))
    bars = styled(svg, "bar")
    heights = [float(bar.get("height", "")) for bar in bars]
    assert [heights[0] / heights[2], heights[1] / heights[2]] == [0.25, 0.5]
    assert [bar.get("class") for bar in bars] == ["bar", "bar", "bar now"]
    assert [text.text for text in styled(svg, "value")] == ["40"]
    assert bars[0].findtext("title") == "9 Nov: 10"


def test_the_band_is_six_deviations_wide() -> None:
    """The band reaches six MADs to both sides of the median, on the same scale as the bars."""
    svg = drawn(charts.daily(series([50, 50, 100], Habit(50, 5))))
    (band,), bar = styled(svg, "band"), styled(svg, "now")[0]
    pixel = float(bar.get("height", "")) / 100
    assert float(band.get("height", "")) == pytest.approx(60 * pixel, abs=0.1)
    assert len(styled(svg, "median")) == 1


def test_a_habit_without_spread_keeps_a_tenth() -> None:
    """A MAD of nothing counts as a tenth of the median, as in the rules, and no band begins below nothing."""
    assert (Habit(100, 0).low, Habit(100, 0).high) == (40, 160)
    assert Habit(10, 5).low == 0


def test_a_band_without_room_has_no_median() -> None:
    """Where the last day dwarfs the past, the band is a line, and no median is drawn into it."""
    svg = drawn(charts.daily(series([30, 30, 30_000], Habit(30, 2))))
    assert float(styled(svg, "band")[0].get("height", "")) == 1.5
    assert styled(svg, "median") == []


def test_without_a_past_there_is_no_band() -> None:
    """A key without a habit has bars only, and the description says that there is nothing to compare with."""
    svg = drawn(charts.daily(series([0, 5])))
    assert styled(svg, "band") == []
    assert "no past to compare with" in (svg.findtext("desc") or "")


def test_nothing_at_all_is_drawn_as_nothing() -> None:
    """No day, or only days with nothing, give a scale and no bar."""
    for values in ([], [0, 0, 0]):
        svg = drawn(charts.daily(series(values)))
        assert styled(svg, "bar") == []
        assert "1" in texts(svg)


def test_titles_are_escaped() -> None:
    """Markup in a title stays text."""
    assert drawn(charts.daily(series([1]))).findtext("title") == "Requests of <anna>"


def test_the_description_says_day_and_habit() -> None:
    """Who does not see the drawing is told the last day's value, the usual one and the band."""
    svg = drawn(charts.daily(series([50, 50, 100], Habit(50, 5))))
    assert svg.findtext("desc") == "On 11 Nov: 100. In the 2 days before: usual 50 a day, band 20 to 80."


def test_days_are_named_without_crowding() -> None:
    """Of 31 days every seventh back from the last is named, of 3 all."""
    month = [text for text in texts(drawn(charts.daily(series([1] * 31)))) if " " in text]
    assert month == ["2 Dec", "25 Nov", "18 Nov", "11 Nov", "9 Dec"]
    few = [text for text in texts(drawn(charts.daily(series([1] * 3)))) if " " in text]
    assert few == ["10 Nov", "9 Nov", "11 Nov"]


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_the_scale_holds_the_value(value: float) -> None:
    """The top of a scale is never below the value (but for rounding), and never above twice of it."""
    assert value * (1 - 1e-6) <= scale_top(value) <= 2 * value


def test_hours_are_marked_where_they_are_news() -> None:
    """Used hours are filled by their share of the row, unknown ones marked; the description lists all three."""
    cells = [Hour(h, usual=float(h in {9, 10}), now=4.0 * (h == 3) + 2.0 * (h == 9), unknown=h == 3) for h in range(24)]
    svg = drawn(charts.hours("Hours", cells, day(10)))
    assert len(styled(svg, "empty")) == 48
    assert [cell.get("fill-opacity") for cell in styled(svg, "cell")] == ["1", "1", "1", "0.6"]
    assert len(styled(svg, "new")) == 1
    assert svg.findtext("desc") == (
        "Hours in use before: 9-11. On 19 Nov: 3-4, 9-10; of these always silent on that weekday: 3-4."
    )


def test_a_share_is_as_long_as_it_is() -> None:
    """A quarter is drawn as 25 %, something tiny can still be seen, nothing is not drawn, and none is read out."""
    quarter = drawn(charts.share(1, 4, new=True))
    assert [part.get("width") for part in styled(quarter, "now")] == ["25%"]
    assert styled(drawn(charts.share(1, 10_000, new=False)), "bar")[0].get("width") == "0.8%"
    assert len(drawn(charts.share(0, 0, new=False))) == 0
    assert quarter.get("aria-hidden") == "true"


def test_a_spark_has_band_and_bars() -> None:
    """The small drawing is as wide as there are days, with one step a day."""
    svg = drawn(charts.spark(series([1, 2, 0], Habit(1, 0.1))))
    assert svg.get("viewBox") == "0 0 3 28"
    assert styled(svg, "bar")[0].get("d", "").count("M") == 3
    assert len(styled(svg, "band")) == 1
    assert styled(drawn(charts.spark(series([]))), "band") == []
