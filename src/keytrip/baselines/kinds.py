"""The kinds of baseline job.

A kind is the one place that knows how to reduce a day of records to a partial and how to merge the days of a window
into its table. All of it is DuckDB text; nothing here opens a connection.
A partial is a table `(grain..., day, measures...)`. Jobs with the same grain share one, so that each record is
grouped as few times as there are grains. `key_id` is in every grain, so that incident days can be left out by key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

from keytrip.errors import ContentError
from keytrip.records.sql import derived_sql, quote_name
from keytrip.records.vocabulary import DUCKDB_TYPES, usage

# SEMANTICS section 5: sums of money do not depend on the order of records, so they are exact decimals.
MONEY = "decimal(38, 15)"
# Beyond these a number in a log is a fault; cutting it there keeps a single one from stopping a build by an overflow.
_DEAREST = "1e15"
_LARGEST = 10**15
_MEASURE = re.compile(r"(sum|max)\((\w+)\)")
# Hour tables leave out buckets wider than an hour: they do not say when in the hour (INTERFACE, tables).
HOURLY = "(bucket_seconds is null or bucket_seconds <= 3600)"


class Job(Protocol):
    """What every kind offers.

    Attributes:
        table_key: The table's key columns.
        columns: All its columns, key columns first -> DuckDB type.
    """

    @property
    def table_key(self) -> tuple[str, ...]: ...  # noqa: D102 - said above

    @property
    def columns(self) -> dict[str, str]: ...  # noqa: D102 - said above

    @property
    def grain(self) -> tuple[str, ...]:
        """Columns, the day aside, that the partial is grouped by."""

    @property
    def inputs(self) -> frozenset[str]:
        """Fields of the records that the job needs."""

    def measures(self, table: str, wanted: frozenset[str] | None) -> Mapping[str, str]:
        """Return the partial's measures by column name; `table` is the job's name.

        Only those that the `wanted` columns of the table need; None asks for all.
        """

    def needs_day(self, wanted: frozenset[str]) -> bool:
        """Whether the partial must keep the day when only `wanted` columns of the table are asked for."""

    def merge(self, table: str, partial: str, wanted: frozenset[str] | None = None) -> str:
        """Return the SELECT that makes the table from the relation `partial`, with its key and `wanted` columns."""


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(quote_name(c) for c in columns)


def _typed(columns: tuple[str, ...]) -> dict[str, str]:
    fields = usage().columns
    # a name that is no field is for whoever checks the file to report
    return {name: DUCKDB_TYPES[fields[name].type] if name in fields else "VARCHAR" for name in columns}


def _present(columns: tuple[str, ...]) -> str:
    """SQL that is true where every column holds a value."""
    return " and ".join(f"{quote_name(c)} is not null" for c in columns)


def _member(columns: tuple[str, ...]) -> str:
    """SQL that is true where the columns make a member of a set, which omits empty strings (INTERFACE, tables)."""
    return " and ".join(f"{quote_name(c)} is not null and cast({quote_name(c)} as varchar) <> ''" for c in columns)


@dataclass(frozen=True)
class DailyStatistic:
    """Statistics over days: of each day with a record, one number; of those, mean, spread, maximum, median, MAD.

    Attributes:
        key: What a row of the table stands for.
        measure: `sum(FIELD)` or `max(FIELD)` over the records of a key and UTC day; null counts 0.
    """

    key: tuple[str, ...]
    measure: str
    statistics: ClassVar[tuple[str, ...]] = ("mean", "stddev", "max", "median", "mad")

    @cached_property
    def measured(self) -> tuple[str, str]:
        """The measure's function and field.

        Raises:
            ContentError: The measure is none.
        """
        match = _MEASURE.fullmatch(self.measure)
        if match is None or match[2] not in usage().columns:
            raise ContentError(f"{self.measure!r} is no measure", hint="sum(FIELD) or max(FIELD) of a usage field")
        return match[1], match[2]

    @property
    def table_key(self) -> tuple[str, ...]:
        """The table's key columns."""
        return self.key

    @property
    def columns(self) -> dict[str, str]:
        """Key columns, the statistics and the number of days."""
        return {**_typed(self.key), **dict.fromkeys(self.statistics, "DOUBLE"), "days": "BIGINT"}

    @property
    def grain(self) -> tuple[str, ...]:
        """The key columns, and always key_id."""
        return tuple(dict.fromkeys(("key_id", *self.key)))

    @property
    def inputs(self) -> frozenset[str]:
        """The measured field and the key columns."""
        return frozenset({*self.grain, self.measured[1]})

    def measures(self, table: str, wanted: frozenset[str] | None) -> Mapping[str, str]:  # noqa: ARG002 - all need it
        """The day's number, and how many records had one."""
        function, name = self.measured
        column = derived_sql(name) if name in usage().derived else quote_name(name)
        value = f"{function}({column})"
        if function == "sum":
            value = f"sum({_money(column)})" if usage().columns[name].type == "double" else _integer(column)
        return {f"{table}_value": value, f"{table}_seen": f"count({column})"}

    def needs_day(self, wanted: frozenset[str]) -> bool:
        """Always: its numbers are per day."""
        return bool(wanted) or True

    def merge(self, table: str, partial: str, wanted: frozenset[str] | None = None) -> str:
        """Statistics over days; no sum depends on the order of days, so that no border does."""
        function, _ = self.measured
        keys = _names(self.key)
        value = f"coalesce({function}({table}_value), 0)"
        exact = value if self._whole or function == "sum" else _money(value)
        chosen = [s for s in (*self.statistics, "days") if wanted is None or s in wanted]
        inner = "".join(f", {self._statistic(s)} as {quote_name(s)}" for s in chosen)
        outer = f"select {keys}" + "".join(f", {self._finished(s)} as {quote_name(s)}" for s in chosen)
        # a key with only undated records has no day: its numbers are 0
        return f"""{outer} from (select {keys}{inner} from (
  select {keys}, day, {exact} as e, cast({value} as double) as v, sum({table}_seen) as seen
  from {partial} where {_present(self.key)} group by {keys}, day)
group by {keys} having sum(seen) > 0)"""

    @property
    def _whole(self) -> bool:
        return usage().columns[self.measured[1]].type == "int"

    def _statistic(self, name: str) -> str:
        dated = "filter (day is not null)"
        small = f"greatest(least(cast(e as hugeint), {_LARGEST}), -{_LARGEST})"
        square, total = f"sum({small} * {small}) {dated}", f"sum({small}) {dated}"
        exact = f"sqrt(cast(count(day) * {square} - {total} * {total} as double) / (count(day) * (count(day) - 1.0)))"
        return {
            "mean": f"cast(sum(e) {dated} as double) / count(day)",
            "max": f"max(v) {dated}",
            "median": f"median(v) {dated}",
            "mad": f"mad(v) {dated}",
            "days": "count(day)",
            "stddev": f"case when count(day) > 1 then {exact} end"
            if self._whole
            else f"list_sort(list(cast(e as double)) {dated})",
        }[name]

    def _finished(self, name: str) -> str:
        """The standard deviation of whole numbers is exact; of others it is summed over a sorted list of days."""
        if name == "stddev" and not self._whole:
            mean = "list_sum(stddev) / len(stddev)"
            squares = f"list_sum(list_transform(stddev, lambda x: pow(x - {mean}, 2)))"
            return f"coalesce(case when len(stddev) > 1 then sqrt({squares} / (len(stddev) - 1)) end, 0)"
        return f"coalesce({quote_name(name)}, 0)"


