"""An app package as a destination: items and tables are gathered, and the package is written when all are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip import __version__
from keytrip.errors import ContentError, Place
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
from keytrip.export.splunk.kinds import is_ours, kinds_for, text_of
from keytrip.export.splunk.objects import check_name
from keytrip.export.splunk.transport import is_on
from keytrip.export.splunk_app.cells import cells, cells_digest, cells_identity, read_csv, write_csv
from keytrip.export.splunk_app.conf import read_conf, write_conf
from keytrip.export.splunk_app.lint import app_problems
from keytrip.export.splunk_app.package import Content, read_package, write_package
from keytrip.export.splunk_app.state import State

if TYPE_CHECKING:
    from keytrip.export.manifest import Manifest

_FILES = {"saved_search": "default/savedsearches.conf", "macro": "default/macros.conf"}
_TRANSFORMS = "default/transforms.conf"


class AppTransport:
    """Reads and writes `<folder>/<app>.tar.gz` (`keytrip.export.model.Transport`).

    The package holds the live generations alone; `<folder>/<app>.state` has the older ones, the records and the lock.
    """

    def __init__(self, folder: Path, manifest: Manifest, options: Mapping[str, str]) -> None:
        made = kinds_for(enterprise_security=is_on(options.get("enterprise_security", "")))
        # nobody edits a package: what users change in Splunk lies in the app's local folder, which it never holds
        self.kinds: Mapping[str, Kind] = {name: replace(kind, kept=frozenset()) for name, kind in made.items()}
        self._app = options.get("app") or "keytrip"
        self._options = options
        self._manifest = manifest
        self._folder = folder
        self._state = State(folder / f"{self._app}.state")
        self._items: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._lookups: dict[str, dict[str, str]] = {}

    @property
    def package(self) -> Path:
        """The archive."""
        return self._folder / f"{self._app}.tar.gz"

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what the package and the state hold."""
        del tables  # all that the package holds is ours
        for kind, name in items:
            check_name(kind, name)
        texts = read_package(self.package) if self.package.is_file() else {}
        found = {(kind, name): body for kind, name, body in _bodies(texts)}
        self._items = dict(found)
        self._lookups = read_conf(texts.get(_TRANSFORMS, ""))
        return Live(
            items={
                (kind, name): LiveItem(kind, name, body, is_ours(kind, body)) for (kind, name), body in found.items()
            },
            tables=self._live_tables(),
            generations=self._state.generations(),
            deployments=self._state.deployments(),
        )

    def _live_tables(self) -> dict[str, Generation]:
        whole = self._state.whole()
        found = {}
        for name, settings in self._lookups.items():
            number = settings.get("filename", "").removeprefix(f"{name}_g").removesuffix(".csv")
            if number.isdecimal():
                found[name] = whole.get((name, int(number)), Generation(name, int(number), 0, ""))
        return found

    def create(self, item: Item) -> None:
        """Take an item in."""
        check_name(item.kind, item.name)
        self._items[item.kind, item.name] = item.body

    def update(self, item: Item, live: LiveItem) -> None:
        """Put an item in the place of the one that was there."""
        del live
        self._items[item.kind, item.name] = item.body

    def delete(self, live: LiveItem) -> None:
        """Leave an item out."""
        self._items.pop((live.kind, live.name), None)

    def row_id(self, table: Table, row: Row) -> str:
        """Return a row's identity: the digest of its key as texts."""
        return cells_identity(table, cells(table, row))

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (identity, digest) of every row of a generation."""
        path = self._state.table_file(table.name, generation)
        for row in read_csv(path) if path.is_file() else ():
            yield (
                cells_identity(table, row) if set(table.key) <= set(row) else cells_digest(row)[:32],
                cells_digest(row),
            )

    def row_digest(self, table: Table, row: Row) -> str:
        """Return the digest of a row's texts."""
        return cells_digest(cells(table, row))

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a generation's file; return how many rows are in it."""
        path = self._state.table_file(table.name, number)
        write_csv(table, path, progress)
        count = sum(1 for _ in read_csv(path))
        if count == table.count:
            self._state.remember(Generation(table.name, number, count, table.digest))
        return count

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Return None: a file is written whole."""
        del table, number, source, change, progress
        return None

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Let each lookup lead to a generation."""
        for table, number in generations:
            self._lookups[table.name] = {
                "filename": self._state.table_file(table.name, number).name,
                "max_matches": "1",
                "case_sensitive_match": "true",
            }

    def drop(self, table: str, number: int) -> None:
        """Remove a generation's file."""
        self._state.drop(table, number)

    def forget(self, table: str) -> None:
        """Leave a lookup out."""
        self._lookups.pop(table, None)

    def save(self, deployment: Deployment) -> None:
        """Write a record; of a finished deployment the package before it.

        Raises:
            ContentError: Something in the package would not work in Splunk.
        """
        if deployment.state == "done":
            self._pack(deployment)
        self._state.save(deployment)

    def _pack(self, deployment: Deployment) -> None:
        texts = {path: write_conf(self._stanzas(kind)) for kind, path in _FILES.items()}
        texts[_TRANSFORMS] = write_conf(dict(sorted(self._lookups.items())))
        texts.update(self._rendered(deployment))
        tables = {f"lookups/{p.name}": p for p in self._live_files()}
        files: dict[str, Content] = {**{path: text.encode() for path, text in texts.items()}, **tables}
        confs = {path: text for path, text in texts.items() if path.endswith(".conf")}
        problems = list(app_problems(confs, frozenset(files)))
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ContentError(f"{problems[0]}{more}", place=Place(str(self.package)), hint="mend the rule or template")
        self._folder.mkdir(parents=True, exist_ok=True)
        write_package(self.package, self._app, files)

    def _live_files(self) -> list[Path]:
        return [self._state.folder / "tables" / settings["filename"] for settings in self._lookups.values()]

    def _stanzas(self, kind: str) -> dict[str, dict[str, str]]:
        found = sorted((name, body) for (one, name), body in self._items.items() if one == kind)
        return {name: {key: text_of(value) for key, value in body.items()} for name, body in found}

    def _rendered(self, deployment: Deployment) -> dict[str, str]:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(self._manifest.folder),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - our own names and numbers
            keep_trailing_newline=True,
        )
        context = {
            "app": self._app,
            "options": self._options,
            "app_version": f"1.0.{deployment.number}",
            "version": __version__,
            "snapshot": deployment.snapshot,
            "searches": sorted(name for kind, name in self._items if kind == "saved_search"),
            "lookups": sorted(self._lookups),
        }
        return {t.path: environment.get_template(t.template).render(context) for t in self._manifest.templates}

    def wipe(self) -> None:
        """Remove the package and the state."""
        self.package.unlink(missing_ok=True)
        self._state.wipe()

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock; return who holds it instead."""
        return self._state.take(holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Write the holder's beat."""
        return self._state.beat(holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        self._state.release(holder)


def _bodies(texts: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    for kind, path in _FILES.items():
        for name, body in read_conf(texts.get(path, "")).items():
            yield kind, name, body
