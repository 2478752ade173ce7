"""Where the SIEMs are that rules are held to: `KEYTRIP_LIVE_SPLUNK_URL` and the like (docs/live.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keytrip.errors import UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import SecretPlace, credential_for

PREFIX = "KEYTRIP_LIVE"


def live_connection(siem: str, environment: Mapping[str, str]) -> Connection:
    """Return how a SIEM is reached.

    Args:
        siem: Such as `SPLUNK`, as in `KEYTRIP_LIVE_SPLUNK_URL`.
        environment: The process's.

    Raises:
        UsageError: No variable says where it is, or two say who we are.
    """
    prefix = f"{PREFIX}_{siem}"
    url = environment.get(f"{prefix}_URL", "")
    if not url:
        raise UsageError(f"{prefix}_URL names no server", hint="docs/live.md has the variables")
    ca_file = environment.get(f"{PREFIX}_CA_FILE")
    return Connection(
        url=url.rstrip("/"),
        credential=credential_for(prefix, "bearer", SecretPlace(), environment),
        ca_file=Path(ca_file) if ca_file else None,
        insecure=environment.get(f"{PREFIX}_INSECURE") == "1",
        # what is made for the cases belongs to no app of ours
        options={"app": "search"},
    )