def _money(column: str) -> str:
    return f"cast(case when abs({column}) > {_DEAREST} then {_DEAREST} * sign({column}) else {column} end as {MONEY})"


def _integer(column: str) -> str:
    """An exact integer sum that Parquet can hold (a HUGEINT would become a double there)."""
    return f"cast(sum({column}) as decimal(38, 0))"


@dataclass(frozen=True)
class KnownSet:
    """A set that remembers when each member was first and last seen, on how many days, and how often.

    Attributes:
        key: Key columns; the last is the member.
        undated: Whether a member with only undated records is in the set too.
    """

    key: tuple[str, ...]
    undated: bool = False

    @property
    def table_key(self) -> tuple[str, ...]:
        """The table's key columns."""
        return self.key

    @property
    def columns(self) -> dict[str, str]:
        """Key columns, first_seen, last_seen, days, events."""
        times = {"first_seen": "TIMESTAMP", "last_seen": "TIMESTAMP"}
        return {**_typed(self.key), **times, "days": "BIGINT", "events": "BIGINT"}

    @property
    def grain(self) -> tuple[str, ...]:
        """The key columns, and always key_id."""
        return tuple(dict.fromkeys(("key_id", *self.key)))

    @property
    def inputs(self) -> frozenset[str]:
        """The key columns."""
        return frozenset(self.grain)

    def measures(self, table: str, wanted: frozenset[str] | None) -> Mapping[str, str]:  # noqa: ARG002 - sets of one grain share them
        """Events and their first and last time; a set whose members alone are wanted needs only the events."""
        times = {"first_seen": "min(timestamp)", "last_seen": "max(timestamp)"}
        asked = {name: sql for name, sql in times.items() if wanted is None or name in wanted}
        return {"events": "count(timestamp)", **asked}

    def needs_day(self, wanted: frozenset[str]) -> bool:
        """Only for the number of days."""
        return "days" in wanted

    def merge(self, table: str, partial: str, wanted: frozenset[str] | None = None) -> str:  # noqa: ARG002 - as above
        """Group the days of the window."""
        keys = _names(self.key)
        dated = "" if self.undated else " having sum(events) > 0"
        columns = {
            "first_seen": "min(first_seen)",
            "last_seen": "max(last_seen)",
            "days": "count(distinct day)",
            "events": "cast(sum(events) as bigint)",
        }
        parts = "".join(f", {sql} as {name}" for name, sql in columns.items() if wanted is None or name in wanted)
        return f"select {keys}{parts} from {partial} where {_member(self.key)} group by {keys}{dated}"


