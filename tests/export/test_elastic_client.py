"""How Elasticsearch is reached and examined; its answers are written here by hand, as a real 8.19 gave them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from stubs.https import Answer, Faults, Request, https_server
from stubs.kibana import KibanaStub, kibana_stub

from keytrip.errors import UsageError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.elastic import diagnose, open_transport, server_of
from keytrip.export.elastic.client import ElasticSend
from keytrip.export.elastic.versions import server_of_version, version_of
from keytrip.export.manifest import Manifest, destination_named
from keytrip.export.transports import Finding

TABLES_ONLY = Manifest(name="elastic", about="x", transport="elastic")
ALL_GIVEN: dict[str, Any] = {
    "cluster": {"manage_index_templates": True, "monitor": True},
    "index": {"keytrip_*": {"read": True, "write": True}, "logs-keytrip.*": {"read": True}},
}
HEALTHY: dict[str, tuple[int, Any]] = {
    "": (200, {"version": {"number": "8.19.21", "build_flavor": "default"}}),
    "_cluster/health": (200, {"status": "green"}),
    "_nodes/_all/version": (200, {"nodes": {"a": {"version": "8.19.21"}, "b": {"version": "9.1.0-SNAPSHOT"}}}),
    "_license": (200, {"license": {"type": "platinum"}}),
    "_security/user/_has_privileges": (200, ALL_GIVEN),
    "keytrip_*/_settings/index.blocks.read_only*": (200, {}),
    "_nodes/stats/fs": (
        200,
        {
            "nodes": {
                "a": {"fs": {"total": {"total_in_bytes": 100, "available_in_bytes": 60}}},
                "b": {"fs": {"total": {}}},
            }
        },
    ),
}


@dataclass
class Cluster:
    """Answers that a server gives, by path."""

    answers: dict[str, tuple[int, Any]]
    product: str = "Elasticsearch"
    faults: Faults = field(default_factory=Faults)
    headers: list[Any] = field(default_factory=list)
    url: str = ""
    ca_file: Path = Path()

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        self.headers.append(request.headers)
        status, body = self.answers.get("/".join(request.segments), (405, {"error": "Incorrect HTTP method"}))
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"X-Elastic-Product": self.product} if self.product else {}
        return Answer(status, text, "application/vnd.elasticsearch+json;compatible-with=8", told)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that answers as it is told."""
    cluster = Cluster({})
    with https_server(cluster.handle, tmp_path_factory.mktemp("es"), cluster.faults) as (cluster.url, cluster.ca_file):
        yield cluster


@pytest.fixture
def cluster(server: Cluster) -> Cluster:
    """The same, healthy."""
    server.answers, server.product = dict(HEALTHY), "Elasticsearch"
    server.headers.clear()
    return server


@pytest.fixture(scope="module")
def kibana(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KibanaStub]:
    """A Kibana with a key that was made for this run."""
    with kibana_stub(tmp_path_factory.mktemp("kibana"), key=os.urandom(8).hex()) as stub:
        yield stub


def connection(cluster: Cluster, **options: str) -> Connection:
    """How the server is reached."""
    return Connection(cluster.url, Credential("api_key", secret="made-up"), cluster.ca_file, options=options)  # noqa: S106


def findings(cluster: Cluster, **options: str) -> dict[str, Finding]:
    """What is said of the server, by subject."""
    return {one.subject: one for one in diagnose(connection(cluster, **options), TABLES_ONLY)}


def test_healthy(cluster: Cluster) -> None:
    """Nothing is amiss where nothing is; each finding says what was found."""
    found = findings(cluster)
    assert [one.subject for one in found.values() if not one.ok or one.hint] == []
    assert found["version"].found == "Elasticsearch 8.19.21, 9.1.0-SNAPSHOT"
    assert found["disk"].found == "40 % used on the fullest node"
    assert len(found) == 8


