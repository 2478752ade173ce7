"""Arrows between the parts point one way, and a command imports only what it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What takes its time to import, and what only some commands need.
HEAVY = {"duckdb", "sigma", "yaml", "jinja2", "splunklib", "elasticsearch", "genai_prices", "pyarrow", "zstandard"}


def loaded(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after `statement`."""
    code = f"{statement}\nimport sys\nsys.stderr.write(' '.join(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_arrows_point_one_way() -> None:
    """import-linter finds no import against the layers of pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_part_has_its_layer() -> None:
    """A new package below `keytrip` stands in the list of layers, so that no part escapes the linter."""
    import tomllib

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)["tool"]["importlinter"]["contracts"][0]["layers"]
    known = {part.strip() for layer in listed for part in layer.split(":")}
    parts = {path.parent.name for path in (ROOT / "src/keytrip").glob("*/__init__.py")}
    assert {f"keytrip.{part}" for part in parts} <= known


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["hunt", "--help"], ["baseline", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Whoever asks what there is does not wait for engines."""
    statement = (
        f"import sys\nsys.argv = ['keytrip', *{arguments}]\nfrom keytrip.__main__ import main\nassert main() == 0"
    )
    assert not HEAVY & loaded(statement)


def test_the_version_loads_next_to_nothing() -> None:
    """`keytrip --version` answers before the command line is built."""
    statement = "import sys\nsys.argv = ['keytrip', '--version']\nfrom keytrip.__main__ import main\nmain()"
    assert not {"typer", "rich", "pydantic"} & loaded(statement)


def test_a_baseline_is_built_without_the_rule_compiler() -> None:
    """Stage one and two need DuckDB, and nothing of pySigma."""
    assert "sigma" not in loaded("import keytrip.baselines.build, keytrip.baselines.snapshots")
