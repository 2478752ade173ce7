"""A TAXII collection: transport against medallion, a real server, on loopback; faults and limits against our stub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from export.sharing.examples import an_agent, made, one_of_each
from export.sharing.medallion_server import medallion
from export.sharing.test_stix import deployment, told
from hostile import hostile_texts
from stubs.https import Answer
from stubs.taxii import COLLECTION, TaxiiStub, taxii_stub

from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.http import HttpSend
from keytrip.export.indicators import Indicator, indicator_items
from keytrip.export.manifest import Manifest
from keytrip.export.records import Records
from keytrip.export.sharing.stix_objects import Author
from keytrip.export.sharing.taxii import MEDIA_TYPE, CollectionChannel, diagnose, envelopes, open_transport
from keytrip.export.sharing.transport import Sharing
from keytrip.export.wire import Answer as Reply
from keytrip.export.wire import persistent

MANIFEST = Manifest(name="taxii", about="A collection.", transport="taxii")
BASIC = Credential("basic", "writer", "secret", "test")


@pytest.fixture
def stub() -> TaxiiStub:
    """A stub to set up before it serves."""
    return TaxiiStub()


@pytest.fixture
def connection(tmp_path: Path, stub: TaxiiStub) -> Iterator[Connection]:
    """How the stub is reached."""
    with taxii_stub(tmp_path / "tls", stub) as (url, authority):
        options = {"collection": COLLECTION, "state": str(tmp_path / "state"), "identity": "Example"}
        yield Connection(url, BASIC, ca_file=authority, timeout=5, options=options)


def sharing(connection: Connection, waits: list[float] | None = None) -> Sharing:
    """Return a transport that never really waits."""
    headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
    sleep: Callable[[float], None] = ([] if waits is None else waits).append
    send = persistent(HttpSend(connection, headers), sleep)
    channel = CollectionChannel(
        send, connection.options["collection"], Author("Example"), lambda: datetime.now(UTC), sleep
    )
    return Sharing(channel, Records(Path(connection.options["state"])))


def cut_after(requests: int, connection: Connection) -> CollectionChannel:
    """Return a channel whose requests are all refused after so many."""
    whole = HttpSend(connection, {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE})
    left = list(range(requests))

    def send(method: str, path: str, body: object = None) -> Reply:
        return whole(method, path, body) if left and left.pop() >= 0 else Reply(403, {})

    now = datetime(2026, 5, 1, tzinfo=UTC)
    return CollectionChannel(send, connection.options["collection"], Author("Example"), lambda: now, lambda _: None)


def bodies(transport: Sharing) -> dict[str, object]:
    """Return what is told."""
    return {item.name: item.body for item in transport.read((), ()).items.values()}


def expected(*indicators: Indicator) -> dict[str, object]:
    """Return what should be told."""
    return {one.name: one.model_dump(mode="json") for one in indicators}


def test_what_is_told_is_read_back(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) All that is said arrives; telling it again sends nothing but what the collection lacks."""
    transport = open_transport(connection, MANIFEST)
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    held = dict(stub.objects)
    told(transport, *one_of_each())
    assert stub.objects == held


def test_pages_and_pending_answers(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) A collection is read page by page, and a status is asked for until the server is done."""
    stub.page, stub.pending = 2, 3
    waits: list[float] = []
    transport = sharing(connection, waits)
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    assert waits == [0.2, 0.4, 0.8]


def test_a_server_that_never_finishes(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) After a bounded number of questions it is said that the objects are still pending."""
    stub.pending = 1000
    with pytest.raises(SystemRefusedError, match="still pending"):
        told(sharing(connection), made())


def test_envelopes_fit(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) No envelope is longer than max_content_length; an object that is longer alone is named."""
    stub.longest = 4000
    transport = sharing(connection)
    told(transport, *one_of_each())
    assert len(stub.posts) > 2
    assert bodies(transport) == expected(*one_of_each())
    with pytest.raises(SystemRefusedError, match=r"'user_agent xxx.* has 4,\d\d\d bytes, the server takes 4,000"):
        told(transport, made("user_agent", "x" * 2000))
    assert [len(one["objects"]) for one in envelopes([{"id": str(n)} for n in range(1001)], 10**9)] == [500, 500, 1]


def test_a_refused_object_is_named(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) A failure that the status names is an error, and the record is not written."""
    transport = sharing(connection)
    told(transport, made())
    name = next(name for name, _ in stub.objects if name.startswith("indicator"))
    stub.refuse[name] = "policy"
    transport.create(indicator_items((made(confidence=1),))[0])
    with pytest.raises(SystemRefusedError, match=f"refused 1 objects; {name}: policy"):
        transport.save(deployment(2))
    assert [one.number for one in transport.read((), ()).deployments] == [1]
    stub.refuse.clear()
    again = sharing(connection)
    told(again, made(confidence=1))
    assert bodies(again) == expected(made(confidence=1))


