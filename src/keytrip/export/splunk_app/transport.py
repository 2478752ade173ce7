"""An app package as a destination: items and tables are gathered, and the package is written when all are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip import __version__
from keytrip.errors import ContentError, Place
from keytrip.export.files.tables import read_table
from keytrip.export.files.transport import FileTransport
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
from keytrip.export.splunk_app.cells import as_texts, cells
from keytrip.export.splunk_app.conf import read_conf, write_conf
from keytrip.export.splunk_app.lint import app_problems
from keytrip.export.splunk_app.package import Content, read_package, write_package

if TYPE_CHECKING:
    from keytrip.export.manifest import Manifest

_FILES = {"saved_search": "default/savedsearches.conf", "macro": "default/macros.conf"}
_TRANSFORMS = "default/transforms.conf"


class AppTransport:
    """Reads and writes `<folder>/<app>.tar.gz` (`keytrip.export.model.Transport`).

    The package holds the live generations alone. The older ones, the records and the lock are kept as those of any
    folder are (`keytrip.export.files`).
    """

    def __init__(self, folder: Path, manifest: Manifest, options: Mapping[str, str]) -> None:
        made = kinds_for(enterprise_security=is_on(options.get("enterprise_security", "")))
        # nobody edits a package: what users change in Splunk lies in the app's local folder, which it never holds
        self.kinds: Mapping[str, Kind] = {name: replace(kind, kept=frozenset()) for name, kind in made.items()}
        self._app = options.get("app") or "keytrip"
        self._options = options
        self._manifest = manifest
        self._folder = folder
        self._files = FileTransport(folder)
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
        kept = self._files.read((), ())
        return Live(
            items={
                (kind, name): LiveItem(kind, name, body, is_ours(kind, body)) for (kind, name), body in found.items()
            },
            tables=self._live_tables(kept.deployments),
            generations=kept.generations,
            deployments=kept.deployments,
        )

    def _live_tables(self, deployments: Sequence[Deployment]) -> dict[str, Generation]:
        """Return the generations in the package; the records say what is in them."""
        known = {(one.table, one.number): one for record in deployments for one in record.tables}
        found = {}
        for name, settings in self._lookups.items():
            number = settings.get("filename", "").removeprefix(f"{name}_g").removesuffix(".csv")
            if number.isdecimal():
                found[name] = known.get((name, int(number)), Generation(name, int(number), 0, ""))
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
        """Return a row's identity: a function of the texts of its key."""
        return self._files.row_id(table, cells(table, row))

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (identity, digest) of every row of a generation."""
        texts = as_texts(table)
        for row in read_table(self._files.generation_file(table.name, generation), "csv", texts.columns):
            yield self._files.row_id(texts, row), self._files.row_digest(texts, row)

    def row_digest(self, table: Table, row: Row) -> str:
        """Return the digest of a row's texts."""
        return self._files.row_digest(table, cells(table, row))

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a generation's file; return how many rows are in it."""
        return self._files.stage(as_texts(table), number, progress)

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Return None: a file is written whole."""
        del table, number, source, change, progress
        return None

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Let each lookup lead to a generation."""
        for table, number in generations:
            self._lookups[table.name] = {
                "filename": f"{table.name}_g{number}.csv",
                "max_matches": "1",
                "case_sensitive_match": "true",
            }

    def drop(self, table: str, number: int) -> None:
        """Remove a generation's file."""
        self._files.drop(table, number)

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
        self._files.save(deployment)

    def _pack(self, deployment: Deployment) -> None:
        texts = {path: write_conf(self._stanzas(kind)) for kind, path in _FILES.items()}
        texts[_TRANSFORMS] = write_conf(dict(sorted(self._lookups.items())))
        texts.update(self._rendered(deployment))
        tables = {f"lookups/{settings['filename']}": self._file(name) for name, settings in self._lookups.items()}
        files: dict[str, Content] = {**{path: text.encode() for path, text in texts.items()}, **tables}
        confs = {path: text for path, text in texts.items() if path.endswith(".conf")}
        problems = list(app_problems(confs, frozenset(files)))
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ContentError(f"{problems[0]}{more}", place=Place(str(self.package)), hint="mend the rule or template")
        self._folder.mkdir(parents=True, exist_ok=True)
        write_package(self.package, self._app, files)

    def _file(self, lookup: str) -> Path:
        number = self._lookups[lookup]["filename"].removeprefix(f"{lookup}_g").removesuffix(".csv")
        return self._files.generation_file(lookup, int(number))

    def _stanzas(self, kind: str) -> dict[str, dict[str, str]]:
        found = sorted((name, body) for (one, name), body in self._items.items() if one == kind)
        return {name: {key: text_of(value) for key, value in body.items()} for name, body in found}

    def _rendered(self, deployment: Deployment) -> dict[str, str]:
        from keytrip.export.render import render_text

        context = {
            "app": self._app,
            "options": self._options,
            "app_version": f"1.0.{deployment.number}",
            "version": __version__,
            "snapshot": deployment.snapshot,
            "searches": sorted(name for kind, name in self._items if kind == "saved_search"),
            "lookups": sorted(self._lookups),
        }
        folder = self._manifest.folder
        texts = {one.path: render_text(folder, one.template, context) for one in self._manifest.templates}
        return {path: text for path, text in texts.items() if text.strip()}

    def wipe(self) -> None:
        """Remove the package and the state."""
        self.package.unlink(missing_ok=True)
        self._files.wipe()

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock; return who holds it instead."""
        return self._files.lock(holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Write the holder's beat."""
        return self._files.beat(holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        self._files.unlock(holder)


def _bodies(texts: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    for kind, path in _FILES.items():
        for name, body in read_conf(texts.get(path, "")).items():
            yield kind, name, body
