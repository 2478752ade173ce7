"""Processes that apply one content after the other, for ever, until they are killed; and readers that never pause."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stubs.https import Faults

from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import Desired
from keytrip.export.engine import apply
from keytrip.export.indicators import Indicator, indicator_items, indicator_of
from keytrip.export.manifest import destination_named
from keytrip.export.model import Item, Transport
from keytrip.export.tables import table_of
from keytrip.export.transports import transport_to

KILLS = int(os.environ.get("KEYTRIP_KILLS", "2"))
ROWS = 300
TABLE = "keytrip_test_models"
_COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "events": "BIGINT"}
# Told in both lists of indicators; five more are in one of them alone.
STABLE = 8
_CHILD = "from export.doomed import forever; forever()"


@dataclass(frozen=True)
class Place:
    """Where a destination is: what a doomed process is told on its standard input.

    Attributes:
        destination: A folder of exporters/.
        prune: Whether what is not wanted any more goes.
    """

    destination: str
    url: str
    ca_file: str = ""
    credential: str = "none"
    user: str = ""
    secret: str = ""
    options: dict[str, str] = field(default_factory=dict)
    prune: bool = True

    def opened(self) -> Transport:
        """Return its transport."""
        credential = Credential(self.credential, self.user, self.secret, "test")  # type: ignore[arg-type]
        ca_file = Path(self.ca_file) if self.ca_file else None
        manifest = destination_named(self.destination)
        insecure = self.url.startswith("http:")
        connection = Connection(self.url, credential, ca_file, insecure=insecure, options=self.options)
        return transport_to(connection, manifest)

    def contents(self) -> tuple[Desired, Desired]:
        """Return two contents of which every part says which one it is of."""
        return _content(self.destination, 1), _content(self.destination, 2)


def _content(destination: str, number: int) -> Desired:
    if destination in {"stix", "taxii", "misp"}:
        return Desired(indicator_items(indicators(number)))
    rows = [{"key_id": f"k{n // 2:03}", "model": f"m{n % 2}", "events": number} for n in range(ROWS)]
    table = table_of(TABLE, ("key_id", "model"), _COLUMNS, lambda: rows)
    return Desired(_items(destination, number), (table,), {}, number)


def _items(destination: str, number: int) -> tuple[Item, ...]:
    if destination == "opensearch":
        from export.opensearch.test_plugins import items

        return tuple(item for item in items() if item.kind == "monitor")[:number]
    if destination == "csv":
        return Item("text", "README.md", {"text": f"{number}\n"}), Item("rule", f"rules/{number}.spl", {"text": "q"})
    from export.splunk.made import macro, search

    return (macro(), search(description=f"{number}\n" * 100), search(f"keytrip - {number} - Rule"))


def indicators(number: int) -> tuple[Indicator, ...]:
    """Return a list: addresses that both lists have, each said to be seen `number` times, and five agents."""
    times = {"first_seen": "2026-04-01T00:00:00Z", "last_seen": "2026-04-02T00:00:00Z", "count": number}
    stable = ({"kind": "ipv4", "value": f"192.0.2.{n}", **times} for n in range(STABLE))
    own = ({"kind": "user_agent", "value": f"agent {number} {n}", **times} for n in range(5))
    return tuple(indicator_of(one) for one in (*stable, *own))


def forever() -> None:
    """Apply until killed; a line on standard output after each time."""
    place = Place(**json.load(sys.stdin))
    while True:
        for content in place.contents():
            apply(place.opened(), content, prune=place.prune, wait=60)
            sys.stdout.write("applied\n")
            sys.stdout.flush()


def killed(place: Place, dice: random.Random, faults: Faults | None = None) -> None:
    """Run a process that applies, and kill it with SIGKILL at an instant after its first apply.

    Return once a stub, if `faults` are one's, has carried out what the process asked for last.
    """
    before = faults.connections if faults else 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _CHILD]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as child:  # type: ignore[call-overload]
        child.stdin.write(json.dumps(asdict(place)))
        child.stdin.close()
        assert child.stdout.readline(), "the first apply failed"
        began = time.monotonic()
        assert child.stdout.readline(), "the second apply failed"
        # two applies take twice as long: the instant lies anywhere in them
        time.sleep(dice.uniform(0, 2 * (time.monotonic() - began)))
        child.kill()
    assert faults is None or faults.settled(before)


@dataclass
class Reader:
    """What somebody saw who asked without a pause.

    Attributes:
        answers: How many there were.
        wrong: Those that were no answer of a whole content.
    """

    answers: int = 0
    wrong: list[Any] = field(default_factory=list)


@contextmanager
def reading(ask: Callable[[], Any], pause: float = 0.01) -> Iterator[Reader]:
    """Ask again and again for as long as the `with` lasts; `ask` returns what is wrong, or nothing."""
    reader, done = Reader(), threading.Event()

    def poll() -> None:
        while not done.wait(pause):
            reader.answers += 1
            try:
                wrong = ask()
            except Exception as error:  # noqa: BLE001 - an answer that is none is told, whatever it is
                wrong = repr(error)
            if wrong:
                reader.wrong.append(wrong)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield reader
    finally:
        done.set()
        thread.join()
    assert reader.answers
