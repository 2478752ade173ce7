"""Tables, records and the lock in a real OpenSearch, through our own client."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines.search_server.client import SearchClient
from export.doomed import KILLS, ROWS, Place, killed, reading
from export.opensearch.test_plugins import items
from hostile import hostile_texts
from stubs.opensearch_plugins import PluginStub, plugin_stub

from keytrip.errors import SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import Desired
from keytrip.export.engine import apply, destroy, read_plan, roll_back
from keytrip.export.indices.documents import RECORDS, generation_index
from keytrip.export.indices.generations import Indices, read_generations, scrolled
from keytrip.export.manifest import destination_named
from keytrip.export.model import Deployment, Generation, Holder, Item, Row, RowChange, Table
from keytrip.export.opensearch import diagnose, open_transport
from keytrip.export.opensearch.client import OpensearchSend
from keytrip.export.opensearch.transport import Opensearch
from keytrip.export.plan import ItemChange, TableChange
from keytrip.export.rows import RowCounts
from keytrip.export.tables import table_of
from keytrip.export.wire import Answer, persistent

MANIFEST = destination_named("opensearch")
NAME = "keytrip_test_models"
COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "events": "BIGINT", "last_seen": "TIMESTAMP"}


class Counting:
    """Counts documents that are sent, and fails some of them at first."""

    def __init__(self, send: OpensearchSend) -> None:
        self.send, self.sent, self.failing = send, 0, False

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; while failing, every tenth item of a bulk request comes back as refused for now."""
        if not path.endswith("/_bulk"):
            return self.send(method, path, body)
        self.sent += body.count('"_id"')
        answer = self.send(method, path, body)
        if self.failing:
            self.failing = False
            refused = {"status": 429, "error": {"reason": "rejected execution"}}
            items = [{"index": refused} if number % 10 == 0 else one for number, one in enumerate(answer.body["items"])]
            return Answer(answer.status, {"errors": True, "items": items})
        return answer


@pytest.fixture
def counting(opensearch: SearchClient) -> Counting:
    """Reaches the server."""
    return Counting(OpensearchSend(Connection(opensearch.url)))


@pytest.fixture
def transport(counting: Counting) -> Iterator[Opensearch]:
    """The transport; what it made is removed afterwards."""
    send = persistent(counting, lambda _: None)
    made = Opensearch(Indices(send, lookup_mode=False, pages=scrolled, sleep=lambda _: None), counting)
    yield made
    made.forget(NAME)
    for _, number in generations(made):
        made.drop(NAME, number)
    made.wipe()


def generations(transport: Opensearch) -> Sequence[tuple[str, int]]:
    """Return the generations of our table."""
    found = transport.indices.call("test", "GET", "/keytrip_test*-*")
    return [(NAME, int(index.rpartition("-")[2])) for index in found]


def table(rows: Sequence[Row]) -> Table:
    """Return a table of rows."""
    return table_of(NAME, ("key_id", "model"), COLUMNS, lambda: list(rows))


def many(count: int) -> list[Row]:
    """Return rows of which each ten share a key id."""
    return [{"key_id": f"k{n // 10}", "model": f"m{n}", "events": n, "last_seen": None} for n in range(count)]


def held(transport: Opensearch, of: Table, number: int) -> dict[str, str]:
    """Return the digests of a generation's rows."""
    return dict(transport.row_digests(of, number))


def expected(transport: Opensearch, of: Table) -> dict[str, str]:
    """Return the digests that its rows should have."""
    return {transport.row_id(of, row): transport.row_digest(of, row) for row in of.rows()}


def live(transport: Opensearch) -> Generation | None:
    """Return the live generation."""
    return read_generations(transport.indices)[0].get(NAME)


def test_a_table_is_staged_counted_and_switched(transport: Opensearch) -> None:
    """A generation is written whole, over a half-written one too; the name leads to it only after the switch."""
    wanted = table(many(1234))
    done: list[int] = []
    assert transport.stage(table(many(3)), 1, done.append) == 3
    assert transport.stage(wanted, 1, done.append) == 1234
    assert sum(done) == 1234 + 124 + 3 + 1
    assert held(transport, wanted, 1) == expected(transport, wanted)
    assert live(transport) is None
    transport.switch([(wanted, 1)])
    assert live(transport) == Generation(NAME, 1, 1234, wanted.digest)
    leading = transport.indices.call("test", "POST", f"/{NAME}/_search", {"query": {"term": {"keytrip_key": "k7"}}})
    assert leading["hits"]["total"]["value"] == 1
    transport.forget(NAME)
    transport.forget(NAME)
    assert live(transport) is None
    transport.drop(NAME, 1)
    transport.drop(NAME, 1)
    assert generations(transport) == []


