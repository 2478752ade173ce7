"""`kill -9` of real processes at random instants, with a reader: app packages, STIX, TAXII (medallion), MISP (a stub).

KEYTRIP_KILLS says how often; `pytest -rP` shows what the reader saw. The other destinations have
such tests of their own: csv, splunk, elastic and opensearch. docs/reliability.md has the numbers of longer runs.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from export.doomed import KILLS, ROWS, STABLE, TABLE, Place, indicators, killed, reading
from export.sharing.medallion_server import medallion
from stubs.https import Faults
from stubs.misp import MispStub, misp_stub
from stubs.taxii import COLLECTION

from keytrip.export.engine import apply, read_plan
from keytrip.export.model import Transport
from keytrip.export.sharing.transport import Sharing

EVENT = "5d0f2f2c-6b0e-4d6e-9d0c-0a7c1c6c0b11"


@contextmanager
def place_of(destination: str, folder: Path) -> Iterator[tuple[Place, Faults | None]]:
    """Yield a destination that is up, with its stub's faults if it is a stub."""
    options = {"state": str(folder / "state"), "collection": COLLECTION, "event": EVENT}
    if destination == "taxii":
        with medallion(folder, COLLECTION, "writer", "secret", page=1000) as url:
            # what is taken back and told again is a new object each time: the collection would grow without end
            yield Place("taxii", url, "", "basic", "writer", "secret", options, prune=False), None
    elif destination == "misp":
        stub = MispStub(secrets.token_hex(20))
        with misp_stub(folder / "tls", stub) as (url, authority):
            yield Place("misp", url, str(authority), "api_key", "", stub.key, options), stub.faults
    else:
        yield Place(destination, str(folder / "out")), None


def _names(transport: Transport) -> list[str]:
    """Return the names of all that is told and not taken back, each as often as it is there."""
    assert isinstance(transport, Sharing)
    return [one.name for one in transport._channel.load() if not one.body.get("revoked")]


def _list_problem(names: Iterable[str]) -> object:
    """Return what is wrong with a list: one that is there twice, or one lacks that every list has."""
    found = sorted(names)
    lacking = {one.name for one in indicators(1)[:STABLE]} - set(found)
    return lacking or len(found) - len(set(found))


def _package_problem(package: Path) -> object:
    """Return what is wrong with a package: rows or a search of another content than the app says, or not all rows."""
    with tarfile.open(package, "r:gz") as archive:
        files = {one.name: archive.extractfile(one).read().decode() for one in archive if one.isfile()}  # type: ignore[union-attr]
    (table,) = [text for name, text in files.items() if TABLE in name]
    rows = [line.rpartition(",")[2].strip('"') for line in table.splitlines()[1:]]
    searches = files["keytrip/default/savedsearches.conf"]
    whole = len(rows) == ROWS and len(set(rows)) == 1 and f"[keytrip - {rows[0]} - Rule]" in searches
    return not whole and (len(rows), set(rows))


def _bundle_problem(bundle: Path) -> object:
    return not json.loads(bundle.read_text(encoding="utf-8"))["objects"]


def _answers_beside(kills: int, destination: str, folder: Path) -> int:
    """Kill so many processes that apply to one destination; return how many answers a reader got meanwhile."""
    with place_of(destination, folder) as (place, faults):
        out = Path(place.url)

        def ask() -> object:
            if destination == "splunk_app":
                return _package_problem(out / "keytrip.tar.gz")
            return _list_problem(_names(place.opened())) or (
                destination == "stix" and _bundle_problem(out / "bundle.json")
            )

        contents = place.contents()
        apply(place.opened(), contents[0])
        dice = random.Random()  # noqa: S311 - no secret; the instants cannot be had again anyway
        # a server that is asked without a pause has no time for the one who writes
        with reading(ask, 0.1 if destination == "taxii" else 0.01) as reader:
            for number in range(kills):
                killed(place, dice, faults)
                wanted = contents[number % 2]
                apply(place.opened(), wanted, prune=place.prune, wait=60)
                assert read_plan(place.opened(), wanted, prune=place.prune).empty
        assert reader.wrong == []
        # one that writes: an apply without a change leaves what a killed one left
        apply(place.opened(), contents[kills % 2], prune=place.prune, wait=60)
        live = place.opened().read((), ())
        assert len(live.generations) <= 2
        names = [one.name for one in contents[kills % 2].items]
        assert set(names) <= {name for kind, name in live.items}
        assert not place.prune or len(live.items) == len(names)
        assert not [*folder.rglob("*.part")]
        return reader.answers


@pytest.mark.parametrize("destination", ["splunk_app", "stix", "taxii", "misp"])
def test_processes_that_are_killed_lose_and_double_nothing(destination: str, tmp_path: Path) -> None:
    """Whatever instant a process is killed at, readers find a whole content, and the next apply converges."""
    # a TAXII collection keeps every version of its objects, so that a new one begins now and then
    most = 5 if destination == "taxii" else KILLS
    answers = 0
    for done in range(0, KILLS, most):
        folder = tmp_path / str(done)
        folder.mkdir()
        answers += _answers_beside(min(most, KILLS - done), destination, folder)
    sys.stdout.write(f"{destination}: {KILLS} kills, {answers} answers, none of them wrong")
