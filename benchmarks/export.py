"""How fast a table is written to a destination, against a loader written by hand for it, and how much memory it takes.

    python benchmarks/export.py elastic --rows 1000000
    python benchmarks/export.py splunk --rows 1000000

Elasticsearch is a real one on this machine, started as the tests start theirs (it needs a JDK and Maven). Splunk is the
stub of the tests, over TLS, in a process of its own, a new one for each loader. Each loader is a process of its own, in
turn, and its peak memory is that process's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

HERE = Path(__file__).resolve()
COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "days": "BIGINT", "mean": "DOUBLE"}
KEY = ("key_id", "model")
MODELS = 10
# Of the rows, those that a second run changes: every hundredth.
CHANGED = 100
# What Splunk takes in one request by default.
_BATCH = 1_000
# Where the processes find the stub's secret, made for one run, and the certificate that they trust.
_SECRET, _CA_FILE = "KEYTRIP_BENCH_SECRET", "KEYTRIP_BENCH_CA_FILE"


def rows(count: int, changed: int = 0) -> Iterator[dict[str, Any]]:
    """Yield rows in the order of their key; with `changed`, every so many another one."""
    for number in range(count):
        other = bool(changed) and number % changed == 0
        key = {"key_id": f"key_{number // MODELS:08d}", "model": f"model-{number % MODELS}"}
        yield {**key, "days": number % 30 + other, "mean": number / 7}


def by_keytrip(url: str, count: int) -> dict[str, Any]:
    """Write the table as `apply` does, then the same with one row in a hundred changed."""
    from keytrip.export.connection import Connection
    from keytrip.export.elastic import open_transport
    from keytrip.export.manifest import Manifest
    from keytrip.export.model import Table
    from keytrip.export.rows import row_change

    manifest = Manifest(name="elastic", about="benchmark", transport="elastic")
    transport = open_transport(Connection(url, insecure=True), manifest)
    first = Table("keytrip_bench", KEY, COLUMNS, count, "", lambda: rows(count))
    second = Table("keytrip_bench", KEY, COLUMNS, count, "", lambda: rows(count, CHANGED))
    began = time.perf_counter()
    counted = transport.stage(first, 1, lambda _: None)
    seconds = time.perf_counter() - began
    if counted != count:
        raise RuntimeError(f"{counted} rows of {count}")
    began = time.perf_counter()
    counts, change = row_change(second, 1, transport)
    compared = time.perf_counter() - began
    sent: list[int] = []
    if change is not None:
        transport.copy(second, 2, 1, change, sent.append)
    update = {"compared": compared, "copied": time.perf_counter() - began - compared, "changed": counts.changed}
    return {"seconds": seconds, **update, "sent": sum(sent)}


def by_hand(url: str, count: int) -> dict[str, Any]:
    """Write the same documents with the client's own helper, as a script for this one table would."""
    from elasticsearch import Elasticsearch
    from elasticsearch.helpers import streaming_bulk

    from keytrip.export.elastic.client import _node_class
    from keytrip.export.indices.documents import documents
    from keytrip.export.layout import elastic_lookup_mapping
    from keytrip.export.model import Table

    table = Table("keytrip_hand", KEY, COLUMNS, count, "", lambda: rows(count))
    client = Elasticsearch(url, node_class=_node_class(None), request_timeout=60)
    client.options(ignore_status=404).indices.delete(index=table.name)
    client.indices.create(index=table.name, **elastic_lookup_mapping(KEY, COLUMNS))
    began = time.perf_counter()
    actions = ({"_id": name, "_index": table.name, **document} for name, document in documents(table, table.rows()))
    for done, what in streaming_bulk(client, actions, chunk_size=5_000):
        if not done:
            raise RuntimeError(str(what))
    client.indices.refresh(index=table.name)
    return {"seconds": time.perf_counter() - began}


def to_splunk_by_keytrip(url: str, count: int) -> dict[str, Any]:
    """Write the table as `apply` does: until all rows are sent, and until the server has counted them, too."""
    from keytrip.export.connection import Connection
    from keytrip.export.credentials import Credential
    from keytrip.export.manifest import destination_named
    from keytrip.export.model import Table
    from keytrip.export.splunk import open_transport

    credential = Credential("bearer", secret=os.environ[_SECRET])
    connection = Connection(url, credential, ca_file=Path(os.environ[_CA_FILE]), options={"app": "keytrip"})
    transport = open_transport(connection, destination_named("splunk"))
    table = Table("keytrip_bench", KEY, COLUMNS, count, "", lambda: rows(count))
    ends = [0.0]
    began = time.perf_counter()
    counted = transport.stage(table, 1, lambda _: ends.append(time.perf_counter()))
    whole = time.perf_counter() - began
    if counted != count:
        raise RuntimeError(f"{counted} rows of {count}")
    return {"seconds": ends[-1] - began, "with_count": whole}