@pytest.mark.parametrize(
    ("path", "answer", "subject", "hint"),
    [
        ("_cluster/health", (401, {}), "Elasticsearch", "new API key"),
        ("_cluster/health", (403, {}), "Elasticsearch", "monitor"),
        ("_cluster/health", (200, {"status": "red"}), "Elasticsearch", ""),
        ("_nodes/_all/version", (200, {"nodes": {"a": {"version": "8.18.4"}}}), "version", "8.19"),
        ("_nodes/_all/version", (200, {"nodes": {"a": {"version": "9.0.8"}}}), "version", "9.1"),
        ("_nodes/_all/version", (403, {}), "version", "monitor"),
        ("_license", (200, {"license": {"type": "basic"}}), "licence", "suppression=off"),
        ("_license", (403, {}), "licence", "monitor"),
        ("_security/user/_has_privileges", (403, {}), "privileges", "API key"),
        (
            "keytrip_*/_settings/index.blocks.read_only*",
            (200, {"keytrip_x-000001": {}}),
            "indices that take writes",
            "disk",
        ),
        (
            "_nodes/stats/fs",
            (200, {"nodes": {"a": {"fs": {"total": {"total_in_bytes": 100, "available_in_bytes": 9}}}}}),
            "disk",
            "full",
        ),
    ],
)
def test_amiss(cluster: Cluster, path: str, answer: tuple[int, Any], subject: str, hint: str) -> None:
    """What is amiss is named, with what to do; the rest is looked at all the same, unless nothing answers."""
    cluster.answers[path] = answer
    found = findings(cluster)
    assert not found[subject].ok
    assert hint in found[subject].hint
    assert [one.subject for one in found.values() if not one.ok] == [subject]


def test_lacking_privileges(cluster: Cluster) -> None:
    """A privilege that the role lacks is named, with the place that it is for."""
    given = {**ALL_GIVEN, "index": {"keytrip_*": {"write": False, "read": True, "create_index": False}}}
    cluster.answers["_security/user/_has_privileges"] = (200, given)
    found = findings(cluster)["privileges on keytrip_*"]
    assert (found.ok, found.found) == (False, "lacks create_index, write")


def test_without_security_and_licence(cluster: Cluster) -> None:
    """A server without security or licence is told as such; a basic licence is enough without suppression."""
    del cluster.answers["_security/user/_has_privileges"]
    del cluster.answers["_license"]
    del cluster.answers["_nodes/stats/fs"]
    found = findings(cluster)
    assert found["privileges"].found == "security is off"
    assert all(one.ok for one in found.values())
    cluster.answers["_license"] = (200, {"license": {"type": "basic"}})
    assert findings(cluster, suppression="off")["licence"].ok


def test_unreached(cluster: Cluster) -> None:
    """A server that is not there, is another product, or has a certificate of another authority, is told at once."""
    (nobody,) = diagnose(Connection("https://localhost:9"), TABLES_ONLY)
    assert not nobody.ok
    assert "--url" in nobody.hint
    (stranger,) = diagnose(Connection(cluster.url), TABLES_ONLY)
    assert "--ca-file" in stranger.hint
    cluster.product = ""
    (other,) = diagnose(connection(cluster), TABLES_ONLY)
    assert other.found.endswith("is no Elasticsearch")


def test_kibana(cluster: Cluster, kibana: KibanaStub) -> None:
    """Where there are rules, Kibana is looked at too: its address, the key, the role and the space."""
    manifest = destination_named("elastic")

    def said(**options: str) -> Finding:
        key = Credential("api_key", secret=kibana.key)
        reached = Connection(cluster.url, key, cluster.ca_file, options=options)
        if options:
            reached = Connection("https://localhost:9", key, kibana.ca_file, options=options)
        return [*diagnose(reached, manifest)][-1]

    kibana.role = "all"
    assert said(kibana_url=kibana.url).found == "0 rules in this space"
    assert "kibana_url" in said(kibana_url=kibana.url, space="nowhere").hint
    assert "KEYTRIP_ELASTIC_KIBANA_URL" in said().hint
    kibana.role = "none"
    assert "Security: all" in said(kibana_url=kibana.url).hint


