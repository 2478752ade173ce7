"""Saved searches and macros: what of them is ours, what the user's, and what is the same though it looks different.

Bodies have the names of savedsearches.conf and macros.conf, so that the app package and the live system hold the same
items. Some of the names differ in the REST API; `REST_NAMES` has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from keytrip.export.model import Body, Kind

MARK = "Managed by keytrip."
VERSION = "action.keytrip.version"
RULE = "action.keytrip.rule_id"
# What the rule says of the fields that are the user's: a field which is still as it was said before was not edited.
DEFAULTS = "action.keytrip.defaults"
REST_NAMES = {
    "enableSched": "is_scheduled",
    "counttype": "alert_type",
    "relation": "alert_comparator",
    "quantity": "alert_threshold",
}
# The user's own after the search was made; what is not edited follows the rule (`untouched`).
KEPT_OF_SEARCHES = frozenset(
    {
        "disabled", "enableSched", "cron_schedule", "schedule_window", "dispatch.earliest_time", "dispatch.latest_time",
        "alert.track", "alert.severity", "alert.digest_mode", "alert.suppress", "alert.suppress.period",
        "action.notable", "action.risk", "action.correlationsearch.enabled",
    }
)  # fmt: skip
_SEARCH_FIELDS = {
    "search": "", "description": "", "counttype": "always", "relation": "", "quantity": "", "allow_skew": "0",
    "realtime_schedule": "1", "alert.suppress.fields": "", RULE: "", VERSION: "",
    DEFAULTS: "", "request.ui_dispatch_app": "",
}  # fmt: skip
_SECURITY_FIELDS = (
    "action.correlationsearch.label",
    "action.correlationsearch.annotations",
    "action.notable.param.rule_title",
    "action.notable.param.rule_description",
    "action.notable.param.security_domain",
    "action.notable.param.severity",
    "action.notable.param.nes_fields",
    "action.notable.param.drilldown_searches",
    "action.risk.param._risk",
    "action.risk.param._risk_message",
    "action.risk.param._risk_score",
)
_JSON_FIELDS = frozenset(
    {
        DEFAULTS,
        "action.correlationsearch.annotations",
        "action.notable.param.drilldown_searches",
        "action.risk.param._risk",
    }
)

_MACRO_FIELDS = {"definition": "", "args": "", "description": "", "iseval": "0"}
_DEFAULT = re.compile(r", ([\d.]+) unless you say otherwise\.")
_TRUE = {"1", "true", "t", "yes"}
_FALSE = {"0", "false", "f", "no"}


def kinds_for(*, enterprise_security: bool) -> dict[str, Kind]:
    """Return the kinds; without Enterprise Security its actions, if any, are the user's."""
    fields = dict(_SEARCH_FIELDS)
    if enterprise_security:
        fields |= dict.fromkeys(_SECURITY_FIELDS, "")
    flags = frozenset({"realtime_schedule", "iseval"})

    def normal(body: Body) -> Body:
        found: dict[str, Any] = {name: _one(name, body.get(name), default, flags) for name, default in fields.items()}
        found.update({n: _one(n, v, "", flags) for n, v in body.items() if n in KEPT_OF_SEARCHES})
        return found

    def normal_macro(body: Body) -> Body:
        return {name: _one(name, body.get(name), default, flags) for name, default in _MACRO_FIELDS.items()}

    return {
        "macro": Kind("macro", 0, frozenset({"definition"}), normal_macro),
        "saved_search": Kind("saved_search", 10, KEPT_OF_SEARCHES, normal, VERSION),
    }


def _one(name: str, value: Any, default: str, flags: frozenset[str]) -> Any:
    text = text_of(value) or default
    if name == VERSION:
        return int(text) if text.isdigit() else 0
    if name in flags:
        return "1" if text.lower() in _TRUE else "0" if text.lower() in _FALSE else text
    if name in _JSON_FIELDS:
        return _canonical(text)
    return "\n".join(lines_of(text))


def lines_of(text: str) -> list[str]:
    """Return the lines of a value without spaces at their ends: the editors of Splunk Web end lines their own way."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip().split("\n")


def _canonical(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text


def text_of(value: Any) -> str:
    """Return a value as conf files hold it: 1 for true, JSON for what is nested."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)


def untouched(kind: Kind, live: Body, wanted: Body) -> dict[str, Any]:
    """Return those of the user's fields that nobody edited, as the rule wants them now."""
    if kind.name == "macro":
        default = _macro_default(wanted)
        own = default and text_of(live.get("definition")).strip() == _macro_default(live)
        return {"definition": default} if own else {}
    now, before, after = kind.normal(live), kind.normal(_defaults(live)), _defaults(wanted)
    same = (name for name in kind.kept if (now.get(name) or "0") == (before.get(name) or "0"))
    return {name: after[name] for name in sorted(same) if name in after}


def _macro_default(body: Body) -> str:
    """Return the number that a parameter's macro had when it was written, as its description says."""
    match = _DEFAULT.search(text_of(body.get("description")))
    return match[1] if match else ""


def _defaults(body: Body) -> dict[str, Any]:
    try:
        found = json.loads(text_of(body.get(DEFAULTS)) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_ours(kind: str, content: Mapping[str, Any]) -> bool:
    """Whether a live object carries our mark."""
    if kind == "macro":
        return str(content.get("description") or "").startswith(MARK)
    return bool(content.get(VERSION))