@dataclass(frozen=True)
class HourProfile:
    """Which hours a key is active in, and with which share of its records.

    Attributes:
        key: Key columns before the hour.
        hour: `hour_of_day` or `hour_of_week`, the table's last key column.
        above: Only hours with more than this share of the key's records, undated ones counted in the total.
    """

    key: tuple[str, ...]
    hour: str
    above: float = 0.0
    hours: ClassVar[Mapping[str, str]] = {
        "hour_of_day": "hour_of_day",
        "hour_of_week": "(isodow(day) - 1) * 24 + hour_of_day",
    }

    def __post_init__(self) -> None:
        """Refuse an hour that is none.

        Raises:
            ContentError: It is neither of the two.
        """
        if self.hour not in self.hours:
            raise ContentError(f"{self.hour!r} is no hour", hint="hour_of_day or hour_of_week")

    @property
    def table_key(self) -> tuple[str, ...]:
        """The key columns and the hour."""
        return (*self.key, self.hour)

    @property
    def columns(self) -> dict[str, str]:
        """Key columns, the hour, events and share."""
        return {**_typed(self.key), self.hour: "BIGINT", "events": "BIGINT", "share": "DOUBLE"}

    @property
    def grain(self) -> tuple[str, ...]:
        """The key columns and the hour of the day; the day gives the hour of the week."""
        return tuple(dict.fromkeys(("key_id", *self.key, "hour_of_day")))

    @property
    def inputs(self) -> frozenset[str]:
        """The key columns, the time and the width of buckets."""
        return frozenset({*self.grain, "bucket_seconds"})

    def measures(self, table: str, wanted: frozenset[str] | None) -> Mapping[str, str]:  # noqa: ARG002 - hour tables share it
        """Records that say their hour, undated ones included (they count in the total)."""
        return {"hourly": f"count(*) filter ({HOURLY})"}

    def needs_day(self, wanted: frozenset[str]) -> bool:
        """Only the hour of the week comes from the day."""
        return bool(wanted) and self.hour == "hour_of_week"

    def merge(self, table: str, partial: str, wanted: frozenset[str] | None = None) -> str:  # noqa: ARG002 - as above
        """Count per hour against the key's total; a join with the totals costs half of what a window function does."""
        keys = _names(self.key)
        return f"""with hours as materialized (
  select {keys}, {self.hours[self.hour]} as h, sum(hourly) as n from {partial} where {_present(self.key)}
  group by {keys}, h)
select {keys}, cast(h as bigint) as {self.hour}, cast(n as bigint) as events, n / total as share
from hours join (select {keys}, sum(n) as total from hours group by {keys}) using ({keys})
where h is not null and n > total * {self.above!r}"""
