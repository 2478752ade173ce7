"""Requests to splunkd: JSON in and out, retried with patience, refusals in words. Built on splunk-sdk's `Context`."""

from __future__ import annotations

import json
import random
import re
import ssl
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.splunk.wire import DROPPED, Handler, handler_for

if TYPE_CHECKING:
    from keytrip.export.connection import Connection
    from keytrip.export.credentials import Credential

AGAIN = frozenset({429, 500, 502, 503, 504})
_OK = range(200, 300)
_GONE, _DENIED = 404, 401
# A body, and whether it is JSON; None for a request without one.
Sent = tuple[bytes, bool] | None
_MOST_TEXT = 500
_HINTS = {
    400: "this Splunk wants it otherwise; see docs/exporters_splunk.md",
    401: "the token or password is refused: it may have expired, or token authentication is off",
    403: "give the user the role of exporters/splunk/authorize.conf, and write permission in the app",
    404: "look for the app with `keytrip doctor`; --option app=NAME names another",
    409: "someone made it at the same time; run it again",
}


class SplunkRefusedError(SystemRefusedError):
    """Splunk said no.

    Attributes:
        status: Of HTTP, or 0 where there was no answer.
        text: Splunk's own message.
    """

    def __init__(self, message: str, status: int, text: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint or _HINTS.get(status, "try again later"))
        self.status, self.text = status, text


@dataclass(frozen=True)
class Patience:
    """How long a client goes on.

    Attributes:
        tries: Requests, the first one among them.
        first, longest: Seconds of the first wait, which doubles each time, and of the longest.
        sleep, chance: The clock and the dice; the wait is between half and all of its length.
    """

    tries: int = 6
    first: float = 0.5
    longest: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def wait(self, number: int, asked: str | None) -> None:
        """Wait after the failure of try `number` (from 0), at least as long as the server asked for."""
        seconds = min(self.longest, self.first * 2**number) * (0.5 + self.chance() / 2)
        least = float(asked) if asked and asked.isascii() and asked.isdigit() else 0.0
        self.sleep(max(seconds, min(least, 10 * self.longest)))


@dataclass(frozen=True)
class Reply:
    """An answer, or in `status` 0 why there is none."""

    status: int
    body: bytes
    retry_after: str | None = None


