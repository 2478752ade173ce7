"""A stub of splunkd for each test, and our transport to it. No real Splunk is used here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from stubs.splunk import SplunkStub, User, running

from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.splunk.client import Client, Patience
from keytrip.export.splunk.transport import SplunkTransport


class Start(Protocol):
    """Starts a stub."""

    def __call__(self, **settings: Any) -> SplunkStub:
        """Return one that runs."""
        ...


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the certificates of all stubs."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture
def start(certificates: Path) -> Iterator[Start]:
    """Start stubs that stop with the test; their settings are those of `SplunkStub`."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> SplunkStub:
            user = settings.pop("user", None) or User("engineer", secrets.token_hex(16))
            return stack.enter_context(running(SplunkStub(user, **settings), certificates))

        yield begin


def connect(stub: SplunkStub, **options: str) -> Connection:
    """Return the connection that a stub's user has."""
    kinds = {"bearer": Credential("bearer", secret=stub.user.secret)}
    if stub.user.kind == "basic":
        name, _, password = stub.user.secret.partition(":")
        kinds["basic"] = Credential("basic", name, password)
    return Connection(
        stub.url, kinds[stub.user.kind], ca_file=stub.ca_file, timeout=10, options={"app": "keytrip", **options}
    )


def client_of(stub: SplunkStub, waits: list[float] | None = None, **options: str) -> Client:
    """Return a client that writes its waits down instead of waiting."""
    said: list[float] = [] if waits is None else waits
    return Client(connect(stub, **options), Patience(sleep=said.append))


def transport_of(stub: SplunkStub, **options: str) -> SplunkTransport:
    """Return a transport that waits for nothing."""
    return SplunkTransport(client_of(stub, **options), options)
