"""Java programs for tests: Maven finds their jars, javac compiles our few lines, and both are kept for the next run.

Jars stay in Maven's own repository; what is kept here, outside the tree, is the list of them and our classes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from platformdirs import user_cache_path

TOOLS = ("java", "javac", "mvn")
CACHE_VARIABLE = "KEYTRIP_TEST_CACHE"
_CLASS_PATH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"


class ToolchainError(RuntimeError):
    """Maven or javac failed."""


@dataclass(frozen=True)
class Program:
    """Compiled classes and the jars they run with.

    Attributes:
        classes: Folder of our own classes.
        jars: Jars in Maven's repository, in class-path order.
    """

    classes: Path
    jars: tuple[Path, ...]

    def command(self, main: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command that runs the class `main`; its environment is `environment`."""
        return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *options, main, *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment with the class path, which is too long to read in a list of processes."""
        return {**os.environ, "CLASSPATH": os.pathsep.join(map(str, (self.classes, *self.jars)))}


def need_java(*tools: str) -> None:
    """End the running test where java, javac or mvn is missing: in CI it has failed, elsewhere it is skipped.

    Args:
        tools: Those that are needed; by default all three.
    """
    missing = [tool for tool in tools or TOOLS if shutil.which(tool) is None]
    if not missing:
        return
    reason = f"not on PATH: {', '.join(missing)}; install a JDK (17 or newer) and Maven to run this"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def cache_folder() -> Path:
    """Return the folder for built programs: KEYTRIP_TEST_CACHE, or the user's cache."""
    return Path(os.environ.get(CACHE_VARIABLE) or user_cache_path("keytrip-tests"))


def java_program(source: Path, pom: Path, profile: str = "") -> Program:
    """Return the program of one Java file, built now unless an equal one was built before.

    Args:
        source: The Java file.
        pom: Maven file that lists what it needs.
        profile: Maven profile to use.

    Raises:
        ToolchainError: Maven or javac failed.
    """
    stamp = sha256(source.read_bytes() + pom.read_bytes() + profile.encode()).hexdigest()[:16]
    folder = cache_folder() / f"{profile or source.stem}-{stamp}"
    with _only_one(folder):
        program = _built(folder)
        if program is None:
            _build(folder, source, pom, profile)
            program = _built(folder)
    if program is None:
        raise ToolchainError(f"Maven named jars that are not there; see {folder}")
    return program


def _built(folder: Path) -> Program | None:
    """Return the program in `folder`, or None where it is unfinished or its jars were cleared away."""
    listed = folder / "class-path.txt"
    if not listed.exists():
        return None
    jars = tuple(map(Path, listed.read_text(encoding="utf-8").strip().split(os.pathsep)))
    return Program(folder / "classes", jars) if all(jar.exists() for jar in jars) else None


def _build(folder: Path, source: Path, pom: Path, profile: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fresh = folder / "class-path.new"
    maven = ["mvn", "-B", "-q", "-f", str(pom), _CLASS_PATH, "-DincludeScope=runtime", f"-Dmdep.outputFile={fresh}"]
    _run([*maven, *(["-P", profile] if profile else [])])
    class_path = fresh.read_text(encoding="utf-8").strip()
    _run(["javac", "--release", "17", "-d", str(folder / "classes"), "-cp", class_path, str(source)])
    fresh.rename(folder / "class-path.txt")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-3000:]}")


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep other test processes out: Maven's repository is not made for two writers."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