def test_a_refresh_sends_what_differs(transport: Opensearch, counting: Counting) -> None:
    """A copy inside the server plus one per cent of the rows equals the new table; the old generation stays."""
    old_rows = many(2000)
    gone, changed = old_rows[1990:], [{**row, "events": 7} for row in old_rows[:5]]
    added = [{"key_id": "new", "model": f"m{n}", "events": 1, "last_seen": None} for n in range(5)]
    old, new = table(old_rows), table([*changed, *old_rows[5:1990], *added])
    transport.stage(old, 1, lambda _: None)
    transport.switch([(old, 1)])
    counting.sent = 0
    put = [(transport.row_id(new, row), row) for row in (*changed, *added)]
    change = RowChange(put, [transport.row_id(old, row) for row in gone], 5, 5)
    assert transport.copy(new, 2, 1, change, lambda _: None) == 1995
    # ten rows to write and ten to remove, the leading parts of their keys besides
    assert counting.sent <= 25
    assert held(transport, new, 2) == expected(transport, new)
    assert held(transport, old, 1) == expected(transport, old)
    transport.switch([(new, 2)])
    assert live(transport) == Generation(NAME, 2, 1995, new.digest)
    body = {"query": {"terms": {"keytrip_key": ["k199", "new", "k0"]}}}
    found = transport.indices.call("test", "POST", f"/{NAME}/_search", body)["hits"]["hits"]
    assert sorted(hit["_source"]["keytrip_key"] for hit in found) == ["k0", "new"]


def test_hostile_values_arrive_the_same(transport: Opensearch) -> None:
    """Any text is data, what joins keys too."""
    texts = hostile_texts()
    pairs = [("", ""), ("a\x1fb", "c"), ("a", "b\x1fc"), *((text, texts[-n]) for n, text in enumerate(texts))]
    rows = [{"key_id": text, "model": other, "events": 1, "last_seen": None} for text, other in pairs]
    wanted = table(rows)
    assert transport.stage(wanted, 1, lambda _: None) == len(rows)
    assert held(transport, wanted, 1) == expected(transport, wanted)


def test_items_refused_for_now_are_sent_again(transport: Opensearch, counting: Counting) -> None:
    """A bulk request of which a tenth is refused is made good; no row is lost or doubled."""
    counting.failing = True
    wanted = table(many(500))
    assert transport.stage(wanted, 1, lambda _: None) == 500
    assert counting.sent == 550 + 55
    assert held(transport, wanted, 1) == expected(transport, wanted)


def test_names_of_others_are_told(transport: Opensearch) -> None:
    """An index that somebody else made under a table's name is not ours, and neither is an alias of theirs."""
    call = transport.indices.call
    try:
        call("test", "PUT", "/keytrip_test_other", {"aliases": {"keytrip_test_alias": {}}})
        *_, found = read_generations(transport.indices, ["keytrip_test_other", "keytrip_test_alias", NAME])
        assert found == {"keytrip_test_alias", "keytrip_test_other"}
    finally:
        call("test", "DELETE", "/keytrip_test_other")


def test_a_read_only_index_is_refused_with_its_reason(transport: Opensearch) -> None:
    """What the server says is told, with what it means."""
    transport.indices.call("test", "PUT", f"/{RECORDS}", {"settings": {"index.blocks.read_only_allow_delete": True}})
    with pytest.raises(SystemRefusedError, match="writing the deployment record: the server answered"):
        transport.save(record(1))


def record(number: int, state: Any = "done") -> Deployment:
    """Return a record with a large item."""
    item = Item("monitor", "m", {"text": "x" * 100_000, "list": [1]}, "rule")
    return Deployment(number, state, "2026-05-01T00:00:00Z", "me@here", "1", (item,), (), 3)


