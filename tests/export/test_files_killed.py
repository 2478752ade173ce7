"""`kill -9` at random instants of applies to a real folder, with a reader that never pauses.

KEYTRIP_KILLS says how often; docs/reliability.md has the numbers of longer runs.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from keytrip.export.desired import Desired
from keytrip.export.engine import apply, read_plan
from keytrip.export.files.transport import FileTransport
from keytrip.export.model import Item
from keytrip.export.tables import table_of

KILLS = int(os.environ.get("KEYTRIP_KILLS", "4"))
ROWS = 2000
# What the doomed process does: one content after the other, for ever.
_ENDLESS = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_files_killed import CONTENTS, FileTransport, apply
while True:
    for content in CONTENTS:
        apply(FileTransport(Path({root!r})), content, prune=True)
        print(flush=True)
"""


def content(number: int) -> Desired:
    """Rules and a table of which every line says which content it is of."""
    rows = [{"key_id": f"key_{n:05}", "events": number} for n in range(ROWS)]
    table = table_of("keytrip_keys", ("key_id",), {"key_id": "VARCHAR", "events": "BIGINT"}, lambda: rows)
    items = (
        Item("text", "README.md", {"text": f"{number}\n" * 500}),
        Item("rule", f"rules/{number}.spl", {"text": "q"}),
    )
    return Desired(items, (table,), {}, number)


CONTENTS = (content(1), content(2))


def whole(root: Path) -> None:
    """Assert that what a reader finds is of one content, all of it."""
    lines = (root / "tables/keys.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == ROWS
    assert len({line.rpartition(",")[2] for line in lines}) == 1
    text = (root / "README.md").read_text(encoding="utf-8")
    assert text in {"1\n" * 500, "2\n" * 500}


def test_killed_at_random_instants_nothing_is_lost(tmp_path: Path) -> None:
    """While it runs and after it died readers find whole files, and the next apply finishes what it began."""
    there = FileTransport(tmp_path / "export")
    apply(there, CONTENTS[1])
    chance = random.Random()  # noqa: S311 - no secret; the instants cannot be had again anyway
    for number in range(KILLS):
        code = _ENDLESS.format(here=str(Path(__file__).parent), root=str(there.root))
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            end = time.monotonic() + chance.uniform(0, 0.3)
            while time.monotonic() < end:
                whole(there.root)
            child.kill()
        whole(there.root)
        wanted = CONTENTS[number % 2]
        apply(there, wanted, prune=True)
        whole(there.root)
        assert read_plan(there, wanted, prune=True).empty
        assert len(list((there.state / "generations/keytrip_keys").glob("*.csv"))) <= 2
