"""Deployment records and the lock in a KV collection, against the stub of splunkd."""

from __future__ import annotations

from dataclasses import replace

from keytrip.export.model import Generation, Holder
from keytrip.export.splunk import kv
from keytrip.export.splunk.records import COLLECTION

from .conftest import Start, client_of, transport_of
from .made import deployment, macro, search

ANN = Holder("token-ann", "ann@one", 11, 0)
BOB = Holder("token-bob", "bob@two", 22, 0)
EVE = Holder("token-eve", "eve@three", 33, 0)


def test_a_record_comes_back_as_it_was(start: Start) -> None:
    """Items, generations and all else, also where it is larger than a part."""
    transport = transport_of(start())
    large = search(description="x" * 2_500_000)
    saved = deployment(1, large, macro(), tables=(Generation("keytrip_keys", 3, 10, "ab"),))
    transport.save(saved)
    assert transport.read([], []).deployments == (saved,)


def test_the_newest_records_come_first_down_to_the_second_finished_one(start: Start) -> None:
    """What a rollback needs is there; what is older is not read."""
    transport = transport_of(start())
    for number in (1, 2, 3):
        transport.save(deployment(number, macro()))
    transport.save(deployment(4, search(), state="applying"))
    found = transport.read([], []).deployments
    assert [(d.number, d.state) for d in found] == [(4, "applying"), (3, "done"), (2, "done")]


def test_a_record_is_written_over_and_old_ones_go(start: Start) -> None:
    """`applying` becomes `done` under the same number; ten records are kept, and no part of others."""
    stub = start()
    transport = transport_of(stub)
    for number in range(1, 14):
        transport.save(deployment(number, macro(), state="applying"))
        transport.save(deployment(number, macro()))
    documents = stub.kv["keytrip", COLLECTION].documents.values()
    assert sorted(int(d["number"]) for d in documents if d["kind"] == "deployment") == list(range(4, 14))
    assert sum(d["kind"] == "part" for d in documents) == 10


def test_one_holds_the_lock(start: Start) -> None:
    """The second hears who holds it, and gets it when it is let go."""
    transport = transport_of(start())
    assert transport.lock(ANN) is None
    assert transport.lock(BOB) == ANN
    assert transport.beat(replace(ANN, beat=1))
    assert transport.lock(BOB) == replace(ANN, beat=1)
    assert not transport.beat(BOB)
    transport.unlock(BOB)
    assert transport.lock(BOB) == replace(ANN, beat=1)
    transport.unlock(ANN)
    assert transport.lock(BOB) is None


def test_a_lock_whose_answer_was_lost_is_ours(start: Start) -> None:
    """The insert is sent again, and refused because of our own first one."""
    stub = start()
    stub.faults.empty_every = 2
    assert transport_of(stub).lock(ANN) is None
    assert transport_of(stub).lock(ANN) is None


def test_a_dead_holder_is_taken_over_by_one_only(start: Start) -> None:
    """Two that saw the same holder dead: the first wins, the second hears its name; the dead one notices."""
    transport = transport_of(start())
    assert transport.lock(ANN) is None
    assert transport.lock(BOB, ANN) is None
    assert transport.lock(EVE, ANN) == BOB
    assert not transport.beat(replace(ANN, beat=1))
    assert transport.beat(replace(BOB, beat=1))
    assert transport.lock(EVE, BOB) == replace(BOB, beat=1), "its beat had moved"
    assert transport.lock(EVE, replace(BOB, beat=1)) is None
    transport.unlock(ANN)
    assert transport.lock(ANN) == EVE
    transport.unlock(EVE)
    assert transport.lock(ANN) is None


def test_destroy_leaves_nothing(start: Start) -> None:
    """The collection goes, and letting go of a lock that went with it is no error."""
    stub = start()
    transport = transport_of(stub)
    transport.lock(ANN)
    transport.save(deployment(1, macro()))
    transport.wipe()
    transport.wipe()
    transport.unlock(ANN)
    assert not stub.kv
    assert kv.list_collections(client_of(stub)) == []
