"""`keytrip read`: canonical records as a Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.baselines.reduce import drop_duplicates
from keytrip.hunt.alerts import time_text
from keytrip.hunt.engine import append, chunk_bytes, connect
from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import usage
from keytrip.sources.base import Source
from keytrip.sources.convert import Workshop
from keytrip.sources.files import InputFile
from keytrip.sources.passes import CHUNK
from keytrip.sources.read import Report, Request, chunks

_TABLE = "kt_records"
_COLUMNS = ", ".join(quote_name(name) for name in usage().fields)

if TYPE_CHECKING:
    import duckdb


def write_records(
    files: Sequence[InputFile],
    source: Source,
    workshop: Workshop,
    hmac_key: Callable[[], bytes],
    memory: str,
    out: Path,
    tick: Callable[[int], None],
) -> tuple[dict[str, Any], Report]:
    """Write the canonical records of `files`, duplicates dropped, sorted by time; return (summary, report).

    Raises:
        DataError: A file cannot be read; nothing is written then.
    """
    report = Report()
    reading = Request(source, frozenset(usage().fields), workshop, hmac_key, chunk_bytes(memory), tick)
    with closing(connect(None, memory, workshop.folder)) as con:
        _read(con, files, reading, report)
        row = con.execute(
            f"select count(*), count(*) filter (timestamp is null), min(timestamp), max(timestamp) from {_TABLE}"
        ).fetchone() or (0, 0, None, None)
        _write(con, out)
    summary = {
        "records": row[0],
        "undated": row[1],
        "rejected": len(report.rejects),
        "duplicates": report.records - row[0],
        "files": report.files,
        "first": _text(row[2]),
        "last": _text(row[3]),
    }
    return summary, report


def _read(con: duckdb.DuckDBPyConnection, files: Sequence[InputFile], reading: Request, report: Report) -> None:
    identified = False
    for chunk in chunks(con, files, reading, report):
        append(con, _TABLE, f"select {_COLUMNS} from {CHUNK}")
        identified = identified or chunk.identified
    if identified:
        drop_duplicates(con, _TABLE)


def _write(con: duckdb.DuckDBPyConnection, out: Path) -> None:
    """Write the records sorted by all they hold, so that the same ones give the same file."""
    part = out.with_name(f".{out.name}.part")
    sql = f"select {_COLUMNS} from {_TABLE} order by all nulls last"
    try:
        con.execute(f"copy ({sql}) to {quote_text(str(part))} (format parquet)")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _text(moment: datetime | None) -> str | None:
    return time_text(moment) if moment else None
