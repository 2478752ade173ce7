"""A proxy in front of a real search server: TLS, API keys, and faults that a healthy server does not have.

Whole requests fail as `stubs.https.Faults` says. Besides, one bulk item of `items_every` is not sent on and answered
with a status of `item_statuses`, so that the real server holds what a half-failed bulk leaves behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from stubs.https import Answer, Faults, Request, https_server

_PASSED_ON = ("content-type", "accept")


@dataclass
class SearchProxy:
    """One proxy.

    Attributes:
        target: URL of the real server.
        key: API key that it asks for; empty for none.
        items_every: Every so many bulk items one fails; 0 for none.
        item_statuses: What they fail with, in turn.
        refused: Items that failed so far.
        log: (method, path, status) of each request.
    """

    target: str
    key: str = ""
    items_every: int = 0
    item_statuses: Sequence[int] = (429, 503)
    faults: Faults = field(default_factory=Faults)
    refused: int = 0
    items: int = 0
    bytes_sent: int = 0
    log: list[tuple[str, str, int]] = field(default_factory=list)
    url: str = ""
    ca_file: Path = Path()

    def handle(self, request: Request) -> Answer:
        """Answer one request, by the real server's word."""
        if self.key and request.headers.get("authorization") != f"ApiKey {self.key}":
            return Answer(401, b'{"error": {"reason": "unable to authenticate"}, "status": 401}')
        bulk = request.segments[-1:] == ("_bulk",) and self.items_every
        answer = self._bulk(request) if bulk else self._passed(request, request.body)
        self.log.append((request.method, "/" + "/".join(request.segments), answer.status))
        return answer

    def _passed(self, request: Request, body: bytes) -> Answer:
        self.bytes_sent += len(body)
        connection = HTTPConnection(urlsplit(self.target).netloc, timeout=60)
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        query = f"?{urlencode(request.query)}" if request.query else ""
        try:
            connection.request(request.method, "/" + "/".join(request.segments) + query, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        told = {name: value for name in ("X-Elastic-Product",) if (value := response.headers.get(name))}
        return Answer(response.status, content, response.headers.get("Content-Type") or "", told)

    def _bulk(self, request: Request) -> Answer:
        """Send on what does not fail, and put the answers of what does in their places."""
        statuses, passed, failed = cycle(self.item_statuses), [], {}
        for place, (head, lines) in enumerate(_items(request.body)):
            self.items += 1
            if self.items % self.items_every == 0:
                ((action, named),) = json.loads(head).items()
                failed[place] = {action: {"_id": named["_id"], "status": next(statuses), "error": {"reason": "busy"}}}
            else:
                passed.append(lines)
        self.refused += len(failed)
        answer = self._passed(request, b"".join(passed)) if passed else Answer(200, b'{"errors": false, "items": []}')
        body = json.loads(answer.body)
        for place, item in sorted(failed.items()):
            body["items"].insert(place, item)
        body["errors"] = body["errors"] or bool(failed)
        return Answer(answer.status, json.dumps(body).encode(), answer.content_type, answer.headers)


@contextmanager
def search_proxy(folder: Path, target: str, **settings: Any) -> Iterator[SearchProxy]:
    """Run a proxy for as long as the `with` lasts."""
    proxy = SearchProxy(target, **settings)
    with https_server(proxy.handle, folder, proxy.faults) as (proxy.url, proxy.ca_file):
        yield proxy


def _items(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (head, head and source) of each item of a bulk body."""
    lines = iter(body.splitlines(keepends=True))
    for head in lines:
        yield head, head if b'"delete"' in head[:12] else head + next(lines)
