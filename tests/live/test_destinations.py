"""The way of a deployment on a real SIEM, named by environment variables; a stub of Splunk shows that the test runs."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from export.inputs import write_indicators, write_log
from stubs.splunk import SplunkStub, User, running

from keytrip.cli import app

LIVE = "KEYTRIP_LIVE_"
# The variable without which a destination is left out, and what the commands are told besides.
NEEDS = {"elastic": "KIBANA_URL", "opensearch": "URL", "splunk": "URL"}
OPTIONS = {
    "elastic": ["--option", "suppression=off"],
    "opensearch": ["--option", "analytics=true"],
    "splunk": ["--option", "app=search"],
}


def environment_of(destination: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the commands read, for those that name the server to test against."""
    ours, theirs = f"{LIVE}{destination.upper()}_", f"KEYTRIP_{destination.upper()}_"
    found = {theirs + name.removeprefix(ours): value for name, value in environment.items() if name.startswith(ours)}
    trusted = environment.get(f"{LIVE}CA_FILE")
    return {**found, f"{theirs}CA_FILE": trusted} if trusted else found


@dataclass(frozen=True)
class Deploying:
    """The commands on one destination.

    Attributes:
        destination: Its name.
        folder: Of the store and the list of indicators.
        capsys: What the commands write.
    """

    destination: str
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def learn(self, *keys: str) -> None:
        """Build a snapshot of nine days of these keys."""
        log = self.folder / f"{len(keys)}.ndjson"
        write_log(log, *keys)
        self.run("baseline", "build", str(log), "--source", "canonical", *self.store, "--quiet")

    def planned(self) -> dict[str, set[str]]:
        """Return what a plan would do -> the names of what it would do it to; rules that it refuses are left out."""
        found: dict[str, set[str]] = {}
        for line in self.there("plan", *self._wanted(), "--format", "json").splitlines():
            change: dict[str, Any] = json.loads(line)
            found.setdefault(change["action"], set()).add(change["name"])
        found.pop("refused", None)
        return found

    def apply(self) -> None:
        """Apply, and hold the next plan to be empty."""
        self.there("apply", *self._wanted())
        assert set(self.planned()) == {"unchanged"}

    def there(self, command: str, *arguments: str) -> str:
        """Run a command on the destination; return what it writes to its output."""
        url = os.environ[f"KEYTRIP_{self.destination.upper()}_URL"]
        lax = url.startswith("http:") or os.environ.get(f"{LIVE}INSECURE") == "1"
        more = [*OPTIONS[self.destination], *(["--insecure"] if lax else []), "--quiet"]
        return self.run(command, self.destination, *arguments, *more)

    def run(self, *words: str) -> str:
        """Run a command that has to succeed."""
        self.capsys.readouterr()
        code = app.run([*words])
        out, errors = self.capsys.readouterr()
        assert code == 0, f"keytrip {' '.join(words)}: {out}{errors}"
        return out

    @property
    def store(self) -> list[str]:
        """The option that names the store."""
        return ["--store", str(self.folder / "store")]

    @property
    def listed(self) -> Path:
        """The list of indicators."""
        return self.folder / "iocs.csv"

    def _wanted(self) -> list[str]:
        return [*self.store, "--iocs", str(self.listed)]


@contextmanager
def emptied(deploying: Deploying) -> Iterator[None]:
    """Hold a server to have nothing of keytrip, before and after."""
    before = deploying.planned()
    others = sorted(name for action, names in before.items() if action != "create" for name in names)
    if others:
        pytest.fail(f"the server holds {', '.join(others)}, which this test would replace: name another", pytrace=False)
    try:
        yield
    finally:
        deploying.there("destroy", "--yes")
    assert deploying.planned() == before


def goes_its_way(deploying: Deploying) -> None:
    """Apply, refresh, roll back, apply again and destroy; each step is held to what the server says afterwards."""
    write_indicators(deploying.listed, "203.0.113.7", "203.0.113.8")
    deploying.learn("key_a", "key_b")
    with emptied(deploying):
        deploying.apply()
        deploying.there("drift", *deploying.store)
        deploying.learn("key_a", "key_b", "key_c")
        write_indicators(deploying.listed, "203.0.113.7")
        assert "update" in deploying.planned()
        deploying.apply()
        deploying.there("rollback")
        assert "update" in deploying.planned()
        deploying.apply()


@pytest.mark.parametrize("destination", NEEDS)
def test_destination(
    destination: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the named server all of a deployment's steps do what they say, and nothing of it is left."""
    needed = f"{LIVE}{destination.upper()}_{NEEDS[destination]}"
    if not os.environ.get(needed):
        pytest.skip(f"{needed} names no server; docs/live.md has the variables")
    for name, value in environment_of(destination, os.environ).items():
        monkeypatch.setenv(name, value)
    goes_its_way(Deploying(destination, tmp_path, capsys))


def test_splunk_stub(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps on a stub of splunkd; what a Splunk makes of them, no stub shows."""
    with running(SplunkStub(User("engineer", secrets.token_hex(16))), tmp_path / "tls") as stub:
        named = {"SPLUNK_URL": stub.url, "SPLUNK_TOKEN": stub.user.secret, "CA_FILE": str(stub.ca_file)}
        told = {f"{LIVE}{name}": value for name, value in named.items()}
        for name, value in environment_of("splunk", told).items():
            monkeypatch.setenv(name, value)
        goes_its_way(Deploying("splunk", tmp_path, capsys))
        assert not any(stub.objects.values())
        assert not stub.kv
