"""Sums of doubles, and percentiles, as DuckDB SQL: the same in every order of the rows, finite for finite doubles.

A sum of doubles depends on its order, so on threads and files. Values of a usual size are summed as decimals, which is
exact. The few beyond it are set aside in a list, which is sorted and then summed with compensation.
"""

from __future__ import annotations

# Beyond this a decimal with 15 places has no room: 10^8 records of this cost fill its 38 digits.
_DEAREST = "1e15"
# 22 places keep 12 digits (SEMANTICS section 5) of what is over 1e-10; below 1e6 there is room for 10^10 records.
_PLACES, _USUAL = 22, "1e6"
# 2^-32 and back: sums of up to four billion of the largest doubles stay finite on the way. Powers of two are exact.
_DOWN, _UP = "2.3283064365386963e-10", "4294967296.0"
_LARGEST = "1.7976931348623157e308"


def money_sum(column: str) -> str:
    """Return the sum of a column of money, rounded to nine decimals (SEMANTICS section 5)."""
    usual = f"cast(sum(try_cast({column} as decimal(30, 15))) as double)"
    # what decimal(30, 15) cannot hold is what reaches 1e15
    return f"round({_with_large(usual, usual, column, f'abs({column}) >= {_DEAREST}')}, 9)"


def double_sum(column: str, *, mean: bool) -> str:
    """Return the sum or the mean of a column of doubles.

    A double counts as the shortest decimal that reads as it, so that three times 0.1 and 0.3 are one.
    """
    exact = f"cast(cast({column} as varchar) as decimal(38, {_PLACES}))"
    total = f"sum(case when abs({column}) <= {_USUAL} then {exact} end)"
    digits = f"cast(replace(cast({total} as varchar), '.', '') as hugeint)"
    # an integer quotient and one reading of its digits: no rounding on the way, where the mean is a short decimal
    usual = f"cast(({digits} // count({column})) || 'e-{_PLACES}' as double)" if mean else f"cast({total} as double)"
    shared = f" / count({column})" if mean else ""
    return _with_large(usual, f"cast({total} as double)", column, f"abs({column}) > {_USUAL}", shared)


def _with_large(usual: str, total: str, column: str, large: str, shared: str = "") -> str:
    """Return `usual` for a group without large values, else the sum of all that it has."""
    listed = f"list({column} * {_DOWN}) filter ({large})"
    every = f"list_sort(list_append({listed}, coalesce({total}, 0) * {_DOWN}))"
    summed = f"list_aggregate({every}, 'fsum'){shared} * {_UP}"
    return f"case when {listed} is null then {usual} else greatest(least({summed}, {_LARGEST}), -{_LARGEST}) end"


def percentile(column: str, percent: int) -> str:
    """Return the percentile between the closest ranks, exactly (`quantile_cont` computes the rank as a double)."""
    return f"kt_percentile(list_sort(list(cast({column} as double)) filter ({column} is not null)), {percent})"
