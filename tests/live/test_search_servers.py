"""A real Elasticsearch or OpenSearch, named by environment variables, gives the alerts of the parity records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from engines.search_server.client import SearchClient, SearchError
from engines.searches import ship_records
from engines.test_esql_parity import compiled_rules
from engines.test_opensearch_parity import unequal
from engines.worlds import World, differences, ship
from judge.test_parity import Said
from live.conftest import named, reference

from keytrip.compile.targets import compile_to
from keytrip.export.connection import Connection
from keytrip.export.http import authorization, tls_context
from keytrip.rules.load import Document, alerting

NAMESPACE = "live"


def client_of(connection: Connection) -> Iterator[SearchClient]:
    """Yield a client of a server that holds nothing of keytrip but what an earlier run left, and take that away."""
    proof = authorization(connection.credential).get("Authorization", "")
    client = SearchClient(connection.url, proof, tls_context(connection), NAMESPACE)
    found = client.call("GET", "/_resolve/index/logs-keytrip.*,keytrip_*")
    names = {entry["name"] for kind in ("indices", "data_streams") for entry in found[kind] if entry["name"][0] != "."}
    ours = {name for name in names if name.startswith("logs-") and name.endswith(f"-{NAMESPACE}")}
    streams = {name for name in names if name.startswith("logs-")}
    if streams - ours or (names and not ours):
        others = ", ".join(sorted(streams - ours or names))
        pytest.fail(f"the server holds {others}, which these tests would count or replace: name another", pytrace=False)
    yield client
    # a server without the part for data streams keeps them, and the next run empties them
    with suppress(SearchError):
        client.call("DELETE", f"/_data_stream/logs-keytrip.*-{NAMESPACE}")
        client.call("DELETE", "/_index_template/keytrip-*")
    for index in client.call("GET", "/_resolve/index/keytrip_*")["indices"]:
        client.call("DELETE", f"/{index['name']}")


@pytest.fixture(scope="module")
def elastic() -> Iterator[SearchClient]:
    """The Elasticsearch that KEYTRIP_LIVE_ELASTIC_URL names."""
    yield from client_of(named("ELASTIC"))


@pytest.fixture(scope="module")
def open_search() -> Iterator[SearchClient]:
    """The OpenSearch that KEYTRIP_LIVE_OPENSEARCH_URL names."""
    yield from client_of(named("OPENSEARCH"))


def test_elastic(elastic: SearchClient, world: World, documents: list[Document], expected: Said) -> None:
    """ES|QL gives DuckDB's alerts for every rule that it says, and the reference rules give the reference's."""
    rules = compiled_rules(documents)
    ship(world, elastic, rules, documents)
    found, alerts = differences(world, elastic, rules, documents)
    assert not found
    assert alerts >= 100
    chosen = [rule for rule in rules if rule.name.startswith("reference_")]
    texts = compile_to("esql", chosen, documents)
    assert reference([row for compiled in texts for row in elastic.esql(compiled.text)]) == expected


def test_opensearch(open_search: SearchClient, world: World, documents: list[Document]) -> None:
    """Query DSL gives DuckDB's alerts for every counting rule that it says."""
    ship_records(world, open_search)
    found, alerts = unequal(world, open_search, alerting(documents), documents)
    assert not found
    assert alerts > 0
