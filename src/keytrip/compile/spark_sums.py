"""Sums and percentiles as Spark SQL: they do not overflow, nor depend on the order of the rows, nor on ANSI mode.

A sum of doubles depends on its order, so on partitions. Values of a usual size are summed as decimals, which is exact;
Spark reads a double as the shortest decimal that means it. The few beyond are sorted and summed with compensation.
"""

from __future__ import annotations

# Beyond this a decimal with 15 places has no room: 10^8 records of this cost fill its 38 digits.
_DEAREST = "1.0E15D"
# 22 places keep 12 digits (SEMANTICS section 5) of what is over 1e-10; below 1e6 there is room for 10^10 records.
_PLACES, _USUAL = 22, "1.0E6D"
# 2^-32 and back: sums of up to four billion of the largest doubles stay finite on the way. Powers of two are exact.
_DOWN, _UP = "2.3283064365386963E-10D", "4294967296.0D"
# What decimal(28, 18) holds, with room for the arithmetic between two ranks.
_WIDEST = "1.0E10D"
_LARGEST = "1.7976931348623157E308D"
# Neumaier's sum: `s` the sum so far, `c` what was lost on the way
_ADD = (
    "(a, x) -> named_struct('s', a.s + x, 'c', a.c + "
    "case when abs(a.s) >= abs(x) then (a.s - (a.s + x)) + x else (x - (a.s + x)) + a.s end)"
)


def integer_sum(column: str, *, mean: bool) -> str:
    """Return the sum or the mean of a column of integers: 2^63 has 19 digits."""
    total = f"sum(cast({column} as decimal(20, 0)))"
    return f"cast({total} as double) / nullif(count({column}), 0)" if mean else total


def money_sum(column: str) -> str:
    """Return the sum of a column of money, rounded to nine decimals (SEMANTICS section 5)."""
    total = f"sum(try_cast({column} as decimal(30, 15)))"
    # what decimal(30, 15) cannot hold is what reaches 1e15
    large = f"round({_large(column, total, f'abs({column}) >= {_DEAREST}')}, 9)"
    return f"case when max(abs({column})) >= {_DEAREST} then {large} else cast(round({total}, 9) as double) end"


def double_sum(column: str, *, mean: bool) -> str:
    """Return the sum or the mean of a column of doubles."""
    total = f"sum(case when abs({column}) <= {_USUAL} then try_cast({column} as decimal(38, {_PLACES})) end)"
    shared = f" / nullif(count({column}), 0)" if mean else ""
    large = _large(column, total, f"abs({column}) > {_USUAL}", shared)
    return f"case when max(abs({column})) > {_USUAL} then {large} else cast({total}{shared} as double) end"


def _large(column: str, total: str, large: str, shared: str = "") -> str:
    """Return the sum of a group with large values: they and the others' total, in the order of size."""
    listed = f"collect_list({column} * {_DOWN}) filter (where {large})"
    every = f"sort_array(concat({listed}, array(coalesce(cast({total} as double), 0.0D) * {_DOWN})))"
    summed = f"aggregate({every}, named_struct('s', 0.0D, 'c', 0.0D), {_ADD}, a -> a.s + a.c)"
    return f"greatest(least({summed}{shared} * {_UP}, {_LARGEST}), -{_LARGEST})"


def percentile(column: str, percent: int) -> str:
    """Return the percentile between the closest ranks.

    Spark's own computes the rank as a double: of the numbers 0 to 100 it takes the 29th percentile for a little less
    than 29, and a condition for 29 fails. Here the rank is whole hundredths, and the values are decimals.
    """
    rank = f"(size(a) - 1L) * {percent}"
    ends = {"l": f"{rank} div 100", "h": f"({rank} + 99) div 100"}
    closest = ", ".join(f"'{name}', get(a, cast({index} as int))" for name, index in ends.items())
    values = f"array(sort_array(collect_list(cast({column} as double))))"
    ranked = f"transform({values}, a -> named_struct({closest}, 'f', {rank} % 100))"
    low, high = (
        f"cast(p.{name} as decimal(28, 18)) * cast({part} as decimal(3, 0))"
        for name, part in (("l", "100 - p.f"), ("h", "p.f"))
    )
    exact = f"cast(({low} + {high}) / cast(100 as decimal(3, 0)) as double)"
    between = (
        f"p -> case when greatest(abs(p.l), abs(p.h)) < {_WIDEST} then {exact} else p.l + (p.h - p.l) * (p.f / 100) end"
    )
    return f"element_at(transform({ranked}, {between}), 1)"
