"""The stub's saved searches, macros and lookup definitions. See splunk.py for where each fact comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from stubs.splunk_kv import RefusedError

_SEARCH_ARGUMENTS = {
    "search", "description", "disabled", "is_scheduled", "cron_schedule", "schedule_window", "realtime_schedule",
    "allow_skew", "alert_type", "alert_comparator", "alert_threshold", "alert_condition", "alert.track",
    "alert.severity", "alert.digest_mode", "alert.suppress", "alert.suppress.fields", "alert.suppress.period",
    "alert.suppress.group_name", "alert.expires", "actions", "is_visible", "max_concurrent", "run_on_startup",
    "displayview", "vsid", "request.ui_dispatch_app", "request.ui_dispatch_view", "schedule_priority",
    "defer_scheduled_searchable_idxc", "auto_summarize", "restart_on_searchpeer_add", "run_n_times",
}  # fmt: skip
_SEARCH_PREFIXES = ("action.", "args.", "dispatch.", "display.", "durable.", "auto_summarize.", "next_scheduled")
_LOOKUP_ARGUMENTS = {
    "filename", "external_cmd", "external_type", "fields_list", "collection", "max_matches", "min_matches",
    "default_match", "case_sensitive_match", "match_type", "filter", "time_field", "time_format", "replicate",
    "max_ext_batch", "batch_index_query", "allow_caching", "disabled",
}  # fmt: skip
_MACRO_ARGUMENTS = {"definition", "args", "validation", "errormsg", "iseval", "description", "disabled"}
SEARCH_DEFAULTS = {
    "disabled": "0", "is_scheduled": "0", "is_visible": "1", "cron_schedule": "", "schedule_window": "default",
    "realtime_schedule": "1", "schedule_priority": "default", "allow_skew": "0", "description": "",
    "alert_type": "always", "alert_comparator": "", "alert_threshold": "", "alert.track": "0", "alert.severity": "3",
    "alert.digest_mode": "1", "alert.suppress": "0", "alert.suppress.fields": "", "alert.suppress.period": "",
    "alert.suppress.group_name": "", "alert.expires": "24h", "dispatch.earliest_time": "", "dispatch.latest_time": "",
    "dispatch.ttl": "2p", "dispatch.buckets": "0", "dispatch.max_count": "500000", "max_concurrent": "1", "actions": "",
    "run_on_startup": "0", "action.email": "0", "action.script": "0", "action.webhook": "0", "displayview": "",
    "action.email.sendresults": "", "action.summary_index": "0", "request.ui_dispatch_app": "", "vsid": "",
    "auto_summarize": "0", "restart_on_searchpeer_add": "1", "search": "", "alert_condition": "",
}  # fmt: skip
_BOOLEANS = {
    "disabled", "is_scheduled", "is_visible", "realtime_schedule", "alert.digest_mode", "run_on_startup",
    "auto_summarize", "restart_on_searchpeer_add", "action.email", "action.script", "action.webhook",
    "action.summary_index",
}  # fmt: skip
_LOOKUP_DEFAULTS = {
    "case_sensitive_match": "1", "max_matches": "", "min_matches": "0", "default_match": "", "match_type": "",
    "max_ext_batch": "300", "disabled": "0", "type": "kvstore",
}  # fmt: skip
_CLOCK = count()
_FLAGS = {"true": "1", "t": "1", "yes": "1", "1": "1", "false": "0", "f": "0", "no": "0", "0": "0"}
_FLAG_NAMES = _BOOLEANS | {"alert.suppress", "alert.track", "case_sensitive_match"}


@dataclass
class Entity:
    """One object with its access list."""

    owner: str
    app: str
    values: dict[str, str]
    sharing: str = "app"
    read: str = "*"
    write: str = "admin"
    author: str = "admin"
    updated: str = "2026-11-01T00:00:00+00:00"
    changes: int = 0
    others: dict[str, str] = field(default_factory=dict)

    def acl(self) -> dict[str, Any]:
        """Return the access list as splunkd shows it."""
        perms = {"read": self.read.split(","), "write": self.write.split(",")}
        return {"app": self.app, "owner": self.owner, "sharing": self.sharing, "perms": perms, "removable": True}


def check_arguments(kind: str, arguments: Mapping[str, str], *, new: bool) -> None:
    """Refuse what the endpoint of a kind does not know, by the argument's name."""
    for name in arguments:
        if name == "output_mode" or (new and name == "name"):
            continue
        known = {
            "searches": name in _SEARCH_ARGUMENTS or name.startswith(_SEARCH_PREFIXES),
            "lookups": name in _LOOKUP_ARGUMENTS,
            "macros": name in _MACRO_ARGUMENTS,
        }.get(kind, True)
        if not known:
            raise RefusedError(400, f'Argument "{name}" is not supported by this handler.')


def check_values(kind: str, values: Mapping[str, str]) -> None:
    """Refuse values that splunkd refuses."""
    if kind == "searches":
        if not values.get("search", "").strip():
            raise RefusedError(400, "Search string cannot be empty.")
        cron = values.get("cron_schedule", "")
        if cron and not re.fullmatch(r"\S+( \S+){4}", cron):
            raise RefusedError(400, f'Invalid cron_schedule="{cron}".')
        if values.get("is_scheduled") == "1" and not cron:
            raise RefusedError(400, "A scheduled search needs a cron_schedule.")
        if values.get("alert.suppress") == "1" and not re.fullmatch(r"\d+[smhd]?", values["alert.suppress.period"]):
            raise RefusedError(400, "Invalid alert.suppress.period")
    if kind == "lookups" and values.get("external_type") == "kvstore" and not values.get("collection"):
        raise RefusedError(400, "A KV store lookup needs a collection.")


def stored(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return arguments as conf files hold them: booleans as 1 and 0."""
    return {k: _FLAGS.get(v.lower(), v) if k in _FLAG_NAMES else v for k, v in arguments.items()}


def shown(kind: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Return values as the endpoint shows them: defaults filled in, some booleans as JSON booleans, numbers too."""
    if kind == "lookups":
        return {**_LOOKUP_DEFAULTS, **values, "fields_array": values.get("fields_list", "").replace(" ", "").split(",")}
    if kind != "searches":
        return {"disabled": False, **values}
    filled: dict[str, Any] = {**SEARCH_DEFAULTS, **values}
    for name in _BOOLEANS & set(filled):
        filled[name] = filled[name] == "1"
    # of a scheduled search Splunk shows the next run, which is another one each time
    if filled["is_scheduled"]:
        filled["next_scheduled_time"] = f"2026-11-25 00:00:{next(_CLOCK):06d} UTC"
    filled["alert.severity"] = int(filled["alert.severity"])
    filled["actions"] = ",".join(
        sorted(n[7:] for n, v in values.items() if n.count(".") == 1 and n.startswith("action.") and v == "1")
    )
    return filled


def check_search(text: str, macros: set[str]) -> None:
    """Refuse a search whose quotes, backquotes or brackets do not pair up, or that names a macro that is not there."""
    bare = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', bare, flags=re.DOTALL)
    if bare.count('"') % 2 or bare.count("`") % 2:
        raise RefusedError(400, "Unbalanced quotes.")
    for opened, closed in ("[]", "()"):
        if bare.count(opened) != bare.count(closed):
            raise RefusedError(400, f"Mismatched '{opened}'.")
    for name in re.findall(r"`([^`]+)`", bare):
        if name.partition("(")[0] not in macros:
            raise RefusedError(400, f"The search specifically refers to a macro '{name}' that cannot be found.")
