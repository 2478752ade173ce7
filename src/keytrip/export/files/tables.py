"""Tables as files: CSV in which every text is quoted, NDJSON, or Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from keytrip.export.model import Progress, Row, Table
from keytrip.records.sql import fetched, quote_name, quote_text

_BATCH = 5_000
_MEMORY = "128MB"
# A text of a megabyte that is all quotes is twice as long in its cell. DuckDB's own buffer would be many such lines.
_LONGEST_LINE, _BUFFER = 4 << 20, 16 << 20


def write_table(table: Table, path: Path, form: str, progress: Progress) -> int:
    """Write a table's rows; return how many are in the file as it can be read again.

    Raises:
        OSError: The file cannot be written.
    """
    text = path if form == "csv" else path.with_name(f"{path.name}.csv")
    try:
        _write_csv(table, text, progress)
        if form != "csv":
            _convert(text, path, form, table.columns)
    finally:
        if text != path:
            text.unlink(missing_ok=True)
    return sum(1 for _ in read_table(path, form, table.columns))


def _write_csv(table: Table, path: Path, progress: Progress) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(map(_quoted, table.columns)) + "\n")
        for batch in _batches(table.rows()):
            file.write("".join(",".join(cell(row[name]) for name in table.columns) + "\n" for row in batch))
            progress(len(batch))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def cell(value: Any) -> str:
    """Return a cell: an empty one is null, `""` the empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return str(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _convert(text: Path, path: Path, form: str, columns: Mapping[str, str]) -> None:
    options = {"ndjson": "format json", "parquet": "format parquet"}[form]
    con = _connection()
    try:
        con.execute(f"copy (select * from {_relation(text, 'csv', columns)}) to {quote_text(str(path))} ({options})")
    finally:
        con.close()


def read_table(path: Path, form: str, columns: Mapping[str, str]) -> Iterator[Row]:
    """Yield a file's rows; nothing of a file that cannot be read as a table with these columns."""
    import duckdb

    con = _connection()
    try:
        con.execute(f"select {', '.join(map(quote_name, columns))} from {_relation(path, form, columns)}")
        for values in fetched(con):
            yield dict(zip(columns, values, strict=True))
    except duckdb.Error:
        return
    finally:
        con.close()


def _connection() -> Any:
    import duckdb

    return duckdb.connect(config={"memory_limit": _MEMORY, "threads": 1})


def _relation(path: Path, form: str, columns: Mapping[str, str]) -> str:
    text = quote_text(str(path))
    typed = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in columns.items())
    if form == "csv":
        return (
            f"read_csv({text}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"', "
            f"nullstr = '', allow_quoted_nulls = false, max_line_size = {_LONGEST_LINE}, "
            f"buffer_size = {_BUFFER}, columns = {{{typed}}})"
        )
    if form == "ndjson":
        return f"read_json({text}, format = 'newline_delimited', columns = {{{typed}}})"
    return f"read_parquet({text})"
