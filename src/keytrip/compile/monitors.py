"""Monitors of OpenSearch's Alerting plugin: the search of a rule, run on a schedule over whole windows."""

from __future__ import annotations

import json
from typing import Any

from keytrip.compile.formats import Schedule, Written, schedule_of
from keytrip.compile.opensearch_conditions import script

# The Alerting plugin counts from 1, the highest.
_SEVERITIES = {"informational": "5", "low": "4", "medium": "3", "high": "2", "critical": "1"}
# The Alerting plugin puts the run's time in place of this, in milliseconds.
NOW = "{{period_end}}"
_UNFINISHED = (
    "long time = doc['@timestamp'].value.toInstant().toEpochMilli();"
    " long end = time - (time - params.offset) % params.width + params.width;"
    " return end > Long.parseLong(params.now) - params.grace"
)


def monitor_rule(written: Written) -> str:
    """Return one rule as a monitor, disabled, without actions: whom to tell is the user's to say."""
    schedule = schedule_of(written.plan)
    body = json.loads(written.query)
    body["query"]["bool"]["filter"] += _range(written, schedule)
    trigger = {
        "name": written.title,
        "severity": _SEVERITIES[written.level],
        "condition": {"script": script(_fires(written))},
        "actions": [],
    }
    monitor = {
        "type": "monitor",
        "monitor_type": "query_level_monitor",
        "name": written.title,
        "enabled": False,
        "schedule": {"period": {"interval": schedule.interval // 60, "unit": "MINUTES"}},
        "inputs": [{"search": {"indices": [f"logs-keytrip.{written.table}-*"], "query": body}}],
        "triggers": [{"query_level_trigger": trigger}],
    }
    return json.dumps(monitor, ensure_ascii=False)


def _range(written: Written, schedule: Schedule) -> list[dict[str, Any]]:
    reach, last = schedule.reach, 0
    if written.plan is None:
        # each run reads the five minutes that are five minutes old: no event twice, and time for late ones
        last = schedule.reach - schedule.interval
    bounds = {"gt": f"{NOW}||-{reach}s", "lte": f"{NOW}||-{last}s", "format": "epoch_millis"}
    found: list[dict[str, Any]] = [{"range": {"@timestamp": bounds}}]
    if written.plan is not None:
        milliseconds = {"width": written.plan.seconds, "offset": written.plan.offset, "grace": schedule.grace}
        params = {name: seconds * 1000 for name, seconds in milliseconds.items()}
        found.append({"script": {"script": script(_UNFINISHED, now=NOW, **params)}})
    return found


def _fires(written: Written) -> str:
    if written.plan is None:
        return "return ctx.results[0].hits.hits.size() > 0"
    return "return ctx.results[0].aggregations.alerts.buckets.size() > 0"
