"""One vocabulary: what derives from it says the same."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError

from keytrip.errors import SystemRefusedError
from keytrip.records.model import arrow_schema, duckdb_columns, record_model
from keytrip.records.sql import SETUP, derived_sql, quote_name, quote_text
from keytrip.records.vocabulary import Field, Table, usage, vocabulary

_ARROW = {
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
}


@pytest.mark.parametrize("table", ["usage", "audit", "leak"])
def test_model_columns_and_arrow_schema_have_the_same_fields(table: str) -> None:
    """Names, order and types of the three are one."""
    columns = duckdb_columns(table)

    assert list(record_model(table).model_fields) == list(columns)
    assert {f.name: f.type for f in arrow_schema(table)} == {name: _ARROW[kind] for name, kind in columns.items()}
    assert arrow_schema(table).names == list(columns)


@pytest.mark.parametrize("name", list(usage().derived))
def test_derived_fields_have_their_type(name: str) -> None:
    """The SQL of a derived field gives what the vocabulary promises, on a record of nulls too."""
    columns = ", ".join(f"null::{kind} as {quote_name(column)}" for column, kind in duckdb_columns("usage").items())
    with duckdb.connect() as con:
        con.execute(SETUP)
        con.execute(f"create temp table t as select {columns}")
        kind = con.execute(f"select typeof({derived_sql(name)}), {derived_sql(name)} from t").fetchone()

    assert kind is not None
    assert kind[1] is None
    assert {"int": {"BIGINT", "INTEGER", "HUGEINT"}, "string": {"VARCHAR"}}[usage().derived[name].type] >= {kind[0]}


@pytest.mark.parametrize(
    ("name", "record", "expected"),
    [
        ("hour_of_day", "timestamp '2026-04-01 23:59:59' as timestamp", 23),
        ("hour_of_week", "timestamp '2026-03-30 00:00:00' as timestamp", 0),
        ("hour_of_week", "timestamp '2026-04-05 23:00:00' as timestamp", 167),
        ("day", "timestamp '2026-04-01 23:59:59' as timestamp", "2026-04-01"),
        ("source_net", "'10.1.2.3' as source_ip", "10.1.2.0/24"),
        ("agent_family", "'OpenAI/Python 2.9.0' as user_agent", "openai"),
        ("agent_family", "'curl 8' as user_agent", "curl"),
        ("model_family", "'gpt-4o-2024-08-06' as model", "gpt-4o"),
        ("model_family", "'claude-3-5-sonnet-20241022' as model", "claude-3-5-sonnet"),
        ("model_family", "'claude-opus-4@20250514' as model", "claude-opus-4"),
        ("model_family", "'claude-3-opus-latest' as model", "claude-3-opus"),
        ("model_family", "'latest-model-1' as model", "latest-model-1"),
        ("total_tokens", "null::bigint as input_tokens, 5 as output_tokens", 5),
        ("total_tokens", "null::bigint as input_tokens, null::bigint as output_tokens", None),
        ("key_id", "'k' as key_id", "k"),
    ],
)
def test_derived_fields_mean_what_the_semantics_say(name: str, record: str, expected: object) -> None:
    """Each derived field on the examples of section 1; a canonical field derives from itself."""
    with duckdb.connect() as con:
        con.execute(SETUP)
        sql = derived_sql(name) if name in usage().derived else quote_name(name)

        assert con.execute(f"select {sql} from (select {record})").fetchone() == (expected,)


def test_unknown_derived_field_is_an_error() -> None:
    """A name that is not derived has no SQL."""
    with pytest.raises(KeyError):
        derived_sql("nothing")


def test_a_derived_field_without_sql_is_the_column_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A derived field may be one that a source fills in."""
    table = Table(category="c", about="a", fields={}, derived={"x": Field(type="int", about="a")})
    monkeypatch.setattr("keytrip.records.sql.usage", lambda: table)

    assert derived_sql("x") == '"x"'


def test_records_refuse_unknown_fields_and_fill_defaults() -> None:
    """The typed record knows its fields, keeps what it is given and counts one request."""
    model = record_model("usage")
    record = model(timestamp=datetime(2026, 4, 1, tzinfo=UTC), key_id="k")

    assert record.model_dump()["request_count"] == 1
    assert record.model_dump()["key_id"] == "k"
    with pytest.raises(ValidationError):
        model(api_key="k")


def test_categories_find_their_table() -> None:
    """A Sigma category reads one table; another product's category reads none."""
    found = vocabulary().by_category("ai_usage")

    assert found is not None
    assert found[0] == "usage"
    assert vocabulary().by_category("process_creation") is None


def test_fields_know_whether_they_are_numbers_and_what_columns_there_are() -> None:
    """Numeric fields are the ints and doubles; derived fields come last among the columns."""
    assert {n for n, f in usage().columns.items() if f.numeric} >= {"cost_usd", "input_tokens", "hour_of_day"}
    assert not usage().fields["model"].numeric
    assert list(usage().columns)[-1] in usage().derived


def test_missing_pyarrow_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the Arrow schema says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(SystemRefusedError, match=r"pip install 'keytrip\[arrow\]'"):
        arrow_schema("usage")


def test_quoting_keeps_quotes() -> None:
    """A quote in a name or a text cannot end it."""
    with duckdb.connect() as con:
        row = con.execute(f"select {quote_text(chr(39) + '; drop')} as {quote_name('a' + chr(34) + 'b')}")

        assert row.description[0][0] == 'a"b'
        assert row.fetchone() == ("'; drop",)
