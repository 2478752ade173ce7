"""Cases in Splunk: an index of their own, a `host` for each case, lookups that each case fills anew."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson

from keytrip.baselines.kinds import Job
from keytrip.errors import SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.http import HttpSend, header_text
from keytrip.export.layout import splunk_event, splunk_lookup_rows
from keytrip.export.live import LiveCase, Row
from keytrip.export.splunk import kv
from keytrip.export.splunk.client import Client, SplunkRefusedError
from keytrip.export.wire import Send, checked, persistent

INDEX = "keytrip_test"
# The collector takes a megabyte a request in its oldest version.
_BATCH = 500
_PATIENCE_SECONDS = 120
_EXISTS = 409
_LOOKUP = re.compile(r"\blookup keytrip_(\w+)\b")


def _collector_proof(credential: Credential) -> dict[str, str]:
    return {"Authorization": f"Splunk {header_text(credential)}"}


@dataclass
class LiveSplunk:
    """The calls of Splunk's REST API and HTTP Event Collector that loading and asking takes.

    Attributes:
        client: The REST API.
        collector: The HTTP Event Collector.
        wait: Waits a number of seconds.
    """

    client: Client
    collector: Send
    wait: Callable[[float], None] = time.sleep

    def create_index(self, name: str) -> bool:
        """Make an index; whether it was not there.

        Raises:
            SystemRefusedError: Splunk refuses.
        """
        return self._made("data", "indexes", form={"name": name})

    def load_events(self, envelopes: Iterable[Row], index: str, narrow: str = "") -> None:
        """Send events to the collector, and wait until a search counts as many more.

        Args:
            envelopes: Events as the collector takes them.
            index: Where they go.
            narrow: What the search that counts asks for beside the index.

        Raises:
            SystemRefusedError: Splunk refuses, or they do not turn up.
        """
        count = f"search index={index} {narrow}| stats count"
        expected = int(self.search(count)[0]["count"])
        waiting = iter(envelopes)
        while batch := list(islice(waiting, _BATCH)):
            body = "\n".join(json.dumps({**one, "index": index}) for one in batch)
            checked(self.collector("POST", "/services/collector/event", body), "sending events")
            expected += len(batch)
        for _ in range(_PATIENCE_SECONDS):
            if int(self.search(count)[0]["count"]) == expected:
                return
            self.wait(1)
        raise SystemRefusedError(f"{index} does not hold {expected} events", hint="may the token write to that index?")

    def load_lookup(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Make a lookup over a collection of the KV store, with these rows only.

        Raises:
            SystemRefusedError: Splunk refuses.
        """
        kv.ensure_collection(self.client, name, {})
        self.client.delete("storage", "collections", "data", name)
        kv.save_all(self.client, name, map(orjson.dumps, rows), kv.Limits())
        fields = ",".join(columns)
        lookup = {"name": name, "external_type": "kvstore", "collection": name, "fields_list": f"_key,{fields}"}
        self._made("data", "transforms", "lookups", form={**lookup, "case_sensitive_match": "true"})

    def drop_lookup(self, name: str) -> None:
        """Remove a lookup and its collection."""
        self.client.delete("data", "transforms", "lookups", name)
        kv.drop_collection(self.client, name)

    def search(self, text: str) -> list[dict[str, Any]]:
        """Return a search's rows over all time; every value is a text, a missing one is left out.

        Raises:
            SystemRefusedError: Splunk refuses the search, or says that it went wrong.
        """
        # what happens in the future of Splunk's clock is all time, too
        times = {"earliest_time": "0", "latest_time": "2147483647"}
        answer = self.client.post(
            "search", "jobs", form={"search": text, **times, "exec_mode": "oneshot", "count": "0"}
        )
        problems = [m["text"] for m in answer.get("messages", ()) if m["type"] in {"ERROR", "FATAL"}]
        if problems:
            raise SystemRefusedError("; ".join(problems))
        found: list[dict[str, Any]] = answer["results"]
        return found

    def _made(self, *path: str, form: Mapping[str, str]) -> bool:
        try:
            self.client.post(*path, form=form)
        except SplunkRefusedError as error:
            if error.status != _EXISTS:
                raise
            return False
        return True


def live_splunk(management: Connection, collector: Connection) -> LiveSplunk:
    """Return a Splunk by its two addresses."""
    return LiveSplunk(Client(management), persistent(HttpSend(collector, {}, _collector_proof)))


@dataclass
class SplunkServer:
    """An open Splunk.

    Attributes:
        splunk: Its calls.
        jobs: Those that make the baseline tables.
        run: What the cases' hosts begin with.
        lookups: Names of the lookups that were made.
        cases: How many cases were run.
    """

    splunk: LiveSplunk
    jobs: Mapping[str, Job]
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    lookups: set[str] = field(default_factory=set)
    cases: int = 0

    def alerts(self, case: LiveCase) -> int:
        """Load a case and count what its search finds.

        Raises:
            SystemRefusedError: Splunk refuses, or cannot be reached.
        """
        self.cases += 1
        host = f"{self.run}_{self.cases}"
        events = [
            {**splunk_event(table, record), "host": host} for table, rows in case.records.items() for record in rows
        ]
        self.splunk.load_events(events, INDEX, f'host="{host}" ')
        for table in dict.fromkeys(_LOOKUP.findall(case.query)):
            name = f"{INDEX}_{table}"
            self.lookups.add(name)
            rows = splunk_lookup_rows(case.tables.get(table, ()))
            self.splunk.load_lookup(name, list(self.jobs[table].columns), rows)
        return len(self.splunk.search(f"search {_narrowed(case.query, host)}"))

    def remove(self) -> None:
        """Remove the lookups."""
        while self.lookups:
            self.splunk.drop_lookup(self.lookups.pop())


def _narrowed(query: str, host: str) -> str:
    """Return a search over one case's events and tables; only its first command names the index."""
    search, pipe, rest = query.partition("\n| ")
    # a title in the comment before it may say the same words
    comment, _, asked = search.rpartition("index=keytrip ")
    ours = f'{comment}index={INDEX} host="{host}" {asked}'
    return ours + pipe + _LOOKUP.sub(lambda found: f"lookup {INDEX}_{found[1]}", rest)


@contextmanager
def open_splunk(
    management: Connection, collector: Connection, jobs: Mapping[str, Job], wait: Callable[[float], None] = time.sleep
) -> Iterator[SplunkServer]:
    """Yield a Splunk with an index for the cases, and remove all that was made there."""
    splunk = replace(live_splunk(management, collector), wait=wait)
    server = SplunkServer(splunk, jobs)
    ours = splunk.create_index(INDEX)
    try:
        yield server
    finally:
        server.remove()
        if ours:
            splunk.client.delete("data", "indexes", INDEX)
