"""Query strings match in real servers, Elasticsearch and OpenSearch, just the events that DuckDB gives."""

from __future__ import annotations

import re

import pytest
from engines.invented import invented_world, plain_rules, random_rules
from engines.search_server.client import SearchClient
from engines.searches import answers, compiled_pairs, event_ids, hit_ids, lucene_search, ship_records, table_of

# what a query string cannot say; each reason names a target that can
REFUSALS = re.compile(
    r"is an integer: Lucene cannot search its digits|is no field of the events: Lucene cannot compute it"
    r"|Lucene cannot compare fields|an anchor|not in the index as an address"
)


@pytest.mark.parametrize("server", ["elasticsearch", "opensearch"])
def test_conditions(server: str, request: pytest.FixtureRequest) -> None:
    """Every kind of condition, negated and mixed with others, matches the same awkward records."""
    client: SearchClient = request.getfixturevalue(server)
    world, rules = invented_world(1, 120), [*plain_rules(), *random_rules(1, 200)]
    ship_records(world, client)
    pairs, refused = compiled_pairs("lucene", rules, rules)
    found = answers(client, ((table_of(rule, rules), lucene_search(theirs.text)) for rule, _, theirs in pairs))
    wrong = {}
    matched = 0
    for (rule, ours, theirs), answer in zip(pairs, found, strict=True):
        expected = event_ids(world.rows(ours.text))
        matched += len(expected)
        if expected != hit_ids(answer):
            wrong[rule.name] = (theirs.text, len(expected), len(hit_ids(answer)))
    assert not wrong
    assert matched > 1000
    assert [reason for reason in refused.values() if not REFUSALS.search(reason)] == []
    assert len(pairs) > 100
