"""A monitor's search as OpenSearch's own classes write it: the Alerting plugin hands it back in this form."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from engines.toolchain import java_program, need_java
from export.opensearch.test_plugins import items

from keytrip.export.opensearch.queries import normal_search

HERE = Path(__file__).parent / "search_server"


def rewritten(searches: Iterable[Any]) -> Sequence[Any]:
    """Return the searches as OpenSearch writes them."""
    need_java()
    program = java_program(HERE / "RewriteSearch.java", HERE / "pom.xml", "opensearch")
    lines = "".join(json.dumps(search) + "\n" for search in searches)
    command = program.command("RewriteSearch")
    done = subprocess.run(
        command, input=lines, env=program.environment(), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.engine
@pytest.mark.xdist_group("engines")
def test_what_the_server_writes_is_no_difference() -> None:
    """(OpenSearch's own serializer.) For a rule of each kind, our search and the server's form of it are equal."""
    bodies = [item.body["inputs"][0]["search"]["query"] for item in items() if item.kind == "monitor"]
    found = rewritten(bodies)
    assert [normal_search(body) for body in found] == [normal_search(body) for body in bodies]
    assert found != bodies
