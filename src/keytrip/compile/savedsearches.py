"""Stanzas of Splunk's savedsearches.conf."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from uuid import NAMESPACE_URL, uuid5

from keytrip.compile.formats import Schedule, Written, schedule_of
from keytrip.compile.plan import Plan
from keytrip.compile.splunk_combined import alone_because, batch_name, batches_of
from keytrip.compile.splunk_temporal import COMPLETED

_SEVERITIES = {"informational": 2, "low": 3, "medium": 4, "high": 5, "critical": 6}
# Splunk's editor takes no names of over 99 characters.
_LONGEST_NAME = 60


def saved_search(written: Written) -> str:
    """Return one rule as a stanza: disabled, scheduled, once for each group and window."""
    lines = (f"{name} = {_continued(value)}" for name, value in search_settings(written).items())
    return "\n".join([f"[{search_name(written)}]", *lines, ""])


def search_name(written: Written) -> str:
    """Return the name of a rule's saved search."""
    return f"keytrip - {_shortened(_value(written.name))} - Rule"


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


def combined_searches(written: Sequence[Written], combine: Callable[[Sequence[Plan]], str]) -> list[str]:
    """Return stanzas for all rules: one for those that a search can hold together, each where the first of them stands.

    Args:
        written: The rules, with their own queries.
        combine: Writes the query of several plans.
    """
    fitting = {id(one.plan): one for one in written if one.plan is not None and not alone_because(one.plan)}
    batches = batches_of([one.plan for one in fitting.values() if one.plan is not None])
    several = [[fitting[id(plan)] for plan in batch] for batch in batches if len(batch) > 1]
    batch_of = {id(one.plan): batch for batch in several for one in batch}
    found = {id(batch): _together(batch, combine) for batch in several}
    stanzas = (found[id(batch_of[id(w.plan)])] if id(w.plan) in batch_of else saved_search(w) for w in written)
    return list(dict.fromkeys(stanzas))


def _together(batch: Sequence[Written], combine: Callable[[Sequence[Plan]], str]) -> str:
    plans = [one.plan for one in batch if one.plan is not None]
    names = ", ".join(one.name for one in batch)
    level = max((one.level for one in batch), key=lambda level: _SEVERITIES[level])
    about = SimpleNamespace(name=batch_name(plans), title=names, description=f"Rules: {names}.", level=level, id=None)
    return saved_search(replace(batch[0], rule=about, query=combine(plans), several=True))


def _shortened(name: str) -> str:
    """Return a name that Splunk's editor takes: two stanzas of one name would be one search."""
    if len(name) <= _LONGEST_NAME:
        return name
    mark = uuid5(NAMESPACE_URL, name).hex[:8]
    return f"{name[: _LONGEST_NAME - len(mark) - 1]}_{mark}"


def _value(text: str) -> str:
    """Return a value for one line: a backslash at its end would join the next line."""
    return text.replace("\\", "/").strip()


def _search(written: Written, schedule: Schedule) -> str:
    lines = written.query.strip().splitlines()
    if written.plan is not None and written.plan.temporal:
        # before the two lines that shape the result; an alert that went on before is not reported again
        lines.insert(len(lines) - 2, f"| where ({COMPLETED} > (now() - {schedule.grace}))")
    elif written.plan is not None:
        lines.append(f"| where (window_end > (now() - {schedule.grace}))")
    return "\n".join(lines)


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
    fields = ",".join(written.alert_key)
    return {
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.fields": fields,
        "alert.suppress.period": f"{schedule.reach}s",
    }
