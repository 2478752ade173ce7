"""Requests to a server, whoever sends them: an answer is a value, and what may pass is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from keytrip.errors import SystemRefusedError

UNREACHED = 0
NOT_FOUND = 404
PASSING = frozenset({UNREACHED, 429, 500, 502, 503, 504})
TRIES = 6
_SUCCESS = 2
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_REASON = 400
_HINTS = {
    UNREACHED: "check the address, the CA file and the proxy",
    401: "the credential is not valid, or no longer: make a new one",
    403: "the role lacks a permission: `keytrip doctor` says which",
    413: "the server takes smaller bodies than we send",
    429: "the server is too busy, or its disk is full: try again later",
}


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status; UNREACHED where there was no answer, or only a part of one.
        body: Parsed JSON; a text where it was none.
        retry_after: Seconds that the server asked us to wait, if it did.
    """

    status: int
    body: Any = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return succeeded(self.status)

    @property
    def reason(self) -> str:
        """The server's own words, cut to a length for one line."""
        return _reason(self.body)[:_LONGEST_REASON]


def succeeded(status: int) -> bool:
    """Whether a status is that of a success."""
    return status // 100 == _SUCCESS


@dataclass(frozen=True)
class Raw:
    """A body that is sent as it is, under the content type of JSON."""

    text: str


@dataclass(frozen=True)
class Upload:
    """A file that is sent as a form's field `file`, where the server takes none otherwise."""

    name: str
    text: str


class Send(Protocol):
    """How a request is sent: never raises for what a server or a network does, but for a certificate of nobody."""

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send it; a mapping goes as JSON, a text as it is (NDJSON), `Raw` too, None without a body."""
        ...


Sleep = Callable[[float], None]


def persistent(send: Send, sleep: Sleep = time.sleep, tries: int = TRIES) -> Send:
    """Return `send` with more tries for what may pass: a busy server, a dropped connection, an answer cut off.

    A POST that makes an object under an id of the server's choice must not go through this after a dropped connection:
    it may have been carried out.
    """
    return partial(_sent, send, sleep, tries)


def pause(attempt: int, asked: float | None = None) -> float:
    """Return the seconds to wait after attempt number `attempt` (from 0): twice as long each time, or as asked."""
    own: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311 - no secret
    return max(own, min(asked or 0, 2 * _LONGEST_PAUSE))


def checked(answer: Answer, what: str) -> Any:
    """Return the body of a success.

    Raises:
        SystemRefusedError: It is none; the message says what was asked and what the server said.
    """
    if answer.ok:
        return answer.body
    how = "was not reached" if answer.status == UNREACHED else f"answered {answer.status}"
    raise SystemRefusedError(f"{what}: the server {how}: {answer.reason}", hint=_HINTS.get(answer.status, ""))


def _sent(send: Send, sleep: Sleep, tries: int, method: str, path: str, body: Any = None) -> Answer:
    for attempt in range(tries - 1):
        answer = send(method, path, body)
        if answer.status not in PASSING:
            return answer
        sleep(pause(attempt, answer.retry_after))
    return send(method, path, body)


def _reason(body: Any) -> str:
    """Return the reason out of an error of either product, of which there are several forms."""
    if not isinstance(body, dict):
        return str(body)
    error = body.get("error", body)
    if not isinstance(error, dict) or error is body:
        # Kibana says in `error` what the status is called, and in `message` what is wrong
        return str(body.get("message", error))
    causes = error.get("root_cause") or [error]
    return "; ".join(str(cause.get("reason", cause)) for cause in causes)