def test_records_are_kept_newest_first(transport: Opensearch) -> None:
    """Records come back as they were written, the last finished one however old."""
    from keytrip.export.indices.records import read_deployments

    send = transport.indices.send
    assert read_deployments(send) == ()
    for number in range(1, 4):
        transport.save(record(number))
    for number in range(4, 20):
        transport.save(record(number, "applying"))
    transport.save(record(19, "applying"))
    found = read_deployments(send)
    assert [one.number for one in found] == sorted((one.number for one in found), reverse=True)
    assert found[0] == record(19, "applying")
    assert [one for one in found if one.state == "done"] == [record(3), record(2)]
    transport.wipe()
    assert read_deployments(send) == ()


def test_one_holds_the_lock(transport: Opensearch) -> None:
    """A second holder is told who holds it, and takes it over only when it says that one is dead."""
    one, two = Holder("t1", "a@x", 1, 0), Holder("t2", "b@y", 2, 0)
    assert transport.lock(one) is None
    assert transport.lock(one) is None
    assert transport.lock(two) == one
    later = replace(one, beat=1)
    assert transport.beat(later)
    assert transport.lock(two, dead=one) == later
    assert transport.lock(two, dead=later) is None
    assert not transport.beat(later)
    transport.unlock(one)
    assert transport.lock(one) == two
    transport.unlock(two)
    assert transport.lock(one) is None


def test_the_way_of_a_deployment(opensearch: SearchClient, tmp_path: Path) -> None:
    """(Real server behind our stub of the plugins.) Applied, nothing to do, refreshed, rolled back, removed."""
    stub = PluginStub(opensearch.url)
    with plugin_stub(tmp_path, stub) as (url, authority):
        token = Credential("bearer", "", "token", "test")
        transport = open_transport(Connection(url, token, ca_file=authority, options={"analytics": "true"}), MANIFEST)
        try:
            one, two = many(200), [{**many(200)[0], "events": 77}, *many(199)[1:]]
            apply(transport, Desired(items("true"), (table(one),), {}, 1))
            stub.changed.clear()
            assert read_plan(transport, Desired(items("true"), (table(one),), {}, 1)).empty
            assert stub.changed == []
            monitor = next(iter(stub.objects["monitor"].values()))["_source"]
            monitor["enabled"] = True
            plan = apply(transport, Desired(items("true")[1:], (table(two),), {}, 2))
            (change,) = plan.tables
            assert (change.action, change.counts) == ("update", RowCounts(added=0, changed=1, removed=1))
            assert held(transport, table(two), 2) == expected(transport, table(two))
            assert monitor["enabled"] is True
            assert live(transport) == Generation(NAME, 2, 199, table(two).digest)
            roll_back(transport)
            assert live(transport) == Generation(NAME, 1, 200, table(one).digest)
            assert read_plan(transport, Desired(items("true"), (table(one),), {}, 1)).empty
            destroy(transport)
            assert not any(stub.objects.values())
            assert generations(transport) == []
        finally:
            transport.forget(NAME)
            for _, number in generations(transport):
                transport.drop(NAME, number)
            transport.wipe()


class KilledError(BaseException):
    """Stands for `kill -9`: nothing that cleans up may run on it."""


def dying(transport: Opensearch, requests: int) -> Opensearch:
    """Return a transport whose process dies at a request: every other time before it is sent, else after."""
    sent: list[str] = []

    def send(method: str, path: str, body: Any = None) -> Answer:
        sent.append(path)
        if len(sent) <= requests:
            return transport.once(method, path, body)
        if len(sent) == requests + 1 and requests % 2:
            transport.once(method, path, body)
        raise KilledError

    indices = replace(transport.indices, send=send)
    return replace(transport, indices=indices, once=send)


def test_a_run_that_dies_is_finished_by_the_next(opensearch: SearchClient, tmp_path: Path) -> None:
    """(Real server behind our stub of the plugins.) Whichever request was the last, readers see old rows or new ones.

    The lock is removed by hand: the process that held it is this one, and lives.
    """
    stub = PluginStub(opensearch.url)
    few = tuple(item for item in items() if item.kind == "monitor")[:2]
    one, two = table(many(30)), table([{**row, "events": 99} for row in many(30)])
    old, new = Desired(few, (one,), {}, 1), Desired(few[:1], (two,), {}, 2)
    with plugin_stub(tmp_path, stub) as (url, authority):
        token = Credential("bearer", "", "token", "test")
        transport = open_transport(Connection(url, token, ca_file=authority), MANIFEST)
        try:
            died = 0
            for requests in range(8, 60, 5):
                apply(transport, old)
                with contextlib.suppress(KilledError):
                    apply(dying(transport, requests), new, prune=True)
                    break
                died += 1
                assert read_rows(transport) in ([row["events"] for row in sorted_rows(one)], [99] * 30)
                transport.indices.send("DELETE", f"/{RECORDS}/_doc/lock?refresh=true")
                apply(transport, new, prune=True)
                number = live(transport)
                assert number is not None
                assert number.digest == two.digest
                assert held(transport, two, number.number) == expected(transport, two)
                assert read_plan(transport, new).empty
                assert len(stub.objects["monitor"]) == 1
            assert died > 5
        finally:
            destroy(transport)


