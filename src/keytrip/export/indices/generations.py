"""Tables in a search server: each generation an index, the table's name an alias of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keytrip.errors import SystemRefusedError
from keytrip.export.indices.bulk import write_bulk
from keytrip.export.indices.documents import (
    PREFIX,
    bulk_lines,
    document_digest,
    documents,
    generation_body,
    generation_index,
    generation_meta,
    generation_of,
    is_leading,
    leading_ids,
    parts_of,
    switch_actions,
)
from keytrip.export.model import Generation, Progress, RowChange, Table
from keytrip.export.wire import NOT_FOUND, Send, Sleep, checked

_PAGE = 5_000
_BLOCK = "index.blocks.write"
_KEPT_OPEN = "2m"


@dataclass(frozen=True)
class Indices:
    """A server's indices.

    Attributes:
        send: Reaches it, with retries.
        lookup_mode: Whether it knows `index.mode: lookup`.
        pages: Yields every document of an index, as (id, source): a scroll or a point in time, as the product has it.
        sleep: Waits between tries of single documents.
    """

    send: Send
    lookup_mode: bool
    pages: Callable[[Send, str], Iterator[tuple[str, dict[str, Any]]]]
    sleep: Sleep = time.sleep

    def call(self, what: str, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the body of its answer.

        Raises:
            SystemRefusedError: It is no success.
        """
        return checked(self.send(method, path, body), what)


def read_generations(
    indices: Indices, tables: Iterable[str] = ()
) -> tuple[dict[str, Generation], frozenset[tuple[str, int]], frozenset[str]]:
    """Return the live generation of each table, every generation, and those of `tables` whose names are others'.

    A live generation that somebody wrote to has a digest that no table has, so that its rows are looked at.
    """
    found = indices.call("reading the lookup indices", "GET", f"/{PREFIX}*?expand_wildcards=open")
    there: dict[tuple[str, int], Mapping[str, Any]] = {}
    names = {name: index for index, facts in found.items() for name in (index, *facts["aliases"])}
    for index, facts in found.items():
        named = generation_of(index)
        if named is not None and facts["mappings"].get("_meta", {}).get("managed_by") == "keytrip":
            there[named] = facts
    ours = {named: facts for named, facts in there.items() if named[0] in facts["aliases"]}
    states = _states(indices) if ours else {}
    live = {}
    for named, facts in ours.items():
        state = states.get(generation_index(*named))
        live[named[0]] = _generation(named, facts["mappings"]["_meta"], state)
    return live, frozenset(there), frozenset(name for name in tables if name in names and name not in live)


def _generation(named: tuple[str, int], meta: Mapping[str, Any], state: tuple[int, int] | None) -> Generation:
    """Return a generation by what its index says of itself, unless somebody wrote to it since."""
    written = (meta.get("documents"), meta.get("seq_no"))
    digest = meta["digest"] if state == written else f"written to: {state}"
    return Generation(*named, meta["count"], digest)


def _states(indices: Indices, index: str = f"{PREFIX}*") -> dict[str, tuple[int, int]]:
    """Return index -> documents, and number of the last change; both of the copy that is ahead."""
    answer = indices.call("reading the indices' state", "GET", f"/{index}/_stats/docs?level=shards")
    found = {}
    for name, facts in answer["indices"].items():
        copies = [copy for shard in facts["shards"].values() for copy in shard if "seq_no" in copy]
        if copies:
            found[name] = max((copy["docs"]["count"], copy["seq_no"]["max_seq_no"]) for copy in copies)
    return found


def stage(indices: Indices, table: Table, number: int, progress: Progress) -> int:
    """Write a generation whole, over a half-written one of that number; return how many rows the server counts."""
    drop(indices, table.name, number)
    index = _made(indices, table, number)
    leading: set[str] = set()

    def lines() -> Iterator[str]:
        for name, document in documents(table, table.rows()):
            if is_leading(table, document):
                leading.add(name)
            yield bulk_lines("index", name, document)

    write_bulk(indices.send, index, lines(), progress, indices.sleep)
    return _counted(indices, index, generation_meta(table, number)) - len(leading)


