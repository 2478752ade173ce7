"""Hostile texts in rules and in records, in every target: each is found as what it is, and none changes a query.

A rule has the text as its title, description and false positive, as the value that it looks for and as one that it
leaves out. Real engines answer where there are any; SPL and EQL are read by our own machines, and SPL by a published
grammar too.
`KEYTRIP_HOSTILE` says how many texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from compile.rules import base, counted, document
from compile.test_spl_meaning import lookups_of
from engines.eql_machine import matches, parsed
from engines.search_server.client import SearchClient
from engines.searches import answers, hit_ids, lucene_search, ship_records
from engines.spark_engine import SparkEngine
from engines.spl_machine import indexed, run
from engines.spl_parser.spl_parser import SplCheck
from engines.worlds import World, ship_for
from hostile import MEGABYTE, hostile_texts

from keytrip.compile.targets import Compiled, compile_to
from keytrip.export.layout import KEYWORD, elastic_document, splunk_event
from keytrip.rules.load import Document

Row = Mapping[str, Any]
# A longer keyword is in no index of a search server.
SEARCHED = int(str(KEYWORD["ignore_above"]))
# Our machine for SPL compares each row with each of a lookup.
FEW = 400
# Spark's planner takes longer for each further query of a union.
TOGETHER = 20


@cache
def texts() -> tuple[str, ...]:
    """Return the texts that records and rules hold."""
    return tuple(hostile_texts())


def literal(text: str) -> str:
    """Return a text as Sigma writes it where no character is a wildcard."""
    return re.sub(r"[\\*?]", r"\\\g<0>", text)


def rules(of: Sequence[str]) -> list[Document]:
    """Return a rule for each text: a model of that name, unless the user is called so too."""
    return [
        document(
            {
                "name": f"hostile_{number}",
                "title": text[:256],
                "description": text,
                "falsepositives": [text],
                "author": text,
                "logsource": {"category": "ai_usage"},
                "detection": {
                    "a": {"model|cased": literal(text)},
                    "b": {"user|cased": literal(text)},
                    "condition": "a and not b",
                },
            }
        )
        for number, text in enumerate(of)
    ]


def pair(number: int, text: str) -> list[dict[str, Any]]:
    """Return two records of a text: the first is what its rule finds, the second is what it leaves out."""
    record = {"timestamp": "2026-11-01T09:00:00Z", "key_id": text, "model": text, "user_agent": text}
    return [{**record, "request_id": str(number)}, {**record, "request_id": f"{number} not", "user": text}]


@pytest.fixture(scope="module")
def world() -> World:
    """All records; every second text is known as a key and a model."""
    made = World()
    made.add_records("usage", [record for number, text in enumerate(texts()) for record in pair(number, text)])
    made.add_rows("key_models", [{"key_id": text, "model": text, "events": 1} for text in texts()[::2]])
    made.add_rows("keys", [{"key_id": text, "events": 1} for text in texts()])
    return made


UNKNOWN = counted(
    group_by=("key_id", "model"),
    baseline={"table": "key_models", "on": ["key_id", "model"], "absent": True, "requires": "keys"},
)


def unknown(target: str) -> str:
    """Return the query for models that a key never used."""
    (found,) = compile_to(target, [UNKNOWN], [UNKNOWN, base()])
    assert not found.reason, found.reason
    return found.text


def unheard_of(rows: Iterable[Row]) -> None:
    """Assert that just the models that are not in the table are told, each as what it is."""
    pairs = [(row["key_id"], row["model"]) for row in rows]
    assert sorted(pairs) == sorted((text, text) for text in texts()[1::2] if len(text) <= SEARCHED // 2)


def written(target: str, of: Sequence[str]) -> list[Compiled]:
    """Return what a target makes of the rules; none is refused for its text, but where it is too long for a query."""
    made = rules(of)
    found = compile_to(target, made, made)
    reasons = {
        text[:50]: one.reason for text, one in zip(of, found, strict=True) if one.reason and len(text) < MEGABYTE
    }
    assert not reasons
    return found


def short() -> list[str]:
    """Return the texts that a search server's index has."""
    return [text for text in texts() if len(text) <= SEARCHED]


def each(target: str, ask: Callable[[Sequence[Compiled]], Iterable[list[str]]]) -> None:
    """Assert that the query of each rule finds its own record alone."""
    found = [one for one, text in zip(written(target, texts()), texts(), strict=True) if len(text) <= SEARCHED]
    wrong = {
        one.rule: ids for one, ids in zip(found, ask(found), strict=True) if ids != [one.rule.removeprefix("hostile_")]
    }
    assert not {texts()[int(name.removeprefix("hostile_"))]: ids for name, ids in wrong.items()}


