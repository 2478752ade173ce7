"""Every command that the README, the docs and `--help` show is run, in a folder that holds the files they speak of."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from demo.month import Month
from sigma.cli.main import main

from keytrip.cli.app import application
from keytrip.cli.app import run as keytrip
from keytrip.demo.traffic import LAST_DAY

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
# One worker runs these tests, so that the month of logs is made once.
pytestmark = pytest.mark.xdist_group("month")
_BLOCK = re.compile(r"^```(?:console|sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What only a shell understands, outside quotes.
_SHELL = re.compile(r"^(?:[^'\"]|'[^']*'|\"[^\"]*\")*?[|<>*$&;]")
_PROGRAM = re.compile(r"(?:^|\| *)([\w.-]+)")
# What the folder has, or every system; `make` targets are the project's own set-up and are looked up instead.
_RUN = {"keytrip", "sigma", "cat", "ls", "head"}
_INCIDENTS = 'incidents: [{key_id: key_abc, from: 2026-11-03, to: 2026-11-04, why: "stolen, rotated on the 4th"}]\n'
_WHOAMI = """title: Who am I
id: 5a5c2c0e-0c0f-4f0e-9a53-6d2f6f1f6c11
status: test
level: low
logsource: {product: windows, category: process_creation}
detection: {selection: {Image|endswith: '\\whoami.exe'}, condition: selection}
"""


@dataclass(frozen=True)
class Shown:
    """A command in a document; `status` is what its comment says that it exits with."""

    document: Path
    line: int
    text: str
    status: int = 0


def shown_in(document: Path) -> Iterator[Shown]:
    """Yield the commands of a document's shell blocks: lines after `$ `, or all lines of a block without any."""
    text = document.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        lines = re.sub(r"\\\n *", lambda _: "", block[1]).splitlines()
        prompted = [line for line in lines if line.startswith("$ ")]
        for number, line in enumerate(lines):
            typed = line.removeprefix("$ ").strip()
            if typed and not typed.startswith("#") and (line.startswith("$ ") or not prompted):
                command, _, comment = typed.partition("  # ")
                status = re.search(r"exits (\d)", comment)
                yield Shown(document, first + number, command, int(status[1]) if status else 0)


def examples() -> Iterator[tuple[str, list[str]]]:
    """Yield each command's name and the examples in its help."""
    yield from _examples(application(), "keytrip")


def _examples(group: typer.Typer, prefix: str) -> Iterator[tuple[str, list[str]]]:
    for command in group.registered_commands:
        assert command.callback is not None
        name = f"{prefix} {command.name or command.callback.__name__}"
        found = inspect.cleandoc(command.callback.__doc__ or "").partition("Examples:\n")[2]
        yield name, [line.strip() for line in found.splitlines() if line.strip()]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _examples(inner.typer_instance, f"{prefix} {inner.name}")


EXAMPLES = dict(examples())


