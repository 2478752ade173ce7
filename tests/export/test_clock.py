"""The wall clock jumps a day forward or back at every look, in the middle of an apply too: nothing depends on it.

Durations are measured by clocks that never jump, a lock's life is its beat, deployments are numbered. Folders are real,
MISP is a stub.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from itertools import cycle
from pathlib import Path

import pytest
from export.conftest import records
from export.doomed import Place
from export.test_engine import ONE, TWO, holds
from export.test_killed import place_of
from stubs.memory import Memory

from keytrip.baselines.snapshots import active_snapshot
from keytrip.baselines.store import Store
from keytrip.cli import app
from keytrip.export.engine import apply, read_plan, roll_back
from keytrip.export.http import retry_after
from keytrip.export.wire import pause

DAY = timedelta(days=1)
_JUMPS = (timedelta(), DAY, -DAY, timedelta(), -2 * DAY, 2 * DAY)


@pytest.fixture(autouse=True)
def _jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the date gets another one each time, and nobody asks `time.time` how long something took."""
    jumps = cycle(_JUMPS)

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + next(jumps)

    for module in ("engine", "sharing.stix", "http"):
        monkeypatch.setattr(f"keytrip.export.{module}.datetime", Jumping)


@pytest.fixture(params=["csv", "splunk_app", "stix", "misp"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A destination."""
    with ExitStack() as stack:
        yield stack.enter_context(place_of(request.param, tmp_path))[0]


def test_every_deployment_is_whole_and_numbered(place: Place) -> None:
    """Applied, changed, changed back and rolled back: each time all is there, and the newest record is the last one."""
    one, two = place.contents()
    for number, wanted in enumerate((one, two, one), 1):
        apply(place.opened(), wanted, prune=True)
        assert read_plan(place.opened(), wanted, prune=True).empty
        newest = place.opened().read((), ()).deployments[0]
        assert (newest.number, newest.state) == (number, "done")
    roll_back(place.opened())
    assert read_plan(place.opened(), two, prune=True).empty
    assert [one.number for one in place.opened().read((), ()).deployments] == [4, 3]


def test_a_lock_asks_no_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the lock nor the order of work asks what time it is."""
    monkeypatch.setattr(time, "time", lambda: pytest.fail("somebody asked"))
    server = Memory()
    for wanted in (ONE, TWO, ONE):
        apply(server, wanted, prune=True)
        holds(server, wanted)


def test_a_wait_that_a_server_asks_for_has_an_end() -> None:
    """A server says until when to wait, and its clock or ours is a day off: no pause is longer than a minute."""
    for asked in (datetime.now(UTC) + DAY, datetime.now(UTC) - DAY):
        seconds = retry_after(format_datetime(asked, usegmt=True))
        assert seconds is not None
        assert 0 <= pause(0, seconds) <= 60


def test_snapshots_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build whose clock went a day back makes the next snapshot, of the days that are over by it."""
    path, store = tmp_path / "records.ndjson", tmp_path / ".keytrip"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records()), encoding="utf-8")
    ends = []
    for now in ("2026-11-10T12:00:00Z", "2026-11-09T12:00:00Z", "2026-11-11T12:00:00Z"):
        monkeypatch.setenv("KEYTRIP_NOW", now)
        build = ["baseline", "build", str(path), "--source", "canonical", "--store", str(store), "--quiet"]
        assert app.run(build) == 0
        found = active_snapshot(Store(store))
        ends.append((found.number, found.manifest["window"]["end"][:10]))
    assert ends == [(1, "2026-11-09"), (2, "2026-11-08"), (3, "2026-11-09")]