class Client:
    """One app of one Splunk; `handler` carries out the requests, and is ours unless a test has its own.

    Attributes:
        app: Its name.
        repeated: Whether the last request was carried out more than once, perhaps.
        parses: Whether this Splunk parses searches for us; set to False when it said no.
    """

    def __init__(
        self, connection: Connection, patience: Patience | None = None, handler: Handler | None = None
    ) -> None:
        self.app = connection.options.get("app") or "keytrip"
        self.patience = patience or Patience()
        self.repeated = False
        self.parses = True
        self._connection = connection
        if handler is None:
            handler, close = handler_for(connection)
            weakref.finalize(self, close)
        self._handler = handler
        self._context = _context(connection, connection.credential, self.app, self._handler)

    def get(self, *path: str, app: str | None = None, query: Mapping[str, str] | None = None) -> Any:
        """Return what is at a path of the app; `app` names another, and `-` all.

        Raises:
            SplunkRefusedError: Splunk refuses, or goes on failing.
        """
        return self._json("GET", path, app, query or {}, None)

    def post(self, *path: str, form: Mapping[str, str] | None = None, data: bytes | None = None) -> Any:
        """Send a form, or JSON.

        Raises:
            SplunkRefusedError: Splunk refuses, or goes on failing.
        """
        body = urlencode({"output_mode": "json", **(form or {})}).encode() if data is None else data
        return self._json("POST", path, None, {}, (body, data is not None))

    def delete(self, *path: str, query: Mapping[str, str] | None = None) -> bool:
        """Remove what is at a path; whether it was there.

        Raises:
            SplunkRefusedError: Splunk refuses, or goes on failing.
        """
        try:
            self._json("DELETE", path, None, query or {}, None)
        except SplunkRefusedError as error:
            if error.status != _GONE:
                raise
            return False
        return True

    def _json(self, method: str, path: Sequence[str], app: str | None, query: Mapping[str, str], sent: Sent) -> Any:
        what = f"{method} {'/'.join(path)}"
        reply = self._patiently(lambda: self._once(method, path, app, query, sent), empty_is_fine=method == "DELETE")
        if reply.status not in _OK:
            raise _refusal(what, reply)
        if not reply.body and method == "DELETE":
            return {}
        try:
            return json.loads(reply.body)
        except ValueError:
            raise SplunkRefusedError(f"{what}: the answer is no JSON", 0, hint="is this Splunk's port 8089?") from None

    def _patiently(self, once: Callable[[], Reply], *, empty_is_fine: bool) -> Reply:
        self.repeated = False
        renewed = False
        for number in range(self.patience.tries):
            reply = once()
            if reply.status == _DENIED and not renewed and self._renew():
                renewed = True
                continue
            failed = reply.status in AGAIN or reply.status == 0
            empty = reply.status in _OK and not reply.body and not empty_is_fine
            if not failed and not empty:
                return reply
            self.repeated = self.repeated or reply.status not in {429, 503}
            if number + 1 < self.patience.tries:
                self.patience.wait(number, reply.retry_after)
        return reply if failed else Reply(0, b"the answer was empty")

    def _renew(self) -> bool:
        """Read the secret anew where it can change; whether it did."""
        again = self._connection.credential.again
        if again is None:
            return False
        credential, before = again(), self._connection.credential
        self._connection = replace(self._connection, credential=credential)
        self._context = _context(self._connection, credential, self.app, self._handler)
        return credential.secret != before.secret

    def _once(self, method: str, path: Sequence[str], app: str | None, query: Mapping[str, str], sent: Sent) -> Reply:
        from splunklib.binding import HTTPError, UrlEncoded

        place = UrlEncoded("/".join(quote(part, safe="") for part in path), skip_encode=True)
        space = {"owner": "-" if app == "-" else "nobody", "app": app or self.app}
        try:
            if sent is None:
                ask = self._context.get if method == "GET" else self._context.delete
                answer = ask(place, **space, **query, output_mode="json")
            else:
                headers = [("Content-Type", "application/json")] if sent[1] else []
                # the SDK parses a body as JSON to hide secrets in a log that nobody writes; not if it is a view
                answer = self._context.post(place, **space, headers=headers, body=memoryview(sent[0]))
        except HTTPError as error:
            after = {k.lower(): v for k, v in error.headers}.get("retry-after")
            return Reply(error.status, error.body, after)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate is not trusted: {error.verify_message}"
            raise SplunkRefusedError(problem, 0, hint="name its authority with --ca-file") from None
        except DROPPED as error:
            return Reply(0, f"no answer ({type(error).__name__})".encode())
        return Reply(answer.status, answer.body.read())


def _context(connection: Connection, credential: Credential, app: str, handler: Any) -> Any:
    from splunklib.binding import Context

    parts = urlsplit(connection.url)
    if parts.path.strip("/"):
        raise UsageError("--url goes on after the port", hint="such as https://splunk.example:8089")
    known: dict[str, dict[str, Any]] = {
        "bearer": {"splunkToken": credential.secret},
        "basic": {"username": credential.user, "password": credential.secret, "basic": True},
        "client_cert": {},
        "none": {},
    }
    if credential.kind not in known:
        raise UsageError(f"Splunk takes no {credential.kind}", hint="set KEYTRIP_SPLUNK_TOKEN to a token")
    # Context and not Service: the latter asks the server things at every turn
    return Context(
        handler=handler,
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or 8089,
        owner="nobody",
        app=app,
        verify=True,
        **known[credential.kind],
    )


def _refusal(what: str, reply: Reply) -> SplunkRefusedError:
    text = _message(reply.body)
    if reply.status == 0:
        return SplunkRefusedError(f"{what}: {text}", 0, text, "is it Splunk's port 8089, and may we reach it?")
    return SplunkRefusedError(f"{what}: Splunk refused ({reply.status}): {text}", reply.status, text)


def _message(body: bytes) -> str:
    """Return Splunk's own words on one line, of JSON or XML; they may repeat what we sent, so not all of them."""
    text = body.decode("utf-8", "replace")
    try:
        found = [str(message.get("text", "")) for message in json.loads(text)["messages"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        found = re.findall(r"<msg[^>]*>(.*?)</msg>", text, re.DOTALL) or [text]
    shown = "".join(c if c.isprintable() else " " for c in "; ".join(found))
    return shown[:_MOST_TEXT].strip() or "no reason given"
