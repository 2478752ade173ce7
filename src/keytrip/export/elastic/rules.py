"""Kibana's detection rules: read, made, changed and removed one by one, and brought into a form that can be compared.

Not through `_import`: it replaces what users added to a rule, and its ES|QL rules with a lookup do not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Body, Deployment, Item, Kind, LiveItem
from keytrip.export.wire import Send, checked

RULE = "detection_rule"
MARK = "keytrip"
_API = "/api/detection_engine/rules"
_PAGE = 500
# sorted by what no change moves, so that none slips from page to page
_OURS = f"filter=alert.attributes.tags:%22{MARK}%22&sort_field=created_at&sort_order=asc"
_CONFLICT, _MISSING = 409, 404
_SCHEDULE = ("from", "interval")
# Whether a rule is on, who is told, what is excepted: the user's own once the rule is there.
_USERS = frozenset({"actions", "enabled", "exceptions_list", "meta", "throttle"})
# Fields of a rule that a request may set, with what Kibana fills in where it does not; None where nothing is.
_FIELDS: dict[str, Any] = {
    "alert_suppression": None,
    "author": [],
    "building_block_type": None,
    "data_view_id": None,
    "description": None,
    "event_category_override": None,
    "false_positives": [],
    "filters": [],
    "index": None,
    "investigation_fields": None,
    "language": None,
    "license": "",
    "max_signals": 100,
    "name": None,
    "namespace": None,
    "note": "",
    "query": None,
    "references": [],
    "related_integrations": [],
    "required_fields": [],
    "response_actions": None,
    "risk_score": None,
    "risk_score_mapping": [],
    "rule_name_override": None,
    "saved_id": None,
    "setup": "",
    "severity": None,
    "severity_mapping": [],
    "tags": [],
    "threat": [],
    "threat_filters": [],
    "threat_index": None,
    "threat_indicator_path": None,
    "threat_language": None,
    "threat_mapping": None,
    "threat_query": None,
    "tiebreaker_field": None,
    "timeline_id": None,
    "timeline_title": None,
    "timestamp_field": None,
    "timestamp_override": None,
    "timestamp_override_fallback_disabled": None,
    "to": "now",
    "type": None,
    "version": 1,
}
_OUR_SCHEDULE = "keytrip_schedule"


def normal_rule(body: Body) -> Body:
    """Return a rule in the form that plans compare: every field that is ours, with Kibana's own values for absent ones.

    What only answers hold is left out, as is the order of tags and the space around texts. `schedule` stands for
    `interval` and `from`: of a live rule whose schedule the user changed, the one that we gave it.
    """
    found = {name: _normal(name, body.get(name), default) for name, default in _FIELDS.items()}
    return found | {"schedule": body.get(_OUR_SCHEDULE) or {name: body.get(name) for name in _SCHEDULE}}


# The schedule is not among the kept fields: a record has those as the user set them, and has to say what we wrote.
RULE_KIND = Kind(RULE, 10, _USERS, normal_rule, "version", title="name")


def read_rules(send: Send, names: Iterable[str], deployments: Sequence[Deployment]) -> Iterator[LiveItem]:
    """Yield every rule of ours, and every other one whose `rule_id` is among `names`.

    A copy that somebody made of our rule has our tag too: ours are those alone that we want or have written.

    Args:
        send: Reaches Kibana.
        names: Rule ids.
        deployments: What we wrote lately: a schedule that none of them holds is the user's.
    """
    tagged = {str(rule["rule_id"]): rule for rule in _marked(send)}
    written, wanted = _written(deployments), set(names)
    known = tagged.keys() & (written.keys() | wanted) if deployments else tagged.keys()
    for name in sorted(known | wanted):
        rule = tagged.get(name) or _rule(send, name)
        if rule is not None:
            yield _live(rule, written.get(name, []))


def create_rule(send: Send, item: Item) -> None:
    """Make a rule.

    Raises:
        SystemRefusedError: Kibana refuses it, or somebody else's rule has its id.
    """
    body = {**item.body, "rule_id": item.name, "tags": _tags(item.body)}
    answer = send("POST", _API, body)
    if answer.status == _CONFLICT:
        # the answer to an earlier try was lost, or a run that was killed made it
        live = _rule(send, item.name)
        if live is None or MARK not in live.get("tags", ()):
            raise SystemRefusedError(f"rule {item.name} is there already and not ours", hint=_OTHERS)
        answer = send("PUT", _API, body)
    checked(answer, f"making rule {item.name}")


_OTHERS = "remove it, or give it the tag keytrip to have it managed"


def update_rule(send: Send, item: Item, live: LiveItem) -> None:
    """Write a rule's fields over the live one, and leave what is the user's as it is at this moment.

    Raises:
        SystemRefusedError: Kibana refuses it, or somebody changed it since it was read.
    """
    now = _rule(send, item.name)
    if now is None or now.get("revision") != live.lock.get("revision"):
        raise SystemRefusedError(f"rule {item.name} was changed or removed since the plan was made", hint="plan again")
    body = _with_users_fields(item, live, now)
    if now.get("type") == item.body.get("type"):
        checked(send("PUT", _API, body), f"changing rule {item.name}")
        return
    # a rule's type never changes in place; a run that is cut off here leaves the rule to the next one
    delete_rule(send, live)
    checked(send("POST", _API, body), f"making rule {item.name} anew")


def _with_users_fields(item: Item, live: LiveItem, now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's body with the user's fields as they are now; the schedule is theirs if they changed it."""
    users = _USERS | (frozenset(_SCHEDULE) if _OUR_SCHEDULE in live.body else frozenset())
    ours = {name: value for name, value in item.body.items() if name not in users}
    theirs = {name: now[name] for name in users if now.get(name) is not None}
    return {**ours, **theirs, "rule_id": item.name, "tags": _tags(item.body)}


