"""How fast a table is written to a destination, against a loader written by hand for it, and how much memory it takes.

    python benchmarks/export.py elastic --rows 1000000

The server is a real one on this machine, started as the tests start theirs (it needs a JDK and Maven). Each loader runs
in a process of its own, in turn, and its peak memory is that process's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "days": "BIGINT", "mean": "DOUBLE"}
KEY = ("key_id", "model")
MODELS = 10
# Of the rows, those that a second run changes: every hundredth.
CHANGED = 100


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


LOADERS: Mapping[str, Callable[[str, int], dict[str, Any]]] = {"hand": by_hand, "keytrip": by_keytrip}


def measure(loader: str, url: str, count: int) -> dict[str, Any]:
    """Run a loader in a process of its own; its peak memory is in MB."""
    command = [sys.executable, str(HERE), "elastic", "--loader", loader, "--url", url, "--rows", str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("destination", choices=["elastic"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--loader", choices=sorted(LOADERS))
    parser.add_argument("--url")
    options = parser.parse_args()
    if options.loader:
        found = LOADERS[options.loader](options.url, options.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({**found, "peak_mb": peak}))
        return
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    servers: Any = import_module("engines.search_server.search_server")
    servers.HEAP = "1g"
    results = {}
    for name in LOADERS:
        # a server of its own for each: what one leaves in its memory is no burden to the next
        with servers.SearchServer("elasticsearch") as server:
            measure(name, server.url, options.rows // 50)  # the server's own compiler warms up
            results[name] = measure(name, server.url, options.rows)
    for name, found in results.items():
        print(name, {key: round(value, 1) for key, value in found.items()})
    print("rate of keytrip against by hand:", round(results["hand"]["seconds"] / results["keytrip"]["seconds"], 2))


if __name__ == "__main__":
    main()
