"""Times as text and as numbers, against a plain restatement."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records.naive import END, EPOCH, naive_time

if TYPE_CHECKING:
    from records.conftest import Ask
_MOMENTS = st.datetimes(datetime(1969, 12, 30), datetime(2262, 1, 3))  # noqa: DTZ001 - naive UTC
_FRACTIONS = st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=24).map(lambda digits: "." + digits))
_ZONES = st.one_of(
    st.sampled_from(["", "Z", "+00:00", "-00:00", "+23:59", "-23:59", "+24:00", "+05:60", "z", "+0530"]),
    st.builds(lambda s, h, m: f"{s}{h:02d}:{m:02d}", st.sampled_from("+-"), st.integers(0, 25), st.integers(0, 61)),
)
_NEAR = "0123456789-:.+TZ eE\t\n\v\f\r\u00a0\uff12\u0663/\\(BC"


def _written(moment: datetime, between: str, seconds: str, fraction: str, zone: str) -> str:
    text = moment.strftime(f"%Y-%m-%d{between}%H:%M")
    return text + (moment.strftime(":%S") + fraction if seconds else "") + zone


_TEXTS = st.one_of(
    st.builds(_written, _MOMENTS, st.sampled_from(["T", " "]), st.sampled_from(["", "s"]), _FRACTIONS, _ZONES),
    _MOMENTS.map(lambda moment: moment.strftime("%Y-%m-%d")),
    _MOMENTS.map(lambda moment: moment.isoformat()),
    _MOMENTS.map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"),
    _MOMENTS.map(lambda moment: moment.isoformat(timespec="microseconds") + "+00:00"),
)


@st.composite
def _near_texts(draw: st.DrawFn) -> str:
    """A valid form with a few characters changed, put in or taken out."""
    text = list(draw(_TEXTS))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text) - 1))
        text[place : place + draw(st.integers(0, 1))] = draw(st.text(_NEAR, max_size=1))
        text = text or ["0"]
    return "".join(text)


_NUMBERS = st.one_of(
    st.integers(-(10**6), 10**14).map(str),
    st.floats(0, 1e13, allow_nan=False).map(repr),
    st.decimals(0, 10**13, places=9, allow_nan=False).map(str),
    st.builds(
        lambda whole, digits: f"{whole}.{digits}", st.integers(0, 10**13), st.text("09", min_size=1, max_size=30)
    ),
    st.builds(lambda mantissa, power: f"{mantissa}e{power}", st.integers(0, 10**6), st.integers(-8, 12)),
    st.sampled_from(
        ["99999999999", "100000000000", "9214646400", "9214646399.999999999", "9214646399999.9999", "-0", "1e400"]
    ),
)


@given(st.lists(_TEXTS, min_size=20, max_size=200))
def test_written_times_mean_what_the_restatement_says(ask: Ask, texts: list[str]) -> None:
    """Every way to write a moment, with and without seconds, fraction and offset, gives the same moment."""
    assert ask("kt_time(s)", texts) == [naive_time(text) for text in texts]


@given(st.lists(_near_texts(), min_size=20, max_size=200))
def test_what_only_looks_like_a_time_is_told_apart(ask: Ask, texts: list[str]) -> None:
    """A text one slip away from a time is read exactly where the restatement reads it."""
    assert ask("kt_time(s)", texts) == [naive_time(text) for text in texts]


@given(st.lists(_NUMBERS, min_size=20, max_size=200))
def test_numbers_are_unix_seconds_or_milliseconds(ask: Ask, texts: list[str]) -> None:
    """From 10^11 on a number is milliseconds, below it seconds, and digits beyond microseconds are cut."""
    assert ask("kt_time(s)", texts) == [naive_time(text) for text in texts]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=100))
def test_any_text_is_read_or_undated(ask: Ask, texts: list[str]) -> None:
    """No text makes the query fail."""
    assert ask("kt_time(s)", texts) == [naive_time(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01", "2026-04-01T00:00:00"),
        ("2026-04-01 02:11", "2026-04-01T02:11:00"),
        ("2026-04-01T02:11:09.123456789Z", "2026-04-01T02:11:09.123456"),
        ("2026-04-01T02:11:09+05:30", "2026-03-31T20:41:09"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00"),
        ("1969-12-31T23:59:59.999999Z", None),
        ("1970-01-01T00:30:00+01:00", None),
        ("2261-12-31T23:59:59.999999Z", "2261-12-31T23:59:59.999999"),
        ("2262-01-01T00:00:00Z", None),
        ("2262-01-01T00:30:00+01:00", "2261-12-31T23:30:00"),
        ("2026-02-29", None),
        ("2026-04-01T24:00:00Z", None),
        ("2026-04-01T23:59:60Z", None),
        ("2026-04-01T02:11:0ZZ", None),
        ("2026-04-01T02:11:09.9-9999Z", None),
        ("2026-04-01T\t2:11:09Z", None),
        ("1775000000", "2026-03-31T23:33:20"),
        ("1775000000.1234569999999999999", "2026-03-31T23:33:20.123456"),
        ("1775000000123", "2026-03-31T23:33:20.123000"),
        ("true", None),
        ("", None),
    ],
)
def test_time_at_the_edges(ask: Ask, text: str, expected: str | None) -> None:
    """The ends of the range, the traps of DuckDB's own cast, and digits that are cut."""
    assert ask("kt_time(s)", [text]) == [datetime.fromisoformat(expected) if expected else None]


def test_null_is_undated(ask: Ask) -> None:
    """A missing time stays missing."""
    assert ask("kt_time(s)", [None]) == [None]


def test_last_microsecond_is_within() -> None:
    """The restatement itself ends where the text of the semantics does."""
    assert naive_time("2261-12-31T23:59:59.999999") == END - timedelta(microseconds=1)
    assert naive_time("0") == EPOCH
