"""Random histories through the hunt and through the judge: the same alerts and the same tables, each time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from judge import compare
from judge.harness import (
    JOBS,
    PACK,
    RULES,
    Building,
    Options,
    against_store,
    built,
    every_rule,
    in_memory,
    tables_of,
    write,
)
from judge.histories import SINCE, History, Record, histories
from judge.judge import Rule, World, alerts, midnight, read_rules
from judge.records import Event, read_files
from judge.tables import Incident as JudgedIncident
from judge.tables import Job, Table, build, in_window, read_jobs

from keytrip.baselines.incidents import Incident

# More in a long run: KEYTRIP_EXAMPLES=2000 pytest tests/judge
EXAMPLES = int(os.environ.get("KEYTRIP_EXAMPLES", "5"))
random_histories = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
FIRST, LAST = SINCE - timedelta(days=30), SINCE - timedelta(days=1)


@cache
def judged_rules() -> tuple[Rule, ...]:
    """Return the same rules as the judge reads them."""
    return (*read_rules(RULES), *read_rules(PACK))


@cache
def jobs() -> dict[str, Job]:
    """Return the shipped jobs as the judge reads them."""
    return read_jobs(JOBS)


@contextmanager
def written(files: Sequence[Sequence[Record]]) -> Iterator[list[Path]]:
    """Yield a folder's files with these records."""
    with tempfile.TemporaryDirectory() as name:
        yield [write(Path(name) / f"{number}.ndjson", rows) for number, rows in enumerate(files)]


def tables(events: Sequence[Event], incidents: Sequence[JudgedIncident] = ()) -> dict[str, Table]:
    """Return the judge's tables over the 30 days before the day to score."""
    return build(jobs(), in_window(events, FIRST, LAST, incidents))


def verdict(events: Sequence[Event], made: dict[str, Table], since: date | None, until: date | None) -> list[Any]:
    """Return the judge's alerts."""
    bounds = [midnight(day) if day else None for day in (since, until)]
    return alerts(judged_rules(), World(events, jobs(), made, midnight(SINCE), *bounds))


def test_same_rules() -> None:
    """The judge reads every rule that the package compiles, and none is refused."""
    assert {rule.name for rule in every_rule()} == {rule.name for rule in judged_rules()}
    assert [rule.refused for rule in every_rule() if rule.refused] == []


untils = st.sampled_from([None, SINCE + timedelta(days=1), SINCE + timedelta(days=2)])


@random_histories
@given(histories(), untils)
def test_in_memory(history: History, until: date | None) -> None:
    """A hunt with the 30 days before `--since` as history says what the judge says."""
    events = read_files(history.files)
    expected = verdict(events, tables(events), SINCE, until)
    with written(history.files) as paths:
        found = in_memory(paths, Options(SINCE, until, rules=every_rule()))
    assert len({alert["alert_id"] for alert in found}) == len(found)
    assert compare.alert_differences(found, expected) == []


incidents = st.lists(
    st.tuples(st.sampled_from(["a", "b", "0042", "", "*"]), st.integers(0, 30), st.integers(0, 3)), max_size=2
)


@random_histories
@given(histories(), incidents, st.sampled_from([None, SINCE]))
def test_store(history: History, excluded: list[tuple[str, int, int]], since: date | None) -> None:
    """A store's tables are the judge's, incidents left out, and a hunt against them says what the judge says."""
    spans = [(key, LAST - timedelta(days=back + more), LAST - timedelta(days=back)) for key, back, more in excluded]
    events = read_files(history.files)
    assume(any(event.day and FIRST <= event.day <= LAST for event in events))
    expected = tables(events, [JudgedIncident(*span) for span in spans])
    left_out = [Incident(key_id=key, first=first, last=last) for key, first, last in spans]
    with written(history.files) as paths:
        store = paths[0].parent / "store"
        built(store, paths, Building(end=LAST, incidents=left_out))
        assert compare.table_differences(tables_of(store), expected) == []
        found = against_store(paths, store, Options(since, rules=every_rule()))
    assert compare.alert_differences(found, verdict(events, expected, since, None)) == []
    assert {alert["snapshot"] for alert in found} <= {1}


@random_histories
@given(histories(), st.sampled_from([1, 2]), st.sampled_from([1, None]))
def test_same_bytes(history: History, threads: int, chunk: int | None) -> None:
    """Neither the files' order, nor a copy of one, nor the threads, nor small chunks change a byte of the alerts."""
    with written(history.files) as paths, written(history.again) as others:
        first = in_memory(paths, Options(SINCE, rules=every_rule()))
        second = in_memory(others, Options(SINCE, threads=threads, rules=every_rule(), chunk_bytes=chunk))
    assert [orjson.dumps(alert) for alert in first] == [orjson.dumps(alert) for alert in second]
