"""Plain HTTP for servers that have no client of their own: TLS, credentials and proxies as a connection says."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from weakref import finalize

from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.wire import UNREACHED, Answer, Upload, succeeded

_NO_CONTENT, _UNAUTHORIZED = 204, 401


def tls_context(connection: Connection) -> ssl.SSLContext:
    """Return how TLS is done: verified, unless the user says otherwise.

    Raises:
        UsageError: A file holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
        if connection.client_cert:
            context.load_cert_chain(connection.client_cert, connection.client_key)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"a certificate cannot be read: {error}", hint="--ca-file and the like name PEM files"
        ) from None
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def refuse_certificate(url: str, error: BaseException) -> None:
    """Stop where a connection failed since the server's certificate is not to be trusted: that does not pass.

    Raises:
        SystemRefusedError: It did.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            hint = "name the authority that signed it with --ca-file"
            raise SystemRefusedError(f"{url}: its certificate is not to be trusted: {cause}", hint=hint) from None
        cause = cause.__cause__ or cause.__context__


def authorization(credential: Credential) -> dict[str, str]:
    """Return the header that a credential is sent in.

    Raises:
        UsageError: It holds what no header can.
    """
    from base64 import b64encode

    if credential.kind == "basic":
        pair = f"{credential.user}:{credential.secret}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}
    if credential.kind in {"bearer", "api_key"}:
        word = "Bearer" if credential.kind == "bearer" else "ApiKey"
        return {"Authorization": f"{word} {header_text(credential)}"}
    return {}


def header_text(credential: Credential) -> str:
    """Return a token or key that is put into a header as it is.

    Raises:
        UsageError: It holds what no header can; the message does not show it.
    """
    if not credential.secret.isascii():
        raise UsageError(f"{credential.source} holds a character beyond ASCII", hint="it holds the token alone")
    return credential.secret


@dataclass
class Renewed:
    """A credential that is read anew when the server says that it ran out.

    Attributes:
        credential: The one of the last request.
    """

    credential: Credential = field(repr=False)

    def sent(self, once: Callable[[Credential], Answer]) -> Answer:
        """Return the answer to a request, sent once more with a new credential where it was not authorised."""
        answer = once(self.credential)
        if answer.status == _UNAUTHORIZED and self.credential.again:
            self.credential = self.credential.again()
            answer = once(self.credential)
        return answer


@dataclass
class HttpSend:
    """Sends requests below a connection's address.

    Attributes:
        connection: Where, as whom, and by which way.
        headers: What every request has; a content type for its body, too.
        proof: Makes the header of a credential.
    """

    connection: Connection
    headers: Mapping[str, str]
    proof: Callable[[Credential], Mapping[str, str]] = authorization
    _renewed: Renewed = field(init=False, repr=False)
    _client: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the client; nothing is sent."""
        import httpx

        self._renewed = Renewed(self.connection.credential)
        self._client = httpx.Client(
            verify=tls_context(self.connection),
            proxy=self.connection.proxy,
            timeout=self.connection.timeout,
            headers=dict(self.headers),
            trust_env=False,
        )
        # the client lives as long as its sender: nobody else knows of it
        finalize(self, self._client.close)

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; a credential that ran out is read anew, once.

        Raises:
            SystemRefusedError: The server's certificate is not one that we trust; trying again would not help.
        """
        return self._renewed.sent(lambda credential: self._once(credential, method, path, body))

    def _once(self, credential: Credential, method: str, path: str, body: Any) -> Answer:
        import httpx

        url = f"{self.connection.url}{path}"
        headers = dict(self.proof(credential))
        content = body if isinstance(body, str | Upload) or body is None else json.dumps(body)
        if isinstance(content, Upload):
            form = httpx.Request(method, url, files={"file": (content.name, content.text.encode(), "text/plain")})
            headers, content = {**headers, "Content-Type": form.headers["Content-Type"]}, form.read().decode()
        try:
            response = self._client.request(method, url, content=content, headers=headers)
        except httpx.HTTPError as error:
            refuse_certificate(self.connection.url, error)
            return Answer(UNREACHED, f"{type(error).__name__} {error}".strip())
        return answer_of(response.status_code, response.text, response.headers)


def answer_of(status: int, text: str, headers: Mapping[str, str]) -> Answer:
    """Return an answer; a success that is no JSON was cut off, or is a proxy's."""
    waits = retry_after(headers.get("Retry-After"))
    if status == _NO_CONTENT:
        return Answer(status, {}, waits)
    try:
        return Answer(status, json.loads(text), waits)
    except ValueError:
        cut = succeeded(status)
        return Answer(UNREACHED if cut else status, "what came back is no JSON" if cut else text, waits)


def retry_after(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, in either of its forms."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
