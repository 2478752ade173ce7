"""A real Elasticsearch (with ES|QL) or OpenSearch on the loopback address, for as long as a `with` lasts.

The server is put together from published jars: a home folder with settings and plugin folders, and one JVM of our own
launcher. It ends with its standard input, so not even a killed test run leaves one behind.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Literal, Self

from engines.toolchain import Program, java_program

HERE = Path(__file__).parent
START_SECONDS = 120
STOP_SECONDS = 20
HEAP = "512m"
Kind = Literal["elasticsearch", "opensearch"]


class ServerError(RuntimeError):
    """The server did not start."""


@dataclass(frozen=True)
class Module:
    """One plugin folder.

    Attributes:
        plugin: Its plugin class; the server insists that the folder's own loader finds it.
        jars: Artifacts in the folder. What only the server's classes need stays on the class path.
        parent: The module whose classes it sees.
    """

    plugin: str
    jars: tuple[str, ...]
    parent: str = ""


MODULES: dict[Kind, dict[str, Module]] = {
    "elasticsearch": {
        "transport-netty4": Module("org.elasticsearch.transport.netty4.Netty4Plugin", ("transport-netty4",)),
        "x-pack-core": Module("org.elasticsearch.xpack.core.XPackPlugin", ("x-pack-core",)),
        "x-pack-esql-core": Module(
            "org.elasticsearch.xpack.esql.core.plugin.EsqlCorePlugin",
            ("x-pack-esql-core", "x-pack-mapper-version"),
            "x-pack-core",
        ),
        "x-pack-esql": Module(
            "org.elasticsearch.xpack.esql.plugin.EsqlPlugin", ("x-pack-esql", "x-pack-kql"), "x-pack-esql-core"
        ),
    },
    "opensearch": {
        "transport-netty4": Module("org.opensearch.transport.Netty4Plugin", ("transport-netty4-client",)),
        "lang-painless": Module(
            "org.opensearch.painless.PainlessPlugin", ("lang-painless", "opensearch-scripting-painless-spi")
        ),
        "reindex": Module("org.opensearch.index.reindex.ReindexPlugin", ("reindex-client",)),
        "analysis-common": Module(
            "org.opensearch.analysis.common.CommonAnalysisPlugin", ("analysis-common",), "lang-painless"
        ),
        "ingest-common": Module("org.opensearch.ingest.common.IngestCommonPlugin", ("ingest-common",), "lang-painless"),
        "mapper-extras": Module("org.opensearch.index.mapper.MapperExtrasPlugin", ("mapper-extras-client",)),
        "percolator": Module("org.opensearch.percolator.PercolatorPlugin", ("percolator-client",)),
    },
}
# Port 0 lets the system choose; the launcher prints which one it was.
SETTINGS = {
    "cluster.name": "keytrip-tests",
    "node.name": "test",
    "discovery.type": "single-node",
    "network.host": "127.0.0.1",
    "http.port": 0,
    "transport.port": 0,
    "cluster.routing.allocation.disk.threshold_enabled": False,
    "action.destructive_requires_name": False,
}
OWN_SETTINGS: dict[Kind, dict[str, object]] = {"elasticsearch": {"xpack.security.enabled": False}, "opensearch": {}}
LOGGING = """\
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


@dataclass
class SearchServer:
    """One server of its own, empty at first.

    Attributes:
        kind: Which product it is.
        url: Where it listens, while the `with` lasts.
    """

    kind: Kind
    url: str = ""

    def __enter__(self) -> Self:
        """Start it, with the launcher built first where it is new.

        Raises:
            ServerError: It did not start; the message ends with its log.
        """
        launcher = HERE / f"Launch{self.kind.capitalize()}.java"
        program = java_program(launcher, HERE / "pom.xml", self.kind)
        self._home = Path(tempfile.mkdtemp(prefix=f"keytrip-{self.kind}-"))
        self._process = _start(make_home(self.kind, program, self._home), launcher.stem, self._home)
        self.url = f"http://{self._address()}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and remove its data."""
        try:
            self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._home, ignore_errors=True)

    def _address(self) -> str:
        """Wait for the line that the launcher prints once it is listening."""
        assert self._process.stdout is not None
        watchdog = Timer(START_SECONDS, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline().strip()
        watchdog.cancel()
        if not line:
            log = (self._home / "log.txt").read_text(encoding="utf-8", errors="replace")
            self.__exit__(None, None, None)
            raise ServerError(f"{self.kind} did not start:\n{log[-4000:]}")
        return line


def make_home(kind: Kind, program: Program, home: Path) -> Program:
    """Fill the server's home folder, and return the program without the jars that became plugins."""
    version = next(m[1] for jar in program.jars if (m := re.fullmatch(rf"{kind}-(\d[\d.]+)\.jar", jar.name)))
    for folder in ("config", "plugins"):
        (home / folder).mkdir()
    (home / "config" / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
    settings = SETTINGS | OWN_SETTINGS[kind]
    (home / "config" / f"{kind}.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML too
    plugin_jars: set[Path] = set()
    for name, module in MODULES[kind].items():
        files = {f"{artifact}-{version}.jar" for artifact in module.jars}
        jars = [jar for jar in program.jars if jar.name in files]
        _module_folder(home / "modules" / name, _descriptor(kind, version, name, module), jars)
        plugin_jars.update(jars)
    return Program(program.classes, tuple(jar for jar in program.jars if jar not in plugin_jars))


def _module_folder(folder: Path, descriptor: str, jars: Iterable[Path]) -> None:
    folder.mkdir(parents=True)
    (folder / "plugin-descriptor.properties").write_text(descriptor, encoding="utf-8")
    for jar in jars:
        (folder / jar.name).symlink_to(jar)


def _descriptor(kind: Kind, version: str, name: str, module: Module) -> str:
    lines = {
        "name": name,
        "description": "part of the test server",
        "version": version,
        f"{kind}.version": version,
        "java.version": "17",
        "classname": module.plugin,
        "extended.plugins": module.parent,
        "has.native.controller": "false",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def _start(program: Program, main: str, home: Path) -> subprocess.Popen[str]:
    options = (f"-Xms{HEAP}", f"-Xmx{HEAP}", f"-Djava.io.tmpdir={home}")
    with (home / "log.txt").open("wb") as log:
        return subprocess.Popen(
            program.command(main, str(home), options=options),
            env=program.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
