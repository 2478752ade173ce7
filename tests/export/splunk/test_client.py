"""The client of Splunk's REST API, against the stub of splunkd: TLS, credentials, retries, refusals."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from stubs.https import Answer
from stubs.proxy import tunnelling
from stubs.splunk import SplunkStub, User

from keytrip.errors import KeytripError, SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.splunk.client import Client, Patience
from keytrip.export.splunk.wire import tls_context

from .conftest import Start, client_of, connect

_BUSY = Answer(503, b'{"messages":[{"type":"ERROR","text":"busy"}]}')


def _version(client: Client) -> str:
    return str(client.get("server", "info")["entry"][0]["content"]["version"])


def _quick(connection: Connection) -> Client:
    return Client(connection, Patience(sleep=lambda _: None))


def test_a_certificate_that_nobody_vouches_for_is_refused(start: Start) -> None:
    """TLS is verified unless the user says otherwise: the SDK's own default is not to."""
    connection = connect(start())
    with pytest.raises(SystemRefusedError, match="--ca-file") as error:
        _version(_quick(replace(connection, ca_file=None)))
    assert connection.credential.secret not in str(error.value)
    assert _version(_quick(replace(connection, ca_file=None, insecure=True)))


def test_the_name_in_the_certificate_counts(start: Start) -> None:
    """A certificate of another host is refused."""
    connection = connect(start())
    with pytest.raises(SystemRefusedError, match="certificate is not trusted"):
        _version(_quick(replace(connection, url=connection.url.replace("localhost", "127.0.0.1"))))


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    """A CA file with anything else in it."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(SystemRefusedError, match="certificate or key"):
        tls_context(Connection("https://localhost", ca_file=path))


def test_a_client_certificate_is_shown(start: Start, certificates: Path) -> None:
    """It goes into the TLS context, not into an argument that Python 3.12 no longer has; another key is refused."""
    stub = start()
    files = {"client_cert": certificates / "cert.pem", "client_key": certificates / "cert.key"}
    assert _version(_quick(replace(connect(stub), **files)))
    with pytest.raises(SystemRefusedError, match="certificate or key"):
        tls_context(replace(connect(stub), **{**files, "client_key": certificates / "ca.key"}))


def test_a_password_is_sent_without_a_session(start: Start) -> None:
    """Basic authentication leaves no session behind that someone could take over."""
    stub = start(user=User("engineer", "engineer:pässword", "basic"))
    client = client_of(stub)
    assert client.get("authentication", "current-context")["entry"][0]["content"]["username"] == "engineer"
    assert not [path for _, path in stub.log if "login" in path]


def test_a_key_of_another_kind_is_a_usage_error() -> None:
    """Splunk knows no API keys; an address goes no further than the port."""
    with pytest.raises(UsageError, match="takes no api_key"):
        Client(Connection("https://localhost:8089", Credential("api_key", secret=secrets.token_hex())))
    with pytest.raises(UsageError, match="after the port"):
        Client(Connection("https://localhost:8089/en-US"))


def test_storms_are_waited_out(start: Start) -> None:
    """429 and 503 are tried again, later each time, and at least as late as the server asks."""
    stub, waits = start(), []
    stub.faults.storm += [_BUSY, Answer(429, b"", headers={"Retry-After": "17"}), Answer(502), Answer(500)]
    assert _version(client_of(stub, waits))
    assert len(waits) == 4
    assert waits[1] == 17
    assert 0.25 <= waits[0] <= 0.5
    assert 2 <= waits[3] <= 4


def test_patience_ends(start: Start) -> None:
    """After six tries it is given up, with the server's words."""
    stub = start()
    stub.faults.storm += [_BUSY] * 20
    with pytest.raises(SystemRefusedError, match=r"refused \(503\): busy"):
        _version(client_of(stub))
    assert len(stub.faults.storm) == 14


def test_empty_answers_and_cut_connections_are_tried_again(start: Start) -> None:
    """Both happen behind proxies."""
    stub = start()
    stub.faults.empty_every = 2
    client = client_of(stub)
    assert [_version(client) for _ in range(6)] == ["10.2.3"] * 6
    stub.faults.empty_every, stub.faults.cut_every = 0, 3
    assert [_version(client) for _ in range(9)] == ["10.2.3"] * 9
    stub.faults.cut_every, stub.faults.empty_every = 0, 1
    with pytest.raises(SystemRefusedError, match="empty"):
        _version(client)
    stub.faults.empty_every, stub.faults.cut_every = 0, 1
    with pytest.raises(SystemRefusedError, match="no answer"):
        _version(client)


