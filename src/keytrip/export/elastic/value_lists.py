"""Kibana's value lists: indicators as exceptions and other rules name them, read and changed value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Body, Deployment, Item, Kind, LiveItem
from keytrip.export.wire import NOT_FOUND, Send, Upload, checked

VALUE_LIST = "value_list"
_MARK = {"managed_by": "keytrip"}
_LISTS, _ITEMS = "/api/lists", "/api/lists/items"
_PAGE = 1_000
_CONFLICT = 409
# Kibana takes files of 9,000,000 bytes.
_MOST_BYTES = 8_000_000
_HEAD = ("name", "description", "type")


def normal_list(body: Body) -> Body:
    """Return a list in the form that plans compare: its head, and how often each value is in it (of ours: once)."""
    values = body["values"]
    counts = values if isinstance(values, Mapping) else dict.fromkeys(values, 1)
    return {**{name: body[name] for name in _HEAD}, "values": counts}


# before the rules, whose exceptions may name it
VALUE_LIST_KIND = Kind(VALUE_LIST, -4, normal=normal_list)


def read_lists(send: Send, names: Iterable[str], deployments: Sequence[Deployment]) -> Iterator[LiveItem]:
    """Yield the lists of these names, and those that we wrote lately: where nobody wants any, nothing is asked."""
    written = {one.name for record in deployments for one in record.items if one.kind == VALUE_LIST}
    for name in sorted({*names, *written}):
        found = _head(send, name)
        if found is not None:
            values = Counter(value for _, value in _items(send, name))
            yield _live(found, values)


def create_list(send: Send, item: Item) -> None:
    """Make a list with its values.

    Raises:
        SystemRefusedError: Kibana refuses it, or somebody else's list has its id.
    """
    what = f"making value list {item.name}"
    if send("GET", f"{_LISTS}/index").status == NOT_FOUND:
        answer = send("POST", f"{_LISTS}/index")
        # another run may have been quicker
        if answer.status != _CONFLICT:
            checked(answer, f"{what}: the data streams of lists")
    answer = send("POST", _LISTS, {"id": item.name, **{name: item.body[name] for name in _HEAD}, "meta": _MARK})
    if answer.status != _CONFLICT:
        checked(answer, what)
    # the answer to an earlier try was lost, or a run that was killed made it
    elif not _ours(_head(send, item.name) or {}):
        raise SystemRefusedError(f"value list {item.name} is there already and not ours", hint="remove or rename it")
    _fill(send, item)


def update_list(send: Send, item: Item, live: LiveItem) -> None:
    """Write a list's head and values over the live ones.

    Raises:
        SystemRefusedError: Kibana refuses it, or somebody changed the head since it was read.
    """
    if any(item.body[name] != live.body[name] for name in _HEAD):
        head = {"id": item.name, "name": item.body["name"], "description": item.body["description"], "meta": _MARK}
        checked(send("PUT", _LISTS, {**head, **live.lock}), f"changing value list {item.name}")
    _fill(send, item)


def delete_list(send: Send, live: LiveItem) -> None:
    """Remove a list; no error when it is gone already.

    Raises:
        SystemRefusedError: Exceptions name it: they would change their meaning.
    """
    answer = send("DELETE", f"{_LISTS}?id={quote(live.name, safe='')}")
    if answer.status == _CONFLICT:
        problem = f"value list {live.name} is used by exceptions"
        raise SystemRefusedError(problem, hint="take it out of them in Kibana, then try again")
    if answer.status != NOT_FOUND:
        checked(answer, f"removing value list {live.name}")


def _fill(send: Send, item: Item) -> None:
    """Add what is lacking first, then remove what is not wanted, or there twice after an answer was lost."""
    wanted = normal_list(item.body)["values"]
    there = {value for _, value in _items(send, item.name)}
    for text in _files(value for value in wanted if value not in there):
        query = urlencode({"list_id": item.name, "refresh": "wait_for"})
        upload = Upload(f"{item.name}.txt", text)
        checked(send("POST", f"{_ITEMS}/_import?{query}", upload), f"filling value list {item.name}")
    seen: set[str] = set()
    for number, value in list(_items(send, item.name)):
        if value not in wanted or value in seen:
            answer = send("DELETE", f"{_ITEMS}?{urlencode({'id': number, 'refresh': 'wait_for'})}")
            if answer.status != NOT_FOUND:
                checked(answer, f"removing {value} from value list {item.name}")
        seen.add(value)


def _files(values: Iterable[str]) -> Iterator[str]:
    """Yield values as texts of one a line that Kibana takes; no indicator holds what ends a line."""
    lines: list[str] = []
    size = 0
    for value in values:
        length = len(value.encode()) + 1
        if lines and size + length > _MOST_BYTES:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(value)
        size += length
    if lines:
        yield "\n".join(lines)


def _items(send: Send, name: str) -> Iterator[tuple[str, str]]:
    """Yield (id, value) of a list; a cursor leads from page to page."""
    page, seen = 1, 0
    more: dict[str, str] = {}
    while True:
        query = urlencode({"list_id": name, "page": page, "per_page": _PAGE, **more})
        found = checked(send("GET", f"{_ITEMS}/_find?{query}"), f"reading value list {name}")
        yield from ((str(one["id"]), str(one["value"])) for one in found["data"])
        seen += len(found["data"])
        if not found["data"] or seen >= found["total"]:
            return
        page, more = page + 1, {"cursor": found["cursor"]}


def _head(send: Send, name: str) -> Mapping[str, Any] | None:
    answer = send("GET", f"{_LISTS}?id={quote(name, safe='')}")
    if answer.status == NOT_FOUND:
        return None
    found: Mapping[str, Any] = checked(answer, f"reading value list {name}")
    return found


def _live(found: Mapping[str, Any], values: Mapping[str, int]) -> LiveItem:
    body = {**{name: found[name] for name in _HEAD}, "values": dict(values)}
    lock = {"_version": found["_version"]} if "_version" in found else {}
    who, when = found.get("updated_by"), found.get("updated_at")
    return LiveItem(VALUE_LIST, str(found["id"]), body, _ours(found), lock, who, when)


def _ours(found: Mapping[str, Any]) -> bool:
    return (found.get("meta") or {}).get("managed_by") == _MARK["managed_by"]
