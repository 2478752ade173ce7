"""The engines of this folder do what other tests rely on: they start, they answer, and they refuse what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from engines.search_server.client import SearchClient, SearchError
from engines.spl_parser.accepted import ACCEPTED
from engines.spl_parser.spl_parser import SplCheck, parsable, parse
from engines.toolchain import Program, need_java

from keytrip.export.layout import (
    elastic_document,
    elastic_lookup_documents,
    elastic_lookup_mapping,
    elastic_mappings,
    lookup_name,
)
from keytrip.records.vocabulary import vocabulary

COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "days": "BIGINT"}
KEY = ("key_id", "model")
JOINED = """
FROM logs-keytrip.usage-*
| STATS n = COUNT(*) BY key_id = keytrip.key_id, model = gen_ai.request.model
| EVAL keytrip_key = CONCAT(key_id, FROM_BASE64("Hw=="), model)
| LOOKUP JOIN keytrip_key_models ON keytrip_key
| KEEP key_id, model, n, baseline_days, baseline_found
| SORT key_id, model
| LIMIT 100
"""


def usage(hour: int, model: str, **others: object) -> dict[str, object]:
    """A usage event of key `a` on 2026-04-01."""
    time = datetime(2026, 4, 1, hour, tzinfo=UTC)
    return elastic_document({"timestamp": time, "key_id": "a", "model": model, **others})


def test_lookup_join(elasticsearch: SearchClient) -> None:
    """ES|QL joins grouped events with a lookup index by the concatenated key, and leaves nulls where no row is."""
    elasticsearch.load_usage([usage(1, "m1"), usage(2, "m1"), usage(3, "m2")])
    rows = elastic_lookup_documents(KEY, [{"key_id": "a", "model": "m1", "days": 7}])
    elasticsearch.load_lookup(lookup_name("key_models"), elastic_lookup_mapping(KEY, COLUMNS), rows)
    assert elasticsearch.esql(JOINED) == [
        {"key_id": "a", "model": "m1", "n": 2, "baseline_days": 7, "baseline_found": True},
        {"key_id": "a", "model": "m2", "n": 1, "baseline_days": None, "baseline_found": None},
    ]


def test_time_range(elasticsearch: SearchClient) -> None:
    """The time range holds from its start, before its end, and for events only: the lookup index has no time."""
    elasticsearch.load_usage([usage(1, "m1"), usage(2, "m1"), usage(3, "m1")])
    rows = elastic_lookup_documents(KEY, [{"key_id": "a", "model": "m1", "days": 7}])
    elasticsearch.load_lookup(lookup_name("key_models"), elastic_lookup_mapping(KEY, COLUMNS), rows)
    found = elasticsearch.esql(JOINED, datetime(2026, 4, 1, 2, tzinfo=UTC), "2026-04-01T03:00:00Z")
    assert [(row["n"], row["baseline_days"]) for row in found] == [(1, 7)]


def test_load_replaces(elasticsearch: SearchClient) -> None:
    """A load leaves nothing of the one before, whether of events or of a lookup, and may be empty."""
    elasticsearch.load_usage([usage(1, "m1")])
    elasticsearch.load_usage([])
    assert elasticsearch.esql("FROM logs-keytrip.usage-* | STATS n = COUNT(*)") == [{"n": 0}]
    for days in (1, 2):
        row = {"key_id": "a", "model": "m1", "days": days}
        mapping = elastic_lookup_mapping(KEY, COLUMNS)
        elasticsearch.load_lookup("keytrip_x", mapping, elastic_lookup_documents(KEY, [row]))
    rows = elasticsearch.esql("FROM keytrip_x | WHERE baseline_days IS NOT NULL | KEEP baseline_days | LIMIT 9")
    assert rows == [{"baseline_days": 2}]


@pytest.mark.parametrize("table", ["usage", "audit", "leak"])
def test_template(elasticsearch: SearchClient, table: str) -> None:
    """Every field of a table is a column of the type that SEMANTICS gives it, even before any event holds it."""
    elasticsearch.load(table, [])
    answer = elasticsearch.call("POST", "/_query", {"query": f"FROM logs-keytrip.{table}-* | LIMIT 0"})
    columns = {column["name"]: column["type"] for column in answer["columns"]}
    assert columns == {name: kind["type"] for name, kind in elastic_mappings(table)["properties"].items()}
    assert len(columns) >= sum(field.shipped for field in vocabulary().tables[table].columns.values())


def test_many_warnings(elasticsearch: SearchClient) -> None:
    """More warnings than an answer may have headers are no trouble."""
    elasticsearch.load_usage([usage(1, f"m{number}") for number in range(300)])
    tests = " OR ".join(f'CIDR_MATCH(TO_IP(CONCAT(gen_ai.request.model, "{n}")), "::/0")' for n in range(20))
    assert elasticsearch.esql(f"FROM logs-keytrip.usage-* | WHERE {tests} | LIMIT 9") == []


def test_wrong_query(elasticsearch: SearchClient) -> None:
    """A wrong ES|QL query raises the server's own words."""
    elasticsearch.load_usage([])
    with pytest.raises(SearchError, match=r"Unknown column \[nothing\]"):
        elasticsearch.esql("FROM logs-keytrip.usage-* | WHERE nothing == 1 | LIMIT 1")


