"""A problem of a content file and its line; what all checks of content share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from keytrip.content import HOLE
from keytrip.errors import ContentError, KeytripError, Place
from keytrip.rules.load import Document
from keytrip.rules.marks import Marks, Step, Steps

if TYPE_CHECKING:
    from pydantic import BaseModel


# What each kind of problem is about, for readers of SARIF.
KINDS = {
    "baseline": "A baseline block can be read, over tables and columns that exist",
    "case": "A rule's tests run, and one near miss differs from a hit in one fact",
    "destination": "A destination's manifest and templates can be written",
    "duplicate": "Ids, names and titles are used once",
    "field": "Fields and log sources exist",
    "file": "A file is read",
    "filter": "A filter narrows rules that are there",
    "hole": "Nothing of a template is left to fill in",
    "job": "A baseline job declares a table that can be built",
    "licence": "A licence is an SPDX expression",
    "pack": "pack.yml names rules and parameters that exist",
    "parameter": "A parameter is the number at its place, or is used by name",
    "pipeline": "A processing pipeline maps canonical fields",
    "reach": "A rule can fire, and each of its parts makes a difference",
    "reference": "A rule refers to rules that are there",
    "schema": "A document has the members that it needs, each of its type",
    "source": "A log source maps canonical fields, in SQL that DuckDB reads",
    "sigma": "pySigma's validators and the compiler accept the rule",
    "tag": "Tags name what ATT&CK and ATLAS have",
    "yaml": "YAML says what it looks like",
}


@dataclass(frozen=True)
class Problem:
    """A problem of a content file; `str()` is `path:line: rule: problem; what to write instead`.

    Attributes:
        place: Where it is.
        message: What is wrong.
        hint: What to write instead.
        kind: One of KINDS.
        warning: Whether the content is sound all the same.
    """

    place: Place
    message: str
    hint: str = ""
    kind: str = "schema"
    warning: bool = False

    def __str__(self) -> str:
        """Return the problem as one line."""
        message = f"warning: {self.message}" if self.warning else self.message
        return " ".join(str(KeytripError(message, place=self.place, hint=self.hint)).split())


def of_kind(kind: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield problems as those of one of KINDS."""
    return (replace(problem, kind=kind) for problem in problems)


@dataclass(frozen=True)
class Subject:
    """One YAML document under check.

    Attributes:
        document: It.
        marks: Its lines.
        rule: Its name in problems, or None where it is no rule.
        holes: Members that are still to be filled in.
    """

    document: Document
    marks: Marks
    rule: str | None = None
    holes: frozenset[Steps] = frozenset()

    def problem(self, message: str, *path: Step, hint: str = "") -> Problem:
        """Return a problem at the line of the member `path`."""
        return Problem(Place(str(self.document.path), self.marks.line(*path), self.rule), message, hint)

    def unfilled(self) -> Iterator[Problem]:
        """Yield the holes of a template, each with what belongs there."""
        for steps in sorted(self.holes, key=lambda steps: self.marks.lines[steps]):
            yield self.problem(f"`{'.'.join(steps)}` is to be filled in", *steps, hint=f"write {self._asked(steps)}")

    def _asked(self, steps: Steps) -> str:
        value: Any = self.document.data
        for step in steps:
            value = value[int(step)] if isinstance(value, list) else value[step]
        return str(value).removeprefix(HOLE).lstrip(": ") or "it"

    def repeats(self) -> Iterator[Problem]:
        """Yield members that stand twice in one mapping."""
        for steps in self.marks.repeated:
            yield self.problem(f"`{'.'.join(steps)}` stands there twice", *steps, hint="only the last would count")


@dataclass(frozen=True)
class Fault:
    """A problem that a model found: which member, and whether it is missing, unknown to the model, or wrong."""

    steps: Steps
    kind: Literal["missing", "unknown", "wrong"]
    problem: Problem


def model_faults(
    subject: Subject, model: type[BaseModel], data: Mapping[Any, Any], hints: Mapping[str, str]
) -> list[Fault]:
    """Return what `model` finds wrong, one fault a member.

    Args:
        subject: The document.
        model: A pydantic model.
        data: What to validate.
        hints: First member of a path, or the whole path with dots -> what to write instead.
    """
    from pydantic import ValidationError

    try:
        model.model_validate(data)
    except ValidationError as error:
        found = [_fault(subject, model, entry, hints) for entry in error.errors(include_url=False, include_input=False)]
        return list({fault.steps: fault for fault in reversed(found)}.values())[::-1]
    return []


def _fault(subject: Subject, model: type[BaseModel], entry: Any, hints: Mapping[str, str]) -> Fault:
    path = tuple(map(str, entry["loc"]))
    missing, unknown = entry["type"] == "missing", entry["type"] == "extra_forbidden"
    # behind the member, pydantic names the branch of a union that it tried
    steps = path if missing or unknown else subject.marks.known(path) or path
    name = ".".join(steps)
    hint = hints.get(name) or hints.get(steps[0], "")
    if entry["type"] == "string_type":
        hint = "quote a text that holds `: `, or that YAML reads as a number or a date"
    if missing:
        message = f"`{name}` is missing"
    elif unknown:
        names = [info.alias or key for key, info in model.model_fields.items()]
        message, hint = f"unknown member `{name}`", nearest(steps[-1], names) if len(steps) == 1 else hint
    else:
        message = f"`{name}`: {str(entry['msg'])[:1].lower()}{str(entry['msg'])[1:]}"
    kind: Literal["missing", "unknown", "wrong"] = "missing" if missing else "unknown" if unknown else "wrong"
    return Fault(steps, kind, subject.problem(message, *steps, hint=hint))


def holes_in(path: Path) -> list[Problem]:
    """Return what is still to be filled in of a file that is no YAML, line by line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ContentError("is not UTF-8", place=Place(str(path)), hint="save it as UTF-8") from error
    found = []
    for number, line in enumerate(lines, start=1):
        for asked in line.split(HOLE)[1:]:
            words = asked.strip(": ").rstrip("'\",)\\ ")
            found.append(Problem(Place(str(path), number), f"is to be filled in: {words}", "write it there", "hole"))
    return found


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a hint: the known name that `name` may mean, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "one of: " + ", ".join(known)
