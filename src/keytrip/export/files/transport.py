"""A folder as a destination: what people take from it lies in the open, what keytrip needs lies in `.keytrip`.

README.md, rules/, tables/, iocs/    what the manifest makes; each file appears whole
.keytrip/deployments/N.json    what was put there, and before
.keytrip/generations/T/N.csv   writings of a table; the live one is the one that tables/T.csv is a copy of
.keytrip/lock.json             who is at work
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from keytrip.baselines.store import replace_file, write_json
from keytrip.errors import SystemRefusedError, UsageError
from keytrip.export.files.items import table_path
from keytrip.export.files.tables import read_table, write_table
from keytrip.export.model import (
    Deployment,
    Generation,
    Holder,
    Item,
    Kind,
    Live,
    LiveItem,
    Progress,
    Row,
    RowChange,
    Table,
)
from keytrip.export.records import Records, refused
from keytrip.export.tables import canonical, row_identity

STATE = ".keytrip"
_EDITED = "edited"
KINDS = {kind.name: kind for kind in (Kind("ioc_list", 0), Kind("rule", 1), Kind("list", 2), Kind("text", 3))}


@dataclass
class FileTransport:
    """A folder (`keytrip.export.model.Transport`).

    Attributes:
        root: The folder; made by the first apply.
        form: Of the tables: csv, ndjson or parquet.
    """

    root: Path
    form: str = "csv"
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)

    def __post_init__(self) -> None:
        """Refuse a folder whose hidden folder is a store of baselines: `destroy` must never come near one."""
        if any((self.state / name).exists() for name in ("snapshots", "segments", "index.parquet")):
            raise UsageError(
                f"{self.root} holds a store of baselines", hint="name a folder of its own, such as export/"
            )

    @property
    def state(self) -> Path:
        """The hidden folder."""
        return self.root / STATE

    @property
    def _kept(self) -> Records:
        """Records and the lock, in the hidden folder."""
        return Records(self.state)

    @property
    def _part(self) -> Path:
        """A file before it is in its place; whoever holds the lock has it alone."""
        return self.state / "part"

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what is there."""
        with refused(self.root):
            records = self._kept.deployments()
            ours = {(one.kind, one.name) for record in records for one in record.items}
            found = (self._item(identity, ours=identity in ours) for identity in {*items, *ours})
            live = {(one.kind, one.name): one for one in found if one is not None}
            known = {one.table: one for record in reversed(records) for one in record.tables}
            generations = frozenset(self._generations())
            now = {}
            for name in {*tables, *known}:
                if not self._open(name).is_file():
                    continue
                if name in known:
                    now[name] = self._live(name, known[name])
                else:
                    live["table", name] = LiveItem("table", name, {}, ours=False)
            return Live(live, now, generations, records)

    def _item(self, identity: tuple[str, str], *, ours: bool) -> LiveItem | None:
        path = self.root / identity[1]
        if not path.is_file():
            return None
        text = path.read_bytes().decode("utf-8", "backslashreplace")
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        return LiveItem(*identity, {"text": text}, ours, changed_at=changed.replace("+00:00", "Z"))

    def _live(self, name: str, recorded: Generation) -> Generation:
        """Return the generation that a table's file is a copy of; an edited file is the last one's, with other rows."""
        same = {one.number: one for one in self._copied(name, _hash(self._open(name)))}
        if same:
            return same.get(recorded.number) or same[max(same)]
        count = sum(1 for _ in read_table(self._open(name), self.form, recorded.columns))
        return Generation(name, recorded.number, count, _EDITED)

    def _copied(self, name: str, digest: str) -> Iterator[Generation]:
        """Yield the generations whose files have a content."""
        for path in (self.state / "generations" / name).glob("[0-9]*.json"):
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["file"] == digest:
                yield Generation(name, int(path.stem), facts["count"], facts["digest"])

    def _generations(self) -> Iterator[tuple[str, int]]:
        for path in (self.state / "generations").glob("*/*"):
            number = path.name.lstrip(".").partition(".")[0]
            if number.isdigit():
                yield path.parent.name, int(number)

    def create(self, item: Item) -> None:
        """Write a file."""
        path = self.root / item.name
        with refused(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.write_text(item.body["text"], encoding="utf-8", newline="\n")
            replace_file(self._part, path)

    def update(self, item: Item, live: LiveItem) -> None:
        """Write a file anew."""
        if self._item((live.kind, live.name), ours=True) != live:
            raise SystemRefusedError(f"{live.name} changed meanwhile", hint="apply again")
        self.create(item)

    def delete(self, live: LiveItem) -> None:
        """Remove a file, and its folder if nothing else is in it."""
        self._remove(self.root / live.name)

    def _remove(self, path: Path) -> None:
        with refused(path):
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.root).parents[:-1]:
                if (self.root / folder).is_dir() and not any((self.root / folder).iterdir()):
                    (self.root / folder).rmdir()

    def row_id(self, table: Table, row: Row) -> str:
        """Return a row's identity."""
        return row_identity(table.key, row)

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (identity, digest) of the rows in a table's file."""
        del generation  # only the live one is asked for, and it may have been edited
        for row in read_table(self._open(table.name), self.form, table.columns):
            yield self.row_id(table, row), self.row_digest(table, row)

    def row_digest(self, table: Table, row: Row) -> str:
        """Return a row's digest."""
        del table
        return hashlib.sha256(canonical(row)).hexdigest()

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a generation beside the live one."""
        path = self.generation_file(table.name, number)
        with refused(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            count = write_table(table, part, self.form, progress)
            replace_file(part, path)
            facts = {"count": table.count, "digest": table.digest, "file": _hash(path)}
            write_json(path.with_suffix(".json"), facts)
        return count

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Return None: a file is written whole."""
        del table, number, source, change, progress
        return None

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Put a copy of each generation where people take the table from."""
        for table, number in generations:
            path = self._open(table.name)
            with refused(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.generation_file(table.name, number), self._part)
                replace_file(self._part, path)

    def drop(self, table: str, number: int) -> None:
        """Remove a generation's files."""
        folder = self.state / "generations" / table
        with refused(folder):
            for path in [*folder.glob(f"{number}.*"), *folder.glob(f".{number}.*")]:
                path.unlink(missing_ok=True)

    def forget(self, table: str) -> None:
        """Remove the file that people take the table from."""
        self._remove(self._open(table))

    def save(self, deployment: Deployment) -> None:
        """Write a record, and remove those that no rollback needs."""
        self._kept.save(deployment)

    def wipe(self) -> None:
        """Remove the hidden folder, and the folder itself if nothing of others is in it."""
        self._kept.wipe()
        with refused(self.root):
            if self.root.is_dir() and not any(self.root.iterdir()):
                self.root.rmdir()

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock."""
        return self._kept.lock(holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Show that the holder lives."""
        return self._kept.beat(holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        self._kept.unlock(holder)

    def _open(self, table: str) -> Path:
        return self.root / table_path(table, self.form)

    def generation_file(self, table: str, number: int) -> Path:
        """Return the file of a writing of a table."""
        return self.state / "generations" / table / f"{number}.{self.form}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
