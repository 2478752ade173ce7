"""Requests straight into the stub, without a socket: hundreds of whole applies, each killed somewhere else."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stubs.https import Request
from stubs.splunk import SplunkStub

from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.splunk.client import Client, Patience
from keytrip.export.splunk.transport import SplunkTransport


class KilledError(BaseException):
    """Stands for a kill: nothing catches it, and no request after it gets out."""


class Wire:
    """A handler of requests.

    Attributes:
        sent: Requests so far.
        kill_at: The first request that does not get out; 0 for none.
    """

    def __init__(self, stub: SplunkStub, kill_at: int = 0) -> None:
        self.stub, self.kill_at, self.sent = stub, kill_at, 0

    def __call__(self, url: str, message: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Answer a request."""
        self.sent += 1
        if self.kill_at and self.sent >= self.kill_at:
            raise KilledError
        parts = urlsplit(url)
        segments = tuple(unquote(part) for part in parts.path.split("/") if part)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in message["headers"]}
        body = bytes(message.get("body") or b"")
        answer = self.stub.handle(Request(message["method"], segments, query, headers, body))
        head = list(answer.headers.items())
        return {"status": answer.status, "reason": "", "headers": head, "body": BytesIO(answer.body)}


def wired(wire: Wire) -> SplunkTransport:
    """Return a transport over a wire."""
    secret = wire.stub.user.secret
    options = {"app": "keytrip"}
    connection = Connection("https://localhost:8089", Credential("bearer", secret=secret), options=options)
    return SplunkTransport(Client(connection, Patience(sleep=lambda _: None), wire), options)
