"""Numbers as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from records.conftest import Ask
_LEAST, _MOST = -(2**63), 2**63 - 1


@given(st.lists(st.integers(_LEAST, _MOST), min_size=1, max_size=100))
def test_whole_numbers_are_read_exactly(ask: Ask, numbers: list[int]) -> None:
    """Every 64-bit integer is read without loss, and is no fault."""
    texts = [str(number) for number in numbers]

    assert ask("kt_int(s)", texts) == numbers
    assert not any(ask("kt_bad_int(s)", texts))


@given(st.lists(st.floats(-(2**52), 2**52), min_size=1, max_size=100))
def test_fractions_in_a_count_go_to_the_nearest_even(ask: Ask, numbers: list[float]) -> None:
    """A fraction in an integer field is rounded as DuckDB rounds a JSON number, whether it is text or not."""
    assert ask("kt_int(s)", [repr(number) for number in numbers]) == [round(number) for number in numbers]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=100))
def test_doubles_are_read_exactly(ask: Ask, numbers: list[float]) -> None:
    """A double's shortest text gives the double back."""
    texts = [repr(number) for number in numbers]

    assert ask("kt_double(s)", texts) == numbers
    assert not any(ask("kt_bad_number(s)", texts))


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "1,5", "true", "nan", "NaN", "inf", "-Infinity", "1e999", "12x", "--1"]
)
def test_what_is_no_finite_number_is_a_fault(ask: Ask, text: str) -> None:
    """Text that is no number, and numbers that are not finite, are faults in both kinds of field."""
    assert ask("kt_bad_number(s)", [text]) == [True]
    assert ask("kt_bad_int(s)", [text]) == [True]


@pytest.mark.parametrize("text", [str(_MOST + 1), str(_LEAST - 1), "1e30"])
def test_a_count_beyond_64_bits_is_a_fault(ask: Ask, text: str) -> None:
    """A finite number that no counter holds is a fault in an integer field only."""
    assert ask("kt_bad_int(s)", [text]) == [True]
    assert ask("kt_bad_number(s)", [text]) == [False]
    assert math.isfinite(ask("kt_double(s)", [text])[0])


def test_null_is_no_fault(ask: Ask) -> None:
    """A missing number is allowed."""
    assert ask("kt_bad_int(s)", [None]) == [False]
    assert ask("kt_bad_number(s)", [None]) == [False]
    assert ask("kt_int(s)", [None]) == [None]
