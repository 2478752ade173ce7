"""A problem of a content file and its line; what all checks of content share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from keytrip.errors import KeytripError, Place
from keytrip.rules.load import Document
from keytrip.rules.marks import Marks, Step, Steps

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Problem:
    """What is wrong, where, and what to write instead; `str()` is `path:line: rule: problem; what to write instead`."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the problem as one line."""
        return " ".join(str(KeytripError(self.message, place=self.place, hint=self.hint)).split())


@dataclass(frozen=True)
class Subject:
    """One YAML document under check.

    Attributes:
        document: It.
        marks: Its lines.
        rule: Its name in problems, or None where it is no rule.
    """

    document: Document
    marks: Marks
    rule: str | None = None

    def problem(self, message: str, *path: Step, hint: str = "") -> Problem:
        """Return a problem at the line of the member `path`."""
        return Problem(Place(str(self.document.path), self.marks.line(*path), self.rule), message, hint)

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


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a hint: the known name that `name` may mean, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else "one of: " + ", ".join(known)
