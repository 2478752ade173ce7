"""Reads files of one source into DuckDB, chunk by chunk, and writes down what was no record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.records.sql import SETUP
from keytrip.sources.files import InputFile
from keytrip.sources.lean import view_sql
from keytrip.sources.lines import Reject
from keytrip.sources.load import load
from keytrip.sources.passes import BASE, CHUNK, finish
from keytrip.sources.request import PRICING, Chunk, Report, Request
from keytrip.sources.select import IDENTIFIED

if TYPE_CHECKING:
    import duckdb

__all__ = ["PRICING", "Chunk", "Report", "Request", "chunks", "write_rejects"]

# Logs shrink to about an eighth when they are compressed.
_PACKED = 8
# A file's number is a SMALLINT in the chunk, and its path a constant in the query.
_MOST_FILES = 5000


def chunks(
    con: duckdb.DuckDBPyConnection, files: Sequence[InputFile], request: Request, report: Report
) -> Iterator[Chunk]:
    """Read `files` and yield each chunk while its records lie in `kt_chunk`; fill `report`.

    Raises:
        DataError: A file is not what its suffix says.
    """
    con.execute(SETUP)
    for group in _groups(files, request.chunk_bytes):
        loaded = load(con, group, request)
        report.rejects += loaded.rejects
        flags = finish(con, request.wanted - loaded.omitted, request.hmac_key)
        view = view_sql(BASE, request.source, request.wanted, loaded.omitted)
        con.execute(f"create or replace temp view {CHUNK} as {view}")
        records, undated = con.execute(
            f"select count(*), count(*) filter (timestamp is null) from {CHUNK}"
        ).fetchone() or (0, 0)
        report.records += records
        report.undated += undated
        report.files += len(group)
        yield Chunk(tuple(group), records, bool(flags & IDENTIFIED))
        con.execute(f"drop table {BASE}")  # before the next is made, or memory would hold both
        request.tick(sum(file.size for file in group))


def _groups(files: Sequence[InputFile], limit: int) -> Iterator[list[InputFile]]:
    group: list[InputFile] = []
    size = 0
    for file in files:
        weight = file.size * (_PACKED if file.packing else 1)
        if group and (size + weight > limit or len(group) == _MOST_FILES):
            yield group
            group, size = [], 0
        group.append(file)
        size += weight
    if group:
        yield group


def write_rejects(rejects: Sequence[Reject], path: Path) -> None:
    """Write what was set aside as NDJSON: file, line, reason and how it began; the file is there whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    import orjson

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    lines = (
        orjson.dumps(
            {"file": r.file, "line": r.line, "reason": r.reason, "text": r.text}, option=orjson.OPT_APPEND_NEWLINE
        )
        for r in sorted(rejects, key=lambda r: (r.file, r.line))
    )
    try:
        with part.open("wb") as file:
            file.writelines(lines)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
