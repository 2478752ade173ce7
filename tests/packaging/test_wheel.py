"""The package as users get it: sdist, the wheel made of it, a fresh environment, and an editable install."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest

from keytrip.content import FOLDERS

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A fresh environment: one wheel of ours, and the libraries of the environment that runs the tests."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where commands are."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(self, *command: str) -> str:
        """Return the output of a command of this environment, run where no checkout is in sight."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
        program, *arguments = command
        done = subprocess.run(
            [str(self.scripts / program), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=self.folder,
            env={**clean, "KEYTRIP_CACHE": str(self.folder / "cache")},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rules(self) -> list[dict[str, Any]]:
        """Return what `keytrip rules` lists."""
        return [json.loads(line) for line in self.run("keytrip", "rules", "--format", "json").splitlines()]


def environment(folder: Path, wheel: Path) -> Environment:
    """Return a new environment in `folder` with `wheel`; nothing is fetched."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    made = Environment(folder)
    python = made.scripts / ("python.exe" if os.name == "nt" else "python")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True)
    # after the install, so that pip never meets the package of the environment that runs the tests
    found = made.run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(found) / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return made


def build(source: Path, out: Path, target: str) -> Path:
    """Return what hatchling, the build backend, makes of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, as `python -m build` does it."""
    folder = tmp_path_factory.mktemp("build")
    with tarfile.open(build(ROOT, folder / "sdist", "sdist")) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return build(next((folder / "unpacked").iterdir()), folder / "wheel", "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A fresh environment with the wheel."""
    return environment(tmp_path_factory.mktemp("installed"), wheel)


def content(root: Path) -> set[str]:
    """Return the content files below a folder, as paths in it."""
    files = (path for folder in FOLDERS for path in (root / folder).rglob("*"))
    wanted = (path for path in files if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix() for path in wanted}


def test_the_wheel_holds_every_content_file_and_nothing_generic(wheel: Path) -> None:
    """Every rule, job, pipeline and exporter of the checkout is in the wheel, and no top-level name but ours."""
    names = ZipFile(wheel).namelist()
    packed = {name.removeprefix("keytrip/content/") for name in names if name.startswith("keytrip/content/")}
    assert packed == content(ROOT)
    assert len(packed) > len(FOLDERS)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"keytrip", "sigma"}
    assert not {"sigma/__init__.py", "sigma/backends/__init__.py", "sigma/pipelines/__init__.py"} & set(names)
    assert {"keytrip/py.typed", "keytrip/records/vocabulary.yml"} <= set(names)


def test_the_wheel_knows_the_rules_of_the_checkout(installed: Environment) -> None:
    """The installed command finds its packed content: the rules are those of the checkout, in its own folder."""
    rules = installed.rules()
    alerting = [path for path in (ROOT / "rules").rglob("*.yml") if "tests:" in path.read_text(encoding="utf-8")]
    assert len(rules) == len(alerting)
    for rule in rules:
        assert Path(rule["file"]).resolve().is_relative_to(installed.folder.resolve())


def test_the_installed_content_passes_its_own_check(installed: Environment) -> None:
    """Jobs, pipelines, exporters and rules can be read from where they were installed."""
    assert installed.run("keytrip", "check") == ""


def test_stock_sigma_cli_finds_our_backends(installed: Environment) -> None:
    """`sigma list targets` and `sigma list pipelines` of the fresh environment name ours."""
    cli = "import sys; from sigma.cli.main import main; sys.argv[0] = 'sigma'; main()"
    targets = installed.run("python", "-c", cli, "list", "targets")
    assert {"keytrip_splunk", "keytrip_esql", "keytrip_duckdb"} <= set(targets.replace("|", " ").split())
    assert "keytrip_canonical" in installed.run("python", "-c", cli, "list", "pipelines")


def test_an_editable_install_sees_a_new_rule_at_once(tmp_path: Path) -> None:
    """With `pip install -e`, a rule file that is added afterwards is listed without another install."""
    source = tmp_path / "source"
    for name in ("src", *FOLDERS):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    made = environment(tmp_path / "env", build(source, tmp_path / "wheel", "wheel:editable"))
    before = {rule["rule"] for rule in made.rules()}
    text = (source / "rules/reference/reference_cost_spike.yml").read_text(encoding="utf-8")
    text = re.sub("(?m)^id: .*", lambda _: f"id: {uuid4()}", text.replace("reference_cost_spike", "brand_new"))
    (source / "rules/usage/brand_new.yml").write_text(text, encoding="utf-8")
    assert {rule["rule"] for rule in made.rules()} - before == {"brand_new"}
