"""Requests to Elasticsearch through its own client, and to Kibana: TLS, secrets and proxies as a connection says."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from weakref import finalize

from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.http import HttpSend, Renewed, authorization, refuse_certificate, retry_after, tls_context
from keytrip.export.wire import UNREACHED, Answer

if TYPE_CHECKING:
    from elastic_transport import HttpHeaders

# A server of version 9 still speaks 8's API, and one of version 8 refuses 9's, which a client of version 9 asks for.
_COMPATIBLE = "compatible-with=8"
_KIBANA_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "kbn-xsrf": "keytrip",
    "elastic-api-version": "2023-10-31",
}
_SPACE_HINT = "a space's id has letters, digits, - and _ only"


@dataclass
class ElasticSend:
    """Sends requests to Elasticsearch.

    Attributes:
        connection: Where, as whom, and by which way.
    """

    connection: Connection
    _renewed: Renewed = field(init=False, repr=False)
    _client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the client; nothing is sent."""
        self._renewed = Renewed(self.connection.credential)
        self._client = _client(self.connection)
        finalize(self, self._client.close)

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; a credential that ran out is read anew, once.

        Raises:
            SystemRefusedError: The server's certificate is not one that we trust; trying again would not help.
        """
        return self._renewed.sent(lambda credential: self._once(credential, method, path, body))

    def _once(self, credential: Credential, method: str, path: str, body: Any) -> Answer:
        from elasticsearch import ApiError, SerializationError, TransportError, UnsupportedProductError

        headers = {"Accept": "application/json", **authorization(credential)}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if isinstance(body, str) else "application/json"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the server's deprecations are for whoever wrote the request
                answer = self._client.perform_request(method, path, headers=headers, body=body)
        except UnsupportedProductError:
            raise SystemRefusedError(f"{self.connection.url} is no Elasticsearch", hint="check the address") from None
        except ApiError as error:
            return Answer(error.meta.status, error.body or {}, retry_after(error.meta.headers.get("Retry-After")))
        except SerializationError:
            return Answer(UNREACHED, "what came back is no JSON")
        except TransportError as error:
            refuse_certificate(self.connection.url, error)
            return Answer(UNREACHED, f"{type(error).__name__} {error.message}")
        cut = answer.body is None or answer.body == ""
        return Answer(UNREACHED, "the answer was empty") if cut else Answer(answer.meta.status, answer.body)


_PORTS = {"https": 443, "http": 80}


def kibana_send(connection: Connection) -> HttpSend:
    """Return what sends requests to Kibana, in the space of the connection's options.

    Raises:
        UsageError: Nobody says where Kibana is, or the space cannot be one.
    """
    url = connection.options.get("kibana_url", "").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        hint = "set KEYTRIP_ELASTIC_KIBANA_URL, or say --option kibana_url=https://HOST:5601"
        raise UsageError("where is Kibana?", hint=hint)
    if parts.scheme == "http" and not connection.insecure:
        raise UsageError(
            "kibana_url is plain HTTP: anyone on the way reads the secret", hint="use https, or --insecure"
        )
    space = connection.options.get("space", "") or "default"
    if quote(space, safe="") != space:
        raise UsageError(f"{space!r} is no space", hint=_SPACE_HINT)
    below = url if space == "default" else f"{url}/s/{space}"
    return HttpSend(replace(connection, url=below), _KIBANA_HEADERS)


def _client(connection: Connection) -> Any:
    from elasticsearch import Elasticsearch

    # who logs nothing would find the client's warnings on the terminal; what they say is in our errors
    logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
    parts = urlsplit(connection.url)
    secure = parts.scheme == "https"
    if connection.proxy and not secure:
        raise UsageError("a proxy is used for https only", hint="use https, or leave --proxy out")
    tls: dict[str, Any] = {"ssl_context": tls_context(connection)} if secure else {}
    return Elasticsearch(
        connection.url if parts.port else parts._replace(netloc=f"{parts.netloc}:{_PORTS[parts.scheme]}").geturl(),
        node_class=_node_class(connection.proxy),
        request_timeout=connection.timeout,
        # what may pass is tried again by keytrip.export.wire, the same for every destination
        max_retries=0,
        retry_on_status=(),
        **tls,
    )


def _node_class(proxy: str | None) -> Any:
    from elastic_transport import Urllib3HttpNode
    from elastic_transport.client_utils import DEFAULT, DefaultType

    class Node(Urllib3HttpNode):
        """One server, asked for version 8's API, through a proxy if there is one."""

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if proxy:
                from urllib3 import ProxyManager

                manager = ProxyManager(proxy, ssl_context=config.ssl_context)
                self.pool = manager.connection_from_host(config.host, config.port, config.scheme)

        def perform_request(
            self,
            method: str,
            target: str,
            body: bytes | None = None,
            headers: HttpHeaders | None = None,
            request_timeout: DefaultType | float | None = DEFAULT,
        ) -> Any:
            return super().perform_request(method, target, body, _spoken(headers), request_timeout)

    return Node


def _spoken(headers: HttpHeaders | None) -> HttpHeaders:
    """Return headers in which every `compatible-with=9` became ours."""
    from elastic_transport import HttpHeaders

    return HttpHeaders(
        {name: value.replace("compatible-with=9", _COMPATIBLE) for name, value in (headers or {}).items()}
    )