def test_version_eight_is_spoken(cluster: Cluster) -> None:
    """Requests ask for version 8's API, which servers of 8 and 9 speak; 9's is refused by one of 8."""
    send = ElasticSend(connection(cluster))
    assert send("GET", "/_cluster/health").ok
    send("POST", "/x/_bulk", "{}\n")
    send("PUT", "/x", {})
    spoken = {
        value for headers in cluster.headers for name, value in headers.items() if name in {"accept", "content-type"}
    }
    assert {"compatible-with=8" in value for value in spoken} == {True}
    assert any("x-ndjson" in value for value in spoken)


def test_answers(cluster: Cluster) -> None:
    """An answer that is no JSON, or empty, was cut off or comes from a proxy: it counts as none."""
    send = ElasticSend(connection(cluster))
    for body in (b'{"cut', b""):
        cluster.answers["_cluster/health"] = (200, body)
        assert send("GET", "/_cluster/health").status == 0


def test_proxy() -> None:
    """Requests go through a proxy if there is one, for https only."""
    send = ElasticSend(Connection("https://es/below", proxy="http://proxy:3128"))
    (node,) = send._client.transport.node_pool.all()
    assert (node.pool.proxy.host, node.pool.host, node.pool.port, node.path_prefix) == ("proxy", "es", 443, "/below")
    with pytest.raises(UsageError, match="https only"):
        ElasticSend(Connection("http://es", proxy="http://proxy:3128"))


def test_rules_need_kibana(cluster: Cluster) -> None:
    """A destination with rules asks for Kibana's address before anything is sent; one without does not."""
    with pytest.raises(UsageError, match="where is Kibana"):
        open_transport(connection(cluster), destination_named("elastic"))
    assert open_transport(connection(cluster), TABLES_ONLY).kibana is None
    assert cluster.headers == []


@pytest.mark.parametrize(("text", "version"), [("8.19.21", (8, 19)), ("9.1.0-SNAPSHOT", (9, 1)), ("10.0.0", (10, 0))])
def test_version(text: str, version: tuple[int, int]) -> None:
    """Versions compare as numbers."""
    assert version_of(text) == version


def test_the_oldest_node_counts(cluster: Cluster) -> None:
    """Rules are compiled for the oldest version of a cluster in which several are; a plan names them all."""
    found = server_of(connection(cluster), lambda _: None)
    assert (found.name, found.version) == ("Elasticsearch 8.19.21, 9.1.0-SNAPSHOT", "8.19")
    assert not found.no_tables
    assert not found.no_lookups


def test_a_serverless_project(cluster: Cluster) -> None:
    """Elastic's own service says a version that means nothing, and has all that there is."""
    gone = (410, {"error": {"reason": "Request for uri [/_nodes] is not available when running in serverless mode"}})
    version = (200, {"version": {"number": "8.11.0", "build_flavor": "serverless"}})
    cluster.answers = {"": version, "_nodes/_all/version": gone}
    found = server_of(connection(cluster), lambda _: None)
    assert found.name == "Elasticsearch Serverless"
    assert version_of(found.version) >= (9, 2)


@pytest.mark.parametrize(
    ("version", "tables", "lookups"),
    [
        ("7.17.1", False, True), ("8.18.4", False, True), ("8.19.0", True, True), ("9.0.8", True, False),
        ("9.1.0", True, True), ("9.2.1", True, True), ("10.0.0-SNAPSHOT", True, True),
    ],
)  # fmt: skip
def test_what_a_version_can(version: str, *, tables: bool, lookups: bool) -> None:
    """Lookup indices are relied on from 8.19 on, and aliases in joins everywhere but in 9.0."""
    found = server_of_version(version)
    assert (not found.no_tables, not found.no_lookups) == (tables, lookups)
    assert all("8.19" in reason for reason in (found.no_tables, found.no_lookups) if reason)