@pytest.fixture(scope="session")
def fresh(month: Month, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the documents speak of, and no store yet."""
    folder = tmp_path_factory.mktemp("fresh")
    stolen = {theft.key_id for theft in month.stolen}
    (folder / "logs").mkdir()
    for path in month.folder.iterdir():
        thin(path, folder / "logs" / path.name, stolen)
    shutil.copy(folder / "logs" / f"litellm-{LAST_DAY}.ndjson", folder / "today.ndjson")
    days = range(1, 20)
    records = ({"timestamp": f"2026-11-{day:02}T09:00:00Z", "key_id": "key_abc", "model": "m"} for day in days)
    (folder / "access.log.ndjson").write_text(
        "".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8"
    )
    shutil.copy(ROOT / "tests/fixtures/nginx_egress/access_json.log", folder / "egress.log")
    (folder / "incidents.yml").write_text(_INCIDENTS, encoding="utf-8")
    shutil.copy(ROOT / "docs/examples/iocs.csv", folder)
    shutil.copytree(ROOT / "docs/examples/mypack", folder / "mypack")
    shutil.copytree(ROOT / "docs/examples/language", folder / "docs/examples/language")
    shutil.copytree(ROOT / "rules", folder / "rules")
    (folder / "own").mkdir()
    (folder / "own/whoami.yml").write_text(_WHOAMI, encoding="utf-8")
    return folder


def thin(log: Path, to: Path, stolen: Collection[str]) -> None:
    """Write what a log has of the stolen keys, and a tenth of the rest: hundreds of commands read it."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = (line for n, line in enumerate(lines) if n % 10 == 0 or any(key in line for key in stolen))
    to.write_text("".join(kept), encoding="utf-8")


@pytest.fixture(scope="session")
def ready(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with a store of three snapshots, a second store, what two of them were applied to, and a plan."""
    folder = copied(fresh, tmp_path_factory.mktemp("ready") / "here")
    for build in ("access.log.ndjson", "logs --end 2026-11-17", "logs --end 2026-11-18"):
        assert run(f"keytrip baseline build {build} --quiet", folder) == 0
        assert run("keytrip apply csv --url export/", folder) == 0
    assert run("keytrip plan csv --url export/ --out plan.json", folder) == 0
    shutil.copytree(folder / ".keytrip", folder / "team-store")
    return folder


def copied(folder: Path, to: Path) -> Path:
    """Return a copy of a folder; its logs, which nothing changes, are linked."""
    return Path(
        shutil.copytree(folder, to, copy_function=lambda a, b: (os.link if "logs" in a else shutil.copy2)(a, b))
    )


def sigma(words: list[str]) -> int:
    """Return the exit status of stock sigma-cli."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["sigma", *words])
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


# Programs that are started in this process.
_HERE = {"keytrip": keytrip, "sigma": sigma}


def run(command: str, folder: Path) -> int:
    """Return the exit status of a command line in a folder; one that needs no shell runs in this process."""
    sys.stderr.write(f"$ {command}\n")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        for name in [name for name in os.environ if name.startswith(("KEYTRIP_", "COVERAGE_"))]:
            patch.delenv(name)
        patch.setenv("KEYTRIP_CACHE", str(folder.parent / "cache"))
        words = shlex.split(command)
        if words[0] in _HERE and not _SHELL.search(command):
            return _HERE[words[0]](words[1:])
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        return subprocess.run(["sh", "-c", command], check=False).returncode


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_shows_commands_that_run(document: Path, fresh: Path, tmp_path: Path) -> None:
    """Typed one after the other in one folder, a document's commands end as it says."""
    folder = copied(fresh, tmp_path / "here")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for shown in shown_in(document):
        where = f"{document.name}:{shown.line}: {shown.text}"
        if shown.text.startswith("make "):
            assert set(shown.text.split()[1:]) <= targets, where
            continue
        assert set(_PROGRAM.findall(re.sub(r"'[^']*'", "", shown.text))) <= _RUN, where
        assert run(shown.text, folder) == shown.status, where


def test_the_pack_of_the_documents_is_the_one_they_show() -> None:
    """The YAML in docs/packs.md is that of the files in docs/examples/mypack."""
    text = (ROOT / "docs/packs.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    files = sorted((ROOT / "docs/examples/mypack").glob("**/*.yml"))
    assert sorted(shown) == sorted(path.read_text(encoding="utf-8") for path in files)


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_two_examples_that_run(name: str, ready: Path, tmp_path: Path) -> None:
    """Each command's help shows two examples, and both do what they say."""
    assert len(EXAMPLES[name]) == 2
    if name == "keytrip demo":
        return  # tests/demo runs it: it takes a while
    for number, example in enumerate(EXAMPLES[name]):
        # --fail-on makes an exit status of what was found
        allowed = {0, 1} if "--fail-on" in example else {0}
        assert run(example, copied(ready, tmp_path / str(number) / "here")) in allowed, example


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_shows_the_examples_last_and_whole(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a command ends with its two examples, whatever the width of the terminal does to long lines."""
    assert keytrip([*name.split()[1:], "--help"]) == 0
    assert " ".join(capsys.readouterr().out.split()).endswith(" ".join(["Examples:", *EXAMPLES[name]]))
