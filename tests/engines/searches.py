"""Lucene and query DSL, run by a real server in batches, beside DuckDB's answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from engines.search_server.client import SearchClient, SearchError
from engines.worlds import World

from keytrip.compile.targets import Compiled, compile_to
from keytrip.export.layout import elastic_document
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

BATCH = 100
EVENTS = 10_000


def ship_records(world: World, client: SearchClient) -> None:
    """Put a world's records into a search server, in the canonical layout."""
    for table in vocabulary().tables:
        client.load(table, (elastic_document(record) for record in world.records(table)))


def lucene_search(text: str) -> dict[str, Any]:
    """Return the search body of a query string."""
    return {"query": {"query_string": {"query": text.strip()}}, "size": EVENTS, "_source": ["http.request.id"]}


def answers(client: SearchClient, searches: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield the answers to (canonical table, search body) pairs, some in one request.

    Raises:
        SearchError: The server refuses one, or answers it in part.
    """
    all_of_them = list(searches)
    for start in range(0, len(all_of_them), BATCH):
        batch = all_of_them[start : start + BATCH]
        lines = "".join(f'{{"index": "logs-keytrip.{table}-*"}}\n{json.dumps(body)}\n' for table, body in batch)
        found = client.call("POST", "/_msearch", lines)["responses"]
        for (_, body), answer in zip(batch, found, strict=True):
            if "error" in answer or answer["_shards"]["failed"]:
                raise SearchError(
                    f"{json.dumps(body)[:500]}: {json.dumps(answer.get('error', answer['_shards']))[:500]}"
                )
            yield answer


def compiled_pairs(
    target: str, rules: Sequence[Document], documents: Sequence[Document]
) -> tuple[list[tuple[Document, Compiled, Compiled]], dict[str, str]]:
    """Return (rule, DuckDB's text, the target's text) of what the target says, and name -> reason of what not."""
    texts = [compile_to(name, rules, documents) for name in ("duckdb", target)]
    pairs = list(zip(rules, *texts, strict=True))
    refused = {rule.name: theirs.reason for rule, _, theirs in pairs if not theirs.text}
    return [pair for pair in pairs if pair[2].text], refused


def table_of(rule: Document, documents: Sequence[Document]) -> str:
    """Return the canonical table that a rule, or the first rule it refers to, reads."""
    by_name = {document.name: document for document in documents}
    plain = by_name[rule.references[0]] if rule.references else rule
    found = vocabulary().by_category(plain.data["logsource"]["category"])
    assert found is not None
    return found[0]


def event_ids(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the request ids of DuckDB's events, in order."""
    return sorted(str(row["request_id"]) for row in rows)


def hit_ids(answer: Mapping[str, Any]) -> list[str]:
    """Return the request ids of a search's hits, in order."""
    return sorted(str(hit["_source"]["http"]["request"]["id"]) for hit in answer["hits"]["hits"])


def row_of(bucket: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bucket as the row of SEMANTICS section 6."""
    group = {name: value for name, value in bucket["key"].items() if name != "window_start"}
    start = _moment(bucket["key"]["window_start"])
    return {
        **group,
        "window_start": start,
        "window_end": start + timedelta(seconds=meta["window_seconds"]),
        "value": bucket["value"]["value"] if "value" in bucket else bucket["doc_count"],
        "events": bucket["doc_count"],
        "first_seen": _moment(bucket["first_seen"]["value"]),
        "last_seen": _moment(bucket["last_seen"]["value"]),
        "rule": meta["rule"],
        "level": meta["level"],
    }


def _moment(milliseconds: float) -> datetime:
    """Return a time as DuckDB hands it out."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds)  # noqa: DTZ001 - naive UTC
