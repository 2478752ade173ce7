"""Runs the package over records that a test makes: in memory, through a store, and through exported tables."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from keytrip.baselines.build import BuildRequest, BuildResult, build
from keytrip.baselines.guards import Bounds
from keytrip.baselines.incidents import Incident
from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import Job
from keytrip.baselines.snapshots import active_snapshot, folder_of, table_path
from keytrip.baselines.store import Store, held
from keytrip.compile.compiled import CompiledRule, compiled_rules
from keytrip.content import content_root
from keytrip.hunt.engine import Against, HuntRequest, HuntResult, chunk_bytes, connect, hunt
from keytrip.sources import source_named
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile, input_files

Raw = Mapping[str, Any]
RULES = content_root() / "rules"
JOBS = content_root() / "baselines"
PACK = Path(__file__).with_name("pack")
MEMORY = "400MB"


def no_key() -> bytes:
    """Stand in for the HMAC key: records of these tests carry no keys in clear."""
    raise AssertionError


@cache
def shipped() -> tuple[CompiledRule, ...]:
    """Return every shipped rule over usage records, compiled."""
    return tuple(rule for rule in compiled_rules() if rule.reads == ("usage",))


@cache
def every_rule() -> tuple[CompiledRule, ...]:
    """Return all rules over usage records, shipped ones and those of the judge's own pack, compiled."""
    return tuple(rule for rule in compiled_rules((PACK,)) if rule.reads == ("usage",))


def write(path: Path, rows: Sequence[Raw]) -> Path:
    """Write records as NDJSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Yield a place to convert files in."""
    with tempfile.TemporaryDirectory() as folder:
        yield Workshop(Path(folder))


def files_of(paths: Sequence[Path]) -> list[InputFile]:
    """Return input files in the order of `paths`."""
    return [file for path in paths for file in input_files([str(path)])]


@dataclass(frozen=True)
class Options:
    """What a hunt may be told."""

    since: date | None = None
    until: date | None = None
    threads: int | None = None
    rules: Sequence[CompiledRule] = field(default_factory=shipped)
    chunk_bytes: int | None = None


def hunted(paths: Sequence[Path], against: Against, options: Options) -> HuntResult:
    """Return what a hunt finds."""
    size = chunk_bytes(MEMORY) if options.chunk_bytes is None else options.chunk_bytes
    with workshop() as place, patch("keytrip.hunt.engine.chunk_bytes", return_value=size):
        return hunt(
            HuntRequest(
                files=files_of(paths),
                source=source_named("canonical"),
                rules=options.rules,
                jobs=load_jobs(),
                against=against,
                workshop=place,
                hmac_key=no_key,
                since=options.since,
                until=options.until,
                threads=options.threads,
                memory=MEMORY,
            )
        )


def in_memory(paths: Sequence[Path], options: Options) -> list[dict[str, Any]]:
    """Return the alerts of a hunt against the 30 days before `since`, as JSON has them."""
    return [alert.as_json() for alert in hunted(paths, Against(), options).alerts]


def active(folder: Path) -> Against:
    """Return the active snapshot of a store."""
    store = Store(folder)
    snapshot = active_snapshot(store)
    return Against(snapshot=(folder_of(store, snapshot.number), snapshot.number, snapshot.end))


def against_store(paths: Sequence[Path], folder: Path, options: Options) -> list[dict[str, Any]]:
    """Return the alerts of a hunt against a store's active snapshot, as JSON has them."""
    return [alert.as_json() for alert in hunted(paths, active(folder), options).alerts]


@dataclass(frozen=True)
class Building:
    """What a build may be told."""

    end: date | None = None
    days: int = 30
    incidents: Sequence[Incident] = ()
    jobs: Mapping[str, Job] | None = None
    now: datetime = datetime(2030, 1, 1)  # noqa: DTZ001 - naive UTC, as the build has it
    bounds: Bounds = field(default_factory=Bounds)
    chunk_bytes: int = 256 * 2**20


def built(folder: Path, paths: Sequence[Path], options: Building | None = None) -> BuildResult:
    """Build a snapshot in a store."""
    told = options or Building()
    store = Store(folder)
    with workshop() as place, held(store, 60), closing(connect(None, MEMORY, place.folder)) as con:
        request = BuildRequest(
            files=files_of(paths),
            source=source_named("canonical"),
            jobs=load_jobs() if told.jobs is None else told.jobs,
            workshop=place,
            hmac_key=no_key,
            end=told.end,
            days=told.days,
            incidents=told.incidents,
            bounds=told.bounds,
            chunk_bytes=told.chunk_bytes,
            now=told.now,
        )
        return build(con, store, request)


def tables_of(
    folder: Path, number: int | None = None, jobs: Mapping[str, Job] | None = None
) -> dict[str, dict[Any, Any]]:
    """Return a snapshot's tables as table -> key -> row; the active one if no number is given."""
    store = Store(folder)
    chosen = number or active_snapshot(store).number
    with workshop() as place, closing(connect(None, MEMORY, place.folder)) as con:
        made = load_jobs() if jobs is None else jobs
        return {table: _rows(con, table_path(store, chosen, table), job) for table, job in made.items()}


def _rows(con: Any, path: Path, job: Job) -> dict[Any, Any]:
    cursor = con.execute("select * from read_parquet(?)", [str(path)])
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    table = {tuple(row.pop(c) for c in job.table_key): row for row in found}
    assert len(table) == len(found), "a key stands there twice"
    return table
