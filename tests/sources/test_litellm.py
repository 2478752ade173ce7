"""LiteLLM's logs: what the fixtures' known traffic becomes, in every form alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sources.conftest import FIXTURES

from keytrip.sources.files import input_files

if TYPE_CHECKING:
    from sources.conftest import ReadBytes, Reader, Row

_FOLDER = FIXTURES / "litellm"
# what the two shapes say differently: the table has milliseconds, no route, no max_tokens, and the prompt's tokens of a
# call that failed; an unknown model's name is withheld in it, and refused keys have no address in the payload
_APART = {"timestamp", "endpoint", "max_tokens"}
_FAILED_APART = {"input_tokens", "model", "model_raw", "source_ip", "user_agent"}


def _rows(reader: Reader, folder: Path, path: Path) -> dict[str, Row]:
    reading = reader.read(folder, input_files([str(path)]), "litellm")
    assert reading.rejects == []
    return {row["request_id"]: row for row in reading.rows}


@pytest.fixture(name="payloads")
def _payloads(reader: Reader, tmp_path: Path) -> dict[str, Row]:
    return _rows(reader, tmp_path, _FOLDER / "standard_logging_payload.ndjson")


def _one(rows: Mapping[str, Row], **values: Any) -> Row:
    found = [row for row in rows.values() if all(row.get(name) == value for name, value in values.items())]
    assert len(found) == 1, found
    return found[0]


def test_a_request_has_every_field_that_the_payload_knows(payloads: Mapping[str, Row]) -> None:
    """A chat request with cached tokens, of a known key, end user and team."""
    row = _one(payloads, user="customer-17")
    key = row.pop("key_id")
    request = row.pop("request_id")
    when = row.pop("timestamp")

    assert row == {
        "provider": "openai",
        "source": "litellm",
        "key_label": "svc-summariser",
        "project": "team-docs",
        "user": "customer-17",
        "model": "gpt-4o",
        "model_raw": "openai/gpt-4o",
        "endpoint": "/v1/chat/completions",
        "operation": "chat",
        "input_tokens": 1200,
        "cached_input_tokens": 1024,
        "output_tokens": 350,
        "cost_usd": pytest.approx(0.00522),
        "cost_source": "reported",
        "list_price": 10.0,
        "source_ip": "10.20.1.15",
        "user_agent": "OpenAI/Python 2.9.0",
        "status_code": 200,
        "max_tokens": 400,
        "request_count": 1,
    }
    assert len(key) == 64
    assert request.startswith("chatcmpl-")
    assert when.year == 2026


def test_failures_keep_their_status_and_their_key(payloads: Mapping[str, Row]) -> None:
    """Upstream errors, refusals of LiteLLM itself and unknown keys: the status is a number, the key a hash."""
    failed = [row for row in payloads.values() if row["status_code"] != 200]

    assert sorted(row["status_code"] for row in failed) == [400, 400, 401, 401, 401, 401, 403, 422, 429, 429, 500]
    assert all(len(row["key_id"]) == 64 for row in failed)
    assert all(row["cost_usd"] == 0 for row in failed)


def test_an_unknown_key_has_no_owner(payloads: Mapping[str, Row]) -> None:
    """A key that LiteLLM does not know has a hash, and neither label, user nor team."""
    strangers = [row for row in payloads.values() if "key_label" not in row]

    assert len(strangers) == 5
    assert all("user" not in row and "project" not in row for row in strangers)


def test_providers_operations_and_models_are_canonical(payloads: Mapping[str, Row]) -> None:
    """Provider names are ours, model names without the provider's prefix, and each route has its operation."""
    rows = payloads.values()

    assert {row.get("provider") for row in rows} == {"openai", "azure_openai", "anthropic", None}
    assert _one(payloads, operation="embeddings")["model"] == "text-embedding-3-small"
    assert {row["operation"] for row in rows if row["endpoint"] == "/v1/messages"} == {"chat"}
    assert all("/" not in row["model"] for row in rows)


def test_a_cache_hit_costs_nothing_and_says_so(payloads: Mapping[str, Row]) -> None:
    """A reported cost of zero is reported, and not priced anew."""
    row = _one(payloads, input_tokens=210, cost_usd=0.0)

    assert row["cost_source"] == "reported"
    assert row["output_tokens"] == 15