def to_splunk_by_hand(url: str, count: int) -> dict[str, Any]:
    """Write the same documents over one kept connection, as a script for this one table would.

    Splunk's own client opens a connection for each request, which would flatter us.
    """
    import ssl
    from http.client import HTTPSConnection

    place = urlsplit(url)
    context = ssl.create_default_context(cafile=os.environ[_CA_FILE])
    link = HTTPSConnection(place.hostname or "", place.port, timeout=60, context=context)
    base = "/servicesNS/nobody/keytrip/storage/collections"

    def post(path: str, body: str, kind: str) -> None:
        headers = {"Authorization": f"Bearer {os.environ[_SECRET]}", "Content-Type": kind}
        link.request("POST", f"{base}{path}?output_mode=json", body.encode(), headers)
        answer = link.getresponse()
        text = answer.read()
        if answer.status not in {200, 201}:
            raise RuntimeError(text)

    fields = {f"field.{name}": {"VARCHAR": "string"}.get(kind, "number") for name, kind in COLUMNS.items()}
    form = {"name": "keytrip_hand", "enforceTypes": "true", **fields}
    post("/config", urlencode(form), "application/x-www-form-urlencoded")
    began = time.perf_counter()
    batch: list[dict[str, Any]] = []
    for row in rows(count):
        key = "\x1f".join(row[name] for name in KEY)
        batch.append({**row, "_key": hashlib.sha256(key.encode()).hexdigest()[:32]})
        if len(batch) == _BATCH:
            post("/data/keytrip_hand/batch_save", json.dumps(batch), "application/json")
            batch = []
    if batch:
        post("/data/keytrip_hand/batch_save", json.dumps(batch), "application/json")
    return {"seconds": time.perf_counter() - began}


Loader = Callable[[str, int], dict[str, Any]]
LOADERS: Mapping[str, Mapping[str, Loader]] = {
    "elastic": {"hand": by_hand, "keytrip": by_keytrip},
    "splunk": {"hand": to_splunk_by_hand, "keytrip": to_splunk_by_keytrip},
}


def measure(destination: str, loader: str, url: str, count: int) -> dict[str, Any]:
    """Run a loader in a process of its own; its peak memory is in MB."""
    command = [sys.executable, str(HERE), destination, "--loader", loader, "--url", url, "--rows", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def elastic_server() -> Iterator[str]:
    """Run Elasticsearch."""
    servers: Any = import_module("engines.search_server.search_server")
    servers.HEAP = "1g"
    with servers.SearchServer("elasticsearch") as server:
        yield server.url


@contextmanager
def splunk_server() -> Iterator[str]:
    """Run the stub in a process of its own, until its standard input is closed."""
    os.environ[_SECRET] = secrets.token_hex(16)
    with TemporaryDirectory() as folder:
        os.environ[_CA_FILE] = str(Path(folder) / "ca.pem")
        command = [sys.executable, str(HERE), "splunk", "--serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            process.communicate()


def serve(folder: Path) -> None:
    """Be the stub."""
    stubs: Any = import_module("stubs.splunk")
    with stubs.running(stubs.SplunkStub(stubs.User("bench", os.environ[_SECRET])), folder) as stub:
        print(stub.url, flush=True)
        sys.stdin.read()


SERVERS: Mapping[str, Callable[[], AbstractContextManager[str]]] = {"elastic": elastic_server, "splunk": splunk_server}


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=sorted(LOADERS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--loader", choices=["hand", "keytrip"])
    parser.add_argument("--url")
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    if options.serve:
        serve(options.serve)
        return
    if options.loader:
        found = LOADERS[options.destination][options.loader](options.url, options.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({**found, "peak_mb": peak}))
        return
    results = {}
    for name in LOADERS[options.destination]:
        # a server of its own for each: what one leaves in its memory is no burden to the next
        with SERVERS[options.destination]() as url:
            if options.destination == "elastic":
                measure(options.destination, name, url, options.rows // 50)  # the server's own compiler warms up
            results[name] = measure(options.destination, name, url, options.rows)
    for name, found in results.items():
        print(name, {key: round(value, 1) for key, value in found.items()})
    print("rate of keytrip against by hand:", round(results["hand"]["seconds"] / results["keytrip"]["seconds"], 2))


if __name__ == "__main__":
    main()
