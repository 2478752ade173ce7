"""Tables in a real Elasticsearch 8.19, by plan, apply and rollback; faults come from a proxy in front of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engines.search_server.client import SearchClient, SearchError
from export.sharing.examples import an_agent, made
from hostile import hostile_texts
from stubs.https import Answer
from stubs.search_proxy import SearchProxy, search_proxy

from keytrip.errors import SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import Desired
from keytrip.export.elastic import open_transport
from keytrip.export.elastic.transport import Elastic
from keytrip.export.engine import apply, destroy, read_plan, roll_back
from keytrip.export.indicators import indicator_of
from keytrip.export.layout import elastic_index_template, elastic_lookup_documents
from keytrip.export.manifest import Manifest
from keytrip.export.model import Deployment, Holder, Item, Table
from keytrip.export.tables import table_of

MANIFEST = Manifest(name="elastic", about="x", transport="elastic")
COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "days": "BIGINT"}
KEY = ("key_id", "model")
LOOKUP = "keytrip_es_models"
ROWS = 300
# Seconds between two questions of the reader.
PAUSE = 0.01
# with one document for each key id
ALL = ROWS + ROWS // 2
EVENTS = "es-events"
# Events with every key of the table are joined, as rules do: each of them has to find its row, once.
WHOLE = f"""FROM {EVENTS} | LOOKUP JOIN {LOOKUP} ON keytrip_key
| STATS rows = COUNT(*), found = COUNT(baseline_found), days = COUNT(baseline_days),
        different = COUNT_DISTINCT(baseline_days)