@pytest.mark.parametrize("requests", range(2, 10))
def test_a_run_that_was_cut_off_is_finished_by_the_next(connection: Connection, stub: TaxiiStub, requests: int) -> None:
    """(Stub.) Whichever request is the last one, the next run tells all of it, and nothing twice."""
    stub.longest = 2500
    with pytest.raises(SystemRefusedError, match="answered 403"):
        told(Sharing(cut_after(requests, connection), Records(Path(connection.options["state"]))), *one_of_each())
    transport = sharing(connection)
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    versions = [name for name, _ in stub.objects]
    assert len(versions) == len(set(versions))


def test_taken_back_and_told_again(connection: Connection) -> None:
    """(Stub.) The stub refuses a later version of a revoked object, so a new one is told."""
    transport = sharing(connection)
    told(transport, made())
    transport.delete(transport.read((), ()).items["indicator", made().name])
    transport.save(deployment(2))
    assert bodies(transport) == {}
    told(transport, made())
    assert bodies(transport) == expected(made())


def test_faults_that_pass_are_sat_out(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) A storm of 429 and 503, cut connections and empty bodies cost time, not data; Retry-After is heard."""
    stub.faults.storm += [Answer(429, b"{}", headers={"Retry-After": "7"}), Answer(503, b"busy"), Answer(502)]
    stub.faults.cut_every, stub.faults.empty_every, stub.fail_known = 3, 4, True
    waits: list[float] = []
    transport = sharing(connection, waits)
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    assert max(waits) == 7
    stub.faults.cut_every = stub.faults.empty_every = 0
    stub.faults.storm += [Answer(503)] * 6
    with pytest.raises(SystemRefusedError, match="answered 503"):
        transport.read((), ())


def test_a_token_that_runs_out_is_read_anew(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) A 401 makes us ask once more for the secret; one that is still wrong is an error without the secret."""
    old = Credential("basic", "writer", "expired-one", "test", again=lambda: BASIC)
    told(sharing(replace(connection, credential=old)), made())
    with pytest.raises(UsageError, match="beyond ASCII"):
        sharing(replace(connection, credential=Credential("bearer", "", "ключ", "test"))).read((), ())
    wrong = Credential("basic", "writer", "expired-one", "test")
    with pytest.raises(SystemRefusedError, match="answered 401") as caught:
        sharing(replace(connection, credential=wrong)).read((), ())
    assert "expired-one" not in f"{caught.value!r}{caught.value}"


def test_certificates_are_verified(connection: Connection) -> None:
    """(Stub.) Without the authority's file the stub is not spoken to."""
    with pytest.raises(SystemRefusedError, match="CERTIFICATE_VERIFY_FAILED"):
        sharing(replace(connection, ca_file=None)).read((), ())
    assert bodies(sharing(replace(connection, ca_file=None, insecure=True))) == {}
    with pytest.raises(UsageError, match="certificate cannot be read"):
        sharing(replace(connection, ca_file=Path(__file__)))


def test_doctor_says_what_is_wrong(connection: Connection, stub: TaxiiStub) -> None:
    """(Stub.) Version, limit and rights are looked at, and what is wrong has a hint."""
    stub.can_write = False
    found = {one.subject: (one.ok, one.found) for one in diagnose(connection, MANIFEST)}
    assert found == {
        "version": (True, MEDIA_TYPE),
        "max_content_length": (True, "100000"),
        "permission can_read": (True, "true"),
        "permission can_write": (False, "false"),
    }
    with pytest.raises(SystemRefusedError, match="may not write"):
        told(sharing(connection), made())


def test_hostile_lists_arrive(connection: Connection) -> None:
    """(Stub.) Hostile user agents are read back as they were told."""
    agents = [made("user_agent", text, description=text) for text in hostile_texts(fit=an_agent)]
    told(sharing(connection), *agents)
    assert bodies(sharing(connection)) == expected(*agents)


def test_the_collection_has_to_be_said(connection: Connection) -> None:
    """Without the id of a collection there is nowhere to go."""
    with pytest.raises(UsageError, match="no id of a collection"):
        open_transport(replace(connection, options={}), MANIFEST)


def test_a_real_server_takes_it(tmp_path: Path) -> None:
    """(medallion 3.) What is told is read back, twice over, through paging of the server's own making."""
    with medallion(tmp_path, COLLECTION, "writer", "secret") as url:
        options = {"collection": COLLECTION, "state": str(tmp_path / "state"), "identity": "Example"}
        connection = Connection(url, BASIC, insecure=True, options=options)
        transport = sharing(connection)
        told(transport, *one_of_each())
        assert bodies(transport) == expected(*one_of_each())
        told(transport, made(count=9), *one_of_each()[1:])
        assert bodies(transport) == expected(made(count=9), *one_of_each()[1:])
