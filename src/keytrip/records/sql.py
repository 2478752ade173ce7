"""DuckDB macros: what raw text means (times, numbers, networks), and percentiles; quoting, and taking rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keytrip.records.vocabulary import usage

if TYPE_CHECKING:
    import duckdb

# Rows of a result that are taken at once.
_BATCH = 1000

# SEMANTICS section 1: a date, then time, fraction and offset if there. Forms that most logs have take a short way: a
# mask fixes where each part is, and strptime takes nothing but digits there. Everything else meets the full pattern.
_TIME = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?"
_NUMBER = r"-?\d+(\.\d+)?([eE][+-]?\d+)?"
_MASKS = {
    "____-__-__T__:__:__.______Z": "%Y-%m-%dT%H:%M:%S.%fZ",
    "____-__-__T__:__:__Z": "%Y-%m-%dT%H:%M:%SZ",
    "____-__-__T__:__:__.___Z": "%Y-%m-%dT%H:%M:%S.%fZ",
    "____-__-__T__:__:__.______+00:00": "%Y-%m-%dT%H:%M:%S.%f+00:00",
    "____-__-__T__:__:__+00:00": "%Y-%m-%dT%H:%M:%S+00:00",
}
_SHORT_WAY = "\n       ".join(
    f"when s like '{mask}' then kt_within(s, try_strptime(s, '{form}'))" for mask, form in _MASKS.items()
)

# 10^11 splits seconds from milliseconds (SEMANTICS section 1). 18 decimals hold what programs print; more are cut:
# a cast would round them up.
MACROS = rf"""
create or replace temp macro kt_range(t) as
  case when t >= timestamp '1970-01-01' and t < timestamp '2262-01-01' then t end;
create or replace temp macro kt_epoch(x) as
  case when x >= 0 and x < 9300000000000
       then make_timestamp(cast(floor(case when x >= 100000000000 then x * 1000 else x * 1000000 end) as bigint)) end;
create or replace temp macro kt_offset(z) as
  case when substr(z, 2, 2) < '24' and right(z, 2) < '60'
       then to_minutes((case when z[1] = '-' then -1 else 1 end)
            * (cast(substr(z, 2, 2) as integer) * 60 + cast(right(z, 2) as integer))) end;
create or replace temp macro kt_body(s) as
  case when substr(s, 12, 2) < '24' then try_cast(left(s, 26) as timestamp) end;
create or replace temp macro kt_clock(s) as
  case when strlen(s) = 10 then try_cast(s as timestamp)
       when s like '%Z' then kt_body(left(s, strlen(s) - 1))
       when substr(s, -6, 1) in ('+', '-') then kt_body(left(s, strlen(s) - 6)) - kt_offset(right(s, 6))
       else kt_body(s) end;
create or replace temp macro kt_slow_time(s) as
  case when regexp_full_match(s, '{_TIME}') then kt_clock(s)
       when regexp_full_match(s, '{_NUMBER}') then kt_epoch(try_cast(
         case when strlen(s) > 28 then regexp_replace(s, '(\.\d{{18}})\d+$', '\1') else s end as decimal(38, 18))) end;
create or replace temp macro kt_within(s, t) as case when s >= '1970' and s < '2262' then t end;
create or replace temp macro kt_time(s) as
  case {_SHORT_WAY}
       else kt_range(kt_slow_time(s)) end;
create or replace temp macro kt_double(s) as try_cast(s as double);
create or replace temp macro kt_int(s) as
  case when regexp_matches(s, '[.eE]') then try_cast(try_cast(s as double) as bigint) else try_cast(s as bigint) end;
create or replace temp macro kt_bad_number(s) as
  case when s is not null then not coalesce(isfinite(try_cast(s as double)), false) else false end;
create or replace temp macro kt_bad_int(s) as
  case when s is not null then kt_int(s) is null else false end;
