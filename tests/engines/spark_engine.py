"""A Spark on one core in this process: canonical records and baseline tables in, rows of compiled queries out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from judge.records import EPOCH

from keytrip.baselines.jobs import load_jobs
from keytrip.records.model import arrow_schema
from keytrip.records.vocabulary import vocabulary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ARROW = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "TIMESTAMP": pa.timestamp("us", "UTC")}
# A zone with summer time, so that whatever follows the session's zone is found out. No rule that runs a query in the
# optimiser instead of the engine.
_CONFIGURATION = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.driver.memory": "1g",
    "spark.log.level": "OFF",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.ConvertToLocalRelation",
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}


class SparkEngine:
    """A session with a view for each canonical and each baseline table."""

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        self._views: dict[str, DataFrame] = {}
        for name in vocabulary().tables:
            self.load(name, [])
        for table in load_jobs():
            self.load_table(table, [])

    def load(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Replace the records of a canonical table; derived fields are left out."""
        self._view(name, records, arrow_schema(name))

    def load_table(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the rows of a baseline table."""
        columns = load_jobs()[table].columns
        self._view(table, rows, pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()]))

    def _view(self, name: str, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
        listed = [{key: row[key] for key in schema.names if key in row} for row in rows]
        frame = self.session.createDataFrame(pa.Table.from_pylist(listed, schema=schema))
        frame.coalesce(1).createOrReplaceTempView(name)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return a query's rows, times as naive UTC and whole decimals as integers."""
        answer = self.session.sql(sql)
        times = [name for name, kind in answer.dtypes if kind.startswith("timestamp")]
        plain = [f"unix_micros(`{n}`) as `{n}`" if n in times else f"`{n}`" for n in answer.columns]
        return [_row(row.asDict(), times) for row in answer.selectExpr(*plain).collect()]

    def events(self, queries: Iterable[tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
        """Return rule -> (request_id, rule, level) of plain rules' events; a query is (rule, text)."""
        return self.together((rule, "request_id, rule, level", text) for rule, text in queries)

    def together(self, queries: Iterable[tuple[str, str, str]]) -> dict[str, list[dict[str, Any]]]:
        """Return rule -> rows of (rule, columns, text), asked for by one job; `rule` is one of the columns."""
        texts = {rule: f"(select {columns} from (\n{text}))" for rule, columns, text in queries}
        found: dict[str, list[dict[str, Any]]] = {rule: [] for rule in texts}
        for row in self.rows("\nunion all\n".join(texts.values())) if texts else []:
            found[row["rule"]].append(row)
        return found

    @contextmanager
    def settings(self, changed: Mapping[str, str]) -> Iterator[None]:
        """Change settings of the session for a while."""
        before = {name: self.session.conf.get(name) for name in changed}
        try:
            for name, value in changed.items():
                self.session.conf.set(name, value)
            yield
        finally:
            for name, old in before.items():
                self.session.conf.set(name, str(old))


def _row(row: dict[str, Any], times: Sequence[str]) -> dict[str, Any]:
    moments = {name: _moment(row[name]) for name in times}
    return {name: moments.get(name, _whole(value)) for name, value in row.items()}


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value


@contextmanager
def spark_engine(folder: Path) -> Iterator[SparkEngine]:
    """Yield a Spark; nothing of it is left after."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.master("local[1]").config("spark.sql.warehouse.dir", str(folder))
    session = builder.config("spark.local.dir", str(folder)).config(map=dict(_CONFIGURATION)).getOrCreate()
    try:
        yield SparkEngine(session)
    finally:
        session.stop()
