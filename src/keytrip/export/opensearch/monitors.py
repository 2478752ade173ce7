"""Monitors of the Alerting plugin as items: found by our mark in `ui_metadata`, changed under their sequence number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from keytrip.export.model import Body, Item, Kind, LiveItem
from keytrip.export.opensearch.queries import normal_search
from keytrip.export.wire import NOT_FOUND, Send, checked

MONITOR = "monitor"
PATH = "/_plugins/_alerting/monitors"
_MARK = "keytrip"
_PAGE = 1000
_CONFLICT = 409
_OURS = ("monitor_type", "inputs", "triggers")
_KEPT = ("enabled", "schedule", "actions")


def normal_monitor(body: Body) -> Body:
    """Return a monitor's body in one form."""
    found: dict[str, Any] = {name: normal_search(body[name]) for name in _OURS if name in body}
    return {**found, **{name: body[name] for name in (*_KEPT, "version") if name in body}}


MONITOR_KIND = Kind(MONITOR, 10, frozenset(_KEPT), normal_monitor, version="version")


def read_monitors(send: Send, names: Sequence[str]) -> Iterator[LiveItem]:
    """Yield our monitors, and others' that have one of the names.

    Raises:
        SystemRefusedError: The server refuses.
    """
    for hit in _hits(send):
        source = hit["_source"].get("monitor", hit["_source"])
        ours = isinstance(source.get("ui_metadata", {}).get(_MARK), Mapping)
        if ours or source["name"] in names:
            yield _live(hit, source, ours=ours)


def create_monitor(send: Send, item: Item) -> None:
    """Make a monitor; `send` must not try again after a dropped connection, since the server chooses the id."""
    checked(send("POST", PATH, _monitor(item, item.body, {})), f"monitor {item.name!r}")


def update_monitor(send: Send, item: Item, live: LiveItem) -> None:
    """Write a monitor anew; what is the user's stays as it is live."""
    kept = {name: live.body[name] for name in _KEPT if name in live.body}
    guard = f"if_seq_no={live.lock['seq_no']}&if_primary_term={live.lock['primary_term']}"
    body = _monitor(item, {**item.body, **kept}, live.lock["triggers"])
    answer = send("PUT", f"{_path(live)}?{guard}", body)
    # the answer to our own write may have been lost, and the second try was too late
    if answer.status != _CONFLICT or not _is_there(send, item):
        checked(answer, f"monitor {item.name!r}")


def delete_monitor(send: Send, live: LiveItem) -> None:
    """Remove a monitor."""
    answer = send("DELETE", _path(live))
    if answer.status != NOT_FOUND:
        checked(answer, f"monitor {live.name!r}")


def _is_there(send: Send, item: Item) -> bool:
    wanted = {name: value for name, value in normal_monitor(item.body).items() if name not in _KEPT}
    found = (normal_monitor(one.body) for one in read_monitors(send, []) if one.name == item.name)
    return any(all(one.get(name) == value for name, value in wanted.items()) for one in found)


def _path(live: LiveItem) -> str:
    return f"{PATH}/{quote(live.lock['id'], safe='')}"


def _monitor(item: Item, body: Body, trigger_ids: Mapping[str, str]) -> dict[str, Any]:
    """Return the plugin's monitor: triggers under the name of their type, each with its id and the user's actions."""
    kind = str(body["monitor_type"]).replace("_monitor", "_trigger")
    actions = body.get("actions") or {}
    triggers = [
        {kind: {**_id(trigger_ids, trigger["name"]), **trigger, "actions": _actions(actions, trigger["name"])}}
        for trigger in body["triggers"]
    ]
    return {
        "type": "monitor",
        "name": item.name,
        "monitor_type": body["monitor_type"],
        "enabled": body.get("enabled", False),
        "schedule": body["schedule"],
        "inputs": body["inputs"],
        "triggers": triggers,
        "ui_metadata": {_MARK: {"rule_id": item.rule_id, "version": body.get("version", 1)}},
    }


def _actions(actions: Mapping[str, Any], trigger: str) -> Any:
    """Return a trigger's actions; the only ones there are those of a rule that had another title."""
    return actions.get(trigger, next(iter(actions.values())) if len(actions) == 1 else [])


def _id(trigger_ids: Mapping[str, str], name: str) -> dict[str, str]:
    return {"id": trigger_ids[name]} if name in trigger_ids else {}


def _live(hit: Mapping[str, Any], source: Mapping[str, Any], *, ours: bool) -> LiveItem:
    triggers = [next(iter(trigger.values())) for trigger in source.get("triggers", ())]
    others = [{name: value for name, value in one.items() if name not in {"id", "actions"}} for one in triggers]
    mark = source.get("ui_metadata", {}).get(_MARK) or {}
    body = {
        "monitor_type": source.get("monitor_type", "query_level_monitor"),
        "inputs": source.get("inputs", []),
        "triggers": others,
        "enabled": source.get("enabled"),
        "schedule": source.get("schedule"),
        "actions": {one["name"]: one["actions"] for one in triggers if one.get("actions")},
        "version": mark.get("version", 1),
    }
    ids = {one["name"]: one["id"] for one in triggers if "id" in one}
    lock = {"id": hit["_id"], "seq_no": hit["_seq_no"], "primary_term": hit["_primary_term"], "triggers": ids}
    return LiveItem(MONITOR, source["name"], body, ours, lock, _user(source), _moment(source.get("last_update_time")))


def _user(source: Mapping[str, Any]) -> str | None:
    user = source.get("user")
    return str(user.get("name")) if isinstance(user, Mapping) and user.get("name") else None


def _moment(milliseconds: object) -> str | None:
    if not isinstance(milliseconds, int):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _hits(send: Send) -> Iterator[Mapping[str, Any]]:
    """Yield every monitor of the cluster that we may see, page by page in the order of their names' ids."""
    after: dict[str, Any] = {}
    while True:
        body = {
            "size": _PAGE,
            "query": {"exists": {"field": "monitor"}},
            "sort": [{"_seq_no": "asc"}],
            "seq_no_primary_term": True,
            **after,
        }
        answer = send("POST", f"{PATH}/_search", body)
        # the plugin makes its index with the first monitor
        if answer.status == NOT_FOUND:
            return
        hits = checked(answer, "reading the monitors")["hits"]["hits"]
        yield from hits
        if len(hits) < _PAGE:
            return
        after = {"search_after": hits[-1]["sort"]}
