"""An HTTPS server for stubs: certificates made at run time, one thread a connection, and faults on demand."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """One request: path segments and query decoded, the body as it came."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Faults:
    """What goes wrong.

    Attributes:
        storm: Answers that the next requests get instead of being carried out.
        cut_every: Every so many requests the connection is cut: once before the work, the next time after it.
        empty_every: Every so many requests the answer has no body, though the work was done.
        seen: Requests so far.
        connections: How many are open: a killed client's last request may still be carried out.
    """

    storm: list[Answer] = field(default_factory=list)
    cut_every: int = 0
    empty_every: int = 0
    seen: int = 0
    cuts: int = 0
    connections: int = 0

    def settled(self, most: int) -> bool:
        """Wait until at most so many connections are open, for at most half a minute; return whether they are."""
        until = time.monotonic() + 30
        while self.connections > most and time.monotonic() < until:
            time.sleep(0.01)
        return self.connections <= most


Handle = Callable[[Request], Answer]


@contextmanager
def https_server(handle: Handle, folder: Path, faults: Faults) -> Iterator[tuple[str, Path]]:
    """Serve on a free port of localhost; yield the URL and the file of the authority that signed its certificate."""
    authority, certificate, key = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server(("127.0.0.1", 0), _handler(handle, faults))
    server.context, server.faults = context, faults
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}", authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority and a certificate for localhost once; return the authority, the certificate and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key, cert, key = (folder / name for name in ("ca.pem", "ca.key", "cert.pem", "cert.key"))
    if key.is_file():
        return ca, cert, key
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    own = ["-addext", "keyUsage=critical,keyCertSign"]
    _openssl("req", "-x509", *curve, "-subj", "/CN=stub authority", *own, "-keyout", str(ca_key), "-out", str(ca))
    names = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    signed = ["-CA", str(ca), "-CAkey", str(ca_key)]
    _openssl("req", "-x509", *curve, "-subj", "/CN=localhost", *names, *signed, "-keyout", str(key), "-out", str(cert))
    return ca, cert, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext
    faults: Faults
    counting = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.counting:
            self.faults.connections += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.counting:
                self.faults.connections -= 1

    def finish_request(self, request: Any, client_address: Any) -> None:
        # the handshake happens in the connection's own thread: a client that stops in it holds up nobody
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        try:
            super().finish_request(secured, client_address)
        finally:
            secured.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: killed clients are part of the tests."""


def _handler(handle: Handle, faults: Faults) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _serve(self) -> None:
            request = self._read()
            with lock:
                answer = self._answer(request)
            if answer is None:
                self.close_connection = True
                self.wfile = _Nowhere()  # type: ignore[assignment]
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

        def _read(self) -> Request:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            segments = tuple(unquote(part) for part in parts.path.split("/") if part)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            return Request(self.command, segments, query, headers, body)

        def _answer(self, request: Request) -> Answer | None:
            """Carry it out, or do what goes wrong this time; None cuts the connection."""
            faults.seen += 1
            if faults.storm:
                return faults.storm.pop(0)
            cut = bool(faults.cut_every) and faults.seen % faults.cut_every == 0
            faults.cuts += cut
            if cut and faults.cuts % 2:
                return None
            answer = handle(request)
            if cut:
                return None
            empty = bool(faults.empty_every) and faults.seen % faults.empty_every == 0
            return Answer(answer.status) if empty and answer.status < 300 else answer

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    return Handler


class _Nowhere:
    """Takes the place of a connection's file after it was cut."""

    closed = False

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
