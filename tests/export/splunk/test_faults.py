"""What goes wrong during an apply to Splunk, against the stub of splunkd: kills, storms, cuts, old tokens, readers."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import sys
import threading
import time
from copy import deepcopy
from pathlib import Path

import pytest
from stubs.https import Answer
from stubs.splunk import SplunkStub, User
from stubs.splunk_kv import KvLimits

from keytrip.errors import SystemRefusedError
from keytrip.export import locking
from keytrip.export.desired import Desired
from keytrip.export.engine import apply, destroy, read_plan, roll_back
from keytrip.export.splunk.kv import pages

from .conftest import Start, client_of, connect, transport_of
from .direct import KilledError, Wire, wired
from .made import macro, rows, search, table

NAME = "keytrip_key_models"
KILLS = int(os.environ.get("KEYTRIP_KILLS", "2"))


@pytest.fixture(autouse=True)
def _left_by_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is there was left by a killed process of this machine, so nobody waits for its lease."""
    monkeypatch.setattr(locking, "_dead", lambda holder: holder.pid != -1)


def wanted(count: int, text: str = "one", first: int = 0) -> Desired:
    """Return a table of as many rows, a macro and a search."""
    return Desired((macro(), search(description=text)), (table(rows(count, first)),))


def held_rows(stub: SplunkStub) -> int:
    """Return the rows that the lookup leads to."""
    collection = stub.objects["lookups"]["keytrip", NAME].values["collection"]
    return len(stub.kv["keytrip", collection].documents)


def converged(stub: SplunkStub, desired: Desired) -> None:
    """Apply, and find every row once, the items as they should be, and nothing half-done."""
    transport = wired(Wire(stub))
    apply(transport, desired)
    assert read_plan(transport, desired).empty
    live = transport.read((), ())
    made = desired.tables[0]
    ours = {transport.row_id(made, r): transport.row_digest(made, r) for r in made.rows()}
    assert dict(transport.row_digests(made, live.tables[NAME].number)) == ours
    assert live.deployments[0].state == "done"
    assert len(live.generations) <= 2
    assert "lock" not in stub.kv["keytrip", "keytrip_deployments"].documents
    assert len(stub.objects["lookups"]) == 1


def fresh() -> SplunkStub:
    """Return a stub that nobody serves."""
    return SplunkStub(User("engineer", secrets.token_hex(16)))


def test_a_kill_before_any_request_of_the_first_apply_is_made_good() -> None:
    """For each request of an apply to an empty Splunk: killed before it, after all those before, the next converges."""
    wire = Wire(fresh())
    apply(wired(wire), wanted(20))
    assert wire.sent > 20
    for number in range(1, wire.sent + 1):
        stub = fresh()
        with pytest.raises(KilledError):
            apply(wired(Wire(stub, number)), wanted(20))
        converged(stub, wanted(20))


def test_a_kill_before_any_request_of_a_later_apply_leaves_a_whole_table() -> None:
    """The lookup has the old rows or the new ones at every instant; then the same apply, or the old one, converges."""
    older, newer = wanted(20), wanted(33, "two", first=5)
    first = fresh()
    apply(wired(Wire(first)), older)
    whole = Wire(deepcopy(first))
    apply(wired(whole), newer)
    assert whole.sent > 20
    for number in range(1, whole.sent + 1):
        stub = deepcopy(first)
        with pytest.raises(KilledError):
            apply(wired(Wire(stub, number)), newer)
        assert held_rows(stub) in {20, 33}
        converged(stub, newer if number % 2 else older)


def test_a_rollback_puts_rows_and_items_back() -> None:
    """Of the deployment before: nothing is sent anew, the older generation is switched to."""
    stub = fresh()
    transport = wired(Wire(stub))
    apply(transport, wanted(20))
    apply(transport, wanted(33, "two"))
    stub.documents_sent = 0
    roll_back(transport)
    assert held_rows(stub) == 20
    assert stub.objects["searches"]["keytrip", search().name].values["description"] == "one"
    assert stub.documents_sent < 20
    assert read_plan(transport, wanted(20)).empty


def test_the_time_range_follows_the_rule_and_the_schedule_stays() -> None:
    """What the user edited of the kept fields is not written over; what nobody edited is."""
    stub = fresh()
    apply(wired(Wire(stub)), wanted(5))
    held = stub.objects["searches"]["keytrip", search().name].values
    held["cron_schedule"] = "7 * * * *"
    longer = Desired((macro(), search(description="two", dispatch__earliest_time="-9d")), wanted(5).tables)
    apply(wired(Wire(stub)), longer)
    assert (held["dispatch.earliest_time"], held["cron_schedule"]) == ("-9d", "7 * * * *")
    again = Desired((macro(), search(description="three", cron_schedule="1 * * * *")), wanted(5).tables)
    apply(wired(Wire(stub)), again)
    assert (held["dispatch.earliest_time"], held["cron_schedule"]) == ("-88200s", "7 * * * *")


def test_a_rollback_and_a_rename_know_what_was_edited() -> None:
    """The time range goes back with the rule, and the user's schedule stays, also under the rule's new name."""
    stub = fresh()
    tables = wanted(5).tables
    apply(wired(Wire(stub)), wanted(5))
    held = stub.objects["searches"]["keytrip", search().name].values
    held["cron_schedule"] = "7 * * * *"
    apply(wired(Wire(stub)), Desired((macro(), search(description="two", dispatch__earliest_time="-9d")), tables))
    roll_back(wired(Wire(stub)))
    assert (held["dispatch.earliest_time"], held["cron_schedule"]) == ("-88200s", "7 * * * *")
    name = "keytrip - renamed - Rule"
    apply(wired(Wire(stub)), Desired((macro(), search(name)), tables))
    later = search(name, description="three", cron_schedule="1 * * * *", dispatch__earliest_time="-5d")
    apply(wired(Wire(stub)), Desired((macro(), later), tables))
    (moved,) = (entity.values for entity in stub.objects["searches"].values())
    assert (moved["dispatch.earliest_time"], moved["cron_schedule"]) == ("-5d", "7 * * * *")


