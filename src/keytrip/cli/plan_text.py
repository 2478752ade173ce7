"""A plan, a drift and a doctor's findings as people and programs see them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from difflib import unified_diff
from typing import Any

from keytrip.cli.output import Format, harmless, json_line, show, write
from keytrip.export.drift import Drift
from keytrip.export.model import Server
from keytrip.export.plan import FieldChange, ItemChange, Plan, TableChange
from keytrip.export.rows import RowCounts

Line = tuple[str, str]
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red"), "kept": ("=", "dim")}
_WORDS = {"create": "to create", "update": "to change", "delete": "to delete", "kept": "kept", "unchanged": "unchanged"}
_DONE = {"create": "created", "update": "changed", "delete": "deleted", "kept": "kept", "unchanged": "unchanged"}
_LONGEST, _MOST = 200, 60


def plan_rows(plan: Plan) -> list[dict[str, Any]]:
    """Return a row for each item and table, also those that do not change."""
    server = {"server": plan.server.name} if plan.server else {}
    return [row | server for row in (*map(_table_row, plan.tables), *map(_item_row, plan.items), *_refused_rows(plan))]


def _item_row(change: ItemChange) -> dict[str, Any]:
    fields = [{"field": one.field, "before": one.before, "after": one.after} for one in change.fields]
    row = {"action": change.action, "kind": change.kind, "name": change.name, **_titled(change.title), "fields": fields}
    return row | ({"renamed_from": change.renamed_from} if change.renamed_from else {})


def _titled(title: str) -> dict[str, str]:
    return {"title": title} if title else {}


def _table_row(change: TableChange) -> dict[str, Any]:
    total = change.table.count if change.table else change.live.count if change.live else None
    rows = {"total": total, **(_counts(change.counts) if change.counts else {})}
    return {"action": change.action, "kind": "table", "name": change.name, "fields": [], "rows": rows}


def _counts(counts: RowCounts) -> dict[str, int]:
    return {"added": counts.added, "changed": counts.changed, "removed": counts.removed}


def _refused_rows(plan: Plan) -> Iterator[dict[str, Any]]:
    for rule, reason in sorted(plan.refused.items()):
        yield {"action": "refused", "kind": "rule", "name": rule, "fields": [], "reason": reason}


def show_plan(plan: Plan, form: Format, *, done: bool = False) -> None:
    """Write a plan; `done` says what was done instead of what will be."""
    if form is not Format.table:
        show(plan_rows(plan), ("action", "kind", "name", "fields", "rows", "title"), form)
        return
    _write([*_plan_lines(plan), ("bold", _summary(plan, done=done))])


def _plan_lines(plan: Plan) -> Iterator[Line]:
    for change in plan.changes:
        if change.action == "unchanged":
            continue
        sign, style = _SIGNS[change.action]
        if isinstance(change, TableChange):
            yield style, f"{sign} table {change.name}{_rows_text(change)}"
            continue
        renamed = f" (was {change.renamed_from})" if change.renamed_from else ""
        yield style, f"{sign} {change.kind} {_called(change)}{renamed}"
        yield from _field_lines(change.fields)
    yield from _server_lines(plan.server)
    for rule, reason in sorted(plan.refused.items()):
        yield "yellow", f"! rule {rule} is left out: {reason}"


def _called(one: ItemChange | Drift) -> str:
    """Return a name as it is shown: with what people call it, where it is an id."""
    return f"{one.name} {json_line(one.title)}" if one.title else one.name


def _server_lines(server: Server | None) -> Iterator[Line]:
    if server is not None:
        yield "dim", f"compiled for {server.name}"
        if server.no_tables:
            yield "yellow", f"! tables are left out: {server.no_tables}"


def _rows_text(change: TableChange) -> str:
    if change.table is None:
        return ""
    text = f": {change.table.count} rows"
    if change.generation:
        return f"{text}, generation {change.generation}"
    return f"{text}, {_counts_text(change.counts)}" if change.counts else text


def _counts_text(counts: RowCounts) -> str:
    found = ", ".join(f"{number} {what}" for what, number in _counts(counts).items() if number)
    return found or "other columns"


def _field_lines(fields: Iterable[FieldChange]) -> Iterator[Line]:
    for one in fields:
        texts = isinstance(one.before, str) and isinstance(one.after, str)
        if texts and "\n" in one.before + one.after:
            yield "", f"    {one.field}:"
            yield from _text_lines(one.before, one.after)
        else:
            yield "", f"    {one.field}: {_short(one.before)} -> {_short(one.after)}"


def _text_lines(before: str, after: str) -> Iterator[Line]:
    """Yield the lines that differ, each with the one around it."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]
    for line in lines[:_MOST]:
        style = {"+": "green", "-": "red"}.get(line[0], "dim")
        yield style, f"      {line}"
    if len(lines) > _MOST:
        yield "dim", f"      ... {len(lines) - _MOST} lines more; --format json has them"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json_line([value])[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _summary(plan: Plan, *, done: bool) -> str:
    if plan.empty and not plan.counts["kept"]:
        return f"nothing to do: {plan.counts['unchanged']} unchanged"
    words = _DONE if done else _WORDS
    text = ", ".join(f"{number} {words[action]}" for action, number in plan.counts.items() if number)
    return f"{text}; --prune deletes what is kept" if plan.counts["kept"] else text


def show_drift(found: Iterable[Drift], form: Format) -> None:
    """Write what drifted."""
    found = list(found)
    if form is not Format.table:
        show([_drift_row(one) for one in found], ("what", "kind", "name", "by", "at", "fields", "rows", "title"), form)
        return
    lines: list[Line] = []
    for one in found:
        who = " ".join(filter(None, (f"by {one.by}" if one.by else "", f"at {one.at}" if one.at else "")))
        counts = f": {_counts_text(one.counts)} rows" if one.counts else ""
        lines.append((_DRIFTS[one.what], f"{one.what} {one.kind} {_called(one)}{counts}{f' ({who})' if who else ''}"))
        lines += _field_lines(one.fields)
    drifted = sum(one.what != "unread" for one in found)
    _write([*lines, ("bold", f"{drifted} drifted" if drifted else "nothing drifted")])


_DRIFTS = {"changed": "yellow", "switched": "yellow", "gone": "red", "added": "green", "unread": "dim"}


def _drift_row(one: Drift) -> dict[str, Any]:
    fields = [{"field": field.field, "before": field.before, "after": field.after} for field in one.fields]
    named = {"what": one.what, "kind": one.kind, "name": one.name, **_titled(one.title)}
    row = {**named, "by": one.by, "at": one.at, "fields": fields}
    return row | ({"rows": _counts(one.counts)} if one.counts else {})


def _write(lines: Iterable[Line]) -> None:
    """Write lines, in colour where a person looks; nothing in them can steer the terminal."""
    safe = [(style, harmless(text)) for style, text in lines]
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        write("".join(f"{text}\n" for _, text in safe))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, force_terminal=True)
    with console.capture() as capture:
        for style, text in safe:
            console.print(Text(text, style=style), soft_wrap=True)
    write(capture.get())
