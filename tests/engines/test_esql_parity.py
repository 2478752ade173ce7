"""ES|QL, run by a real Elasticsearch, gives the alerts that DuckDB gives: same rows, times to the millisecond."""

from __future__ import annotations

from pathlib import Path

from engines.invented import (
    field_rules,
    full_world,
)
from engines.search_server.client import SearchClient
from engines.worlds import World, differences, ship, world_of_files

from keytrip.compile.targets import compile_to
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.cases import cases_of
from keytrip.rules.load import Document, alerting, load_rules

PARITY = Path(__file__).parents[1] / "parity"


def compiled_rules(documents: list[Document]) -> list[Document]:
    """Return the alerting rules that both targets say; what one refuses, the golden files hold."""
    rules = alerting(documents)
    texts = [compile_to(target, rules, documents) for target in ("duckdb", "esql")]
    return [rule for rule, *found in zip(rules, *texts, strict=True) if all(one.text for one in found)]


def test_parity(elasticsearch: SearchClient, tmp_path: Path) -> None:
    """Every rule gives the same alerts on the parity records, and the reference rules give theirs."""
    world = world_of_files([PARITY / "history.ndjson.gz"], [PARITY / "recent.ndjson.gz"], tmp_path)
    documents = load_rules()
    rules = compiled_rules(documents)
    ship(world, elasticsearch, rules, documents)
    found, alerts = differences(world, elasticsearch, rules, documents)
    assert not found
    assert alerts >= 100


def test_cases(elasticsearch: SearchClient) -> None:
    """Every rule gives the same alerts on the events and baselines of all rules' own cases taken together."""
    documents = load_rules()
    rules = compiled_rules(documents)
    world = World()
    categories = {table.category: name for name, table in vocabulary().tables.items()}
    by_name = {document.name: document for document in documents}
    for rule in rules:
        first = by_name[rule.references[0]] if rule.references else rule
        for number, case in enumerate(cases_of(rule)):
            world.add_case(categories[first.data["logsource"]["category"]], case, f"{rule.name} {number} ")
    ship(world, elasticsearch, rules, documents)
    found, alerts = differences(world, elasticsearch, rules, documents)
    assert not found
    assert alerts >= len(rules)


def test_every_field(elasticsearch: SearchClient) -> None:
    """Every field of every table can be tested and grouped by, under whatever name Elasticsearch has it."""
    world, rules = full_world(), list(field_rules())
    ship(world, elasticsearch, rules, rules)
    found, alerts = differences(world, elasticsearch, [r for r in rules if "correlation" in r.data], rules)
    assert not found
    assert alerts == 3 * sum("correlation" in rule.data for rule in rules)
