"""Cases in Elasticsearch and OpenSearch: one index a canonical table for all of them, and lookup indices for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from keytrip.baselines.kinds import Job
from keytrip.errors import SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.indices.bulk import write_bulk
from keytrip.export.indices.documents import bulk_lines
from keytrip.export.layout import (
    KEYWORD,
    elastic_document,
    elastic_lookup_documents,
    elastic_lookup_mapping,
    elastic_mappings,
)
from keytrip.export.live import LiveCase, Row
from keytrip.export.wire import Send, checked, persistent
from keytrip.records.vocabulary import vocabulary

# Which case a document belongs to; no rule knows the field.
_CASE = "keytrip_case"
_STREAM = re.compile(r"\blogs-keytrip\.(\w+)-\*")
_LOOKUP = re.compile(r"\bLOOKUP JOIN keytrip_(\w+)\b")
Json = dict[str, Any]


@contextmanager
def open_search(target: str, connection: Connection, jobs: Mapping[str, Job]) -> Iterator[SearchServer]:
    """Yield a server with an index for each canonical table, and remove all that was made there."""
    server = SearchServer(target, persistent(_sender(target, connection)), jobs)
    try:
        for table in vocabulary().tables:
            server.make(table, _index_of(table))
        yield server
    finally:
        server.remove()


def _sender(target: str, connection: Connection) -> Send:
    if target == "opensearch":
        from keytrip.export.opensearch.client import OpensearchSend, need_opensearch

        need_opensearch()
        return OpensearchSend(connection)
    from keytrip.export.elastic.client import ElasticSend

    return ElasticSend(connection)


def _index_of(table: str) -> Json:
    mappings = elastic_mappings(table)
    return {"mappings": {**mappings, "properties": {**mappings["properties"], _CASE: KEYWORD}}}


@dataclass
class SearchServer:
    """An open server.

    Attributes:
        target: `esql`, `lucene` or `opensearch`.
        send: Sends requests.
        jobs: Those that make the baseline tables.
        prefix: What the indices' names begin with.
        made: Names of the indices that are there.
        cases: How many were run.
    """

    target: str
    send: Send
    jobs: Mapping[str, Job]
    prefix: str = field(default_factory=lambda: f"keytrip_test_{uuid4().hex[:12]}_")
    made: list[str] = field(default_factory=list)
    cases: int = 0

    def make(self, name: str, body: Json) -> None:
        """Make an index."""
        checked(self.send("PUT", f"/{self.prefix}{name}", body), f"making the index {self.prefix}{name}")
        self.made.append(name)

    def remove(self) -> None:
        """Remove every index that was made."""
        while self.made:
            name = self.prefix + self.made.pop()
            checked(self.send("DELETE", f"/{name}"), f"removing the index {name}")

    def alerts(self, case: LiveCase) -> int:
        """Load a case and count what its query finds.

        Raises:
            SystemRefusedError: The server refuses, or cannot be reached.
        """
        self.cases += 1
        for table, records in case.records.items():
            self._fill(table, [{**elastic_document(record), _CASE: str(self.cases)} for record in records])
        mine: Json = {"term": {_CASE: str(self.cases)}}
        if self.target == "esql":
            return self._by_esql(case, mine)
        table = next(iter(case.records))
        if self.target == "lucene":
            query = {"query_string": {"query": case.query.strip()}}
            return self._found(table, {"size": 0, "track_total_hits": True, "query": query}, mine)
        return self._found(table, json.loads(case.query), mine)

    def _found(self, table: str, body: Json, mine: Json) -> int:
        narrowed = {**body, "query": {"bool": {"filter": [mine, body["query"]]}}}
        answer = checked(self.send("POST", f"/{self.prefix}{table}/_search", narrowed), "running the query")
        if answer["_shards"]["failed"] or answer["timed_out"]:
            raise SystemRefusedError("running the query: the answer is not whole")
        found = answer.get("aggregations")
        return len(found["alerts"]["buckets"]) if found else int(answer["hits"]["total"]["value"])

    def _by_esql(self, case: LiveCase, mine: Json) -> int:
        number = self.cases
        for table in dict.fromkeys(_LOOKUP.findall(case.query)):
            job, rows = self.jobs[table], case.tables.get(table, ())
            self.make(f"{number}_{table}", elastic_lookup_mapping(job.table_key, job.columns))
            self._fill(f"{number}_{table}", list(elastic_lookup_documents(job.table_key, rows)))
        query = _STREAM.sub(lambda found: f"{self.prefix}{found[1]}", case.query)
        query = _LOOKUP.sub(lambda found: f"LOOKUP JOIN {self.prefix}{number}_{found[1]}", query)
        return max((self._rows(query, narrowed) for narrowed in _ranges(case, mine)), default=0)

    def _rows(self, query: str, narrowed: Json) -> int:
        answer = checked(self.send("POST", "/_query", {"query": query, "filter": narrowed}), "running the query")
        if answer.get("is_partial"):
            raise SystemRefusedError("running the query: the answer is not whole")
        return len(answer["values"])

    def _fill(self, name: str, documents: Sequence[Mapping[str, object]]) -> None:
        index = self.prefix + name
        lines = (bulk_lines("index", f"{self.cases}_{number}", one) for number, one in enumerate(documents))
        write_bulk(self.send, index, lines, lambda _: None)
        checked(self.send("POST", f"/{index}/_refresh"), f"refreshing {index}")


def _ranges(case: LiveCase, mine: Json) -> Iterator[Json]:
    """Yield the filter of the case, or where the schedule is the window one for each window that ends at an event."""
    if case.span is None:
        yield mine
        return
    for end in sorted({_time(record) for records in case.records.values() for record in records}):
        # both ends count: a pair may be just the timespan apart
        bounds = {"gte": f"{(end - case.span).isoformat()}Z", "lte": f"{end.isoformat()}Z"}
        yield {"bool": {"filter": [mine, {"range": {"@timestamp": bounds}}]}}


def _time(record: Row) -> datetime:
    found: datetime = record["timestamp"]
    return found.replace(tzinfo=None, microsecond=found.microsecond // 1000 * 1000)
