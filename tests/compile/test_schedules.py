"""A saved search that runs on its schedule, over events as they come, reports each alert once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from compile.rules import base, compiled, counted, document, matching
from compile.test_formats import stanzas, written
from engines.invented import START
from engines.spl_machine import indexed, run
from engines.worlds import World
from sigma.exceptions import SigmaError

from keytrip.export.layout import splunk_event
from keytrip.rules.load import Document

OTHER = document(
    {
        "name": "other",
        "logsource": {"category": "ai_usage"},
        "detection": {"a": {"status_code": 401}, "condition": "a"},
    }
)
BASE = matching({"status_code": 200})
HOURS = 14


def pair(kind: str = "temporal", timespan: str = "20m", **attributes: Any) -> Document:
    """Return a temporal rule over both base rules."""
    correlation = {"type": kind, "rules": ["base", "other"], "group-by": ["key_id"], "timespan": timespan}
    return document({"name": "pair", "correlation": correlation, **attributes})


def bursts(seed: int) -> Iterator[dict[str, Any]]:
    """Yield records of two keys, alone and in series, with timespans between them that just hold or do not."""
    random = Random(seed)  # noqa: S311 - test data
    for key in ("k1", "k2"):
        minute = 0.0
        while minute < HOURS * 60:
            minute += random.choice((1, 1, 3, 3, 7, 7, 15, 19.5, 20, 20.5, 60))
            time = START + timedelta(minutes=minute, seconds=random.choice((0, 0.5)))
            yield {"timestamp": time, "key_id": key, "status_code": random.choice((200, 401))}


def series() -> Iterator[dict[str, Any]]:
    """Yield records of a third key, which completes the rule for four hours without a pause."""
    for number in range(60):
        time = START + timedelta(minutes=30 + 4 * number)
        yield {"timestamp": time, "key_id": "k3", "status_code": (200, 401)[number % 2]}


def reported(conf: str, events: list[dict[str, Any]], start: float) -> list[tuple[str, float]]:
    """Return (key, start of the window) of each alert that is raised while the search runs on its schedule."""
    (search,) = stanzas(conf).values()
    reach, period = (int(search[name].strip("-s")) for name in ("dispatch.earliest_time", "alert.suppress.period"))
    fields = search["alert.suppress.fields"].split(",")
    interval = int(search["cron_schedule"].split()[0].removeprefix("*/")) * 60
    found: list[tuple[str, float]] = []
    raised: dict[tuple[Any, ...], float] = {}
    for now in range(int(start), int(start) + (HOURS + 3) * 3600, interval):
        seen = [event for event in events if now - reach <= event["_time"] < now]
        for row in run(search["search"].replace("now()", str(now)), seen, {}) if seen else ():
            alert = tuple(row[name] for name in fields)
            if raised.get(alert, -1) + period <= now or alert not in raised:
                raised[alert] = now
                found.append((row["key_id"], row["window_start"]))
    return found


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["temporal", "temporal_ordered"])
def test_each_alert_once(kind: str, seed: int) -> None:
    """Every alert of a temporal rule is reported by some run, and by no second one, however long it goes on."""
    world = World()
    world.add_records("usage", [*bursts(seed), *series()])
    rule = pair(kind)
    alerts = world.rows(compiled("duckdb", rule, BASE, OTHER).text)
    expected = sorted((row["key_id"], (row["window_start"] - START).total_seconds()) for row in alerts)
    events = indexed(splunk_event("usage", record) for record in world.records("usage"))
    start = min(event["_time"] for event in events) // 86400 * 86400
    found = reported(written("splunk", "savedsearches", rule, BASE, OTHER), events, start)
    assert sorted((key, round(time - start, 6)) for key, time in found) == expected
    assert len(expected) > 6
    assert any(row["window_end"] - row["window_start"] > timedelta(hours=3) for row in alerts)


def test_temporal_stanza() -> None:
    """It reads the timespan twice and two runs more, and tells alerts apart by group and start."""
    (search,) = stanzas(written("splunk", "savedsearches", pair(timespan="2h"), BASE, OTHER)).values()
    assert (search["dispatch.earliest_time"], search["alert.suppress.period"]) == ("-16200s", "16200s")
    assert search["alert.suppress.fields"] == "key_id,window_start"
    assert search["cron_schedule"] == "*/15 * * * *"
    *_, test, labels, table = search["search"].splitlines()
    assert test.strip() == "| where (kt_completed > (now() - 1800))"
    assert labels.startswith("| eval rule = ")
    assert "kt_completed" not in table


def over(inner: Document, timespan: str, kind: str = "event_count") -> Document:
    """Return a correlation over the alerts of another."""
    condition = {} if kind == "temporal" else {"condition": {"gte": 2}}
    correlation = {"type": kind, "rules": [inner.name], "group-by": ["key_id"], "timespan": timespan, **condition}
    return document({"name": "outer", "correlation": correlation})


def test_chain() -> None:
    """A chain whose windows nest is scheduled as any counting rule."""
    rule = over(counted(timespan="1h"), "1d")
    (search,) = stanzas(written("splunk", "savedsearches", rule, counted(timespan="1h"), base())).values()
    assert search["dispatch.earliest_time"] == "-88200s"
    assert search["search"].endswith("| where (window_end > (now() - 1800))")


@pytest.mark.parametrize(
    ("rule", "inner", "reason"),
    [
        (over(pair(), "1d"), pair(), "alerts of pair move while they grow"),
        (over(counted(timespan="1h"), "1d", "temporal"), counted(timespan="1h"), "alerts of counted move while"),
        (over(counted(timespan="1d"), "90m"), counted(timespan="1d"), "may grow into the next window"),
    ],
)
@pytest.mark.parametrize("form", ["savedsearches", "combined"])
def test_refused(rule: Document, inner: Document, reason: str, form: str) -> None:
    """What would be reported more than once is refused, with the way out."""
    with pytest.raises(SigmaError, match=f"more than once: .*{reason}.*by the range in index.json"):
        written("splunk", form, rule, inner, BASE, OTHER)


def test_no_temporal_rule_for_kibana() -> None:
    """Kibana would alert again at each run, so the format that does not is named."""
    with pytest.raises(SigmaError, match="again in every run that reads its events"):
        written("esql", "detection_rule", pair(), BASE, OTHER)
