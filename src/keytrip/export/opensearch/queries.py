"""Searches in one form: OpenSearch hands a monitor's search back with every default in it, and ranges rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the server adds to clauses and aggregations that do not say it (its own serializers, read at 2.x and main).
_DEFAULTS: Mapping[str, Any] = {
    "boost": 1,
    "adjust_pure_negative": True,
    "include_lower": True,
    "include_upper": True,
    "flags_value": 255,
    "max_determinized_states": 10000,
    "case_insensitive": False,
    "missing_bucket": False,
    "missing_order": "default",
    "order": "asc",
    "gap_policy": "skip",
    "lang": "painless",
    "min_doc_count": 0,
    "keyed": False,
    "offset": 0,
}
_BOUNDS = {"from": ("gte", "gt", "include_lower"), "to": ("lte", "lt", "include_upper")}
_SHORT = {"aggregations": "aggs"}


def normal_search(value: Any) -> Any:
    """Return a search, or a part of one, without what means nothing: equal searches become equal."""
    if isinstance(value, Mapping):
        members = {_SHORT.get(name, name): normal_search(_long(name, inner)) for name, inner in _bounded(value).items()}
        return {name: inner for name, inner in sorted(members.items()) if not _says_nothing(name, inner)}
    if isinstance(value, list | tuple):
        return [normal_search(inner) for inner in value]
    # 1.0 and 1 are one number in JSON
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _long(name: str, value: Any) -> Any:
    """Return a member's long form where it has a short one: a sort's order, a script, an offset with its unit."""
    if name == "sort" and isinstance(value, list):
        return [{key: {"order": order} for key, order in one.items() if isinstance(order, str)} or one for one in value]
    if name.endswith("_script") and isinstance(value, str):
        return {"source": value}
    if name == "offset" and isinstance(value, str) and value.removesuffix("s").isdecimal():
        return int(value.removesuffix("s")) * 1000
    return value


def _bounded(clause: Mapping[str, Any]) -> dict[str, Any]:
    """Return a range's members with `gt` and the like in place of `from`, `to` and what they include."""
    if not clause.keys() & _BOUNDS.keys():
        return dict(clause)
    found = {
        name: inner for name, inner in clause.items() if name not in {"from", "to", "include_lower", "include_upper"}
    }
    for name, (closed, opened, included) in _BOUNDS.items():
        if clause.get(name) is not None:
            found[closed if clause.get(included, True) else opened] = clause[name]
    return found


def _says_nothing(name: str, value: Any) -> bool:
    if name in _DEFAULTS and not isinstance(value, Mapping | list):
        return bool(value == _DEFAULTS[name])
    return name in {"params", "options"} and value == {}
