"""Spark SQL over the views `usage`, `audit` and `leak` (canonical columns) and one table a baseline.

Spark 4.0 or newer. The text means the same with ANSI mode and without, in every time zone of a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sigma.processing.pipeline import ProcessingPipeline
from sigma.types import SpecialChars

from keytrip.compile.base import siem_pipeline
from keytrip.compile.leaves import Matches
from keytrip.compile.spark_fields import column, derived, relation, within
from keytrip.compile.spark_sums import double_sum, integer_sum, money_sum, percentile
from keytrip.compile.spark_text import java_regex, quote_double, quote_name, quote_number, quote_text
from keytrip.compile.sql import SqlBackend
from keytrip.compile.sql_dialect import Dialect, Parts, like_text
from keytrip.records.vocabulary import FieldType

_TYPES: Mapping[FieldType, str] = {
    "timestamp": "TIMESTAMP",
    "string": "STRING",
    "int": "BIGINT",
    "double": "DOUBLE",
    "json": "STRING",
}
_ANY = SpecialChars.WILDCARD_MULTI
# at the end of a word Java writes this letter's lower case in another way
_SIGMA, _FINAL_SIGMA = "\u03c3", "\u03c2"


def _fold(value: str, text: str | None) -> str:
    folded = f"lower({value})"
    return f"replace({folded}, '{_FINAL_SIGMA}', '{_SIGMA}')" if text is None or _SIGMA in text else folded


def _like(value: str, parts: Parts) -> str:
    match [*parts]:
        case [str(text), end] if end == _ANY:
            return f"startswith({value}, {quote_text(text)})"
        case [start, str(text)] if start == _ANY:
            return f"endswith({value}, {quote_text(text)})"
        case [start, str(text), end] if start == _ANY and end == _ANY:
            return f"contains({value}, {quote_text(text)})"
    return like_text(value, parts, quote_text)


def _matches(value: str, leaf: Matches) -> str:
    return f"{value} rlike {quote_text(java_regex(leaf.regex))}"


def _window(seconds: int, offset: int) -> str:
    width, start = seconds * 1_000_000, offset * 1_000_000
    since = f"unix_micros(timestamp) - {start}" if start else "unix_micros(timestamp)"
    return f"timestamp_micros(unix_micros(timestamp) - pmod({since}, {width}))"


def _later(time: str, seconds: int) -> str:
    # an interval of days would follow the session's summer time
    return f"timestamp_micros(unix_micros({time}) + {seconds * 1_000_000})"


def _near(earlier: str, later: str, seconds: int) -> str:
    return f"unix_micros({earlier}) >= unix_micros({later}) - {seconds * 1_000_000}"


def _last_before(value: str, partition: str) -> str:
    frame = "range between unbounded preceding and 1 preceding"
    return f"max({value}) over ({partition}order by unix_micros(timestamp) {frame})"


SPARK = Dialect(
    name=quote_name,
    text=quote_text,
    number=quote_number,
    double=quote_double,
    types=_TYPES,
    column=column,
    relation=relation,
    derived=derived,
    fold=_fold,
    like=_like,
    matches=_matches,
    within=within,
    parts={"start": "startswith", "end": "endswith", "anywhere": "contains"},
    window=_window,
    later=_later,
    near=_near,
    last=lambda value, over: f"max({value}) over ({over})",
    last_before=_last_before,
    distinct=lambda columns: f"count(distinct {', '.join(columns)})",
    integers=integer_sum,
    doubles=double_sum,
    money=money_sum,
    percentile=percentile,
)


class SparkBackend(SqlBackend):
    """For a lake that holds canonical records."""

    identifier: ClassVar[str] = "keytrip_spark"
    name: ClassVar[str] = "keytrip Spark SQL"
    formats: ClassVar[dict[str, str]] = {"default": "SQL over the view usage and the baseline tables"}
    siem: ClassVar[str] = "spark"
    backend_processing_pipeline: ClassVar[ProcessingPipeline] = siem_pipeline("spark")
    dialect: ClassVar[Dialect] = SPARK