| LIMIT 1"""
JOINED = f'ROW keytrip_key = "k1" | LOOKUP JOIN {LOOKUP} ON keytrip_key | KEEP baseline_found | LIMIT 10'


def table(days: int, rows: int = ROWS, name: str = LOOKUP) -> Table:
    """A table whose rows all say `days`: two keys of each leading part."""
    made = [{"key_id": f"k{n // 2}", "model": f"m{n % 2}", "days": days} for n in range(rows)]
    return table_of(name, KEY, COLUMNS, lambda: made)


def desired(*tables: Table) -> Desired:
    """A destination with these tables and an index template."""
    template = Item("index_template", "keytrip-usage", elastic_index_template("usage"))
    return Desired((template,), tables)


def opened(url: str, **settings: Any) -> Elastic:
    """The transport, which waits for nothing."""
    return open_transport(Connection(url, insecure=True, **settings), MANIFEST, sleep=lambda _: None)


@pytest.fixture
def transport(empty_elasticsearch: SearchClient) -> Iterator[Elastic]:
    """The transport of an Elasticsearch in which nothing is ours; what the test leaves is removed."""
    found = opened(empty_elasticsearch.url)
    yield found
    empty_elasticsearch.call(
        "PUT", "/keytrip_es_*/_settings?allow_no_indices=true", {"index.blocks.read_only_allow_delete": None}
    )
    destroy(found, wait=5)


@pytest.fixture
def proxy(empty_elasticsearch: SearchClient, tmp_path: Path) -> Iterator[SearchProxy]:
    """A proxy with TLS and an API key in front of the server."""
    with search_proxy(tmp_path, empty_elasticsearch.url, key=os.urandom(8).hex()) as found:
        yield found


def through(proxy: SearchProxy) -> Elastic:
    """The transport through the proxy."""
    connection = Connection(proxy.url, Credential("api_key", secret=proxy.key), proxy.ca_file)
    return open_transport(connection, MANIFEST, sleep=lambda _: None)


def held(empty_elasticsearch: SearchClient, name: str = LOOKUP) -> tuple[int, set[int]]:
    """Return how many documents the lookup has, and which days its rows say."""
    empty_elasticsearch.call("POST", f"/{name}/_refresh")
    hits = empty_elasticsearch.call("POST", f"/{name}/_search", {"size": 10_000})["hits"]["hits"]
    return len(hits), {hit["_source"]["baseline_days"] for hit in hits if "baseline_days" in hit["_source"]}


@pytest.fixture
def events(empty_elasticsearch: SearchClient) -> Iterator[None]:
    """One event for each document of the lookup."""
    names = [document["keytrip_key"] for document in elastic_lookup_documents(KEY, table(0).rows())]
    empty_elasticsearch.load_lookup(EVENTS, EVENTS_INDEX, ({"keytrip_key": name} for name in names))
    yield
    empty_elasticsearch.call("DELETE", f"/{EVENTS}")


EVENTS_INDEX = {
    "mappings": {
        "properties": {
            "days": {"type": "long"},
            **{name: {"type": "keyword"} for name in ("keytrip_key", "key_id", "model")},
        }
    }
}


@dataclass
class Reader:
    """What somebody saw who joined with the lookup without a pause.

    Attributes:
        answers: How many.
        mixed: How many of them had rows of two generations, each key one.
        wrong: Those that were not the answer of a whole table.
    """

    answers: int = 0
    mixed: int = 0
    wrong: list[Any] = field(default_factory=list)

    def ask(self, empty_elasticsearch: SearchClient) -> None:
        """Join once."""
        try:
            (whole,) = empty_elasticsearch.esql(WHOLE)
        except SearchError as error:
            self.wrong.append(str(error))
            return
        self.answers += 1
        self.mixed += whole.pop("different") > 1
        if whole != {"rows": ALL, "found": ALL, "days": ROWS}:
            self.wrong.append(whole)


@contextmanager
def reading(empty_elasticsearch: SearchClient) -> Iterator[Reader]:
    """Join with the lookup again and again for as long as the `with` lasts; the server has others to serve too."""
    reader, done = Reader(), threading.Event()

    def poll() -> None:
        while not done.wait(PAUSE):
            reader.ask(empty_elasticsearch)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield reader
    finally:
        done.set()
        thread.join()
    assert reader.answers


def test_apply(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """A table becomes a lookup index behind an alias; a second plan is empty; what is not ours is left alone."""
    empty_elasticsearch.call("PUT", "/keytrip_es_other-000009", {})
    wanted = desired(table(1), table(1, 10, "keytrip_es_few"))
    plan = apply(transport, wanted)
    assert plan.counts == {"create": 3, "update": 0, "delete": 0, "kept": 0, "unchanged": 0}
    assert held(empty_elasticsearch) == (ALL, {1})
    assert empty_elasticsearch.esql(JOINED) == [{"baseline_found": True}]
    assert read_plan(transport, wanted).empty
    live = transport.read((), ())
    assert live.deployments[0].state == "done"
    assert live.generations == {(LOOKUP, 1), ("keytrip_es_few", 1)}
    destroy(transport)
    assert empty_elasticsearch.call("GET", "/keytrip_es_*").keys() == {"keytrip_es_other-000009"}
    empty_elasticsearch.call("DELETE", "/keytrip_es_other-000009")


def test_change_sends_what_changed(empty_elasticsearch: SearchClient, transport: Elastic, proxy: SearchProxy) -> None:
    """A few changed rows are sent alone, into a clone; rows that went take with them the leading parts nobody has."""
    sent = through(proxy)
    apply(sent, desired(table(1, 4000)))
    whole, proxy.bytes_sent = proxy.bytes_sent, 0
    proxy.log.clear()
    rows = [*table(1, 4000).rows()][:-2]
    rows[0] = {**rows[0], "days": 9}
    changed = table_of(LOOKUP, KEY, COLUMNS, lambda: rows)
    plan = read_plan(sent, desired(changed))
    (counts,) = [one.counts for one in plan.tables]
    assert counts is not None
    assert (counts.added, counts.changed, counts.removed) == (0, 1, 2)
    apply(sent, desired(changed))
    assert held(empty_elasticsearch) == (3998 + 1999, {1, 9})
    assert any(path.endswith(f"_clone/{LOOKUP}-000002") for _, path, _ in proxy.log)
    assert proxy.bytes_sent < whole // 50
    assert read_plan(sent, desired(changed)).empty


def test_rows_that_somebody_changed(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """A row that somebody changed, added or removed in the live generation is found and mended."""
    apply(transport, desired(table(1)))
    hit = empty_elasticsearch.call(
        "POST", f"/{LOOKUP}/_search", {"size": 1, "query": {"exists": {"field": "baseline_days"}}}
    )
    name = hit["hits"]["hits"][0]["_id"]
    body = hit["hits"]["hits"][0]["_source"]
    empty_elasticsearch.call("PUT", f"/{LOOKUP}/_doc/{name}?refresh=true", {**body, "baseline_days": 77})
    assert not read_plan(transport, desired(table(1))).empty
    apply(transport, desired(table(1)))
    assert held(empty_elasticsearch)[1] == {1}
    empty_elasticsearch.call("DELETE", f"/{LOOKUP}/_doc/{name}?refresh=true")
    assert not read_plan(transport, desired(table(1))).empty


def test_rollback(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """A rollback leads the alias back to the generation before, and a rollback of that one forth again."""
    apply(transport, desired(table(1)))
    apply(transport, desired(table(2)))
    roll_back(transport)
    assert held(empty_elasticsearch)[1] == {1}
    roll_back(transport)
    assert held(empty_elasticsearch)[1] == {2}


def test_readers_see_whole_tables(empty_elasticsearch: SearchClient, transport: Elastic, events: None) -> None:
    """Queries that run while generations are switched see a whole table, never none, half a one or two."""
    apply(transport, desired(table(0)))
    with reading(empty_elasticsearch) as reader:
        for days in range(1, 3):
            apply(transport, desired(table(days)))
    assert reader.wrong == []


def test_indicators(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """A list of indicators becomes ECS documents; a second plan is empty, and what left the list goes."""

    def listed(*values: str) -> Desired:
        seen = {"first_seen": "2026-11-01T00:00:00Z", "last_seen": "2026-11-02T00:00:00Z", "confidence": 90}
        kinds = {"1": "ipv4", "c": "user_agent", "2": "cidr"}
        made = [indicator_of({"kind": kinds[value[0]], "value": value, **seen}) for value in values]
        body = {"indicators": [one.model_dump(mode="json") for one in made]}
        return Desired((Item("indicator_index", "keytrip_indicators", body),))

    apply(transport, listed("192.0.2.1", "192.0.2.2", "curl/8.5.0", "2001:db8::/32"))
    found = empty_elasticsearch.call(
        "POST", "/keytrip_indicators/_search", {"query": {"term": {"threat.indicator.ip": "192.0.2.1"}}}
    )
    (hit,) = found["hits"]["hits"]
    assert hit["_source"]["@timestamp"] == "2026-11-02T00:00:00Z"
    assert hit["_source"]["threat"]["indicator"]["confidence"] == "High"
    assert read_plan(transport, listed("curl/8.5.0", "192.0.2.1", "192.0.2.2", "2001:db8::/32")).empty
    apply(transport, listed("192.0.2.2", "curl/8.6.0"))
    names = [
        one["_source"]["threat"]["indicator"]["name"]
        for one in empty_elasticsearch.call("POST", "/keytrip_indicators/_search")["hits"]["hits"]
    ]
    assert sorted(names) == ["ipv4 192.0.2.2", "user_agent curl/8.6.0"]
    destroy(transport)
    assert empty_elasticsearch.call("GET", "/keytrip_*?expand_wildcards=all") == {}


def test_hostile_indicators(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """Hostile user agents are in the index as they were told."""
    texts = hostile_texts(fit=an_agent)
    wanted = [made("user_agent", text).model_dump(mode="json") for text in texts]
    apply(transport, Desired((Item("indicator_index", "keytrip_indicators", {"indicators": wanted}),)))
    empty_elasticsearch.call("POST", "/keytrip_indicators/_refresh")
    hits = empty_elasticsearch.call("POST", "/keytrip_indicators/_search", {"size": 10_000})["hits"]["hits"]
    assert {hit["_source"]["threat"]["indicator"]["name"] for hit in hits} == {f"user_agent {text}" for text in texts}


def test_others_table(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """An index of the lookup's name that is not ours is told by name, and stays as it is."""
    empty_elasticsearch.call("PUT", f"/{LOOKUP}", {})
    try:
        with pytest.raises(SystemRefusedError, match=LOOKUP):
            apply(transport, desired(table(1)))
        assert LOOKUP in empty_elasticsearch.call("GET", f"/{LOOKUP}")
    finally:
        empty_elasticsearch.call("DELETE", f"/{LOOKUP}")


