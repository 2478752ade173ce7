"""The few calls of Splunk's REST API and HTTP Event Collector that the live tests make."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from live.options import Address

TIMEOUT_SECONDS = 120
# Splunk's own limit is a thousand documents a request; the collector takes a megabyte in its oldest version.
BATCH = 500
APP = "/servicesNS/nobody/search"
Row = Mapping[str, object]


class SplunkError(RuntimeError):
    """Splunk refused a request."""


@dataclass(frozen=True)
class SplunkClient:
    """A Splunk.

    Attributes:
        management: The port of the REST API.
        collector: The HTTP Event Collector.
    """

    management: Address
    collector: Address

    def post(self, path: str, body: Mapping[str, object]) -> str:
        """Send a form to the REST API and return the answer.

        Raises:
            SplunkError: The status is no success.
        """
        return _send(self.management, f"{path}?output_mode=json", urlencode(body).encode())

    def create_index(self, name: str) -> None:
        """Make an index; it may be there."""
        self._make("/services/data/indexes", {"name": name})

    def load_events(self, envelopes: Iterable[Row], index: str) -> None:
        """Send events to the collector, and wait until a search counts as many more.

        Raises:
            SplunkError: They do not turn up.
        """
        count = f"search index={index} | stats count"
        expected = int(self.search(count)[0]["count"])
        for batch in _batches(envelopes):
            _send(self.collector, "/services/collector/event", "\n".join(map(json.dumps, batch)).encode())
            expected += len(batch)
        for _ in range(TIMEOUT_SECONDS):
            if int(self.search(count)[0]["count"]) == expected:
                return
            time.sleep(1)
        raise SplunkError(f"{index} does not hold {expected} events")

    def load_lookup(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Make a lookup over a collection of the KV store, with these rows only."""
        self._make(f"{APP}/storage/collections/config", {"name": name})
        _send(self.management, f"{APP}/storage/collections/data/{name}", None, "DELETE")
        for batch in _batches(rows):
            path = f"{APP}/storage/collections/data/{name}/batch_save"
            _send(self.management, path, json.dumps(batch).encode(), kind="application/json")
        fields = ",".join(columns)
        lookup = {"name": name, "external_type": "kvstore", "collection": name, "fields_list": f"_key,{fields}"}
        self._make(f"{APP}/data/transforms/lookups", {**lookup, "case_sensitive_match": "true"})

    def search(self, text: str) -> list[dict[str, Any]]:
        """Return a search's rows over all time; every value is a text, a missing one is left out.

        Raises:
            SplunkError: Splunk refuses the search, or says that it went wrong.
        """
        body = {"search": text, "earliest_time": "0", "latest_time": "now", "preview": "false"}
        lines = self.post(f"{APP}/search/v2/jobs/export", body).splitlines()
        parsed = [json.loads(line) for line in lines if line.strip()]
        problems = [m["text"] for line in parsed for m in line.get("messages", ()) if m["type"] in {"ERROR", "FATAL"}]
        if problems:
            raise SplunkError("; ".join(problems))
        return [line["result"] for line in parsed if "result" in line]

    def _make(self, path: str, body: Mapping[str, object]) -> None:
        try:
            self.post(path, body)
        except SplunkError as error:
            if " 409 " not in str(error):
                raise


def _send(
    address: Address,
    path: str,
    body: bytes | None,
    method: str = "POST",
    kind: str = "application/x-www-form-urlencoded",
) -> str:
    headers = {"Authorization": address.authorization, "Content-Type": kind}
    request = Request(address.url.rstrip("/") + path, body, headers, method=method)  # noqa: S310 - the user's own URL
    context = address.context if address.url.startswith("https:") else None
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as answer:  # noqa: S310 - the same
            return str(answer.read().decode())
    except HTTPError as error:
        with error:
            reason = error.read().decode(errors="replace")[:500]
        raise SplunkError(f"{method} {path}: {error.code} {reason}") from None


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        yield batch
