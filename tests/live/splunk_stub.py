"""A server that takes the calls of `keytrip.export.live.splunk`; searches run on the small machine."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from engines.spl_machine import indexed, run, text_of


class SplunkStub:
    """Events and collections in memory.

    Attributes:
        url: Where it listens, while a `with` lasts.
        indexes: Names of the indexes.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.lookups: dict[str, str] = {}
        self.indexes: set[str] = set()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*stub.post(self.path.partition("?")[0], body))

            def do_DELETE(self) -> None:
                stub.delete(self.path.partition("?")[0])
                self._answer(200, "{}")

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def delete(self, path: str) -> None:
        """Empty a collection, or remove what is at a path."""
        kind, name = path.split("/")[-2:]
        if kind == "data":
            self.collections[name] = []
        elif kind == "config":
            del self.collections[name]
        elif kind == "lookups":
            del self.lookups[name]
        else:
            self.indexes.remove(name)
            self.events = [event for event in self.events if event["index"] != name]

    def post(self, path: str, body: str) -> tuple[int, str]:
        """Return the status and the answer to a request."""
        if path == "/services/collector/event":
            envelopes = [json.loads(line) for line in body.splitlines()]
            assert {e["index"] for e in envelopes} <= self.indexes
            metadata = [{k: e[k] for k in ("index", "sourcetype", "host") if k in e} for e in envelopes]
            self.events += [{**e, **m} for e, m in zip(indexed(envelopes), metadata, strict=True)]
            return 200, '{"text": "Success", "code": 0}'
        if path.endswith("/batch_save"):
            name = path.split("/")[-2]
            self.collections[name] += json.loads(body)
            return 200, "[]"
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if path.endswith("/search/jobs"):
            assert form["exec_mode"] == "oneshot", "the answer holds the rows"
            return 200, json.dumps({"results": self._rows(form), "messages": []})
        return self._made(path, form)

    def _made(self, path: str, form: dict[str, str]) -> tuple[int, str]:
        if path.endswith("/data/indexes"):
            if form["name"] in self.indexes:
                return 409, '{"messages": [{"text": "exists"}]}'
            self.indexes.add(form["name"])
        elif path.endswith("/data/transforms/lookups"):
            assert form["case_sensitive_match"] == "true", "key ids differ by case"
            self.lookups[form["name"]] = form["collection"]
        elif path.endswith("/storage/collections/config"):
            if form["name"] in self.collections:
                return 409, '{"messages": [{"text": "exists"}]}'
            self.collections[form["name"]] = []
        return 201, "{}"

    def _rows(self, form: dict[str, str]) -> list[dict[str, str]]:
        text = form["search"].removeprefix("search ")
        if counted := re.fullmatch(r'index=(\w+) (?:host="(\w+)" )?\| stats count', text):
            asked = [e for e in self.events if e["index"] == counted[1] and counted[2] in {None, e.get("host")}]
            return [{"count": str(len(asked))}]
        lookups = {name: self.collections[collection] for name, collection in self.lookups.items()}
        found = run(text, self.events, lookups)
        return [{name: text_of(value) for name, value in row.items() if value is not None} for row in found]
