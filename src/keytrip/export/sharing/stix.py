"""The transport of a STIX bundle: one file in a folder, which another tool or a person takes along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keytrip.baselines.store import replace_file
from keytrip.errors import DataError, Place
from keytrip.export.connection import Connection
from keytrip.export.manifest import Manifest
from keytrip.export.records import Records, refused
from keytrip.export.sharing.published import Change, Published
from keytrip.export.sharing.stix_objects import (
    Author,
    Object,
    need_stix,
    published_in,
    shared_objects,
    stix_objects,
)
from keytrip.export.sharing.transport import Sharing
from keytrip.export.transports import Finding

BUNDLE = "bundle.json"
RECORDS = ".keytrip"
Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class BundleChannel:
    """A bundle's file.

    Attributes:
        file: Is made by the first change.
        author: Of what we write.
        clock: Says when an object changes.
    """

    file: Path
    author: Author
    clock: Clock = now

    def load(self) -> Iterator[Published]:
        """Yield what the bundle tells.

        Raises:
            DataError: The file is no bundle.
        """
        return published_in(self._objects(), self.author)

    def tell(self, changes: Sequence[Change]) -> None:
        """Write the bundle anew; objects of others in it stay.

        Raises:
            DataError: The file is no bundle.
            SystemRefusedError: It cannot be written.
        """
        objects = {one["id"]: one for one in self._objects()}
        moment = self.clock()
        for change in changes:
            objects |= {one["id"]: one for one in stix_objects(change, self.author, moment)}
        objects |= {one["id"]: one for one in shared_objects(self.author, objects.values())}
        bundle = {"type": "bundle", "id": f"bundle--{self.author.id.partition('--')[2]}"}
        ordered = [objects[name] for name in sorted(objects)]
        with refused(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # whoever holds the lock is alone, and writes over what a killed process left
            part = self.file.with_name(f".{self.file.name}.part")
            part.write_text(json.dumps({**bundle, "objects": ordered}, indent=1) + "\n", encoding="utf-8", newline="\n")
            replace_file(part, self.file)

    def _objects(self) -> list[Object]:
        if not self.file.is_file():
            return []
        try:
            data = json.loads(self.file.read_text(encoding="utf-8"))
            return [_identified(one) for one in data["objects"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError("is no STIX bundle", place=Place(str(self.file)), hint="move it away, and apply") from error


def open_transport(connection: Connection, manifest: Manifest) -> Sharing:  # noqa: ARG001 - as every transport has it
    """Return the transport of a folder's bundle.

    Raises:
        UsageError: The library is missing.
    """
    need_stix()
    folder = Path(connection.url)
    return Sharing(BundleChannel(folder / BUNDLE, author_of(connection)), Records(folder / RECORDS))


def diagnose(connection: Connection, manifest: Manifest) -> Iterator[Finding]:
    """Yield what is to be said of the folder.

    Raises:
        UsageError: The library is missing.
    """
    transport = open_transport(connection, manifest)
    held = len(transport.read((), ()).items)
    yield Finding("bundle", ok=True, found=f"{held} indicators in {Path(connection.url) / BUNDLE}")


def author_of(connection: Connection) -> Author:
    """Return who a destination's indicators are said by."""
    return Author(connection.options.get("identity") or "keytrip")


def _identified(one: Mapping[str, Any]) -> Object:
    if not isinstance(one["id"], str) or not isinstance(one["type"], str):
        raise TypeError
    return one
