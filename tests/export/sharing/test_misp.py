"""A MISP event, against our stub: no MISP runs in the tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from export.sharing.examples import an_agent, hostile, made, one_of_each
from export.sharing.test_stix import deployment, told
from export.sharing.test_taxii import bodies, expected
from hostile import hostile_texts
from hypothesis import HealthCheck, given, settings
from stubs.https import Answer
from stubs.misp import MispStub, misp_stub

from keytrip.errors import ContentError, SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.indicators import indicator_items
from keytrip.export.manifest import Manifest
from keytrip.export.records import Records
from keytrip.export.sharing.misp import GALAXY, EventChannel, diagnose, open_transport
from keytrip.export.sharing.transport import Sharing
from keytrip.export.wire import Answer as Reply

MANIFEST = Manifest(name="misp", about="An event.", transport="misp", credential="api_key")
EVENT = "5d0f2f2c-6b0e-4d6e-9d0c-0a7c1c6c0b11"


def test_hostile_lists_arrive(connection: Connection) -> None:
    """(Stub.) Hostile user agents are read back as they were told; spaces at an end are refused by name."""
    texts = hostile_texts(fit=an_agent)
    agents = [made("user_agent", text, description=text) for text in texts if text == text.strip()]
    told(open_transport(connection, MANIFEST), *agents)
    assert bodies(open_transport(connection, MANIFEST)) == expected(*agents)
    for text in [text for text in texts if text != text.strip()][:20]:
        with pytest.raises(ContentError, match="cuts spaces off"):
            told(open_transport(connection, MANIFEST), made("user_agent", text))


@pytest.fixture
def stub() -> MispStub:
    """A stub with a key of its own."""
    return MispStub(secrets.token_hex(20))


@pytest.fixture
def connection(tmp_path: Path, stub: MispStub) -> Iterator[Connection]:
    """How the stub is reached."""
    with misp_stub(tmp_path / "tls", stub) as (url, authority):
        options = {"event": EVENT, "state": str(tmp_path / "state"), "info": "Example"}
        key = Credential("api_key", "", stub.key, "test")
        yield Connection(url, key, ca_file=authority, timeout=5, options=options)


def test_what_is_told_is_read_back(connection: Connection, stub: MispStub) -> None:
    """Every kind of indicator arrives with all that is said of it; the event is ours alone and tagged."""
    transport = open_transport(connection, MANIFEST)
    assert bodies(transport) == {}
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    event = stub.events[EVENT]
    assert (event["info"], event["distribution"], event["date"]) == ("Example", "0", "2026-04-01")
    assert [tag["name"] for tag in event["Tag"]] == ["tlp:red", GALAXY]
    ids = {one["type"]: one["to_ids"] for one in event["Attribute"].values()}
    assert ids == {"ip-src": True, "domain": True, "url": True, "user-agent": False, "other": False}


def test_a_change_edits_the_same_attribute(connection: Connection, stub: MispStub) -> None:
    """An indicator keeps its UUID; others' attributes in the event stay, and are not ours."""
    transport = open_transport(connection, MANIFEST)
    told(transport, made())
    (ours,) = stub.events[EVENT]["Attribute"]
    other = {"uuid": str(UUID(int=7)), "type": "ip-src", "value": "198.51.100.1", "deleted": False, "comment": "x"}
    stub.events[EVENT]["Attribute"][other["uuid"]] = other
    told(transport, made(confidence=90, description="two\nlines"[:3]))
    assert list(stub.events[EVENT]["Attribute"]) == [ours, other["uuid"]]
    assert bodies(transport) == expected(made(confidence=90, description="two"))


def test_taken_back_and_told_again(connection: Connection, stub: MispStub) -> None:
    """What is taken back is soft-deleted, so that instances which have it learn of it, and can be told again."""
    transport = open_transport(connection, MANIFEST)
    told(transport, made(), made("domain"))
    transport.delete(transport.read((), ()).items["indicator", made().name])
    transport.save(deployment(2))
    assert bodies(transport) == expected(made("domain"))
    assert sum(one["deleted"] for one in stub.events[EVENT]["Attribute"].values()) == 1
    asked = transport.read([("indicator", made().name)], ()).items["indicator", made().name]
    assert asked.body == made(revoked=True).model_dump(mode="json")
    transport.update(indicator_items((made(),))[0], asked)
    transport.save(deployment(3))
    assert bodies(transport) == expected(made(), made("domain"))


