"""Loads rule files with their places, layers user packs over ours, and applies parameters."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from keytrip.content import content_files
from keytrip.errors import ContentError, Place

# What PyYAML lets through where a scalar's text is not of the type that its looks or its tag say.
_NO_VALUE = (ValueError, KeyError, AttributeError, OverflowError, TypeError)
_NAME = re.compile(r"\w+")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Values of one document. The largest rule of ours has under a thousand; a few lines of nested aliases make billions.
LARGEST = 100_000


@dataclass(frozen=True)
class Document:
    """One YAML document of a rule file.

    Attributes:
        data: Its content, a mapping.
        path: The file.
        line: The line that it begins on.
    """

    data: Mapping[str, Any]
    path: Path
    line: int

    @property
    def name(self) -> str:
        """The rule's `name`, else its id, else its title."""
        return str(self.data.get("name") or self.data.get("id") or self.data.get("title") or "?")

    @property
    def tags(self) -> tuple[str, ...]:
        """The rule's tags as text."""
        tags = self.data.get("tags")
        return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()

    @property
    def level(self) -> str:
        """The rule's level, `medium` where none is given."""
        return str(self.data.get("level") or "medium").lower()

    @property
    def place(self) -> Place:
        """Where the rule is."""
        return Place(str(self.path), self.line, self.name)

    @property
    def references(self) -> tuple[str, ...]:
        """Names or ids of the rules that a correlation refers to."""
        correlation = self.data.get("correlation")
        if not isinstance(correlation, dict):
            return ()
        rules, condition = correlation.get("rules"), correlation.get("condition")
        if rules is None and isinstance(condition, str):
            # Sigma's extended condition names the rules itself
            rules = [word for word in _NAME.findall(condition) if word not in {"and", "or", "not"}]
        if isinstance(rules, str):
            return (rules,)
        return tuple(str(rule) for rule in rules) if isinstance(rules, list) else ()


@dataclass(frozen=True)
class Pack:
    """What a user's `pack.yml` says."""

    variables: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    disabled: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def read_documents(path: Path) -> list[Document]:
    """Return the rule documents of one file.

    Raises:
        ContentError: It is not YAML, or a document is no mapping or has an `action`.
    """
    return [document for document, _ in read_nodes(path)]


