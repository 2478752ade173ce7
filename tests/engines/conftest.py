"""Real engines for tests, started once a session; without Java they are skipped with the reason, in CI they fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engines.search_server.client import SearchClient
from engines.search_server.search_server import SearchServer
from engines.spark_engine import SparkEngine, spark_engine
from engines.spl_parser.spl_parser import SplCheck, spl_checker, spl_program
from engines.toolchain import Program, need_java

ENGINES = frozenset({"elasticsearch", "empty_elasticsearch", "opensearch", "spark", "spl_check", "spl_parser"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses an engine: `-m "not engine"` leaves it out, and `--dist loadgroup` keeps it on one worker."""
    for item in items:
        used = _engines_of(item)
        if used:
            item.add_marker("engine")
        # what runs in this process shares the judge's answers
        alone = "equality" if item.path.parent.name == "equality" else ""
        apart = used & {"spark", "empty_elasticsearch"}
        group = next(iter(apart), "engines" if used else alone)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))


def _engines_of(item: pytest.Item) -> frozenset[str]:
    """Return the engines that a test asks for as a fixture, or names in a parameter."""
    parameters = item.callspec.params.values() if isinstance(item, pytest.Function) and "callspec" in vars(item) else ()
    named = [value for value in parameters if isinstance(value, str)]
    return ENGINES.intersection((*getattr(item, "fixturenames", ()), *named))


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[SearchClient]:
    """A running Elasticsearch 8.19; what a test loads stays until the next load of the same table."""
    need_java()
    with SearchServer("elasticsearch") as server:
        yield SearchClient(server.url)


@pytest.fixture(scope="session")
def empty_elasticsearch() -> Iterator[SearchClient]:
    """One into which no test loads records: it cannot remove a data stream, nor a template that one was made by."""
    need_java()
    with SearchServer("elasticsearch") as server:
        yield SearchClient(server.url)


@pytest.fixture(scope="session")
def opensearch() -> Iterator[SearchClient]:
    """A running OpenSearch 2.19; it knows no ES|QL."""
    need_java()
    with SearchServer("opensearch") as server:
        yield SearchClient(server.url)


@pytest.fixture(scope="session")
def spl_parser() -> Program:
    """The parser as it is, without the rewriting of good SPL that it rejects."""
    need_java()
    return spl_program()


@pytest.fixture(scope="session")
def spl_check(spl_parser: Program) -> SplCheck:
    """Check named SPL texts: name -> SPL in, name -> errors out, all in one start of the parser."""
    return spl_checker(spl_parser)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    """A Spark on one core; what a test loads stays until the next load of the same table."""
    need_java("java")
    with spark_engine(tmp_path_factory.mktemp("spark")) as engine:
        yield engine
