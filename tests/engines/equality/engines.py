"""The engines that are held to the judge: each takes compiled rules and answers with what it found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from engines.eql_machine import matches, parsed
from engines.equality.batch import Batch, Between
from engines.equality.worlds import start_of
from engines.search_server.client import SearchClient, SearchError
from engines.searches import answers, hit_ids, lucene_search, row_of, ship_records, table_of
from engines.spark_engine import SparkEngine
from engines.spl_machine import indexed, run
from engines.worlds import World, ship_for
from judge.compare import moment
from judge.worlds import alert

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.targets import Compiled
from keytrip.export.layout import elastic_document, lookup_name, splunk_event, splunk_lookup_rows
from keytrip.records.sql import quote_name
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

Pair: TypeAlias = tuple[Document, Compiled]
_TIMES = ("window_start", "window_end", "first_seen", "last_seen")


@dataclass(frozen=True)
class Answer:
    """What an engine found.

    Attributes:
        rule: The rule that it was asked for.
        found: Ids of the records of a plain rule, alerts of a correlation.
        between: The only records that it read, where it did not read all.
        error: What it said instead.
    """

    rule: Document
    found: Sequence[Any]
    between: Between | None = None
    error: str = ""


@dataclass(frozen=True)
class Engine:
    """An engine and what is asked of it.

    Attributes:
        target: What rules are compiled to.
        ask: Loads a batch into the server (None for what runs in this process) and yields an answer for each rule.
        refuses: What the target may refuse, by its reason.
        said: How many of the usual rules it says at least.
        server: The fixture that runs it.
        milliseconds: Whether it holds times no finer.
        every: Only each such rule is asked.
    """

    target: str
    ask: Callable[[Batch, Sequence[Pair], Any], Iterator[Answer]]
    refuses: str
    said: int
    server: str = ""
    milliseconds: bool = False
    every: int = 1

    @property
    def name(self) -> str:
        """The target, and the server where that is not the target's own."""
        return f"{self.target} {self.server}".strip()


def kind_of(rule: Document) -> str:
    """Return a correlation's type, or `plain`."""
    return str(rule.data["correlation"]["type"]) if "correlation" in rule.data else "plain"


def _answer(rule: Document, rows: Iterable[Mapping[str, Any]], id_column: str = "request_id") -> Answer:
    """Return an answer of rows as SEMANTICS section 6 has them."""
    if kind_of(rule) != "plain":
        return Answer(rule, [alert(kind_of(rule), row) for row in rows])
    found = list(rows)
    assert {(row["rule"], row["level"]) for row in found} <= {(rule.name, rule.data["level"])}
    return Answer(rule, sorted(str(row[id_column]) for row in found))


def ask_duckdb(batch: Batch, pairs: Sequence[Pair], _: None) -> Iterator[Answer]:
    """Ask DuckDB, rule by rule."""
    for rule, compiled in pairs:
        yield _answer(rule, batch.world.rows(compiled.text))


def ask_spl_machine(batch: Batch, pairs: Sequence[Pair], _: None) -> Iterator[Answer]:
    """Ask the small machine that follows Splunk's documentation."""
    tables = ("usage", "audit")
    shipped = indexed(splunk_event(table, record) for table in tables for record in batch.world.records(table))
    lookups = {lookup_name(name): list(splunk_lookup_rows(_rows(batch.world, name))) for name in load_jobs()}
    for rule, compiled in pairs:
        yield _answer(rule, map(_dated, run(compiled.text, shipped, lookups)))


def _rows(world: World, table: str) -> list[dict[str, Any]]:
    return world.rows(f"select * from {quote_name(table)}")


def _dated(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: datetime.fromtimestamp(float(row[name]), UTC).replace(tzinfo=None) for name in _TIMES if name in row}
    return {**row, **times}


def ask_eql_machine(batch: Batch, pairs: Sequence[Pair], _: None) -> Iterator[Answer]:
    """Ask the small machine that follows Elastic's documentation."""
    events = {table: [elastic_document(r) for r in batch.world.records(table)] for table in vocabulary().tables}
    for rule, compiled in pairs:
        query = parsed(compiled.text)
        found = [e for e in events[table_of(rule, batch.documents)] if matches(query, e)]
        yield Answer(rule, sorted(event["http"]["request"]["id"] for event in found))


def ask_esql(batch: Batch, pairs: Sequence[Pair], client: SearchClient) -> Iterator[Answer]:
    """Ask Elasticsearch; a temporal rule, whose schedule is the window, over a few ranges of just its timespan."""
    ship_for(batch.world, client, "".join(compiled.text for _, compiled in pairs))
    for rule, compiled in pairs:
        temporal = kind_of(rule).startswith("temporal")
        for between in _ranges(batch, rule) if temporal else [None]:
            try:
                rows = client.esql(compiled.text, *(between or ()))
            except SearchError as error:
                yield Answer(rule, [], between, str(error))
                continue
            yield replace(_answer(rule, map(_parsed, rows), "http.request.id"), between=between)