def test_refused_document(elasticsearch: SearchClient) -> None:
    """A document that does not fit its mapping fails the load instead of going missing."""
    document = usage(1, "m1")
    document["source"] = {"ip": "no address"}
    with pytest.raises(SearchError, match="refused a document"):
        elasticsearch.load_usage([usage(1, "m1"), document])


def test_opensearch(opensearch: SearchClient) -> None:
    """OpenSearch starts, takes keytrip's template and finds an event by query string."""
    opensearch.load_usage([usage(1, "m1", source_ip="10.0.0.1"), usage(2, "m2")])
    body = {"query": {"query_string": {"query": 'source.ip:"10.0.0.0/8" AND gen_ai.request.model:m1'}}}
    assert opensearch.call("POST", "/logs-keytrip.usage-*/_search", body)["hits"]["total"]["value"] == 1


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_no_java(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]) -> None:
    """Without the tools a test is skipped and names them; in CI it fails, so that no check goes missing there."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="java, javac, mvn"):
        need_java()


GOOD = """```a title, with "quotes" | and a pipe```
index=keytrip sourcetype="keytrip:usage"
| where ((isnotnull(key_id)) AND (match(model, "(?i)^gpt|^o1")))
| eval window_start = (floor(_time / 86400) * 86400)
| stats sum(request_count) as value count as events by key_id window_start
| lookup keytrip_key_requests_daily key_id OUTPUT mean as baseline_mean, stddev as baseline_stddev
| where (value > exact((baseline_mean + (3 * baseline_stddev)))) ```the rule```
| table key_id window_start value"""


def test_spl(spl_check: SplCheck) -> None:
    """Good SPL has no errors; wrong SPL has, each under its own name, wherever in the text it stands."""
    bad = {
        "unclosed": "index=keytrip | where (a = 1",
        "command": "index=keytrip | statz count",
        "function": 'index=keytrip | eval a = madeup("x")',
        "after_lookup": "index=keytrip | lookup keys key_id OUTPUT mean | where mean >",
        "in_lookup": "index=keytrip | lookup keys OUTPUT | stats count",
        "between": "index=keytrip | | stats count",
        "at_the_end": "index=keytrip | stats count |",
    }
    found = spl_check({"good": GOOD, "short": "index=keytrip", **bad})
    assert found["good"] == found["short"] == []
    assert {name for name, errors in found.items() if errors} == set(bad)


def test_spl_error(spl_check: SplCheck) -> None:
    """An error shows the text that it is about."""
    (error,) = spl_check({"rule": "index=keytrip | where a = = 1"})["rule"]
    assert error.startswith("at 'keytrip | where a = >>>= 1':")


def test_accepted(spl_parser: Program) -> None:
    """Each entry is needed and enough: the parser rejects its example, and takes it once it is rewritten."""
    examples = [f"{'' if e.example.startswith('tstats') else 'index=keytrip '}| {e.example}" for e in ACCEPTED]
    raw = parse(spl_parser, examples)
    assert [spl for spl, errors in zip(examples, raw, strict=True) if not errors] == []
    pieces = [piece for spl in examples for piece in parsable(spl)]
    assert len(pieces) == len(examples)
    taken = parse(spl_parser, pieces)
    assert [(piece, errors) for piece, errors in zip(pieces, taken, strict=True) if errors] == []


@pytest.mark.parametrize(
    ("spl", "pieces"),
    [
        ('index=a ```b | c``` | eval d="```e```"', ['index=a | eval d="```e```"']),
        ('a="x|y" | append [search b | stats c]', ['a="x|y" | append [search b | stats c]']),
        ("a | lookup t k OUTPUT v | where v > 1", ["a | lookup t k OUTPUT v", "index=keytrip | where v > 1"]),
        ("a | lookup t k OUTPUT v", ["a | lookup t k OUTPUT v"]),
        ('a | eval b = "x, -y IN (z)"', ['a | eval b = "x, -y IN (z)"']),
    ],
)
def test_parsable(spl: str, pieces: list[str]) -> None:
    """Comments go but not what looks like one in a text; pieces end at lookups only; texts are never rewritten."""
    assert parsable(spl) == pieces
