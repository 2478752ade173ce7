"""What `pack.yml` files say: values for placeholders, rules that are switched off, other numbers for rules."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from keytrip.errors import ContentError, Place
from keytrip.rules.load import Document, read_nodes
from keytrip.rules.marks import Marks, Step, marks_of

PACK_FILE = "pack.yml"
_MEMBERS = ("variables", "disabled", "parameters")
Variables = Mapping[str, Sequence[str | int | float]]


@dataclass(frozen=True)
class Switch:
    """A pattern of rules that are switched off, and where it stands."""

    pattern: str
    place: Place


@dataclass(frozen=True)
class Setting:
    """Another number for a rule's parameter, and where it stands."""

    rule: str
    parameter: str
    value: float
    place: Place


@dataclass(frozen=True)
class Pack:
    """What one or several `pack.yml` files say."""

    variables: Variables = field(default_factory=dict)
    disabled: tuple[Switch, ...] = ()
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class _Source:
    """One document of a `pack.yml`."""

    document: Document
    marks: Marks

    def place(self, *path: Step) -> Place:
        return Place(str(self.document.path), self.marks.line(*path))

    def wrong(self, message: str, *path: Step, hint: str = "") -> ContentError:
        return ContentError(message, place=self.place(*path), hint=hint)

    def member(self, name: str, kind: type[Any], hint: str) -> Any:
        found = self.document.data.get(name)
        if found is not None and not isinstance(found, kind):
            raise self.wrong(f"`{name}` has not the form", name, hint=hint)
        return found or kind()


def read_packs(folders: Iterable[Path]) -> Pack:
    """Return what the packs' files say together: later variables replace earlier ones of the name.

    Raises:
        ContentError: A file is not what a pack.yml may hold.
    """
    variables: dict[str, Sequence[str | int | float]] = {}
    disabled: list[Switch] = []
    settings: list[Setting] = []
    for path in (folder / PACK_FILE for folder in folders):
        if not path.is_file():
            continue
        for document, node in read_nodes(path):
            source = _Source(document, marks_of(node))
            _known(source)
            variables |= _variables(source)
            disabled += _disabled(source)
            settings += _settings(source)
    return Pack(variables, tuple(disabled), tuple(settings))


def _known(source: _Source) -> None:
    unknown = next((name for name in source.document.data if name not in _MEMBERS), None)
    if unknown is not None:
        raise source.wrong(f"unknown member {unknown!r}", unknown, hint="a pack has variables, disabled and parameters")


def _variables(source: _Source) -> dict[str, Sequence[str | int | float]]:
    hint = "such as {office: [192.0.2.0/24, 198.51.100.0/24]}"
    found: dict[str, Sequence[str | int | float]] = {}
    for name, value in source.member("variables", dict, hint).items():
        values = value if isinstance(value, list) else [value]
        if not isinstance(name, str) or "%" in name or not values or not all(map(_scalar, values)):
            raise source.wrong(f"variable {name!r} is no list of texts or numbers", "variables", str(name), hint=hint)
        found[name] = values
    return found


def _scalar(value: object) -> bool:
    return isinstance(value, str) or _number(value)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _disabled(source: _Source) -> Iterator[Switch]:
    hint = "names of rules, or patterns such as 'org_*'"
    for number, pattern in enumerate(source.member("disabled", list, hint)):
        if not isinstance(pattern, str):
            raise source.wrong(f"{pattern!r} is no name of a rule", "disabled", number, hint=hint)
        yield Switch(pattern, source.place("disabled", number))


def _settings(source: _Source) -> Iterator[Setting]:
    hint = "such as {key_spend: {floor: 20}}"
    for rule, values in source.member("parameters", dict, hint).items():
        if not isinstance(values, dict):
            raise source.wrong(f"`parameters.{rule}` is no mapping", "parameters", str(rule), hint=hint)
        for name, value in values.items():
            path = ("parameters", str(rule), str(name))
            if not _number(value):
                raise source.wrong(f"`{'.'.join(path)}` is no finite number", *path, hint=hint)
            yield Setting(str(rule), str(name), value, source.place(*path))


# -- applied to rules ------------------------------------------------------------------------------------------------


def switched_on(documents: Sequence[Document], switches: Sequence[Switch]) -> list[Document]:
    """Return the documents that no pattern names.

    Raises:
        ContentError: A pattern names none.
    """
    for switch in switches:
        if not any(fnmatchcase(document.name, switch.pattern) for document in documents):
            hint = "see `keytrip rules`, or take it out of `disabled`"
            raise ContentError(f"no rule is called {switch.pattern!r}", place=switch.place, hint=hint)
    return [d for d in documents if not any(fnmatchcase(d.name, switch.pattern) for switch in switches)]


def with_settings(documents: Sequence[Document], settings: Sequence[Setting]) -> list[Document]:
    """Return the documents with other numbers for some of their parameters, also where `at` says that they stand.

    Raises:
        ContentError: There is no such rule or parameter, or it points at no number.
    """
    found = {document.name: document for document in documents}
    for setting in settings:
        if setting.rule not in found:
            hint = "see `keytrip rules`"
            raise ContentError(f"no rule is called {setting.rule!r}", place=setting.place, hint=hint)
        found[setting.rule] = _set(found[setting.rule], setting)
    return [found.get(document.name, document) for document in documents]


def _set(document: Document, setting: Setting) -> Document:
    data = copy.deepcopy(dict(document.data))
    declared = data.get("parameters")
    named = declared.get(setting.parameter) if isinstance(declared, dict) else None
    if not isinstance(named, dict):
        hint = f"it has: {', '.join(map(str, declared or ())) or 'none'}"
        raise ContentError(f"{document.name} has no parameter {setting.parameter!r}", place=setting.place, hint=hint)
    named["default"] = setting.value
    if "at" in named:
        *parents, last = str(named["at"]).split(".")
        holder = _member(data, parents)
        if not _number(_step(holder, last)):
            problem = f"parameter {setting.parameter} points at {named['at']!r}, where no number is"
            raise ContentError(problem, place=document.place, hint="name the number's place, such as condition.gt")
        holder[int(last) if isinstance(holder, list) else last] = setting.value
    return Document(data, document.path, document.line, document.variables)


def _member(data: Any, path: Sequence[str]) -> Any:
    for step in path:
        data = _step(data, step)
    return data


def _step(data: Any, step: str) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    fits = isinstance(data, list) and step.isdecimal() and int(step) < len(data)
    return data[int(step)] if fits else None
