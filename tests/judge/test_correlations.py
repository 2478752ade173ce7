"""Correlations worked out by hand: DuckDB and the judge say the same, and it is what the semantics say."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from judge import compare
from judge.correlated import Correlated
from judge.judge import every_alert
from judge.worlds import database, documents, judged, load

from keytrip.compile.compiled import compile_rule
from keytrip.hunt.alerts import correlation_alerts


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the canonical tables."""
    with database() as connection:
        yield connection


def ours(con: duckdb.DuckDBPyConnection, case: Correlated) -> list[dict[str, Any]] | str:
    """Return the alerts of the last rule, or why it is refused."""
    found = documents(case)
    rule = compile_rule(found[-1], found)
    if rule.refused:
        return rule.refused
    load(con, case)
    cursor = con.execute(rule.sql)
    columns = [column[0] for column in cursor.description or ()]
    return [alert.as_json() for alert in correlation_alerts(rule, columns, cursor.fetchall(), None)]


def plain(name: str, field: str, value: str, category: str = "ai_usage") -> dict[str, Any]:
    """Return a plain rule."""
    return named(name, {"logsource": {"category": category}, "detection": {"a": {field: value}, "condition": "a"}})


def named(name: str, more: dict[str, Any]) -> dict[str, Any]:
    """Return a rule with a name."""
    return {"title": name, "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "name": name, "level": "low", **more}


def correlation(name: str, kind: str, rules: list[str], **more: Any) -> dict[str, Any]:
    """Return a correlation of ten minutes by key."""
    members = {"type": kind, "rules": rules, "group-by": ["key_id"], "timespan": "10m", **more}
    return named(name, {"correlation": members})


def used(time: str, model: str, **more: Any) -> dict[str, Any]:
    """Return a usage record of 2026-04-01 (a Wednesday), or of the day before where the time says so."""
    day = "2026-03-31" if time > "12" else "2026-04-01"
    return {"timestamp": f"{day}T{time}Z", "key_id": "k", "model": model, **more}


BASES = (plain("a", "model", "a*"), plain("b", "model", "*b"), plain("act", "action", "made", "ai_audit"))
PAIR = correlation("pair", "temporal", ["a", "b"])
ORDER = correlation("order", "temporal_ordered", ["a", "b"])
INNER = correlation("inner", "event_count", ["a"], condition={"gte": 1})
# name -> (rules, usage records, (start, end, events) of each alert)
WORKED: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[tuple[str, str, int]]]] = {
    "across midnight": ([PAIR], [used("23:55:00", "b"), used("00:02:00", "a")], [("23:55:00", "00:02:00", 2)]),
    "exactly the timespan": ([PAIR], [used("01:00:00", "a"), used("01:10:00", "b")], [("01:00:00", "01:10:00", 2)]),
    "a microsecond more": ([PAIR], [used("01:00:00", "a"), used("01:10:00.000001", "b")], []),
    "one instant": ([PAIR], [used("01:00:00", "a"), used("01:00:00", "b")], [("01:00:00", "01:00:00", 2)]),
    "one instant is no order": ([ORDER], [used("01:00:00", "a"), used("01:00:00", "b")], []),
    "the wrong order": ([ORDER], [used("01:00:00", "b"), used("01:01:00", "a")], []),
    "an event of both rules": ([PAIR], [used("01:00:00", "ab")], [("01:00:00", "01:00:00", 1)]),
    "the latest start, and what is between": (
        [PAIR],
        [used("01:00:00", "a"), used("01:02:00", "a"), used("01:02:00", "a"), used("01:05:00", "b")],
        [("01:02:00", "01:05:00", 3)],
    ),
    "close completions are one alert": (
        [PAIR],
        [used("01:00:00", "a"), used("01:01:00", "b"), used("01:11:00", "ab"), used("01:21:00.000001", "ab")],
        [("01:00:00", "01:11:00", 3), ("01:21:00.000001", "01:21:00.000001", 1)],
    ),
    "the latest series": (
        [correlation("three", "temporal_ordered", ["a", "b", "a"])],
        [used("01:00:00", "a"), used("01:01:00", "a"), used("01:02:00", "b"), used("01:03:00", "a")],
        [("01:01:00", "01:03:00", 3)],
    ),
    "an alert is an event at its last_seen": (
        [INNER, correlation("outer", "temporal_ordered", ["b", "inner"])],
        [used("01:00:00", "a"), used("01:04:00", "b"), used("01:05:00", "a")],
        [("01:04:00", "01:05:00", 2)],
    ),
    "alerts are counted": (
        [INNER, correlation("outer", "event_count", ["inner"], timespan="1h", condition={"gte": 2})],
        [used("01:00:00", "a"), used("01:01:00", "a"), used("01:15:00", "a")],
        [("01:00:00", "02:00:00", 2)],
    ),
    "once where two rules name the group alike": (
        [
            correlation(
                "outer", "event_count", ["a", "b"], condition={"gte": 1}, aliases={"key_id": {"a": "user"}}
            )
        ],
        [used("01:00:00", "ab", user="k"), used("01:01:00", "ab", user="other")],
        [("01:00:00", "01:10:00", 1), ("01:00:00", "01:10:00", 2)],
    ),
    "one event in two groups is no pair": (
        [correlation("pair", "temporal", ["a", "b"], aliases={"key_id": {"a": "user"}})],
        [used("01:00:00", "ab", user="other"), used("01:01:00", "ab", user="k")],
        [("01:01:00", "01:01:00", 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WORKED)
def test_worked_out(con: duckdb.DuckDBPyConnection, case: str) -> None:
    """DuckDB and the judge both say what follows from the semantics by hand."""
    rules, rows, windows = WORKED[case]
    made = Correlated((*BASES, *rules), {"ai_usage": rows, "ai_audit": []})
    found = ours(con, made)
    assert not isinstance(found, str), found
    said = [tuple(alert[m].split("T")[1][:-1] for m in ("window_start", "window_end")) for alert in found]
    assert sorted((*times, alert["events"]) for times, alert in zip(said, found, strict=True)) == sorted(windows)
    assert compare.alert_differences(found, every_alert(*judged(made))) == []


def test_an_act_and_what_followed(con: duckdb.DuckDBPyConnection) -> None:
    """Usage and audit records meet in one group by an alias; a temporal alert has no observed value."""
    chain = correlation("chain", "temporal_ordered", ["act", "a"], aliases={"key_id": {"act": "target_key_id"}})
    act = {"timestamp": "2026-04-01T00:55:00Z", "target_key_id": "k", "action": "made"}
    found = ours(con, Correlated((*BASES, chain), {"ai_usage": [used("01:00:00", "a")], "ai_audit": [act]}))
    assert [(alert["key_id"], alert["observed"], alert["events"]) for alert in found] == [("k", {}, 2)]  # type: ignore[index]
