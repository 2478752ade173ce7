"""Which tests of ES|QL Elasticsearch asks its index for: docs/targets.md says so, and the profile of a real one."""

from __future__ import annotations

from typing import Any

import pytest
from compile.rules import matching, text
from engines.search_server.client import SearchClient

PUSHED: dict[str, dict[str, Any]] = {
    "equality": {"model": "gpt-4o"},
    "equality of either case in another script": {"model": "größe"},
    "cased equality": {"model|cased": "gpt-4o"},
    "a list of numbers": {"model": "gpt-4o", "status_code": [401, 403]},
    "negation": {"model|neq": "gpt-4o"},
    "beginning": {"model|startswith": "gpt"},
    "cased beginning": {"model|cased|startswith": "gpt"},
    "part": {"model|contains": "gpt"},
    "end": {"model|endswith": "4o"},
    "regular expression": {"model|re": "^gpt.$"},
    "null": {"model": None},
    "presence": {"model|exists": True},
    "number": {"status_code": 401},
    "range of a number": {"status_code|gte": 400},
    "range of a double": {"cost_usd|gt": 0.5},
    "network": {"source_ip|cidr": "10.0.0.0/8"},
    "network that holds IPv4 too": {"source_ip|cidr": "::/0"},
}
NOT_PUSHED: dict[str, dict[str, Any]] = {
    # the optimiser makes `TO_LOWER(f) IN (...)` of them, which the index is not asked
    "alternatives of one field in either case": {"model": ["gpt-4o", "o1"]},
    "text test of an integer": {"status_code": "4*"},
    "two fields": {"model|fieldref": "model_raw"},
    "hour of the day": {"hour_of_day": 3},
    "day": {"day": "2026-04-01"},
}


def filtered(client: SearchClient, test: dict[str, Any]) -> bool:
    """Whether Elasticsearch tests events one by one after it has asked the index."""
    body = {"query": text("esql", matching(test)), "profile": True}
    profile = client.call("POST", "/_query", body)["profile"]
    operators = [operator["operator"] for driver in profile["drivers"] for operator in driver["operators"]]
    assert any(operator.startswith("Lucene") for operator in operators), operators
    return any(operator.startswith("FilterOperator") for operator in operators)


@pytest.fixture
def filled(elasticsearch: SearchClient) -> SearchClient:
    """A server with one event."""
    from engines.test_harness import usage

    event = usage(3, "gpt-4o", model_raw="gpt-4o", status_code=401, source_ip="10.0.0.1", cost_usd=1.0)
    elasticsearch.load_usage([event])
    return elasticsearch


def test_pushdown(filled: SearchClient) -> None:
    """The index answers what docs/targets.md lists, and the rest is tested event by event."""
    assert [name for name, test in PUSHED.items() if filtered(filled, test)] == []
    assert [name for name, test in NOT_PUSHED.items() if not filtered(filled, test)] == []
