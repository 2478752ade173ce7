"""`keytrip test --live`: the rules' own cases in a SIEM, told like those in DuckDB, and nothing of them left there."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from compile.small_pack import RULE, writer
from live.chosen import LANGUAGE, NAMES, cases
from live.splunk_stub import SplunkStub

from keytrip.cli import app


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[SplunkStub]:
    """A Splunk in memory, named by the environment."""
    with SplunkStub() as running:
        for port in ("SPLUNK", "SPLUNK_HEC"):
            monkeypatch.setenv(f"KEYTRIP_LIVE_{port}_URL", running.url)
            monkeypatch.setenv(f"KEYTRIP_LIVE_{port}_TOKEN", "made-up")
        yield running


def test_splunk(stub: SplunkStub, capsys: pytest.CaptureFixture[str]) -> None:
    """Every case passes by the searches of the small machine, beside events that were there before."""
    stub.indexes.add("keytrip")
    stub.events.append(
        {"index": "keytrip", "sourcetype": "keytrip:usage", "_time": 1.8e9, "_raw": "{}", "status_code": 1}
    )
    assert app.run(["test", *NAMES, "--pack", str(LANGUAGE), "--live", "splunk"]) == 0
    assert capsys.readouterr().err.strip() == f"{cases(NAMES)} cases passed, 0 failed"
    assert stub.indexes == {"keytrip"}
    assert len(stub.events) == 1
    assert not stub.lookups
    assert not stub.collections


def test_an_index_that_was_there_is_left(stub: SplunkStub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that fails says where it is, what it expects and its events; whose index it was keeps it."""
    stub.indexes.add("keytrip_test")
    path = writer(tmp_path)("rules/more.yml", RULE.replace("fires: true", "fires: false", 1))
    assert app.run(["test", "more_requests", "--pack", str(tmp_path), "--live", "splunk"]) == 1
    out, errors = capsys.readouterr()
    assert out.startswith(f"{path}:1: more_requests: test 'far more': expected no alert, got 1 in splunk\n")
    assert "request_count=131" in out
    assert errors.strip().endswith("1 failed")
    assert stub.indexes == {"keytrip_test"}


@pytest.fixture
def refusing() -> Iterator[str]:
    """The address of a server that lets nobody in."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(b'{"error": "not you"}')

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_that_refuses(
    refusing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, with what was asked and the server's words."""
    monkeypatch.setenv("KEYTRIP_LIVE_ELASTIC_URL", refusing)
    assert app.run(["test", "reference_unknown_model", "--live", "esql"]) == 3
    assert "answered 403: not you" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--live", "spark"], "no cases are run live in 'spark'; one of: splunk, esql, lucene, opensearch"),
        (["--live", "opensearch"], "KEYTRIP_LIVE_OPENSEARCH_URL names no server; docs/live.md has the variables"),
        (["--live", "splunk", "--watch"], "--watch does not go with --live"),
        (["--live", "nothing"], "no target 'nothing'"),
    ],
    ids=str,
)
def test_wrong_use(
    options: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, before anything is sent."""
    monkeypatch.delenv("KEYTRIP_LIVE_OPENSEARCH_URL", raising=False)
    assert app.run(["test", "reference_unknown_model", *options]) == 2
    assert words in capsys.readouterr().err
