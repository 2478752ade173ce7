"""ES|QL, run by a real Elasticsearch, gives the alerts that DuckDB gives: same rows, times to the millisecond."""

from __future__ import annotations

from pathlib import Path

import pytest
from engines.invented import BASE, OTHER, correlations, invented_world, plain_rules
from engines.search_server.client import SearchClient
from engines.worlds import World, differences, ship, world_of_files

from keytrip.hunt.casetest import cases_of
from keytrip.rules.load import alerting, load_rules

PARITY = Path(__file__).parents[1] / "parity"


def test_parity(elasticsearch: SearchClient, tmp_path: Path) -> None:
    """Every rule gives the same alerts on the parity records, and the reference rules give some."""
    world = world_of_files([PARITY / "history.ndjson.gz"], [PARITY / "recent.ndjson.gz"], tmp_path)
    ship(world, elasticsearch)
    documents = load_rules()
    found, alerts = differences(world, elasticsearch, alerting(documents), documents)
    assert not found
    assert alerts > 90


def test_cases(elasticsearch: SearchClient) -> None:
    """Every rule gives the same alerts on the events and baselines of all rules' own cases taken together."""
    documents = load_rules()
    world = World()
    for number, case in enumerate(case for rule in documents for case in cases_of(rule)):
        world.add_case(case, f"{number} ")
    ship(world, elasticsearch)
    found, alerts = differences(world, elasticsearch, alerting(documents), documents)
    assert not found
    assert alerts > 20


@pytest.mark.parametrize("seed", [1, 2])
def test_invented(elasticsearch: SearchClient, seed: int) -> None:
    """Every kind of condition, correlation and baseline block gives the same alerts on awkward random records."""
    world = invented_world(seed)
    ship(world, elasticsearch)
    found, alerts = differences(world, elasticsearch, [*plain_rules(), *correlations()], [BASE, OTHER, *plain_rules(), *correlations()])
    assert not found
    assert alerts > 1000
