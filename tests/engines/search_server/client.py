"""The few calls that tests make to a search server, over plain HTTP: an official client is for one version of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from itertools import islice
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

from keytrip.export.layout import elastic_data_stream, elastic_index_template

TIMEOUT_SECONDS = 60
BULK_DOCUMENTS = 2000
Document = Mapping[str, object]


class SearchError(RuntimeError):
    """The server refused a request, or answered only a part of it."""


class _WithoutWarnings(HTTPResponse):
    """An answer whose `Warning` headers are not read.

    ES|QL sends one for each text that is no address, and `http.client` takes no more than a hundred headers.
    """

    def begin(self) -> None:
        """Read the status and the headers."""
        readline = self.fp.readline

        def unwarned(limit: int = -1, /) -> bytes:
            while (line := readline(limit)).lower().startswith(b"warning:"):
                pass
            return line

        self.fp.readline = unwarned  # type: ignore[method-assign]
        super().begin()


@dataclass(frozen=True)
class SearchClient:
    """A server to load and to ask.

    Attributes:
        url: Where it listens.
        authorization: The header of that name; empty: none.
        context: What is trusted, over https.
        namespace: The last part of the data streams' names.
    """

    url: str
    authorization: str = field(default="", repr=False)
    context: SSLContext | None = field(default=None, repr=False)
    namespace: str = "test"

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return the parsed answer; `body` is sent as JSON, text as it is (NDJSON for bulk).

        Raises:
            SearchError: The status is no success; the message is the server's.
        """
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        connection = self._connection()
        try:
            headers = {} if body is None else {"Content-Type": kind}
            headers |= {"Authorization": self.authorization} if self.authorization else {}
            connection.request(
                method, urlsplit(self.url).path.rstrip("/") + path, None if body is None else text.encode(), headers
            )
            response = connection.getresponse()
            answer = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise SearchError(f"{method} {path}: {response.status} {_reason(answer)}")
        return json.loads(answer)

    def _connection(self) -> HTTPConnection:
        address = urlsplit(self.url)
        secure = address.scheme == "https"
        connection = (
            HTTPSConnection(address.netloc, timeout=TIMEOUT_SECONDS, context=self.context)
            if secure
            else HTTPConnection(address.netloc, timeout=TIMEOUT_SECONDS)
        )
        connection.response_class = _WithoutWarnings
        return connection

    def load(self, table: str, documents: Iterable[Document]) -> None:
        """Make `documents` the only content of a canonical table's data streams, mapped by keytrip's own template."""
        stream = elastic_data_stream(table, self.namespace)
        self.call("PUT", f"/_index_template/keytrip-{table}", elastic_index_template(table))
        self._empty(stream)
        self._bulk(stream, "create", documents)

    def load_usage(self, documents: Iterable[Document]) -> None:
        """Make `documents` the only usage events."""
        self.load("usage", documents)

    def load_lookup(self, name: str, mapping: Document, documents: Iterable[Document]) -> None:
        """Make the index `name` anew from the body `mapping`, with `documents` in it."""
        if self._resolve(name)["indices"]:
            self.call("DELETE", f"/{name}")
        self.call("PUT", f"/{name}", mapping)
        self._bulk(name, "index", documents)

    def esql(
        self, query: str, start: datetime | str | None = None, end: datetime | str | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of an ES|QL query over the events with start <= @timestamp < end, either bound optional.

        Raises:
            SearchError: The query is wrong, or the answer is not whole.
        """
        bounds = {sign: _text(bound) for sign, bound in (("gte", start), ("lt", end)) if bound is not None}
        window = {"filter": {"range": {"@timestamp": bounds}}} if bounds else {}
        answer = self.call("POST", "/_query", {"query": query, **window})
        if answer["is_partial"]:
            raise SearchError("POST /_query: the answer is not whole")
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row, strict=True)) for row in answer["values"]]

    def _empty(self, stream: str) -> None:
        """Leave the data stream there and without documents; deleting one takes a module that this server lacks."""
        if not self._resolve(stream)["data_streams"]:
            # a data stream is born with its first document
            self._bulk(stream, "create", [{"@timestamp": "1970-01-01T00:00:00Z"}])
        rolled = self.call("POST", f"/{stream}/_rollover")
        self.call("DELETE", f"/{rolled['old_index']}")

    def _resolve(self, name: str) -> Any:
        return self.call("GET", f"/_resolve/index/{name}*")

    def _bulk(self, index: str, action: str, documents: Iterable[Document]) -> None:
        for lines in _chunks(documents, action):
            answer = self.call("POST", f"/{index}/_bulk", lines)
            if answer["errors"]:
                errors = (item[action]["error"] for item in answer["items"] if "error" in item[action])
                raise SearchError(f"{index} refused a document: {next(errors)}")
        self.call("POST", f"/{index}/_refresh")


def _chunks(documents: Iterable[Document], action: str) -> Iterator[str]:
    """Yield the documents as bodies of bulk requests."""
    rest = iter(documents)
    while chunk := list(islice(rest, BULK_DOCUMENTS)):
        yield "".join(f'{{"{action}": {{}}}}\n{json.dumps(document)}\n' for document in chunk)


def _text(bound: datetime | str) -> str:
    return bound if isinstance(bound, str) else bound.isoformat()


def _reason(answer: str) -> str:
    """Return the reasons out of an error, or its text where it has none."""
    try:
        error = json.loads(answer)["error"]
        return "; ".join(cause["reason"] for cause in error["root_cause"])
    except (ValueError, KeyError, TypeError):
        return answer[:1000]