def delete_rule(send: Send, live: LiveItem) -> None:
    """Remove a rule; no error when it is gone already."""
    answer = send("DELETE", _of(live.name))
    if answer.status != _MISSING:
        checked(answer, f"removing rule {live.name}")


def _marked(send: Send) -> Iterator[Mapping[str, Any]]:
    page, total = 1, 1
    while (page - 1) * _PAGE < total:
        query = f"{_OURS}&page={page}&per_page={_PAGE}"
        answer = checked(send("GET", f"{_API}/_find?{query}"), "reading the rules")
        yield from answer["data"]
        page, total = page + 1, answer["total"]


def _rule(send: Send, name: str) -> Mapping[str, Any] | None:
    answer = send("GET", _of(name))
    if answer.status == _MISSING:
        return None
    found: Mapping[str, Any] = checked(answer, f"reading rule {name}")
    return found


def _of(name: str) -> str:
    return f"{_API}?rule_id={quote(name, safe='')}"


def _written(deployments: Sequence[Deployment]) -> dict[str, list[dict[str, Any]]]:
    """Return rule id -> schedules that we gave it, newest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for deployment in deployments:
        for item in deployment.items:
            if item.kind == RULE:
                found.setdefault(item.name, []).append({name: item.body.get(name) for name in _SCHEDULE})
    return found


def _live(rule: Mapping[str, Any], written: Sequence[Mapping[str, Any]]) -> LiveItem:
    body = dict(rule)
    if written and {name: rule.get(name) for name in _SCHEDULE} not in written:
        body[_OUR_SCHEDULE] = written[0]
    return LiveItem(
        RULE,
        str(rule["rule_id"]),
        body,
        MARK in rule.get("tags", ()),
        {"revision": rule.get("revision")},
        rule.get("updated_by"),
        rule.get("updated_at"),
    )


def _tags(body: Body) -> list[str]:
    return list(dict.fromkeys([*body.get("tags", ()), MARK]))


def _normal(name: str, value: Any, default: Any) -> Any:
    if value is None:
        return default
    match name:
        case "query" | "note" | "setup" | "description":
            return str(value).strip()
        case "tags":
            return sorted({*value} - {MARK})
        case "risk_score" | "max_signals" | "version":
            return int(value)
        case "threat":
            return [_without_empty(entry) for entry in value]
        case "required_fields":
            return [{key: field[key] for key in ("name", "type") if key in field} for field in value]
        case "alert_suppression":
            return {"missing_fields_strategy": "suppress", **value}
        case _:
            return value


def _without_empty(value: Any) -> Any:
    """Return a threat entry without the empty lists that one side leaves out."""
    if isinstance(value, Mapping):
        return {key: _without_empty(inner) for key, inner in value.items() if inner != []}
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value