def test_prices_are_null_for_a_model_nobody_knows(payloads: Mapping[str, Row]) -> None:
    """An in-house model and one that does not exist have no list price; a reported cost stays."""
    for model in ("in-house-1", "gpt-9-pro"):
        row = _one(payloads, model=model)
        assert "list_price" not in row
        assert row["cost_source"] == "reported"


def test_spend_logs_are_the_same_as_json_and_csv(reader: Reader, tmp_path: Path) -> None:
    """The table's rows are the same, whether the database wrote CSV or the API JSON."""
    from_json = _rows(reader, tmp_path, _FOLDER / "spend_logs.json")
    from_csv = _rows(reader, tmp_path, _FOLDER / "spend_logs.csv")

    assert len(from_json) == 24
    assert from_json == from_csv


def test_spend_logs_and_payloads_agree_where_they_overlap(
    reader: Reader, payloads: Mapping[str, Row], tmp_path: Path
) -> None:
    """A request is the same record by its id, but for what only one of the two shapes knows."""
    table = _rows(reader, tmp_path, _FOLDER / "spend_logs.json")

    assert set(table) < set(payloads)
    for request, row in table.items():
        payload = payloads[request]
        apart = _APART | (_FAILED_APART if row["status_code"] != 200 else set())
        assert {n: v for n, v in row.items() if n not in apart} == {n: v for n, v in payload.items() if n not in apart}
        assert abs(row["timestamp"] - payload["timestamp"]) < timedelta(milliseconds=10)
        assert row.get("source_ip") == payload.get("source_ip", row.get("source_ip"))


@pytest.mark.parametrize(
    ("path", "records"), [("s3", None), ("gcs", None), ("rotated", 25)], ids=["one object a payload", "batches", "gzip"]
)
def test_other_loggers_write_the_same_payloads(
    reader: Reader, payloads: Mapping[str, Row], tmp_path: Path, path: str, records: int | None
) -> None:
    """Payloads one a file, several a file without a last line end, and packed: the same records as in the one file."""
    rows = _rows(reader, tmp_path, _FOLDER / path)

    assert rows
    assert all(row == payloads[request] for request, row in rows.items())
    assert len(rows) == (records or len(rows))


def _payload(**members: Any) -> bytes:
    return json.dumps({"call_type": "acompletion", "startTime": 1775000000.25, "metadata": {}} | members).encode()


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({}, "timestamp", datetime(2026, 3, 31, 23, 33, 20, 250000)),  # noqa: DTZ001 - naive UTC
        ({}, "request_id", None),
        ({"id": "", "request_id": "", "litellm_call_id": ""}, "request_id", None),
        ({"id": "a"}, "request_id", "a"),
        ({"id": "a", "litellm_call_id": "b"}, "request_id", "a/b"),
        ({"request_id": "r", "litellm_call_id": ""}, "request_id", "r"),
        ({"status": "success"}, "status_code", 200),
        ({"status": "failure", "error_information": {"error_code": "429"}}, "status_code", 429),
        (
            {"status": "failure", "error_information": {"error_code": "invalid_key", "normalized_error": "401_X"}},
            "status_code",
            401,
        ),
        ({"status": "failure", "metadata": {"error_information": {"error_code": "503"}}}, "status_code", 503),
        ({"status": "failure", "error_information": {"error_code": "999"}}, "status_code", None),
        ({"status": "failure"}, "status_code", None),
        ({"custom_llm_provider": "vertex_ai"}, "provider", "google"),
        ({"custom_llm_provider": "bedrock_converse"}, "provider", "aws_bedrock"),
        ({"custom_llm_provider": "groq"}, "provider", "groq"),
        ({"custom_llm_provider": ""}, "provider", None),
        ({"model": "bedrock/us.anthropic.claude-opus-4"}, "model", "anthropic.claude-opus-4"),
        ({"model": "openrouter/openai/gpt-4o"}, "model", "gpt-4o"),
        ({"model": ""}, "model", None),
        ({"call_type": "acreate_file"}, "operation", "files"),
        ({"call_type": "acreate_batch"}, "operation", "batch"),
        ({"call_type": "acreate_fine_tuning_job"}, "operation", "fine_tuning"),
        ({"call_type": "new_kind"}, "operation", "new_kind"),
        ({"requester_ip_address": "203.0.113.9, 10.0.0.1"}, "source_ip", "203.0.113.9"),
        ({"requester_ip_address": "203.0.113.9:4711"}, "source_ip", "203.0.113.9"),
        ({"requester_ip_address": "[2001:DB8::1]:443"}, "source_ip", "2001:db8::1"),
        ({"requester_ip_address": "fe80::1%eth0"}, "source_ip", "fe80::1"),
        (
            {"requester_ip_address": "", "metadata": {"requester_ip_address": "::ffff:192.0.2.7"}},
            "source_ip",
            "192.0.2.7",
        ),
        ({"requester_ip_address": ""}, "source_ip", None),
        ({"metadata": "no json"}, "key_id", None),
        ({"metadata": json.dumps({"user_api_key_hash": "h"})}, "key_id", "h"),
        ({"api_key": "t"}, "key_id", "t"),
        ({"end_user": "", "user": "u"}, "user", "u"),
        ({"model_parameters": {"max_output_tokens": 7}}, "max_tokens", 7),
        (
            {"prompt_tokens": 5, "metadata": {"additional_usage_values": {"cache_read_input_tokens": 3}}},
            "cached_input_tokens",
            3,
        ),
    ],
)
def test_members_that_come_in_several_ways(
    read_bytes: ReadBytes, members: Mapping[str, Any], field: str, value: object
) -> None:
    """Ids, states, addresses and names as versions and loggers write them."""
    rows = read_bytes({"a.ndjson": _payload(**members)}, "litellm").rows

    assert rows[0].get(field) == value