GOLDEN = Path(__file__).parents[1] / "golden" / "esql" / "reference_unknown_model.esql"
# What a keyword is found by; a longer one is kept, and no query finds it.
SEARCHED = 8191


def test_any_text_arrives(empty_elasticsearch: SearchClient, transport: Elastic) -> None:
    """Any text in a key or a model is in the server as it was, under an identity of its own, and is joined by it.

    Events are joined by the key that a compiled rule makes of them.
    """
    texts = hostile_texts()
    pairs = [(text, texts[-n]) for n, text in enumerate(texts)]
    pairs += [("a\x1fb", "c"), ("a", "b\x1fc"), ("a", "\x1eub\x1fc"), ("a\x1e", "b"), ("a", "\x1eb"), ("a\x1eub", "c")]
    rows = [{"key_id": key, "model": model, "days": n} for n, (key, model) in enumerate(pairs)]
    hostile = table_of(LOOKUP, KEY, COLUMNS, lambda: rows)
    apply(transport, desired(hostile))
    wanted = {transport.row_id(hostile, row): transport.row_digest(hostile, row) for row in rows}
    assert len(wanted) == len(rows)
    assert dict(transport.row_digests(hostile, 1)) == wanted
    assert read_plan(transport, desired(hostile)).empty
    short = [row for row in rows if len(f"{row['key_id']}{row['model']}") < SEARCHED // 2]
    (key,) = [line for line in GOLDEN.read_text("utf-8").splitlines() if "keytrip_key = CONCAT" in line]
    empty_elasticsearch.load_lookup(EVENTS, EVENTS_INDEX, short)
    found = empty_elasticsearch.esql(
        f"FROM {EVENTS} {key} | LOOKUP JOIN {LOOKUP} ON keytrip_key | STATS rows = COUNT(*), right = "
        "SUM(CASE(baseline_days == days, 1, 0))"
    )
    assert found == [{"rows": len(short), "right": len(short)}]
    empty_elasticsearch.call("DELETE", f"/{EVENTS}")


def test_records_of_any_size(transport: Elastic) -> None:
    """A record of megabytes comes back as it was; the last finished ones do, however many were cut off since."""
    item = Item("detection_rule", "x", {"note": "\u00e9\n" * 300_000}, "x")
    finished = [Deployment(n, "done", "2026-11-01T00:00:00Z", "x@y", "1", (item,), ()) for n in (1, 2)]
    cut = [Deployment(n, "applying", "2026-11-01T00:00:00Z", "x@y", "1", (), ()) for n in range(3, 15)]
    for deployment in (*finished, *cut):
        transport.save(deployment)
    assert transport.read((), ()).deployments == (*reversed(cut[2:]), *reversed(finished))


def test_two_holders(transport: Elastic) -> None:
    """A lock has one holder: another one is told who it is, and may take it from a dead one only."""
    first, second = Holder("a", "x@y", 1, 0), Holder("b", "x@y", 2, 0)
    assert transport.lock(first) is None
    assert transport.lock(first) is None
    assert transport.lock(second) == first
    assert transport.beat(Holder("a", "x@y", 1, 1))
    assert transport.lock(second, first) == Holder("a", "x@y", 1, 1)
    assert transport.lock(second, Holder("a", "x@y", 1, 1)) is None
    assert not transport.beat(first)
    transport.unlock(first)
    assert transport.lock(first) == second
    transport.unlock(second)
    assert transport.lock(first) is None
    transport.unlock(first)


STORM = [Answer(status, b'{"error": {"reason": "busy"}}', headers={"Retry-After": "1"}) for status in (429, 503, 502)]


@pytest.mark.parametrize("fault", ["items", "cuts", "empty"])
def test_faults(empty_elasticsearch: SearchClient, transport: Elastic, proxy: SearchProxy, fault: str) -> None:
    """With every tenth bulk item refused, connection cut or answer empty, apply ends with the whole table, once."""
    if fault == "items":
        proxy.items_every = 10
    elif fault == "cuts":
        proxy.faults.cut_every = 10
    else:
        proxy.faults.empty_every = 10
    sent = through(proxy)
    for days in (1, 2):
        apply(sent, desired(table(days)))
        assert held(empty_elasticsearch) == (ALL, {days})
    assert read_plan(sent, desired(table(2))).empty
    assert fault != "items" or proxy.refused >= (ALL + ROWS) // 10  # a change sends rows alone


def test_storm(empty_elasticsearch: SearchClient, transport: Elastic, proxy: SearchProxy) -> None:
    """Refused requests are sent again; refusals that outlast our tries end the run, and the next one goes on."""
    sent = through(proxy)
    proxy.faults.storm += STORM
    apply(sent, desired(table(1)))
    assert held(empty_elasticsearch)[1] == {1}
    proxy.faults.storm += STORM * 2
    with pytest.raises(SystemRefusedError, match="busy"):
        apply(sent, desired(table(2)))
    apply(sent, desired(table(2)), wait=60)
    assert held(empty_elasticsearch)[1] == {2}


@pytest.mark.parametrize(
    ("block", "word"), [("index.blocks.read_only_allow_delete", "watermark"), ("index.blocks.write", "FORBIDDEN")]
)
def test_blocked_index(empty_elasticsearch: SearchClient, transport: Elastic, block: str, word: str) -> None:
    """Where a full disk, or somebody, blocks a new index, apply ends with the server's word and switches no table."""
    apply(transport, desired(table(1)))
    template = {"index_patterns": ["keytrip_es_*"], "priority": 900, "template": {"settings": {block: True}}}
    empty_elasticsearch.call("PUT", "/_index_template/es-blocked", template)
    try:
        with pytest.raises(SystemRefusedError, match=word):
            apply(transport, desired(table(2), table(2, 10, "keytrip_es_new")))
    finally:
        empty_elasticsearch.call("DELETE", "/_index_template/es-blocked")
    assert held(empty_elasticsearch)[1] == {1}
    apply(transport, desired(table(3)))
    assert held(empty_elasticsearch)[1] == {3}


def test_secrets_and_certificates(proxy: SearchProxy) -> None:
    """A wrong key and an unknown authority are refused without a retry; neither message holds the key."""
    wrong = Connection(proxy.url, Credential("api_key", secret="wr0ng"), proxy.ca_file)  # noqa: S106 - made up
    with pytest.raises(SystemRefusedError, match="401") as refused:
        open_transport(wrong, MANIFEST, sleep=pytest.fail).read((), ())
    assert "wr0ng" not in str(refused.value)
    with pytest.raises(SystemRefusedError, match="certificate"):
        open_transport(Connection(proxy.url), MANIFEST, sleep=pytest.fail).read((), ())


def test_key_that_expires(empty_elasticsearch: SearchClient, transport: Elastic, proxy: SearchProxy) -> None:
    """A key that expires midway is read anew, once."""
    old = proxy.key

    def again() -> Credential:
        return Credential("api_key", secret=proxy.key, again=again)

    connection = Connection(proxy.url, again(), proxy.ca_file)
    sent = open_transport(connection, MANIFEST, sleep=lambda _: None)
    apply(sent, desired(table(1)))
    proxy.key = old[::-1] + "x"
    apply(sent, desired(table(2)))
    assert held(empty_elasticsearch)[1] == {2}


CHILD = """
import sys
from engines.test_elastic_export import desired, opened, table
from keytrip.export.engine import apply
print("ready", flush=True)
apply(opened(sys.argv[1]), desired(table(int(sys.argv[2]))), wait=60)
"""
KILLS = int(os.environ.get("KEYTRIP_KILLS", "2"))


def test_killed(empty_elasticsearch: SearchClient, transport: Elastic, events: None) -> None:
    """An apply that is killed at any instant leaves a whole table to readers, and the next apply converges.

    KEYTRIP_KILLS=100 kills a hundred of them; `pytest -rP` shows what the reader saw.
    """
    apply(transport, desired(table(0)))
    dice = random.Random(5)  # noqa: S311 - the same instants each time
    start = time.monotonic()
    _child(empty_elasticsearch, 1).wait()
    longest = time.monotonic() - start
    with reading(empty_elasticsearch) as reader:
        for days in range(2, 2 + KILLS):
            child = _child(empty_elasticsearch, days)
            time.sleep(dice.uniform(0, longest))
            child.send_signal(signal.SIGKILL)
            child.wait()
            if days % 2:
                apply(transport, desired(table(days)), wait=60)
                assert held(empty_elasticsearch) == (ALL, {days})
                assert read_plan(transport, desired(table(days))).empty
    sys.stdout.write(f"{KILLS} kills, {reader.answers} answers, {reader.mixed} of them with rows of two generations")
    assert reader.wrong == []
    assert len(transport.read((), ()).generations) <= 2


def _child(empty_elasticsearch: SearchClient, days: int) -> subprocess.Popen[str]:
    """Start an apply in a process of its own, and return once it begins."""
    here = os.pathsep.join(sys.path)
    command: Sequence[str] = (sys.executable, "-c", CHILD, empty_elasticsearch.url, str(days))
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": here})
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child
