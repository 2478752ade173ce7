"""Every document of an index, read at one point in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from keytrip.export.wire import Send, checked

_PAGE = 5_000
_KEPT_OPEN = "2m"


def pages(send: Send, index: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, source) of every document at one point in time."""
    what = f"reading {index}"
    point = checked(send("POST", f"/{index}/_pit?keep_alive={_KEPT_OPEN}"), what)["id"]
    after: dict[str, Any] = {}
    while True:
        body = {"size": _PAGE, "pit": {"id": point, "keep_alive": _KEPT_OPEN}, "sort": ["_shard_doc"], **after}
        page = checked(send("POST", "/_search", body), what)
        hits, point = page["hits"]["hits"], page["pit_id"]
        yield from ((hit["_id"], hit["_source"]) for hit in hits)
        if len(hits) < _PAGE:
            break
        after = {"search_after": hits[-1]["sort"]}
    send("DELETE", "/_pit", {"id": point})
