"""Which real SIEMs there are, from environment variables; no secret is in a `repr`, so none gets into a traceback."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from dataclasses import dataclass, field

import pytest

PREFIX = "KEYTRIP_LIVE_"


@dataclass(frozen=True)
class Address:
    """A server and how to enter.

    Attributes:
        url: Where it listens.
        authorization: The header of that name, or nothing.
        context: What is trusted, over https.
    """

    url: str
    authorization: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False)


def live_address(siem: str, scheme: str = "Bearer", token: str = "TOKEN") -> Address:  # noqa: S107 - a variable's name
    """Return where a SIEM is; without it the running test is skipped, in CI too: it is the user's to name one.

    Args:
        siem: Such as `SPLUNK`, as in `KEYTRIP_LIVE_SPLUNK_URL`.
        scheme: The word before a token in the header.
        token: The variable with the token, which goes before `USER` and `PASSWORD`.
    """
    url = os.environ.get(f"{PREFIX}{siem}_URL", "")
    if not url:
        pytest.skip(f"{PREFIX}{siem}_URL names no server to hold the rules to (docs/live.md)")
    return Address(url, _authorization(siem, scheme, token), _context())


def _authorization(siem: str, scheme: str, token: str) -> str:
    found, user = (os.environ.get(f"{PREFIX}{siem}_{name}", "") for name in (token, "USER"))
    if found:
        return f"{scheme} {found}"
    password = os.environ.get(f"{PREFIX}{siem}_PASSWORD", "")
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}" if user else ""


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get(f"{PREFIX}CA_FILE") or None)
    if os.environ.get(f"{PREFIX}INSECURE") == "1":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