"""
_V4 = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V6 = r"([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?(::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?)?"
# An IPv6 is RFC 5952 text here (reading normalised it), so its first three groups can be taken from the text.
_NETWORKS = rf"""
create or replace temp macro kt_groups(s) as
  len(list_filter(string_split(replace(s, '::', ':'), ':'), lambda g: g <> ''));
create or replace temp macro kt_is_v6(s) as
  regexp_full_match(s, '{_V6}') and case when contains(s, '::') then kt_groups(s) <= 7 else kt_groups(s) = 8 end;
create or replace temp macro kt_head(s) as
  list_filter(string_split(split_part(s, '::', 1), ':'), lambda g: g <> '');
create or replace temp macro kt_tail(s) as
  case when contains(s, '::') then list_filter(string_split(split_part(s, '::', 2), ':'), lambda g: g <> '')
       else [] end;
create or replace temp macro kt_first3(s) as
  list_slice(list_concat(list_concat(kt_head(s), list_transform(range(8 - kt_groups(s)), lambda i: '0')), kt_tail(s)),
             1, 3);
create or replace temp macro kt_net6(s) as
  regexp_replace(array_to_string(kt_first3(s), ':'), '(^|:)0(:0)*$', '') || '::/48';
create or replace temp macro kt_hex4(s) as
  case when regexp_full_match(s, '{_V4}(\.{_V4}){{3}}')
       then array_to_string(list_transform(string_split(s, '.'), lambda b: printf('%02x', cast(b as integer))), '') end;
create or replace temp macro kt_hex6(s) as
  case when kt_is_v6(s)
       then array_to_string(list_transform(
         list_concat(list_concat(kt_head(s), list_transform(range(8 - kt_groups(s)), lambda i: '0')), kt_tail(s)),
         lambda g: lpad(g, 4, '0')), '') end;
create or replace temp macro kt_last(s) as
  case when substr(s, -2, 1) = '.' then 1 when substr(s, -3, 1) = '.' then 2 else 3 end;
create or replace temp macro kt_net(s) as
  case when contains(s, ':') then case when kt_is_v6(s) then kt_net6(s) end
       when regexp_full_match(s, '{_V4}(\.{_V4}){{3}}') then left(s, strlen(s) - kt_last(s)) || '0/24' end;
"""
# Percentiles of a sorted list. As a double the rank of the 29th percentile of 0 to 100 is a little less than 29, and a
# condition for 29 would fail: so ranks are whole hundredths, and values decimals (which have room below 1e10).
_RANKS = """
create or replace temp macro kt_18(x) as try_cast(cast(x as varchar) as decimal(28, 18));
create or replace temp macro kt_between(low, high, part) as
  case when greatest(abs(low), abs(high)) < 1e10
       then cast(cast((kt_18(low) * cast(100 - part as decimal(3, 0)) + kt_18(high) * cast(part as decimal(3, 0)))
                      * cast(0.01 as decimal(2, 2)) as varchar) as double)
       else low + (high - low) * (part / 100) end;
create or replace temp macro kt_percentile(a, percent) as
  kt_between(a[(len(a) - 1) * percent // 100 + 1], a[((len(a) - 1) * percent + 99) // 100 + 1],
             (len(a) - 1) * percent % 100);
"""
SETUP = MACROS + _NETWORKS + _RANKS


def quote_name(name: str) -> str:
    """Return `name` as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return `text` as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_number(number: float) -> str:
    """Return a number as a SQL literal.

    A fraction is a double: as a decimal, DuckDB would bring the other side to its scale, which large counts overflow.
    """
    return repr(int(number)) if number == int(number) else f"cast({number!r} as double)"


def fetched(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield a result's rows, of which not all are in memory at once.

    Raises:
        duckdb.Error: As the query does that the rows come from.
    """
    while rows := result.fetchmany(_BATCH):
        yield from rows


def derived_sql(name: str) -> str:
    """Return DuckDB text that computes the derived usage field `name` from the canonical columns.

    Raises:
        KeyError: There is no such derived field.
    """
    sql = usage().derived[name].sql
    return sql or quote_name(name)
