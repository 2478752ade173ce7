"""Requests to OpenSearch through its own client's connection: TLS, credentials and proxies as ours says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from weakref import finalize

from keytrip.errors import UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.http import Renewed, answer_of, authorization, refuse_certificate, tls_context
from keytrip.export.wire import UNREACHED, Answer, Raw

_EVERY_STATUS = range(300, 600)
_PORTS = {"https": 443, "http": 80}


@dataclass
class OpensearchSend:
    """Sends requests to OpenSearch.

    Attributes:
        connection: Where, as whom, and by which way.
    """

    connection: Connection
    _renewed: Renewed = field(init=False, repr=False)
    _http: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the connection; nothing is sent."""
        self._renewed = Renewed(self.connection.credential)
        self._http = _http(self.connection)
        finalize(self, self._http.close)

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; a credential that ran out is read anew, once.

        Raises:
            SystemRefusedError: The server's certificate is not one that we trust; trying again would not help.
        """
        return self._renewed.sent(lambda credential: self._once(credential, method, path, body))

    def _once(self, credential: Credential, method: str, path: str, body: Any) -> Answer:
        from opensearchpy.exceptions import TransportError

        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        # lower case, as the client writes its own: the server refuses two headers of one name
        headers = {"content-type": kind, **authorization(credential)}
        text = body.text if isinstance(body, Raw) else body if isinstance(body, str) else json.dumps(body)
        data = None if body is None else text.encode()
        try:
            status, found, answer = self._http.perform_request(
                method, path, body=data, ignore=_EVERY_STATUS, headers=headers
            )
        except TransportError as error:
            refuse_certificate(self.connection.url, error)
            return Answer(UNREACHED, str(error.error))
        return answer_of(status, answer, found)


def need_opensearch() -> None:
    """Make sure that the client is there.

    Raises:
        UsageError: It is not.
    """
    try:
        import opensearchpy  # noqa: F401 - whether it is there
    except ModuleNotFoundError:
        raise UsageError(
            "OpenSearch needs the package opensearch-py", hint="pip install 'keytrip[opensearch]'"
        ) from None


def _http(connection: Connection) -> Any:
    """Return the client's connection to one address; what may pass is tried again by keytrip.export.wire."""
    from opensearchpy import Urllib3HttpConnection

    parts = urlsplit(connection.url)
    secure = parts.scheme == "https"
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    tls: dict[str, Any] = {"ssl_context": tls_context(connection)} if secure else {}
    made = Urllib3HttpConnection(
        host, port, use_ssl=secure, url_prefix=parts.path, timeout=int(connection.timeout), **tls
    )
    if connection.proxy:
        from urllib3 import ProxyManager

        made.pool = ProxyManager(connection.proxy, **tls).connection_from_host(host, port, parts.scheme)
    return made
