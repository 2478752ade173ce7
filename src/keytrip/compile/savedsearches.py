"""Stanzas of Splunk's savedsearches.conf."""

from __future__ import annotations

from keytrip.compile.formats import Schedule, Written, schedule_of

_SEVERITIES = {"informational": 2, "low": 3, "medium": 4, "high": 5, "critical": 6}
# Splunk's editor takes no names of over 99 characters.
_LONGEST_NAME = 60


def saved_search(written: Written) -> str:
    """Return one rule as a stanza: disabled, scheduled, once for each group and window."""
    lines = (f"{name} = {_continued(value)}" for name, value in search_settings(written).items())
    return "\n".join([f"[{search_name(written)}]", *lines, ""])


def search_name(written: Written) -> str:
    """Return the name of a rule's saved search."""
    return f"keytrip - {_value(written.name)[:_LONGEST_NAME]} - Rule"


def search_settings(written: Written) -> dict[str, str]:
    """Return the settings of a rule's saved search; a value may have several lines."""
    schedule = schedule_of(written.plan)
    return {
        "description": _value(written.description),
        "search": _search(written, schedule),
        **_times(written, schedule),
        "cron_schedule": f"*/{schedule.interval // 60} * * * *",
        "enableSched": "1",
        "schedule_window": "auto",
        "disabled": "1",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": "0",
        "alert.track": "1",
        "alert.severity": str(_SEVERITIES[written.level]),
        **_suppression(written, schedule),
    }


def _continued(value: str) -> str:
    return value.replace("\n", " \\\n")


def _value(text: str) -> str:
    """Return a value for one line: a backslash at its end would join the next line."""
    return text.replace("\\", "/").strip()


def _search(written: Written, schedule: Schedule) -> str:
    query = written.query
    if written.plan is not None:
        query += f"\n| where (window_end > (now() - {schedule.grace}))"
    return query.strip()


def _times(written: Written, schedule: Schedule) -> dict[str, str]:
    if written.plan is None:
        # each run reads the five minutes that are five minutes old: no event twice, and time for late ones
        first, last = f"-{schedule.reach // 60}m@m", f"-{(schedule.reach - schedule.interval) // 60}m@m"
    else:
        first, last = f"-{schedule.reach}s", "now"
    return {"dispatch.earliest_time": first, "dispatch.latest_time": last}


def _suppression(written: Written, schedule: Schedule) -> dict[str, str]:
    if written.plan is None:
        return {"alert.digest_mode": "1"}
    fields = ",".join([*written.plan.group_by, "window_start"])
    return {
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.fields": fields,
        "alert.suppress.period": f"{schedule.reach}s",
    }
