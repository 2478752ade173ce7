"""What `keytrip doctor` finds out about a Splunk, against the stub of splunkd."""

from __future__ import annotations

from dataclasses import replace

from stubs.splunk import SplunkStub, User

from keytrip.export.connection import Connection
from keytrip.export.manifest import Manifest
from keytrip.export.splunk import diagnose, open_transport

from .conftest import Start, connect

MANIFEST = Manifest(name="splunk", about="", transport="splunk", options={"app": "keytrip"})


def _bad(connection: Connection) -> dict[str, str]:
    return {f.subject: f.hint for f in diagnose(connection, MANIFEST) if not f.ok}


def _found(stub: SplunkStub) -> dict[str, str]:
    return {f.subject: f.found for f in diagnose(connect(stub), MANIFEST)}


def test_all_is_well(start: Start) -> None:
    """Connection, version, KV store, user, capabilities, app and limits are each told."""
    stub = start()
    found = _found(stub)
    assert not _bad(connect(stub))
    assert found["connection"] == "Splunk 10.2.3 (stub)"
    assert found["user"] == "engineer with roles keytrip"
    assert found["limits of the KV store"] == "1000 documents and 8 MB a batch"


def test_what_lacks_is_told_with_what_to_do(start: Start) -> None:
    """An old server, a KV store that is down, a capability, an app: each has its hint."""
    stub = start(version="8.2.1", kv_status="failed", user=User("engineer", "t", capabilities=frozenset()))
    bad = _bad(connect(stub))
    assert "Splunk 9" in bad["version"]
    assert "kvstore-status" in bad["KV store"]
    assert "authorize.conf" in bad["capability schedule_search"]
    assert "capability search" not in bad
    assert "--option app" in _bad(connect(stub, app="nowhere"))["app nowhere"]


def test_no_connection_and_a_refused_token_end_it(start: Start) -> None:
    """Each is the only finding: nothing else can be asked."""
    stub = start()
    assert list(_bad(replace(connect(stub), proxy="socks5://x"))) == ["connection"]
    connection = connect(stub)
    stub.user.secret += "changed"
    assert "expired" in _bad(connection)["connection"]


def test_the_transport_opens_without_a_request(start: Start) -> None:
    """Nothing is asked before something is wanted."""
    stub = start()
    transport = open_transport(connect(stub), MANIFEST)
    assert list(transport.kinds) == ["indicator_list", "lookup", "macro", "saved_search"]
    assert not stub.log