def test_destroy_removes_ours_and_nothing_else() -> None:
    """Objects of others stay, whatever their names."""
    stub = fresh()
    transport = wired(Wire(stub))
    apply(transport, wanted(20))
    client = transport._client
    client.post("saved", "searches", form={"name": "theirs", "search": "index=main"})
    client.post("storage", "collections", "config", form={"name": "theirs"})
    destroy(transport)
    assert [name for _, name in stub.objects["searches"]] == ["theirs"]
    assert [name for _, name in stub.kv] == ["theirs"]
    assert not stub.objects["lookups"]
    assert not stub.objects["macros"]


@pytest.mark.parametrize("left", range(0, 45, 8))
def test_a_token_that_expires_midway_stops_and_the_next_goes_on(left: int) -> None:
    """The refusal says so; with a new token the apply converges."""
    stub = fresh()
    stub.user.requests_left = left
    with pytest.raises(SystemRefusedError, match="refused \\(401\\)"):
        apply(wired(Wire(stub)), wanted(20))
    stub.user.requests_left = None
    converged(stub, wanted(20))


def test_storms_cuts_and_empty_answers_do_not_stop_an_apply(start: Start) -> None:
    """Every tenth connection is cut, every seventh answer is empty, and the server is busy now and then."""
    stub = start(limits=KvLimits(max_documents_per_batch_save=200, max_rows_per_query=90))
    stub.faults.cut_every, stub.faults.empty_every = 10, 7
    stub.faults.storm += [Answer(503), Answer(429, headers={"Retry-After": "3"}), Answer(502)]
    apply(transport_of(stub), wanted(900))
    apply(transport_of(stub), wanted(1000, "two"))
    stub.faults.cut_every = stub.faults.empty_every = 0
    assert stub.faults.cuts > 10
    converged(stub, wanted(1000, "two"))


def test_two_at_once_do_not_mix(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two applies one holds the lock; the other is told who does, and nothing of it is written."""
    monkeypatch.setattr(locking, "_dead", lambda _: False)
    stub = start()
    with locking.held(transport_of(stub), 0, lambda _: None):
        with pytest.raises(SystemRefusedError, match=r"held by .*process"):
            apply(transport_of(stub), wanted(20))
        assert list(stub.objects) == ["collections"], "the lock's"
    apply(transport_of(stub), wanted(20))


class Reader(threading.Thread):
    """Looks the table up again and again, as searches do: the definition first, then the rows."""

    def __init__(self, stub: SplunkStub) -> None:
        super().__init__()
        self.client = client_of(stub)
        self.seen: list[int] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Poll until told to stop."""
        while not self.stop.is_set():
            entry = self.client.get("data", "transforms", "lookups", NAME)["entry"][0]
            self.seen.append(sum(map(len, pages(self.client, entry["content"]["collection"], "_key"))))


def test_a_reader_never_sees_an_empty_or_half_table(start: Start) -> None:
    """While tables of 300 and 700 rows take turns, every look finds one of them whole."""
    stub = start(limits=KvLimits(max_documents_per_batch_save=50))
    apply(transport_of(stub), wanted(300))
    reader = Reader(stub)
    reader.start()
    for turn in range(4):
        apply(transport_of(stub, copy_inside="false"), wanted(300 if turn % 2 else 700))
    reader.stop.set()
    reader.join()
    assert set(reader.seen) == {300, 700}


CHILD = """
import sys
sys.path[:0] = {paths}
from export.splunk.conftest import connect
from export.splunk.made import macro, rows, search, table
from keytrip.export import locking
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import Desired
from keytrip.export.engine import apply
from keytrip.export.splunk import open_transport
from keytrip.export.splunk.client import Client
from keytrip.export.splunk.transport import SplunkTransport
from pathlib import Path
url, ca, secret = sys.stdin.read().split()
connection = Connection(url, Credential("bearer", secret=secret), ca_file=Path(ca), options={{"app": "keytrip"}})
for text, count in (("one", 400), ("two", 900)) * 200:
    desired = Desired((macro(), search(description=text)), (table(rows(count)),))
    apply(SplunkTransport(Client(connection), {{}}), desired)
    print(text, flush=True)
"""


def test_processes_that_are_killed_lose_and_double_no_row(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real processes, killed at random (KEYTRIP_KILLS of them): the next goes on, a reader sees whole tables."""
    monkeypatch.undo()
    stub = start(limits=KvLimits(max_documents_per_batch_save=100))
    apply(transport_of(stub), wanted(400))
    reader = Reader(stub)
    reader.start()
    dice = random.Random(5)  # noqa: S311 - the instants only
    for _ in range(KILLS):
        _killed(stub, dice.uniform(0.0, 0.5))
    apply(transport_of(stub), wanted(900, "two"))
    reader.stop.set()
    reader.join()
    assert set(reader.seen) <= {400, 900}
    converged(stub, wanted(900, "two"))


def _killed(stub: SplunkStub, seconds: float) -> None:
    """Run a process that applies, and kill it so many seconds after its first apply was done."""
    paths = [str(Path(__file__).parents[2])]
    connection = connect(stub)
    command = [sys.executable, "-c", CHILD.format(paths=paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{connection.url} {connection.ca_file} {connection.credential.secret}")
        process.stdin.close()
        assert process.stdout.readline(), "the first apply failed"
        time.sleep(seconds)
        process.kill()
