"""One HTTPS exchange with splunkd, as splunk-sdk asks its `handler` for it: kept connections, our TLS, a proxy.

The SDK's own handler opens a connection for every request, knows no proxy, and hands a client certificate to an
argument that Python 3.12 removed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from keytrip.errors import SystemRefusedError, UsageError

if TYPE_CHECKING:
    from keytrip.export.connection import Connection

Message = dict[str, Any]
Handler = Callable[..., Message]
DROPPED = (HTTPException, OSError)


def tls_context(connection: Connection) -> ssl.SSLContext:
    """Return what TLS trusts and shows: the system's authorities or the connection's file, and its certificate.

    Raises:
        SystemRefusedError: A file is no certificate or no key.
    """
    try:
        context = ssl.create_default_context(cafile=str(connection.ca_file) if connection.ca_file else None)
        if connection.client_cert:
            key = str(connection.client_key) if connection.client_key else None
            context.load_cert_chain(str(connection.client_cert), key)
    except (OSError, ssl.SSLError):
        hint = "the CA file, the client certificate and its key are PEM files"
        raise SystemRefusedError("a certificate or key cannot be read", hint=hint) from None
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def handler_for(connection: Connection) -> tuple[Handler, Callable[[], None]]:
    """Return the function that carries out the SDK's requests, and one that closes the connections it kept.

    Threads may share it.
    """
    context = tls_context(connection)
    idle: list[HTTPConnection] = []

    def close() -> None:
        while idle:
            idle.pop().close()

    def handle(url: str, message: Message, **_: Any) -> Message:
        parts = urlsplit(url)
        link = idle.pop() if idle else _link(parts.scheme, parts.hostname or "", parts.port, context, connection)
        try:
            reply = _exchange(link, f"{parts.path}?{parts.query}" if parts.query else parts.path, message)
        except DROPPED:
            link.close()
            raise
        idle.append(link)
        return reply

    return handle, close


def _link(scheme: str, host: str, port: int | None, context: ssl.SSLContext, connection: Connection) -> HTTPConnection:
    proxy = urlsplit(connection.proxy) if connection.proxy else None
    place = (proxy.hostname or "", proxy.port or 3128) if proxy else (host, port)
    if scheme == "http":
        link = HTTPConnection(*place, timeout=connection.timeout)
    else:
        link = HTTPSConnection(*place, timeout=connection.timeout, context=context)
    if proxy:
        if proxy.scheme not in {"http", ""}:
            raise UsageError(f"a proxy by {proxy.scheme} is not known", hint="such as http://proxy:3128")
        link.set_tunnel(host, port, headers=_proxy_headers(proxy.username, proxy.password))
    return link


def _proxy_headers(user: str | None, password: str | None) -> dict[str, str]:
    from base64 import b64encode
    from urllib.parse import unquote

    if user is None:
        return {}
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}


def _exchange(link: HTTPConnection, target: str, message: Message) -> Message:
    headers = {"Accept": "*/*", "User-Agent": "keytrip", **dict(message["headers"])}
    link.request(message["method"], target, bytes(message.get("body") or b""), headers)
    response = link.getresponse()
    data = response.read()
    return {
        "status": response.status,
        "reason": response.reason,
        "headers": response.getheaders(),
        "body": BytesIO(data),
    }
