"""Options of the whole suite."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from demo.month import Month
from hypothesis import settings

import keytrip
from keytrip.demo.traffic import write_logs

# No test is timed: what an example takes is the machine's affair. More examples in a long run: KEYTRIP_EXAMPLES=500.
settings.register_profile("keytrip", deadline=None, max_examples=int(os.environ.get("KEYTRIP_EXAMPLES", "30")))
settings.load_profile("keytrip")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that rewrites the golden files."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing them")


# Comparisons with another implementation, and tests that run one command many times: other tests run the same code.
# Traced, they take up to twice as long.
UNTRACED = (
    "baselines/test_duplicates",
    "baselines/test_guards",
    "baselines/test_kinds",
    "baselines/test_stage_one",
    "cli/test_bad_input",
    "compile/test_filters",
    "compile/test_schedules",
    "compile/test_sigma_cli",
    "compile/test_spl_meaning",
    "compile/test_spl_statistics",
    "compile/test_stock",
    "demo/test_traffic",
    "docs/test_commands",
    "engines/equality/",
    "engines/test_e",
    "engines/test_harness",
    "engines/test_hostile",
    "engines/test_opensearch_parity",
    "engines/test_sp",
    "export/splunk/test_commands",
    "export/splunk/test_faults",
    "export/test_clock",
    "export/test_files_killed",
    "export/test_hostile",
    "export/test_killed",
    "judge/",
    "live/",
    "packaging/",
    "records/test_networks",
    "records/test_times",
    "rules/test_json_schema",
    "rules/test_odd_yaml",
    "rules/test_usage",
    "sources/test_forms",
    "sources/test_litellm",
    "sources/test_load",
)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End the first of the two measurements that pytest-cov starts in a worker: it heeds no `no_cover`."""
    measuring = session.config.pluginmanager.get_plugin("_cov")
    if hasattr(session.config, "workerinput") and measuring and measuring.cov_controller:
        measuring.cov_controller.cov.stop()
        measuring.cov_controller.cov.save()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave large comparisons out of the coverage, but for those of destinations."""
    if config.getoption("cov_source", None):
        # a module that an untraced test is the first to load would not be traced either
        for module in pkgutil.walk_packages(keytrip.__path__, "keytrip."):
            import_module(module.name)
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here).as_posix()
        if place.startswith(UNTRACED) and "elastic" not in place:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled texts of the tests do not go into the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYTRIP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    """The demo's month; tests that ask for it are of the xdist group `month`, since it takes seconds to make."""
    folder = tmp_path_factory.mktemp("month") / "logs"
    return Month(folder, write_logs(folder))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written."""
    return bool(request.config.getoption("--update-golden"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: a packed file holds the second it was made in, and workers must agree on names."""
    return argname if isinstance(val, bytes) else None
