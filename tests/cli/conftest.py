"""The command line as users run it: a process of its own, its exit code, its two streams, and what it leaves behind."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from forked import start

RECORD = b'{"timestamp": "2026-04-01T00:00:00Z", "key_id": "k"}\n'


@dataclass(frozen=True)
class Done:
    """What a command did.

    Attributes:
        code: Its exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Place:
    """A folder to run commands in.

    Attributes:
        folder: The working folder.
        work: Where commands keep what they need while they run.
        cache: Where compiled rules are kept.
    """

    folder: Path
    work: Path
    cache: Path

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files into the folder."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def environment(self, more: Mapping[str, str] | None = None, *, measured: bool = True) -> dict[str, str]:
        """Return the environment of a command; its coverage is not measured where that would change what it does."""
        own = {"TMPDIR": str(self.work), "KEYTRIP_CACHE": str(self.cache)}
        left_out = ("KEYTRIP_", "NO_COLOR", "FORCE_COLOR", *(() if measured else ("COVERAGE",)))
        return {n: v for n, v in os.environ.items() if not n.startswith(left_out)} | own | dict(more or {})

    def run(
        self, *arguments: object, env: Mapping[str, str] | None = None, most: int | None = None, **options: Any
    ) -> Done:
        """Run a command to its end; no file that it writes may have more than `most` bytes."""
        if env is None and most is None and not options:
            return self._forked([str(argument) for argument in arguments])
        command = [sys.executable, "-m", "keytrip", *map(str, arguments)]
        given = self.environment(env, measured=most is None)  # the coverage would be a file too
        if most is not None:
            options["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        done = subprocess.run(
            command, cwd=self.folder, env=given, capture_output=True, check=False, timeout=120, **options
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def _forked(self, arguments: Sequence[str]) -> Done:
        out, err = (self.work.with_name(name) for name in ("stdout", "stderr"))
        process = start(arguments, self.folder, self.environment(measured=False), out, err)
        process.join(timeout=120)
        assert process.exitcode is not None, f"{arguments} has no end"
        return Done(process.exitcode, out.read_bytes(), err.read_text(encoding="utf-8"))

    def read(self, *arguments: object, **options: Any) -> Done:
        """Run `keytrip read` of canonical records into records.parquet."""
        return self.run(
            "read", "--source", "canonical", "--out", "records.parquet", "--format", "json", *arguments, **options
        )

    def records(self, name: str = "records.parquet") -> list[dict[str, Any]]:
        """Return what a Parquet file holds."""
        with duckdb.connect() as con:
            cursor = con.execute("select * from read_parquet(?)", [str(self.folder / name)])
            names = [d[0] for d in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def left(self) -> set[str]:
        """Return what lies in the folder and in the work folder now."""
        assert list(self.work.iterdir()) == [], "the work folder is empty when a command is over"
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


MakePlace = Callable[[], Place]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of compiled rules that the session shares."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(tmp_path: Path, cache: Path) -> Place:
    """Return an empty folder to run commands in."""
    made = Place(tmp_path / "here", tmp_path / "work", cache)
    made.folder.mkdir()
    made.work.mkdir()
    return made
