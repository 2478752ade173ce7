"""Rules made on the spot, and what a target makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from keytrip.compile.targets import Compiled, compile_to
from keytrip.rules.load import Document

PATH = Path("made.yml")


def document(data: Mapping[str, Any]) -> Document:
    """Return a rule document; an id is made of its name."""
    made = {"title": "A rule", "id": str(uuid5(NAMESPACE_URL, str(data["name"]))), "status": "test", "level": "high"}
    return Document({**made, **data}, PATH, 1)


def base(detection: Mapping[str, Any] | None = None, category: str = "ai_usage", **logsource: str) -> Document:
    """Return the plain rule `base`; without a detection it matches every record with a key."""
    found = detection or {"selection": {"key_id|exists": True}, "condition": "selection"}
    return document({"name": "base", "logsource": {"category": category, **logsource}, "detection": found})


def matching(*selections: Mapping[str, Any], condition: str | None = None, **logsource: str) -> Document:
    """Return a plain rule over selections a, b, c...; without a condition all must hold."""
    named = {chr(ord("a") + number): dict(selection) for number, selection in enumerate(selections)}
    return base({**named, "condition": condition or " and ".join(named)}, **logsource)


def counted(
    kind: str = "event_count",
    condition: Mapping[str, Any] | None = None,
    group_by: tuple[str, ...] = ("key_id",),
    timespan: str = "1d",
    **attributes: Any,
) -> Document:
    """Return the correlation `counted` over `base`."""
    correlation = {
        "type": kind,
        "rules": ["base"],
        "group-by": list(group_by),
        "timespan": timespan,
        "condition": dict(condition or {"gte": 1}),
    }
    if not group_by:
        del correlation["group-by"]
    return document({"name": "counted", "correlation": correlation, **attributes})


def compiled(target: str, rule: Document, *bases: Document) -> Compiled:
    """Return what a target makes of a rule."""
    return compile_to(target, [rule], [rule, *bases])[0]


def text(target: str, rule: Document, *bases: Document) -> str:
    """Return the query that a target makes of a rule."""
    found = compiled(target, rule, *bases)
    assert not found.reason, found.reason
    return found.text


def condition(target: str, rule: Document) -> str:
    """Return the filter of a plain rule's query."""
    lines = text(target, rule).splitlines()
    if target in {"lucene", "opensearch"}:
        return "\n".join(lines)
    sql = "where timestamp is not null and "
    marks = {"eql": "any where ", "splunk": "| where ", "esql": "| WHERE ", "duckdb": sql, "spark": sql}
    return next(line.removeprefix(marks[target]) for line in lines if line.startswith(marks[target]))