def test_records_without_an_id_are_not_each_others_duplicates(read_bytes: ReadBytes) -> None:
    """Where a payload has no id, the record has none either."""
    reading = read_bytes({"a.ndjson": _payload() + b"\n" + _payload()}, "litellm")

    assert [row.get("request_id") for row in reading.rows] == [None, None]


def _priced(rows: Sequence[Row]) -> list[tuple[Any, Any, Any]]:
    return [(row.get("cost_usd"), row.get("cost_source"), row.get("list_price")) for row in rows]


def test_a_record_without_cost_is_priced_at_its_date(read_bytes: ReadBytes) -> None:
    """The price of the day counts (o3 became cheaper on 2025-06-10), cached input at its own; no tokens, no cost."""
    tokens = {"model": "o3", "custom_llm_provider": "openai", "prompt_tokens": 1000, "completion_tokens": 100}
    cached = tokens | {"metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 600}}}}
    lines = [
        _payload(**tokens, startTime="2025-06-01T12:00:00Z"),
        _payload(**tokens, startTime="2025-06-20T12:00:00Z"),
        _payload(**cached, startTime="2025-06-20T12:00:00Z"),
        _payload(model="o3", custom_llm_provider="openai", startTime="2025-06-20T12:00:00Z"),
        _payload(**tokens | {"model": "nobody-knows"}, startTime="2025-06-20T12:00:00Z"),
        _payload(**tokens, startTime="2025-06-20T12:00:00Z", response_cost=7.5),
        _payload(**tokens, startTime="some day", metadata={"user_api_key_hash": "h"}),
    ]
    rows = [read_bytes({f"{i}.ndjson": line}, "litellm").rows[0] for i, line in enumerate(lines)]

    assert _priced(rows) == [
        (pytest.approx(0.014), "priced", 40.0),
        (pytest.approx(0.0028), "priced", 8.0),
        (pytest.approx(0.0019), "priced", 8.0),
        (None, None, 8.0),
        (None, None, None),
        (7.5, "reported", 8.0),
        (None, None, None),
    ]


def test_only_the_columns_asked_for_are_priced(read_bytes: ReadBytes) -> None:
    """Asking for the cost reads what its price needs, and asking for neither prices nothing."""
    line = _payload(model="gpt-4o", prompt_tokens=10, completion_tokens=10)

    assert read_bytes({"a.ndjson": line}, "litellm", columns=frozenset({"cost_usd"})).rows[0]["cost_usd"] > 0
    assert "model" not in read_bytes({"a.ndjson": line}, "litellm", columns=frozenset({"user"})).rows[0]
