"""Tables and items that the tests of Splunk put there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from keytrip.export.model import Deployment, Generation, Item, Table
from keytrip.export.splunk.kinds import DEFAULTS, KEPT_OF_SEARCHES
from keytrip.export.tables import table_of

COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "first_seen": "TIMESTAMP", "events": "BIGINT", "share": "DOUBLE"}
RULE = "7a1c9d6e-3a52-4d0b-9f0e-1f6a2b3c4d5e"


def row(key: str, model: str = "m", events: int = 1, share: float = 0.1) -> dict[str, Any]:
    """Return a row of the table that `table` makes."""
    seen = datetime(2026, 4, 1, 2, 11, 9, 123456, tzinfo=UTC)
    return {"key_id": key, "model": model, "first_seen": seen, "events": events, "share": share}


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Return as many rows, no two with one key."""
    return [row(f"key_{n:07d}", f"model-{n % 7}", n, n / 7) for n in range(start, start + count)]


def table(values: Sequence[Mapping[str, Any]], name: str = "keytrip_key_models") -> Table:
    """Return a table of rows."""
    return table_of(name, ("key_id", "model"), COLUMNS, lambda: values)


def search(name: str = "keytrip - key_unknown_model - Rule", **changes: Any) -> Item:
    """Return a saved search as the exporter's template makes it."""
    body = {
        "search": 'index=keytrip sourcetype="keytrip:usage"\n| stats count by key_id',
        "description": "A key used a model it never used.",
        "disabled": "1",
        "enableSched": "1",
        "cron_schedule": "*/15 * * * *",
        "schedule_window": "auto",
        "dispatch.earliest_time": "-88200s",
        "dispatch.latest_time": "now",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": "0",
        "alert.track": "1",
        "alert.severity": "5",
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.fields": "key_id,window_start",
        "alert.suppress.period": "88200s",
        "action.keytrip.rule_id": RULE,
        "action.keytrip.version": 1,
        **{name.replace("__", "."): value for name, value in changes.items()},
    }
    body.setdefault(DEFAULTS, {field: body[field] for field in KEPT_OF_SEARCHES if field in body})
    return Item("saved_search", name, body, RULE)


def macro(name: str = "key_unknown_model_filter", definition: str = "search *") -> Item:
    """Return a filter macro."""
    text = "Managed by keytrip. Narrow the rule here; it is kept."
    return Item("macro", name, {"definition": definition, "description": text, "iseval": "0"}, RULE)


def deployment(number: int, *items: Item, state: Any = "done", tables: tuple[Generation, ...] = ()) -> Deployment:
    """Return a record."""
    return Deployment(number, state, "2026-11-24T00:00:00Z", "engineer@host", "0.1.0", items, tables, 3)
