"""DuckDB SQL over the view `usage` (canonical columns, derived ones included) and one table a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import ClassVar

from sigma.processing.pipeline import ProcessingPipeline

from keytrip.compile.base import siem_pipeline
from keytrip.compile.compiled import SCORED_FROM
from keytrip.compile.duckdb_sums import double_sum, money_sum, percentile
from keytrip.compile.leaves import Matches
from keytrip.compile.sql import SqlBackend
from keytrip.compile.sql_dialect import Dialect, Parts, like_text
from keytrip.records.sql import quote_name, quote_number, quote_text
from keytrip.records.vocabulary import DUCKDB_TYPES

_EARLIER = "groups between unbounded preceding and 1 preceding"


def _like(value: str, parts: Parts) -> str:
    return like_text(value, parts, quote_text)


def _matches(value: str, leaf: Matches) -> str:
    prefix = f"(?{''.join(leaf.flags)})" if leaf.flags else ""
    return f"regexp_matches({value}, {quote_text(prefix + leaf.text)})"


def _within(value: str, network: IPv4Network | IPv6Network) -> str:
    low, high = network.network_address.packed.hex(), network.broadcast_address.packed.hex()
    return f"kt_hex{network.version}({value}) between '{low}' and '{high}'"


def _window(seconds: int, offset: int) -> str:
    width, offset = seconds * 1_000_000, offset * 1_000_000
    shifted = f"epoch_us(timestamp) - {offset}" if offset else "epoch_us(timestamp)"
    # integer division truncates, and times before the first Monday are negative after the shift
    floor = f"cast(floor(({shifted}) / {width}) as bigint)" if offset else f"({shifted}) // {width}"
    return f"make_timestamp({floor} * {width} + {offset})"


def _last(value: str, over: str) -> str:
    # the last one is the greatest, and quicker to find
    return f"last_value({value} ignore nulls) over ({over})"


def _distinct(columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return f"count(distinct {columns[0]})"
    present = " and ".join(f"{c} is not null" for c in columns)
    return f"count(distinct row({', '.join(columns)})) filter ({present})"


def _integers(column: str, *, mean: bool) -> str:
    return f"avg({column})" if mean else f"sum({column})"


DUCKDB = Dialect(
    name=quote_name,
    text=quote_text,
    number=quote_number,
    double=lambda number: f"cast({number!r} as double)",
    types=DUCKDB_TYPES,
    column=quote_name,
    relation=lambda table, _: table,
    derived=lambda name, field: field.sql or quote_name(name),
    fold=lambda value, _: f"lower({value})",
    like=_like,
    matches=_matches,
    within=_within,
    parts={"start": "starts_with", "end": "ends_with", "anywhere": "contains"},
    window=_window,
    prunes=True,
    later=lambda time, seconds: f"{time} + to_seconds({seconds})",
    near=lambda earlier, later, seconds: f"{earlier} >= {later} - to_seconds({seconds})",
    last=_last,
    last_before=lambda value, partition: _last(value, f"{partition}order by timestamp {_EARLIER}"),
    distinct=_distinct,
    integers=_integers,
    doubles=double_sum,
    money=money_sum,
    percentile=percentile,
    scored=f"(getvariable('{SCORED_FROM}') is null or g.window_start >= getvariable('{SCORED_FROM}'))",
)


class DuckDBBackend(SqlBackend):
    """What a hunt runs."""

    identifier: ClassVar[str] = "keytrip_duckdb"
    name: ClassVar[str] = "keytrip DuckDB SQL"
    formats: ClassVar[dict[str, str]] = {"default": "SQL over the view usage and the baseline tables"}
    siem: ClassVar[str] = "duckdb"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("duckdb")
    dialect: ClassVar[Dialect] = DUCKDB
