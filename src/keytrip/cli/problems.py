"""How `keytrip check` writes problems: lines for people, NDJSON, CSV, SARIF for code scanning, GitHub annotations."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from keytrip import __version__
from keytrip.cli.output import Format, harmless, json_line, show, write

if TYPE_CHECKING:
    from keytrip.compile.problems import Problem

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class ProblemFormat(StrEnum):
    """How problems are written."""

    table = "table"
    json = "json"
    csv = "csv"
    sarif = "sarif"
    github = "github"


def show_problems(problems: Sequence[Problem], form: ProblemFormat) -> None:
    """Write problems to standard output."""
    match form:
        case ProblemFormat.table:
            write("".join(f"{harmless(problem)}\n" for problem in problems))
        case ProblemFormat.sarif:
            write(json_line(sarif(problems)) + "\n")
        case ProblemFormat.github:
            write("".join(f"{annotation(problem)}\n" for problem in problems))
        case _:
            columns = ("path", "line", "rule", "problem", "hint", "kind", "severity")
            show([_row(problem) for problem in problems], columns, Format(form.value))


def _row(problem: Problem) -> dict[str, Any]:
    place = problem.place
    return {
        "path": place.path,
        "line": place.line,
        "rule": place.rule,
        "problem": problem.message,
        "hint": problem.hint,
        "kind": problem.kind,
        "severity": _severity(problem),
    }


def _severity(problem: Problem) -> str:
    """Return the word that SARIF and GitHub have for how bad it is."""
    return "warning" if problem.warning else "error"


def sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return problems as a SARIF 2.1.0 log with one run; its rules are the kinds of problems."""
    from keytrip.compile.problems import KINDS

    rules = [{"id": kind, "shortDescription": {"text": about}} for kind, about in KINDS.items()]
    driver = {"name": "keytrip", "version": __version__, "rules": rules}
    results = [_result(problem, [*KINDS].index(problem.kind)) for problem in problems]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(problem: Problem, index: int) -> dict[str, Any]:
    return {
        "ruleId": problem.kind,
        "ruleIndex": index,
        "level": _severity(problem),
        "message": {"text": _said(problem)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(str(problem.place.path))},
                    "region": {"startLine": problem.place.line or 1},
                }
            }
        ],
    }


def _uri(path: str) -> str:
    """Return a path as a URI: relative to the folder that was checked, where it is below it."""
    from pathlib import Path
    from urllib.parse import quote

    return Path(path).as_uri() if Path(path).is_absolute() else quote(Path(path).as_posix())


def _said(problem: Problem) -> str:
    rule = f"{problem.place.rule}: " if problem.place.rule else ""
    return harmless(" ".join(f"{rule}{problem.message}{'; ' if problem.hint else ''}{problem.hint}".split()))


def annotation(problem: Problem) -> str:
    """Return a problem as the command that makes GitHub show it beside the line."""
    place = problem.place
    about = {"file": place.path or "", "line": str(place.line or 1), "title": f"keytrip {problem.kind}"}
    members = ",".join(f"{name}={_escaped(value, more=':,')}" for name, value in about.items())
    return f"::{_severity(problem)} {members}::{_escaped(_said(problem))}"


def _escaped(text: str, more: str = "") -> str:
    # GitHub reads a line break, and in a member a colon or a comma, as the end; `%` first, since it begins an escape
    for mark in ("%", "\r", "\n", *more):
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text
