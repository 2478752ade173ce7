"""Real SIEMs that the rules' own cases are run in: events in, alerts counted, nothing left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from keytrip.baselines.kinds import Job
from keytrip.errors import UsageError
from keytrip.export.live.address import live_connection

Row = Mapping[str, Any]
# Target -> the word for its server in the environment's variables.
SERVERS = {"splunk": "SPLUNK", "esql": "ELASTIC", "lucene": "ELASTIC", "opensearch": "OPENSEARCH"}


@dataclass(frozen=True)
class LiveCase:
    """One case of a rule, as a SIEM would hold it.

    Attributes:
        query: The rule's text for the target.
        records: Canonical table -> its dated records, derived fields included.
        tables: Baseline table that the query reads -> its rows.
        span: The width of a window that the schedule has to give, or None where the query has its own.
    """

    query: str
    records: Mapping[str, Sequence[Row]]
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    span: timedelta | None = None


class LiveServer(Protocol):
    """A SIEM that is open for cases."""

    def alerts(self, case: LiveCase) -> int:
        """Load a case's rows, run its query over them alone, and return how many alerts it gives.

        Raises:
            SystemRefusedError: The server refuses, or cannot be reached.
        """
        ...


def open_live(
    target: str, environment: Mapping[str, str], jobs: Mapping[str, Job]
) -> AbstractContextManager[LiveServer]:
    """Return the SIEM that the environment names for a target; what was put there is removed at the end.

    Args:
        target: One of SERVERS.
        environment: The process's; docs/live.md has the variables.
        jobs: Those that make the baseline tables.

    Raises:
        UsageError: No cases are run in that target, or no variable names its server.
        SystemRefusedError: It cannot be reached.
    """
    if target not in SERVERS:
        raise UsageError(f"no cases are run live in {target!r}", hint="one of: " + ", ".join(SERVERS))
    connection = live_connection(SERVERS[target], environment)
    if target == "splunk":
        from keytrip.export.live.splunk import open_splunk

        return open_splunk(connection, live_connection("SPLUNK_HEC", environment), jobs)
    from keytrip.export.live.search import open_search

    return open_search(target, connection, jobs)
