"""Query DSL, run by a real OpenSearch, gives the alerts that DuckDB gives: same groups, windows, values and times."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from compile.rules import base, counted
from compile.test_formats import written
from engines.invented import (
    field_rules,
    full_world,
    invented_world,
    plain_rules,
)
from engines.search_server.client import SearchClient
from engines.searches import answers, compiled_pairs, event_ids, hit_ids, lucene_search, row_of, ship_records, table_of
from engines.worlds import World, in_order, world_of_files
from sigma.backends.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection

from keytrip.compile.compiled import collection_of
from keytrip.compile.targets import backend_of
from keytrip.rules.load import Document, alerting, load_rules

PARITY = Path(__file__).parents[1] / "parity"
REFUSALS = re.compile(
    r"cannot join a baseline table|is an integer: .* cannot search its digits|is no field of the events"
    r"|an anchor|not in the index as an address|are not compiled for this target yet"
)


def paged(client: SearchClient, table: str, body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (bucket, meta) of a composite aggregation, page by page."""
    request: dict[str, Any] = copy.deepcopy(dict(body))
    while True:
        found = client.call("POST", f"/logs-keytrip.{table}-*/_search", request)["aggregations"]["alerts"]
        for bucket in found["buckets"]:
            yield bucket, found["meta"]
        if "after_key" not in found:
            return
        request["aggs"]["alerts"]["composite"]["after"] = found["after_key"]


def rows(client: SearchClient, table: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the alerts of a counting rule's search."""
    return [row_of(*one) for one in paged(client, table, body)]


def unequal(
    world: World, client: SearchClient, rules: list[Document], documents: list[Document]
) -> tuple[dict[str, str], int]:
    """Return how the counting rules' answers differ, and how many alerts both gave; what is refused says why."""
    pairs, refused = compiled_pairs("opensearch", rules, documents)
    assert [reason for reason in refused.values() if not REFUSALS.search(reason)] == []
    found, alerts = {}, 0
    for rule, ours, theirs in pairs:
        expected = in_order(world.rows(ours.text))
        body = json.loads(theirs.text)
        answer = in_order(rows(client, table_of(rule, documents), body))
        alerts += len(expected)
        if expected != answer:
            extra = [row for row in answer if row not in expected][:1]
            found[rule.name] = f"{[row for row in expected if row not in answer][:1]} but {extra}"
    return found, alerts


def test_every_field(opensearch: SearchClient) -> None:
    """Every field of every table can be grouped by, under whatever name OpenSearch has it."""
    world, rules = full_world(), list(field_rules())
    ship_records(world, opensearch)
    counting = [rule for rule in rules if "correlation" in rule.data]
    found, alerts = unequal(world, opensearch, counting, rules)
    assert not found
    assert alerts == 3 * len(counting)


def test_parity(opensearch: SearchClient, tmp_path: Path) -> None:
    """Our own rules that need no baseline give the same alerts on the parity records."""
    world = world_of_files([PARITY / "history.ndjson.gz"], [PARITY / "recent.ndjson.gz"], tmp_path)
    ship_records(world, opensearch)
    documents = load_rules()
    found, alerts = unequal(world, opensearch, alerting(documents), documents)
    assert not found
    assert alerts > 0


def test_monitor(opensearch: SearchClient) -> None:
    """A monitor's search reports each window that has not ended, or did within its grace, and counts it as a whole."""
    start = datetime(2026, 4, 1)  # noqa: DTZ001 - naive UTC, as everywhere here
    world = World()
    times = [timedelta(hours=hours) for hours in (0, 1, 23, 24, 25, 47, 48, 49)]
    world.add_records("usage", ({"timestamp": start + time, "key_id": "k", "request_id": str(time)} for time in times))
    ship_records(world, opensearch)
    rule = counted(condition={"gte": 1})
    body = json.loads(written("opensearch", "monitor_rule", rule, base()))["inputs"][0]["search"]["query"]
    for hours, expected in ((47.2, {1: 3}), (48.4, {1: 3, 2: 1}), (48.6, {2: 1}), (49.5, {2: 2})):
        now = int((start + timedelta(hours=hours) - datetime(1970, 1, 1)).total_seconds() * 1000)  # noqa: DTZ001
        request = json.loads(json.dumps(body).replace("{{period_end}}", str(now)))
        found = {(row["window_start"] - start).days: row["events"] for row in rows(opensearch, "usage", request)}
        assert found == expected, hours


def test_monitor_of_plain_rule(opensearch: SearchClient) -> None:
    """A plain rule's monitor reads five minutes, five minutes late, so that two runs share no event."""
    start = datetime(2026, 4, 1)  # noqa: DTZ001 - naive UTC, as everywhere here
    world = World()
    times = [timedelta(minutes=minutes) for minutes in range(20)]
    world.add_records("usage", ({"timestamp": start + time, "key_id": "k", "request_id": str(time)} for time in times))
    ship_records(world, opensearch)
    monitor = json.loads(written("opensearch", "monitor_rule", base()))
    body = monitor["inputs"][0]["search"]["query"]
    found = []
    for minutes in (5, 10, 15, 20, 25):
        now = int((start + timedelta(minutes=minutes) - datetime(1970, 1, 1)).total_seconds() * 1000)  # noqa: DTZ001
        request = json.loads(json.dumps(body).replace("{{period_end}}", str(now)))
        found += hit_ids(opensearch.call("POST", "/logs-keytrip.usage-*/_search", request))
    assert sorted(found) == sorted(map(str, times))


def test_security_analytics(opensearch: SearchClient) -> None:
    """A rule for Security Analytics has its words only, and finds the same events; pySigma turns it into a query here.

    No Security Analytics runs here: this shows that the YAML says what the rule says, not that the plugin takes it.
    """
    world, rules = invented_world(1, 120), list(plain_rules())
    ship_records(world, opensearch)
    pairs, _ = compiled_pairs("opensearch", rules, rules)
    ran = [(ours, made) for rule, ours, _ in pairs if "\\/" not in (made := analytics(rule))]
    searches = [("usage", lucene_search(stock_query(made))) for _, made in ran if made]
    expected = [event_ids(world.rows(ours.text)) for ours, made in ran if made]
    assert [hit_ids(answer) for answer in answers(opensearch, searches)] == expected
    assert len(expected) > 100
    assert sum(not made for _, made in ran) < 45


def analytics(rule: Document) -> str:
    """Return a rule for Security Analytics, or nothing where it needs a script or matches nothing."""
    made = sayable(rule)
    if not made:
        return ""
    detection = yaml.safe_load(made)["detection"]
    items = [item for name, items in detection.items() if name != "condition" for item in items]
    assert {item.partition("|")[2] for item in items} <= {"", "re", "cidr", "lt", "lte", "gt", "gte"}
    return made


def sayable(rule: Document) -> str:
    """Return a rule for Security Analytics, or nothing where it is refused."""
    backend = backend_of("opensearch")
    backend.collect_errors = True
    found = backend.convert(collection_of([rule], [rule]), "security_analytics")
    assert all("Security Analytics has no word for this" in str(error) for _, error in backend.errors)
    return str(found[0]) if found else ""


def stock_query(made: str) -> str:
    """Return pySigma's query string of a rule."""
    (found,) = OpensearchLuceneBackend().convert(SigmaCollection.from_yaml(made))
    return str(found)
