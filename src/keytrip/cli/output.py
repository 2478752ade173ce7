"""What people and programs get to see. Log content is hostile: it is made harmless for a terminal, a CSV and JSON."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from keytrip.records.json_text import to_json

# Control characters (terminal escapes among them), marks that turn the direction of text or end a line, invisible ones.
_MARKS = "\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
_HARMFUL = re.compile(f"[\x00-\x1f{_MARKS}\ud800-\udfff]")
_HARMFUL_IN_JSON = re.compile(f"[{_MARKS}]")
# Lines of JSON that are written at once: results may be larger than memory.
_LINES = 1000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    csv = "csv"


def harmless(value: Any) -> str:
    """Return a value as text for a terminal: what could steer it is written out as `\\x1b`."""
    return _HARMFUL.sub(lambda m: m.group(0).encode("unicode_escape").decode(), "" if value is None else str(value))


def json_line(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return one line of JSON whose text cannot steer a terminal."""
    text = to_json(value).decode()
    return _HARMFUL_IN_JSON.sub(lambda m: f"\\u{ord(m.group(0)):04x}", text)


def csv_cell(value: Any) -> Any:
    """Return a value for a CSV cell: a text that a spreadsheet would run as a formula gets an apostrophe."""
    if isinstance(value, Mapping | list | tuple):
        return json_line(value)
    if not isinstance(value, str):
        return value
    return f"'{harmless(value)}" if value.startswith(_FORMULA) else harmless(value)


def show(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    form: Format,
    title: str = "",
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Write rows to standard output as a table, NDJSON or CSV (the latter two with every member).

    Args:
        rows: What to write.
        columns: The members that a table has, in order; a CSV's header.
        form: How.
        title: Above a table that a person sees.
        styles: Text of a cell -> rich's style for it, where a person sees it.
    """
    if form is Format.json:
        lines = (json_line(row) + "\n" for row in rows)
        while text := "".join(islice(lines, _LINES)):
            write(text)
    elif form is Format.csv:
        write(_csv(rows, columns))
    else:
        _table(rows, columns, title, styles or {})


def _csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue()


def _table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], title: str, styles: Mapping[str, str]) -> None:
    lines = [([harmless(_cell(row.get(name))) for name in columns], _style(row)) for row in rows]
    if not sys.stdout.isatty():
        write(plain_table(columns, [texts for texts, _ in lines]))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(harmless(title)) if title else None, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for texts, style in lines:
        table.add_row(*(Text(text, style=styles.get(text, "")) for text in texts), style=style)
    console = Console(file=sys.stdout, no_color=bool(os.environ.get("NO_COLOR")), force_terminal=True)
    with console.capture() as capture:
        console.print(table)
    write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")


def plain_table(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> str:
    """Return the text of rich's table, without colour or wrapping, for cells of one line each.

    Rich itself measures and wraps each cell: of ten thousand rows that takes seconds.
    """
    from rich.cells import cell_len

    lines = [list(columns), *texts]
    widths = [max(cell_len(line[number]) for line in lines) for number in range(len(columns))]

    def drawn(line: Sequence[str]) -> str:
        cells = (f"  {text}{' ' * (width - cell_len(text))} " for text, width in zip(line, widths, strict=True))
        return "".join(cells).rstrip()

    head, *body = map(drawn, lines)
    return "\n".join(["", head, f" {'─' * (sum(widths) + 3 * len(widths) - 1)}", *body, "", ""])


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={v}" for k, v in value.items())
    return value


def _style(row: Mapping[str, Any]) -> str | None:
    return {"critical": "bold red", "high": "red", "medium": "yellow"}.get(str(row.get("level")))


def open_streams() -> None:
    """Let standard output and error lead nowhere where the caller closed them (`>&-`)."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as we run
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the same


def write(text: str) -> None:
    """Write to standard output, which may have been opened for another encoding; whoever reads it may have gone."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        if hasattr(sys.stdout, "buffer"):
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.write(data.decode())
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str, *, quiet: bool = False) -> None:
    """Write a line to standard error; that it cannot be written is no reason to stop."""
    if not quiet:
        with suppress(OSError):
            sys.stderr.write(harmless(text) + "\n")
            sys.stderr.flush()
