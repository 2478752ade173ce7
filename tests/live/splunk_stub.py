"""A server that takes the calls of `splunk_client`; searches run on the small machine."""

from __future__ import annotations

import json
import re
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from engines.spl_machine import run, text_of


class SplunkStub:
    """Events and collections in memory.

    Attributes:
        url: Where it listens, while a `with` lasts.
        context: What a client trusts; there is no https here.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.collections: dict[str, list[dict[str, Any]]] = {}
        self.lookups: dict[str, str] = {}
        self.context = ssl.create_default_context()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer(*stub.post(self.path.partition("?")[0], body))

            def do_DELETE(self) -> None:
                stub.collections[self.path.rpartition("/")[2]] = []
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

    def post(self, path: str, body: str) -> tuple[int, str]:
        """Return the status and the answer to a request."""
        if path == "/services/collector/event":
            envelopes = [json.loads(line) for line in body.splitlines()]
            self.events += [{**e["event"], "_time": e["time"], "sourcetype": e["sourcetype"]} for e in envelopes]
            return 200, '{"text": "Success", "code": 0}'
        if path.endswith("/batch_save"):
            name = path.split("/")[-2]
            self.collections[name] += json.loads(body)
            return 200, "[]"
        form = {name: values[0] for name, values in parse_qs(body).items()}
        if path.endswith("/search/v2/jobs/export"):
            return 200, "".join(json.dumps({"preview": False, "result": row}) + "\n" for row in self._rows(form))
        return self._made(path, form)

    def _made(self, path: str, form: dict[str, str]) -> tuple[int, str]:
        if path.endswith("/data/transforms/lookups"):
            assert form["case_sensitive_match"] == "true", "key ids differ by case"
            self.lookups[form["name"]] = form["collection"]
        elif path.endswith("/storage/collections/config"):
            if form["name"] in self.collections:
                return 409, '{"messages": [{"text": "exists"}]}'
            self.collections[form["name"]] = []
        return 201, "{}"

    def _rows(self, form: dict[str, str]) -> list[dict[str, str]]:
        text = form["search"].removeprefix("search ")
        if re.fullmatch(r"index=keytrip \| stats count", text):
            return [{"count": str(len(self.events))}]
        lookups = {name: self.collections[collection] for name, collection in self.lookups.items()}
        found = run(text, self.events, lookups)
        return [{name: text_of(value) for name, value in row.items() if value is not None} for row in found]