def copy(indices: Indices, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int:
    """Make a generation out of another inside the server, by `_clone`: its files are linked, what differs is sent.

    The source stays blocked for writes, which nothing does to a generation any more.

    Raises:
        SystemRefusedError: The server refuses, or has no room for a copy.
    """
    drop(indices, table.name, number)
    index, old = generation_index(table.name, number), generation_index(table.name, source)
    indices.call(f"blocking {old}", "PUT", f"/{old}/_settings", {_BLOCK: True})
    made = indices.call(f"copying {old}", "POST", f"/{old}/_clone/{index}", {"settings": {_BLOCK: None}})
    if not made["shards_acknowledged"]:
        raise SystemRefusedError(f"{index} finds no node with room for it", hint="free disk, or add a node")
    indices.call(f"marking {index}", "PUT", f"/{index}/_mapping", {"_meta": generation_meta(table, number)})
    return write_change(indices, table, (number, source), change, progress)


def write_change(
    indices: Indices, table: Table, numbers: tuple[int, int], change: RowChange, progress: Progress
) -> int:
    """Send what differs to a copy of a generation; return how many rows the server counts in it.

    Args:
        indices: The server's.
        table: As it should be.
        numbers: Of the copy's generation, and of the one that it was made from.
        change: What differs.
        progress: Is told how many documents are done.
    """
    number, source = numbers
    index = generation_index(table.name, number)
    leading = leading_ids(table)
    rows = documents(table, (row for _, row in change.put))
    # the leading parts of rows that only changed are there
    put = {name: document for name, document in rows if change.added or not is_leading(table, document)}
    gone = {*change.gone, *(_orphans(indices, table, source, change.gone) - leading.keys())}
    lines = [bulk_lines("index", name, document) for name, document in put.items()]
    lines += [bulk_lines("delete", name) for name in sorted(gone)]
    write_bulk(indices.send, index, lines, progress, indices.sleep)
    return _counted(indices, index, generation_meta(table, number)) - len(leading)


def row_digests(indices: Indices, table: Table, generation: int) -> Iterator[tuple[str, str]]:
    """Yield (id, digest) of every row of a generation."""
    index = generation_index(table.name, generation)
    for name, document in indices.pages(indices.send, index):
        if not is_leading(table, document):
            yield name, document_digest(document)


def switch(indices: Indices, wanted: Sequence[tuple[Table, int]]) -> None:
    """Lead every table's name to its generation, in one step for all of them."""
    if not wanted:
        return
    now = _aliases(indices)
    aims = {table.name: generation_index(table.name, number) for table, number in wanted}
    indices.call("switching the tables", "POST", "/_aliases", switch_actions(aims, now))


def drop(indices: Indices, table: str, number: int) -> None:
    """Remove a generation; no error when it is not there."""
    index = generation_index(table, number)
    indices.call(f"removing {index}", "DELETE", f"/{index}?ignore_unavailable=true")


def forget(indices: Indices, table: str) -> None:
    """Remove a table's name; its generations stay."""
    old = _aliases(indices).get(table, [])
    actions = [{"remove": {"index": index, "alias": table}} for index in old]
    if actions:
        indices.call(f"removing the name {table}", "POST", "/_aliases", {"actions": actions})


def scrolled(send: Send, index: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, source) of every document by a scroll, which both products have."""
    what = f"reading {index}"
    body = {"size": _PAGE, "sort": ["_doc"]}
    page = checked(send("POST", f"/{index}/_search?scroll={_KEPT_OPEN}", body), what)
    while page["hits"]["hits"]:
        for hit in page["hits"]["hits"]:
            yield hit["_id"], hit["_source"]
        more = {"scroll": _KEPT_OPEN, "scroll_id": page["_scroll_id"]}
        page = checked(send("POST", "/_search/scroll", more), what)
    send("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})


def _made(indices: Indices, table: Table, number: int) -> str:
    index = generation_index(table.name, number)
    body = generation_body(table, number, lookup_mode=indices.lookup_mode)
    indices.call(f"making {index}", "PUT", f"/{index}", body)
    return index


def _counted(indices: Indices, index: str, meta: Mapping[str, Any]) -> int:
    """Return how many documents the server counts, and have the index say so: who writes to it later is noticed."""
    indices.call(f"refreshing {index}", "POST", f"/{index}/_refresh")
    count = int(indices.call(f"counting {index}", "GET", f"/{index}/_count")["count"])
    held, number = _states(indices, index)[index]
    said = {**meta, "documents": held, "seq_no": number}
    indices.call(f"marking {index}", "PUT", f"/{index}/_mapping", {"_meta": said})
    return count


def _aliases(indices: Indices) -> Mapping[str, list[str]]:
    """Return alias -> indices, of ours."""
    answer = indices.send("GET", f"/_alias/{PREFIX}*")
    if answer.status == NOT_FOUND:
        return {}
    found: dict[str, list[str]] = {}
    for index, facts in checked(answer, "reading the aliases").items():
        for alias in facts["aliases"]:
            found.setdefault(alias, []).append(index)
    return found


def _orphans(indices: Indices, table: Table, number: int, gone: Sequence[str]) -> set[str]:
    """Return the ids of the leading parts of rows that go; other rows may still have some of them."""
    index = generation_index(table.name, number)
    found: set[str] = set()
    for start in range(0, len(gone), _PAGE):
        ids = {"ids": list(gone[start : start + _PAGE])}
        docs = indices.call(f"reading rows of {index}", "POST", f"/{index}/_mget?_source_includes=keytrip_key", ids)
        for document in docs["docs"]:
            if document["found"]:
                found.update(parts_of(table, document["_source"]["keytrip_key"]))
    return found