def test_killed(opensearch: SearchClient, tmp_path: Path) -> None:
    """(Real server behind our stub of the plugins.) Processes killed at any instant leave a whole table to readers.

    KEYTRIP_KILLS=100 kills a hundred of them; `pytest -rP` shows what the reader saw.
    """
    stub = PluginStub(opensearch.url)
    body = {"size": 0, "aggs": {"events": {"stats": {"field": "baseline_events"}}}}

    def ask() -> object:
        found = opensearch.call("POST", f"/{NAME}/_search", body)["aggregations"]["events"]
        return (found["count"] != ROWS or found["min"] != found["max"]) and found

    with plugin_stub(tmp_path, stub) as (url, authority):
        place = Place("opensearch", url, str(authority), "bearer", "", "token")
        transport = place.opened()
        assert isinstance(transport, Opensearch)
        one, two = place.contents()
        try:
            apply(transport, one)
            dice = random.Random()  # noqa: S311 - no secret; the instants cannot be had again anyway
            with reading(ask) as reader:
                for number in range(KILLS):
                    killed(place, dice, stub.faults)
                    wanted = (one, two)[number % 2]
                    apply(transport, wanted, prune=True, wait=60)
                    (made,), now = wanted.tables, live(transport)
                    assert now is not None
                    assert held(transport, made, now.number) == expected(transport, made)
                    assert changes(transport, wanted) == []
                    assert len(stub.objects["monitor"]) == len(wanted.items)
            sys.stdout.write(f"{KILLS} kills, {reader.answers} answers, {len(reader.wrong)} of them wrong")
            assert reader.wrong == []
            assert len(generations(transport)) <= 2
        finally:
            destroy(transport, wait=60)


def changes(transport: Opensearch, wanted: Desired) -> list[ItemChange | TableChange]:
    """Return what is still to be done; templates that the records of other tests hold cannot be removed."""
    planned = [one for one in read_plan(transport, wanted, prune=True).changes if one.action != "unchanged"]
    return [one for one in planned if getattr(one, "kind", "") != "index_template"]


def read_rows(transport: Opensearch) -> list[int]:
    """Return what a reader of the table sees, in the order of the keys."""
    body = {"size": 100, "sort": ["keytrip_key"]}
    hits = transport.indices.call("test", "POST", f"/{NAME}/_search", body)["hits"]["hits"]
    return [hit["_source"]["baseline_events"] for hit in hits if "\x1f" in hit["_source"]["keytrip_key"]]


def sorted_rows(of: Table) -> list[Row]:
    """Return rows in the order of their joined keys."""
    return sorted(of.rows(), key=lambda row: f"{row['key_id']}\x1f{row['model']}")


def test_doctor_says_what_is_wrong(opensearch: SearchClient, tmp_path: Path) -> None:
    """(Real server behind our stub of the plugins.) Version, health, rights and plugins are looked at."""
    stub = PluginStub(opensearch.url, roles=frozenset({"alerting"}), plugins=frozenset({"alerting"}))
    with plugin_stub(tmp_path, stub) as (url, authority):
        token = Credential("bearer", "", "token", "test")
        connection = Connection(url, token, ca_file=authority, options={"analytics": "true"})
        found = {one.subject: one for one in diagnose(connection, MANIFEST)}
        assert found["version"].found.startswith("OpenSearch 2.")
        wrong = {subject: one.found for subject, one in found.items() if not one.ok}
        assert wrong == {"plugin Security Analytics": "not there"}
        stub.roles = frozenset()
        found = {one.subject: one for one in diagnose(connection, MANIFEST)}
        assert found["permission Alerting"].hint == "map the user to the role alerting_full_access"


def test_a_generation_has_a_name_that_sorts(transport: Opensearch) -> None:
    """Generations are numbered with six digits or more."""
    assert generation_index(NAME, 7) == f"{NAME}-000007"
