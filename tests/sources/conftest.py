"""Reading in the test's own process: bytes in, canonical rows and rejects out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from keytrip.records.vocabulary import usage
from keytrip.sources import source_named
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile, input_files
from keytrip.sources.lines import MAX_LINE
from keytrip.sources.read import Report, Request, chunks

Row = dict[str, Any]
FIXTURES = Path(__file__).parents[1] / "fixtures"


@dataclass(frozen=True)
class Reading:
    """What reading gave.

    Attributes:
        rows: Canonical records without their null members, in no order.
        rejects: (file, line, reason) in order.
        texts: How what was set aside began, in the same order.
        report: The counts.
        groups: The names of the files of each chunk.
    """

    rows: list[Row]
    rejects: list[tuple[str, int, str]]
    texts: list[str]
    report: Report
    groups: list[list[str]]


@dataclass(frozen=True)
class Reader:
    """Reads files with one connection.

    Attributes:
        con: The connection.
        key: The HMAC key of pseudonyms.
    """

    con: duckdb.DuckDBPyConnection
    key: bytes = bytes(32)

    def read(
        self,
        folder: Path,
        files: Sequence[InputFile],
        source: str | Source = "canonical",
        *,
        columns: frozenset[str] = frozenset(usage().fields),
        max_line: int = MAX_LINE,
        chunk_bytes: int = 2**28,
    ) -> Reading:
        """Read `files`; `folder` takes what is converted."""
        report = Report()
        chosen = source_named(source) if isinstance(source, str) else source
        workshop = Workshop(folder, max_line, chosen.line)
        request = Request(chosen, columns, workshop, lambda: self.key, chunk_bytes)
        rows: list[Row] = []
        groups = []
        for chunk in chunks(self.con, files, request, report):
            cursor = self.con.execute("select * exclude (kt_flags, kt_file) from kt_chunk")
            names = [d[0] for d in cursor.description or ()]
            read = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            rows += [{n: v for n, v in row.items() if v is not None and not n.startswith("kt_")} for row in read]
            groups.append([file.name for file in chunk.files])
        rejects = sorted(report.rejects, key=lambda r: (r.file, r.line))
        return Reading(rows, [(r.file, r.line, r.reason) for r in rejects], [r.text for r in rejects], report, groups)


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    """Return a reader whose connection the whole session uses."""
    with duckdb.connect() as con:
        con.execute("set threads = 1")
        yield Reader(con)


ReadBytes = Callable[..., Reading]


@pytest.fixture
def read_bytes(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadBytes:
    """Return a callable that writes files by name into the working folder and reads them."""
    monkeypatch.chdir(tmp_path)
    work = tmp_path / ".work"
    work.mkdir()

    def read(files: Mapping[str, bytes], source: str | Source = "canonical", **options: Any) -> Reading:
        for name, content in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content)
        reading = reader.read(work, input_files([f"./{name}" for name in files]), source, **options)
        assert list(work.iterdir()) == [], "the work folder is empty when a run is over"
        return reading

    return read