def test_duckdb(world: World) -> None:
    """DuckDB, a megabyte too."""
    found = written("duckdb", texts())
    ids = [[str(row["request_id"]) for row in world.rows(one.text)] for one in found]
    assert ids == [[str(number)] for number in range(len(found))]
    unheard_of(row for row in world.rows(unknown("duckdb")) if len(row["model"]) <= SEARCHED // 2)


def near(records: Mapping[str, Row], number: int) -> list[Row]:
    """Return the records of a text and of the next one that is no megabyte."""
    following = (number + 1) % len(short())
    return [records[f"{one}{end}"] for one in (number, following) for end in ("", " not")]


@pytest.fixture(scope="module")
def read(world: World) -> dict[str, Row]:
    """Return the records as reading leaves them, by their id."""
    return {record["request_id"]: record for record in world.records("usage")}


def test_splunk(read: dict[str, Row]) -> None:
    """SPL, as our machine reads it: each rule over its own records and those of the next text."""
    made = texts()
    for number, one in enumerate(written("splunk", made)):
        if len(made[number]) > SEARCHED:
            continue
        events = indexed(splunk_event("usage", record) for record in near(read, number))
        assert [row["request_id"] for row in run(one.text, events, {})] == [str(number)], made[number]


def test_splunk_lookup(world: World) -> None:
    """SPL over a lookup of hostile keys."""
    few = [*texts()[:FEW]]
    events = [e for e in indexed(splunk_event("usage", r) for r in world.records("usage")) if e["model"] in few]
    lookups = {name: [row for row in rows if row["key_id"] in few] for name, rows in lookups_of(world).items()}
    rows = run(unknown("splunk"), events, lookups)
    assert sorted(row["model"] for row in rows) == sorted(few[1::2])


def test_splunk_grammar(spl_check: SplCheck) -> None:
    """SPL, by a published grammar."""
    found = {one.rule: one.text for one in written("splunk", short())}
    assert not {name: errors for name, errors in spl_check(found).items() if errors}


def test_eql(read: dict[str, Row]) -> None:
    """EQL, by the parser of the `eql` package: each rule over its own records and those of the next text."""
    made = [text if len(text) <= SEARCHED else "a" for text in texts()]
    for number, one in enumerate(written("eql", made)):
        if made[number] == texts()[number]:
            query = parsed(one.text)
            found = [event for event in map(elastic_document, near(read, number)) if matches(query, event)]
            assert [event["http"]["request"]["id"] for event in found] == [str(number)], made[number]


def test_esql(elasticsearch: SearchClient, world: World) -> None:
    """ES|QL, by a real Elasticsearch."""
    ship_for(world, elasticsearch, unknown("esql"))
    each("esql", lambda found: ([row["http.request.id"] for row in elasticsearch.esql(one.text)] for one in found))
    unheard_of(elasticsearch.esql(unknown("esql")))


@pytest.mark.parametrize("target", ["lucene", "opensearch"])
def test_opensearch(opensearch: SearchClient, world: World, target: str) -> None:
    """Lucene's query strings and query DSL, by a real OpenSearch."""
    ship_records(world, opensearch)

    def body(text: str) -> Any:
        if target == "lucene":
            return lucene_search(text)
        return {**json.loads(text), "size": 10, "_source": ["http.request.id"]}

    each(target, lambda found: map(hit_ids, answers(opensearch, [("usage", body(one.text)) for one in found])))


def test_spark(spark: SparkEngine, world: World) -> None:
    """Spark SQL, by a real Spark, which is asked for some rules at once."""
    spark.load("usage", (record for record in world.records("usage") if len(record["model"]) <= SEARCHED))
    spark.load_table("key_models", world.rows("select * from key_models"))
    spark.load_table("keys", world.rows("select * from keys"))

    def ask(found: Sequence[Compiled]) -> Iterable[list[str]]:
        for start in range(0, len(found), TOGETHER):
            batch = found[start : start + TOGETHER]
            rows = spark.events((one.rule, one.text) for one in batch)
            yield from ([row["request_id"] for row in rows[one.rule]] for one in batch)

    each("spark", ask)
    unheard_of(row for row in spark.rows(unknown("spark")) if len(row["model"]) <= SEARCHED // 2)