def test_an_attribute_that_misp_leaves_out_is_an_error(connection: Connection, stub: MispStub) -> None:
    """MISP answers 200 all the same; the record is not written."""
    stub.refused.add("evil.example")
    transport = open_transport(connection, MANIFEST)
    with pytest.raises(SystemRefusedError, match=r"left out 1 attributes, such as 'evil.example'.*is not valid"):
        told(transport, *one_of_each())
    assert transport.read((), ()).deployments == ()


def test_spaces_at_the_ends_are_refused_by_name(connection: Connection) -> None:
    """MISP would cut them off: another value than the one that was seen."""
    with pytest.raises(ContentError, match="'user_agent curl ': MISP cuts spaces"):
        told(open_transport(connection, MANIFEST), made("user_agent", "curl "))


def test_what_a_person_changed_is_drift(connection: Connection, stub: MispStub) -> None:
    """A comment, a tag or a flag that someone changed in MISP shows in the body, with the time of the change."""
    transport = open_transport(connection, MANIFEST)
    told(transport, made())
    (attribute,) = stub.events[EVENT]["Attribute"].values()
    attribute["Tag"] = [{"name": "tlp:clear"}]
    (item,) = transport.read((), ()).items.values()
    assert item.body == made(tlp="clear").model_dump(mode="json")
    assert item.changed_at == "2023-11-14T22:13:22+00:00"
    attribute["comment"] = 'a\nkeytrip {"kind":"ipv4"}'
    (item,) = transport.read((), ()).items.values()
    assert item.body["description"] == "a"
    assert item.body["count"] == 1
    attribute["comment"] = "a\nkeytrip ["
    assert bodies(transport) == {}


def test_faults_and_refusals(connection: Connection, stub: MispStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm is sat out; a wrong key is told without the key."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    stub.faults.storm += [Answer(429, b"{}"), Answer(503)]
    stub.faults.cut_every = 4
    transport = open_transport(connection, MANIFEST)
    told(transport, *one_of_each())
    assert bodies(transport) == expected(*one_of_each())
    wrong = replace(connection, credential=Credential("api_key", "", "0" * 40, "test"))
    with pytest.raises(SystemRefusedError, match="Authentication failed") as caught:
        open_transport(wrong, MANIFEST).read((), ())
    assert "0" * 40 not in str(caught.value)
    stub.role = {"perm_add": False, "perm_modify": False}
    with pytest.raises(SystemRefusedError, match="do not have permission"):
        told(transport, made(count=9))


def test_doctor_says_what_is_wrong(connection: Connection, stub: MispStub) -> None:
    """Version and rights are looked at; more rights than it takes are told too."""
    stub.role = {"perm_add": True, "perm_modify": False, "perm_site_admin": True}
    found = {one.subject: (one.ok, one.found) for one in diagnose(connection, MANIFEST)}
    assert found == {
        "version": (True, "2.5.34"),
        "permission perm_add": (True, "true"),
        "permission perm_modify": (False, "false"),
        "not perm_site_admin": (False, "true"),
        "not perm_admin": (True, "false"),
    }


def test_a_key_and_an_event_are_needed(connection: Connection) -> None:
    """Without a key no request is made; without an event there is one made of the destination's name."""
    with pytest.raises(UsageError, match="without a key"):
        open_transport(replace(connection, credential=Credential()), MANIFEST)
    odd = Credential("api_key", "", "clé-secrète", "the file x")
    with pytest.raises(UsageError, match="the file x holds a character beyond ASCII") as caught:
        open_transport(replace(connection, credential=odd), MANIFEST).read((), ())
    assert "secr" not in str(caught.value)
    with pytest.raises(UsageError, match="no UUID of an event"):
        open_transport(replace(connection, options={"event": "7"}), MANIFEST)
    assert open_transport(replace(connection, options={}), MANIFEST)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hostile)
def test_a_hostile_value_arrives_or_is_refused(tmp_path: Path, text: str) -> None:
    """(Stub, in the process.) A user agent of any text is read back the same, or refused by name."""
    stub = MispStub("key")

    def send(method: str, path: str, body: object = None) -> Reply:
        from json import dumps, loads

        from stubs.https import Request

        kind = "application/json"
        headers = {"authorization": "key", "accept": kind, "content-type": kind}
        parts = tuple(part for part in path.split("/") if part)
        answer = stub.handle(Request(method, parts, {}, headers, dumps(body).encode()))
        return Reply(answer.status, loads(answer.body))

    transport = Sharing(EventChannel(send, UUID(EVENT)), Records(tmp_path / "state"))
    indicator = made("user_agent", text, description=text)
    if text != text.strip():
        with pytest.raises(ContentError, match="MISP cuts spaces"):
            told(transport, indicator)
        return
    told(transport, indicator)
    assert bodies(transport) == expected(indicator)
