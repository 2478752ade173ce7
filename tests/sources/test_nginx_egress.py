"""nginx's logs: what the fixtures' known traffic becomes, as JSON and in the combined format."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sources.conftest import FIXTURES

from keytrip.sources.files import input_files
from keytrip.sources.nginx_egress import SOURCE

if TYPE_CHECKING:
    from sources.conftest import ReadBytes, Reader, Row

_FOLDER = FIXTURES / "nginx_egress"
_SHARED = ("timestamp", "provider", "endpoint", "operation", "source_ip", "user_agent", "status_code")


def _rows(reader: Reader, folder: Path, name: str) -> list[Row]:
    reading = reader.read(folder, input_files([str(_FOLDER / name)]), "nginx_egress")
    assert reading.rejects == []
    return reading.rows


def _shared(rows: list[Row]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row.get(name) for name in _SHARED) for row in rows)


def test_the_json_log_has_keys_hosts_and_ids(reader: Reader, tmp_path: Path) -> None:
    """Each request has its masked key, its provider by host, its project and the provider's request id."""
    rows = _rows(reader, tmp_path, "access_json.log")

    assert Counter(row["provider"] for row in rows) == {"openai": 11, "anthropic": 4, "azure_openai": 2, "google": 2}
    assert all(re.fullmatch(r"(sk-|AIza|[A-Za-z0-9]{4}).*\.\.\..{4}", row["key_id"]) for row in rows if "key_id" in row)
    assert len([row for row in rows if "key_id" not in row]) == 1
    assert {row.get("project") for row in rows} == {"proj_fixture", None}
    assert len({row["request_id"] for row in rows if "request_id" in row}) == 17
    assert Counter(row["status_code"] for row in rows) == {200: 13, 401: 3, 429: 2, 400: 1}
    assert {row["operation"] for row in rows} == {"chat", "embeddings", "models"}


def test_the_combined_log_says_the_same_as_the_json_log_where_it_can(reader: Reader, tmp_path: Path) -> None:
    """The same requests (but the one that is left out), with provider by path; a quoted agent is the same text."""
    combined = _shared(_rows(reader, tmp_path, "access_combined.log"))
    as_json = _shared(_rows(reader, tmp_path, "access_json.log"))

    assert combined - as_json == Counter()
    assert (as_json - combined).total() == 1
    assert any(agent == 'search "web", v2' for *_, agent, _ in combined)


_LINE = '{} - {} [24/Nov/2026:17:17:42 +0100] "{}" {} 12 "-" "{}"'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            _LINE.format("203.0.113.9", "-", "GET /v1/models?limit=1 HTTP/1.1", 200, "curl/8"),
            {
                "source_ip": "203.0.113.9",
                "endpoint": "/v1/models",
                "operation": "models",
                "provider": "openai",
                "user_agent": "curl/8",
            },
        ),
        (
            _LINE.format("2001:DB8::1", "anna", "POST /v1/messages HTTP/2.0", 401, "-"),
            {"source_ip": "2001:db8::1", "status_code": 401},
        ),
        (_LINE.format("10.0.0.1", "-", r"\x16\x03\x01\x02", 400, "-"), {"status_code": 400}),
        (_LINE.format("10.0.0.1", "-", "", 400, "-"), {"status_code": 400}),
        (
            _LINE.format("10.0.0.1", "-", "GET / HTTP/1.1", 200, r"a \x22b\x22 \x5Cc") + ' "extra"',
            {"user_agent": 'a "b" \\c'},
        ),
    ],
)
def test_lines_of_the_combined_format(read_bytes: ReadBytes, line: str, expected: dict[str, object]) -> None:
    """Queries are cut, offsets converted, escapes undone; a request that is none is a record all the same."""
    rows = read_bytes({"a.log": line.encode() + b"\n"}, "nginx_egress").rows

    assert {name: rows[0].get(name) for name in expected} == expected
    assert rows[0]["timestamp"].hour == 16


def test_what_is_no_line_of_the_log_is_set_aside(read_bytes: ReadBytes) -> None:
    """Other lines, other encodings and NULs are told apart from requests; JSON may stand between plain lines."""
    good = _LINE.format("10.0.0.1", "-", "GET / HTTP/1.1", 200, "curl/8").encode()
    as_json = json.dumps(
        {"time": "2026-11-24T17:17:42+00:00", "remote_addr": "10.0.0.2", "uri": "/", "status": 200}
    ).encode()
    lines = [good, b"hello", good[:-3] + b"\xff" + good[-3:], good[:-1] + b'\0"', as_json, b"{broken", b"", good[:40]]
    reading = read_bytes({"a.log": b"\n".join(lines)}, "nginx_egress")

    assert [row["source_ip"] for row in reading.rows] == ["10.0.0.1", "10.0.0.2"]
    assert [(line, reason.split(" (")[0]) for _, line, reason in reading.rejects] == [
        (2, "is no line of this log"), (3, "is not UTF-8"), (4, "holds a NUL"), (6, "is not JSON"),
        (8, "is no line of this log"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "uri", "provider", "operation"),
    [
        ("api.openai.com", "/v1/responses", "openai", "chat"),
        ("acme.openai.azure.com", "/openai/deployments/x/embeddings", "azure_openai", "embeddings"),
        ("acme.services.ai.azure.com", "/models/chat/completions", "azure_openai", "chat"),
        ("API.ANTHROPIC.COM", "/v1/messages/batches", "anthropic", "batch"),
        ("europe-west4-aiplatform.googleapis.com", "/v1/x:streamGenerateContent", "google", "chat"),
        ("generativelanguage.googleapis.com", "/v1beta/models/e:embedContent", "google", "embeddings"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse-stream", "aws_bedrock", "chat"),
        ("openrouter.ai", "/api/v1/completions", "openrouter", "text_completion"),
        ("evil-openai.com", "/v1/files/x", "openai", "files"),
        ("openai.com.evil.example", "/nothing", None, None),
    ],
)
def test_hosts_and_paths(
    read_bytes: ReadBytes, host: str, uri: str, provider: str | None, operation: str | None
) -> None:
    """The host tells the provider, without one of ours the path does; the path tells the operation."""
    record = {"time": "2026-11-24T17:17:42Z", "remote_addr": "10.0.0.1", "host": host, "uri": uri, "status": 200}
    rows = read_bytes({"a.ndjson": json.dumps(record).encode()}, "nginx_egress").rows

    assert rows[0].get("provider") == provider
    assert rows[0].get("operation") == operation


@pytest.mark.parametrize(
    "evil", ["1 - - " + "[1] " * 40_000, '1 - - [x] "' + "a " * 80_000, '1 - - [x] "a b" 200 1 "' + "\\a" * 80_000]
)
def test_a_hostile_line_is_refused_in_one_pass(evil: str) -> None:
    """The pattern has no way to try one long line again and again: these would take hours if it had."""
    assert SOURCE.line is not None
    assert re.fullmatch(SOURCE.line, evil) is None