def _parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, **{name: moment(row[name]) for name in _TIMES if name in row}}


def _ranges(batch: Batch, rule: Document) -> list[Between]:
    """Return ranges that end where alerts do; a millisecond more on the later side takes in what lies on the border."""
    timespan = rule.data["correlation"]["timespan"]
    span = timedelta(seconds=int(timespan[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[timespan[-1]])
    ends = [alert["window_end"] for alert in batch.verdict(rule, milliseconds=True)]
    chosen = [*ends[:: max(1, len(ends) // 2)][:2], start_of(batch.seeds[0]) + timedelta(hours=1)]
    return [(end + timedelta(milliseconds=1) - span, end + timedelta(milliseconds=1)) for end in chosen]


def ask_lucene(batch: Batch, pairs: Sequence[Pair], client: SearchClient) -> Iterator[Answer]:
    """Ask a search server for query strings, many in a request."""
    ship_records(batch.world, client)
    searches = [(table_of(rule, batch.documents), lucene_search(compiled.text)) for rule, compiled in pairs]
    for (rule, _), answer in zip(pairs, answers(client, searches), strict=True):
        yield Answer(rule, hit_ids(answer))


def ask_opensearch(batch: Batch, pairs: Sequence[Pair], client: SearchClient) -> Iterator[Answer]:
    """Ask OpenSearch, many searches in a request; one page holds all alerts here."""
    ship_records(batch.world, client)
    searches = [(table_of(rule, batch.documents), json.loads(compiled.text)) for rule, compiled in pairs]
    for (rule, _), answer in zip(pairs, answers(client, searches), strict=True):
        if kind_of(rule) == "plain":
            marks = [f"{rule.name} ({rule.data['level']})"]
            assert all(hit["matched_queries"] == marks for hit in answer["hits"]["hits"])
            yield Answer(rule, hit_ids(answer))
            continue
        page = answer["aggregations"]["alerts"]
        yield _answer(rule, [row_of(bucket, page["meta"]) for bucket in page["buckets"]])


def ask_spark(batch: Batch, pairs: Sequence[Pair], spark: SparkEngine) -> Iterator[Answer]:
    """Ask Spark: plain rules by one job, correlations by one each."""
    ship_to_spark(batch.world, spark)
    together = [(rule.name, compiled.text) for rule, compiled in pairs if kind_of(rule) == "plain"]
    by_rule = spark.events(together)
    for rule, compiled in pairs:
        plain = kind_of(rule) == "plain"
        yield _answer(rule, by_rule[rule.name] if plain else spark.rows(compiled.text))


def ship_to_spark(world: World, spark: SparkEngine) -> None:
    """Load a world's records and tables."""
    for table in vocabulary().tables:
        spark.load(table, world.records(table))
    for table in load_jobs():
        spark.load_table(table, _rows(world, table))


_ELASTIC = (
    r"an anchor|a word boundary|is an integer: .* cannot search its digits|not in the index as an address"
    r"|is no field of the events"
)
_CHAINS = r"cannot put alerts beside other events|cannot make the source_net"
ENGINES = (
    Engine("duckdb", ask_duckdb, r"\Z.", said=618),
    Engine("splunk", ask_spl_machine, _CHAINS, said=595),
    Engine("eql", ask_eql_machine, rf"{_ELASTIC}|EQL may drop events|cannot compare fields|tests one event", said=150),
    # it plans each query for a twentieth of a second of the server's time: every second rule, all in a long run
    Engine(
        "esql",
        ask_esql,
        rf"{_CHAINS}|an anchor|a word boundary|has no sliding window",
        270,
        "elasticsearch",
        milliseconds=True,
        every=2,
    ),
    Engine("lucene", ask_lucene, rf"{_ELASTIC}|cannot compare fields|tests one event", 150, "elasticsearch"),
    Engine("lucene", ask_lucene, rf"{_ELASTIC}|cannot compare fields|tests one event", 150, "opensearch"),
    Engine(
        "opensearch",
        ask_opensearch,
        rf"{_ELASTIC}|cannot join a baseline table|are not compiled for this target yet",
        250,
        "opensearch",
        milliseconds=True,
    ),
    # a job of Spark takes a third of a second, however few its rows: every sixteenth rule, all in a long run
    Engine("spark", ask_spark, r"\Z.", 38, "spark", every=16),
)