def read_nodes(path: Path) -> list[tuple[Document, yaml.Node]]:
    """Return the rule documents of one file, each with the YAML that it was read from, for its lines.

    Raises:
        ContentError: As `read_documents`.
    """
    try:
        loader = _LOADER(path.read_text(encoding="utf-8-sig"))
        return list(_read(loader, path))
    except UnicodeDecodeError as error:
        raise ContentError("is not UTF-8", place=Place(str(path)), hint="save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "is no YAML"
        raise ContentError(f"is no YAML: {problem}", place=Place(str(path), line), hint=_yaml_hint(problem)) from error


def _read(loader: Any, path: Path) -> Iterator[tuple[Document, yaml.Node]]:
    while loader.check_node():
        node = loader.get_node()
        place = Place(str(path), node.start_mark.line + 1)
        value = _value(node, path)
        if _size(node, {}) > LARGEST:
            problem = f"has more than {LARGEST:,} values once its aliases are followed"
            raise ContentError(problem, place=place, hint="write the values out, or fewer aliases (*name) of aliases")
        if not isinstance(value, dict):
            raise ContentError("is no rule: not a mapping", place=place)
        if "action" in value:
            hint = "write each rule in full, or have a `filter` change several"
            raise ContentError("`action` is of an old Sigma, and refused", place=place, hint=hint)
        yield Document(value, path, node.start_mark.line + 1), node


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node has, counting an alias each time that it is used."""
    if id(node) not in sizes:
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in _parts(node))
    return sizes[id(node)]


def _yaml_hint(problem: str) -> str:
    tab = "cannot start any token" in problem
    return "indent with spaces, not with tabs" if tab else "look there for a stray or missing character"


def _value(node: yaml.Node, path: Path) -> Any:
    """Return what a document holds.

    Raises:
        ContentError: A scalar looks like a number or a date and is none.
    """
    line = node.start_mark.line + 1
    try:
        if _holds_itself(node, frozenset(), set()):
            raise ContentError("is no rule: an anchor holds itself", place=Place(str(path), line))
        return yaml.constructor.SafeConstructor().construct_document(node)
    except RecursionError as error:
        raise ContentError("is no rule: nested too deeply", place=Place(str(path), line)) from error
    except _NO_VALUE as error:
        faulty = next((scalar for scalar in _scalars(node) if not _sound(scalar)), node)
        problem = f"is no YAML: {str(faulty.value)[:60]!r} is no {faulty.tag.rpartition(':')[2]}"
        place = Place(str(path), faulty.start_mark.line + 1)
        raise ContentError(problem, place=place, hint="quote it, if it is a text") from error


def _sound(scalar: yaml.ScalarNode) -> bool:
    try:
        yaml.constructor.SafeConstructor().construct_document(scalar)
    except _NO_VALUE:
        return False
    return True


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _holds_itself(node: yaml.Node, above: frozenset[int], done: set[int]) -> bool:
    """Whether an anchor makes a circle of a tree; a part that several anchors share is looked at once."""
    if id(node) in above:
        return True
    if id(node) in done:
        return False
    found = any(_holds_itself(part, above | {id(node)}, done) for part in _parts(node))
    done.add(id(node))
    return found


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for part in _parts(node):
        yield from _scalars(part)


def read_pack(folders: Iterable[Path]) -> Pack:
    """Return the union of the packs' `pack.yml` files, later ones winning.

    Raises:
        ContentError: One of them is not what INTERFACE says.
    """
    variables: dict[str, Sequence[Any]] = {}
    disabled: list[str] = []
    parameters: dict[str, dict[str, float]] = {}
    for folder in folders:
        path = folder / "pack.yml"
        if not path.is_file():
            continue
        for document in read_documents(path):
            _known(document)
            variables |= document.data.get("variables") or {}
            disabled += document.data.get("disabled") or []
            for rule, values in (document.data.get("parameters") or {}).items():
                parameters.setdefault(rule, {}).update(values)
    return Pack(variables, tuple(disabled), parameters)


def _known(document: Document) -> None:
    unknown = sorted(set(document.data) - {"variables", "disabled", "parameters"})
    if unknown:
        hint = "a pack has variables, disabled and parameters"
        raise ContentError(f"unknown member {unknown[0]!r}", place=Place(str(document.path), document.line), hint=hint)


def load_rules(packs: Sequence[Path] = ()) -> list[Document]:
    """Return all rule documents, packs layered over ours: the same id replaces, a new one adds, `disabled` removes.

    Raises:
        ContentError: A file cannot be loaded, or a parameter does not exist.
    """
    pack = read_pack(packs)
    found = (document for path in content_files("rules", ".yml", packs) for document in read_documents(path))
    kept = [d for d in layered(found) if d.name not in pack.disabled]
    return [with_parameters(d, pack.parameters.get(d.name, {})) for d in kept]


def layered(documents: Iterable[Document]) -> list[Document]:
    """Return one document for each id, the last, in the order in which the ids appear."""
    return list({str(d.data.get("id") or d.name).lower(): d for d in documents}.values())


def with_parameters(document: Document, values: Mapping[str, float]) -> Document:
    """Return the rule with some of its named numbers set to other values.

    Raises:
        ContentError: The rule has no such parameter, or it points at nothing.
    """
    if not values:
        return document
    data = copy.deepcopy(dict(document.data))
    declared = data.get("parameters") or {}
    for name, value in values.items():
        if name not in declared:
            hint = f"it has: {', '.join(declared) or 'none'}"
            raise ContentError(f"has no parameter {name!r}", place=document.place, hint=hint)
        declared[name]["default"] = value
        if "at" in declared[name]:
            _set(data, str(declared[name]["at"]), value, document)
    return Document(data, document.path, document.line)


def _set(data: dict[str, Any], path: str, value: float, document: Document) -> None:
    *parents, last = path.split(".")
    target: Any = data
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target.get(part)
        if not isinstance(target, dict | list):
            raise ContentError(f"parameter points at {path!r}, which is not there", place=document.place)
    if isinstance(target, list):
        target[int(last)] = value
    elif last in target:
        target[last] = value
    else:
        raise ContentError(f"parameter points at {path!r}, which is not there", place=document.place)


def alerting(documents: Sequence[Document]) -> list[Document]:
    """Return the rules that alert: not those that a correlation refers to, unless it says `generate: true`.

    Correlations that refer to each other in a circle are among them, so that they are refused and not just silent.
    """
    quiet: set[str] = set()
    loud: set[str] = set()
    for document in documents:
        correlation = document.data.get("correlation")
        if isinstance(correlation, dict):
            (loud if correlation.get("generate") else quiet).update(document.references)
    names = quiet - loud
    known = _by_name(documents)
    found = (d for d in documents if "detection" in d.data or "correlation" in d.data)
    return [d for d in found if not names & _names(d) or (d.references and _circle(d, known))]


def _names(document: Document) -> set[str]:
    return {document.name, str(document.data.get("id"))}


def _by_name(documents: Iterable[Document]) -> dict[str, Document]:
    found = list(documents)
    return {d.name: d for d in found} | {str(d.data["id"]): d for d in found if "id" in d.data}


def _circle(document: Document, known: Mapping[str, Document]) -> list[str]:
    """Return the names of rules from `document` back to itself by references, or nothing."""
    ways = [[document]]
    seen: set[int] = set()
    while ways:
        way = ways.pop(0)
        for reference in way[-1].references:
            following = known.get(reference)
            if following is document:
                return [d.name for d in (*way, document)]
            if following is not None and id(following) not in seen:
                seen.add(id(following))
                ways.append([*way, following])
    return []


def with_bases(chosen: Sequence[Document], documents: Sequence[Document]) -> Iterator[Document]:
    """Yield `chosen` and every rule that they refer to, bases first, each once.

    Raises:
        ContentError: A rule refers to one that is not there, or in a circle to itself.
    """
    known = _by_name(documents)
    done: set[int] = set()

    def visit(document: Document) -> Iterator[Document]:
        if id(document) in done:
            return
        done.add(id(document))
        circle = _circle(document, known) if document.references else []
        if circle:
            way = " -> ".join(circle)
            raise ContentError(f"refers to itself: {way}", place=document.place, hint="build it on other rules")
        for reference in document.references:
            if reference not in known:
                raise ContentError(f"refers to {reference!r}, which is not there", place=document.place)
            yield from visit(known[reference])
        yield document

    for document in chosen:
        yield from visit(document)