def test_nobody_there_is_said(start: Start) -> None:
    """A port at which nobody listens."""
    connection = replace(connect(start()), url="https://localhost:1")
    with pytest.raises(SystemRefusedError, match="ConnectionRefusedError"):
        _version(_quick(connection))


def test_answers_that_are_no_json_are_said(start: Start) -> None:
    """Such as the page of a proxy."""
    stub = start()
    stub.faults.storm.append(Answer(200, b"<html>", "text/html"))
    with pytest.raises(SystemRefusedError, match="no JSON"):
        _version(client_of(stub))
    stub.faults.storm.append(Answer(400, b"<html>\x1b[31m" + b"x" * 5000, "text/html"))
    with pytest.raises(SystemRefusedError) as error:
        _version(client_of(stub))
    assert len(str(error.value)) < 1000
    assert "\x1b" not in str(error.value)


def test_a_token_that_expires_is_read_anew_once(start: Start) -> None:
    """A token from a file or a command may have been renewed; one that was not is refused in words."""
    stub = start()
    old = stub.user.secret
    fresh = secrets.token_hex(16)
    given = replace(connect(stub), credential=Credential("bearer", secret=old, again=lambda: _bearer(stub)))
    client = _quick(given)
    assert client.get("authentication", "current-context")
    stub.user.secret = fresh
    assert client.get("authentication", "current-context")
    stub.user.requests_left = 0
    with pytest.raises(SystemRefusedError, match="expired") as error:
        client.get("authentication", "current-context")
    assert fresh not in str(error.value)
    assert fresh not in repr(given)


def _bearer(stub: SplunkStub) -> Credential:
    return Credential("bearer", secret=stub.user.secret, again=lambda: _bearer(stub))


def test_a_proxy_is_tunnelled_through(start: Start) -> None:
    """TLS goes to Splunk through it, so it sees neither token nor data; its own password is sent to it alone."""
    connection = connect(start())
    with tunnelling() as (place, heads):
        client = _quick(replace(connection, proxy=f"http://us%65r:w%40rd@{place}"))
        assert _version(client) == "10.2.3"
        assert _version(client) == "10.2.3"
        del client
    (head,) = heads
    assert head.startswith("CONNECT localhost:")
    assert f"Basic {b64encode(b'user:w@rd').decode()}" in head
    assert connection.credential.secret not in head


def test_a_proxy_is_asked_to_reach_splunk() -> None:
    """A proxy that is not there is named as such; one by another protocol is a usage error."""
    base = Connection("https://splunk.invalid:8089", Credential("bearer", secret=secrets.token_hex()))
    with pytest.raises(SystemRefusedError, match="no answer"):
        _version(_quick(replace(base, proxy="http://user:word@localhost:1")))
    with pytest.raises(UsageError, match="proxy"):
        _version(_quick(replace(base, proxy="socks5://localhost:1")))


def test_refusals_say_what_to_do(start: Start) -> None:
    """401, 403 and 404 each have their hint, in one line."""
    stub = start(user=User("reader", "token", writes=False))
    with pytest.raises(KeytripError, match=r"authorize\.conf"):
        client_of(stub).post("saved", "searches", form={"name": "x", "search": "y"})
    with pytest.raises(KeytripError, match="--option app"):
        client_of(stub, app="nowhere").get("saved", "searches")


def test_arguments_that_splunk_does_not_know_are_refused_by_name(start: Start) -> None:
    """As the real one does, the stub names the argument; the name is one of them in an update."""
    client = client_of(start())
    with pytest.raises(SystemRefusedError, match='Argument "bogus" is not supported'):
        client.post("saved", "searches", form={"name": "x", "search": "y", "bogus": "1"})
    client.post("saved", "searches", form={"name": "x", "search": "y"})
    with pytest.raises(SystemRefusedError, match='Argument "name" is not supported'):
        client.post("saved", "searches", "x", form={"name": "x"})
