"""A baseline table as documents of an index, and the names and bodies of what holds it. Nothing is sent here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from keytrip.export.layout import SEPARATOR, elastic_lookup_documents, elastic_lookup_mapping, lookup_key
from keytrip.export.model import Row, Table

PREFIX = "keytrip_"
RECORDS = "keytrip_deployments"
MARK = {"managed_by": "keytrip"}
_GENERATION = re.compile(r"(keytrip_.+)-(\d{6,})", re.ASCII)
_ID_DIGITS = 32


def generation_index(table: str, number: int) -> str:
    """Return the index that holds a generation of a table; the table's own name is the alias."""
    return f"{table}-{number:06d}"


def generation_of(index: str) -> tuple[str, int] | None:
    """Return (table, number) of a generation's index, or None where the name is none of ours."""
    found = _GENERATION.fullmatch(index)
    return (found[1], int(found[2])) if found else None


def generation_body(table: Table, number: int, *, lookup_mode: bool) -> dict[str, Any]:
    """Return the body that makes a generation's index; its `_meta` says what will be in it.

    Args:
        table: Its columns and digest are used, its rows are not.
        number: Of the generation.
        lookup_mode: Whether the server knows `index.mode: lookup`.

    Raises:
        ContentError: A column's type has no counterpart.
    """
    body = elastic_lookup_mapping(table.key, table.columns)
    if not lookup_mode:
        # one shard and a copy on each node, as lookup mode gives
        body["settings"] = {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}}
    body["mappings"]["_meta"] = generation_meta(table, number)
    return body


def generation_meta(table: Table, number: int) -> dict[str, Any]:
    """Return what a generation's index says of itself: our mark, and what is to be in it."""
    return {**MARK, "number": number, "count": table.count, "digest": table.digest}


def row_id(table: Table, row: Row) -> str:
    """Return a row's document id: a digest of its key."""
    return document_id(lookup_key([str(row[column]) for column in table.key], len(table.key)))


def document_id(key: str) -> str:
    """Return the id of the document with this `keytrip_key`."""
    return sha256(key.encode()).hexdigest()[:_ID_DIGITS]


def row_digest(table: Table, row: Row) -> str:
    """Return the digest of a row as its document holds it."""
    *_, document = elastic_lookup_documents(table.key, [row])
    return document_digest(document)


def document_digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a document's source."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def is_leading(table: Table, document: Mapping[str, Any]) -> bool:
    """Whether a document stands for a leading part of keys, not for a row."""
    return str(document["keytrip_key"]).count(SEPARATOR) < len(table.key) - 1


def documents(table: Table, rows: Iterable[Row]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (id, document) of rows and of each leading part of their keys, as the layout has them."""
    for document in elastic_lookup_documents(table.key, rows):
        yield document_id(str(document["keytrip_key"])), document


def leading_ids(table: Table) -> dict[str, dict[str, object]]:
    """Return the documents of the leading parts of all keys, by id; empty where the key has one column."""
    if len(table.key) == 1:
        return {}
    return {name: document for name, document in documents(table, table.rows()) if is_leading(table, document)}


def parts_of(table: Table, key: str) -> Iterator[str]:
    """Yield the ids of the leading parts of a row's `keytrip_key`; what follows them may hold U+001F too."""
    texts = key.split(SEPARATOR)
    return (document_id(SEPARATOR.join(texts[:length])) for length in range(1, len(table.key)))


def switch_actions(wanted: Mapping[str, str], now: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the one request that leads aliases to other indices.

    Args:
        wanted: Alias -> index.
        now: Alias -> indices that it leads to at present.
    """
    actions: list[dict[str, Any]] = []
    for alias, index in sorted(wanted.items()):
        old = [name for name in now.get(alias, ()) if name != index]
        actions += [{"remove": {"index": name, "alias": alias, "must_exist": True}} for name in old]
        actions.append({"add": {"index": index, "alias": alias}})
    return {"actions": actions}


def bulk_lines(action: str, name: str, document: Mapping[str, Any] | None = None) -> str:
    """Return the lines of one item of a bulk request."""
    head = json.dumps({action: {"_id": name}})
    return f"{head}\n" if document is None else f"{head}\n{json.dumps(document)}\n"
