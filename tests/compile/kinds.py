"""One correlation of each kind, for golden files and for the parser of SPL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compile.rules import document

from keytrip.rules.load import Document


def _plain(name: str, field: str, value: Any, category: str = "ai_usage") -> Document:
    detection = {"selection": {field: value}, "condition": "selection"}
    return document({"name": name, "logsource": {"category": category}, "detection": detection})


def _correlation(name: str, kind: str, rules: Sequence[str], **more: Any) -> Document:
    members: Mapping[str, Any] = {"type": kind, "rules": list(rules), "group-by": ["key_id"], "timespan": "1h", **more}
    attributes = {"baseline": members["baseline"]} if "baseline" in members else {}
    correlation = {name: member for name, member in members.items() if name != "baseline"}
    return document({"name": name, "correlation": correlation, **attributes})


BASES = (
    _plain("denied", "status_code", 401),
    _plain("answered", "status_code", 200),
    _plain("limit_raised", "action", "limit_raised", "ai_audit"),
    _plain("owner_acted", "actor|contains", "admin", "ai_audit"),
)
_RAISED = {"key_id": {"limit_raised": "target_key_id"}}
_EITHER = {"key_id": {"limit_raised": "target_key_id", "owner_acted": "actor_key_id"}}
_AT_LEAST = {"condition": {"gte": 5}}
KINDS = (
    _correlation("kind_aliases", "event_count", ["limit_raised", "owner_acted"], aliases=_EITHER, **_AT_LEAST),
    _correlation("kind_tables", "event_count", ["answered", "limit_raised"], aliases=_RAISED, **_AT_LEAST),
    _correlation(
        "kind_temporal",
        "temporal",
        ["denied", "answered"],
        **{"group-by": ["key_id", "source_ip"]},
        baseline={"table": "key_source_ips", "absent": True, "requires": "keys"},
    ),
    _correlation("kind_temporal_ordered", "temporal_ordered", ["limit_raised", "denied", "answered"], aliases=_RAISED),
    _correlation("kind_inner", "event_count", ["denied"], **{"group-by": ["key_id", "user_agent"]}, **_AT_LEAST),
    _correlation(
        "kind_chain", "value_count", ["kind_inner"], timespan="1d", condition={"gte": 3, "field": "agent_family"}
    ),
    _correlation("kind_chain_over_temporal", "event_count", ["kind_temporal"], timespan="1w", condition={"gte": 2}),
    _correlation("kind_beside", "temporal_ordered", ["kind_inner", "answered"]),
)
