"""Loads rule files with their places, and layers user packs over ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from keytrip.content import content_layers
from keytrip.errors import ContentError, Place

# What PyYAML lets through where a scalar's text is not of the type that its looks or its tag say.
_NO_VALUE = (ValueError, KeyError, AttributeError, OverflowError, TypeError)
_NAME = re.compile(r"\w+")
# libyaml where it is built: several times as fast.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Values of one document. The largest rule of ours has under a thousand; a few lines of nested aliases make billions.
LARGEST = 100_000
DEEPEST = 100
_TOO_DEEP = "is no rule: nested too deeply"


@dataclass(frozen=True)
class Document:
    """One YAML document of a rule file.

    Attributes:
        data: Its content, a mapping.
        path: The file.
        line: The line that it begins on.
        variables: What placeholders in it (`%name%` with `expand`) stand for.
    """

    data: Mapping[str, Any]
    path: Path
    line: int
    variables: Mapping[str, Sequence[str | int | float]] = field(default_factory=dict)

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


def read_documents(path: Path) -> list[Document]:
    """Return the rule documents of one file.

    Raises:
        ContentError: It is not YAML, or a document is no mapping or has an `action`.
    """
    return [document for document, _ in read_nodes(path)]


def read_nodes(path: Path) -> Sequence[tuple[Document, yaml.Node]]:
    """Return the rule documents of one file, each with the YAML that it was read from, for its lines.

    Raises:
        ContentError: As `read_documents`.
    """
    return nodes_of(path, text_of(path))


def text_of(path: Path) -> str:
    """Return what a file of rules holds.

    Raises:
        ContentError: It is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError("is not UTF-8", place=Place(str(path)), hint="save it as UTF-8") from error


# A command reads most files more than once; a document is never changed, only replaced.
@lru_cache(maxsize=1024)
def nodes_of(path: Path, text: str) -> Sequence[tuple[Document, yaml.Node]]:
    """Return what `read_nodes` does, of a file with this text.

    Raises:
        ContentError: It is not YAML, or a document is no mapping or has an `action`.
    """
    try:
        # without an anchor nothing is shared: no alias can make a circle, or values without end
        return tuple(_read(LOADER(text), path, shared="&" in text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or "is no YAML"
        raise ContentError(f"is no YAML: {problem}", place=Place(str(path), line), hint=_yaml_hint(problem)) from error


def _read(loader: Any, path: Path, *, shared: bool) -> Iterator[tuple[Document, yaml.Node]]:
    while loader.check_node():
        node = loader.get_node()
        place = Place(str(path), node.start_mark.line + 1)
        if not shared and _deep(node):
            raise ContentError(_TOO_DEEP, place=place)
        value = _value(node, path, shared=shared)
        if shared and _size(node, {}) > LARGEST:
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


def _value(node: yaml.Node, path: Path, *, shared: bool) -> Any:
    """Return what a document holds; `shared` if an anchor may be in it.

    Raises:
        ContentError: A scalar looks like a number or a date and is none.
    """
    line = node.start_mark.line + 1
    try:
        if shared and _holds_itself(node, frozenset(), set()):
            raise ContentError("is no rule: an anchor holds itself", place=Place(str(path), line))
        return yaml.constructor.SafeConstructor().construct_document(node)
    except RecursionError as error:
        raise ContentError(_TOO_DEEP, place=Place(str(path), line)) from error
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


def _deep(node: yaml.Node) -> bool:
    """Whether a tree has more levels than what reads it further on could go down."""
    level = [node]
    for _ in range(DEEPEST):
        level = [part for parent in level for part in _parts(parent)]
        if not level:
            return False
    return True


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for part in _parts(node):
        yield from _scalars(part)


def load_rules(packs: Sequence[Path] = (), variables: Mapping[str, Sequence[str]] | None = None) -> list[Document]:
    """Return all rules and filters as packs have them: layered over ours, switched off, with other numbers.

    Args:
        packs: User packs; of two rules with one id or name, that of the later pack is taken.
        variables: Values for placeholders, over those of the packs.

    Raises:
        ContentError: A file cannot be loaded, a name or id stands twice in one layer, a filter has not the form, or a
            pack.yml names what is not there.
    """
    from keytrip.rules.filters import check_filter, filters_of
    from keytrip.rules.packs import read_packs, switched_on, with_settings

    pack = read_packs(packs)
    layers = [[d for path in files for d in read_documents(path)] for files in content_layers("rules", ".yml", packs)]
    for layer in layers:
        _refuse_twins(layer)
    kept = switched_on(layered(layers), pack.disabled)
    kept = with_settings(without_orphans(kept, [d for layer in layers for d in layer]), pack.settings)
    for document in filters_of(kept):
        check_filter(document)
    values = {**pack.variables, **(variables or {})}
    return [replace(document, variables=values) for document in kept]


def _refuse_twins(documents: Iterable[Document]) -> None:
    seen: dict[tuple[str, str], Document] = {}
    for document in documents:
        for member, value in _marks_of(document):
            other = seen.setdefault((member, value), document)
            if other is not document:
                hint = f"it is also in {other.path}:{other.line}; choose another"
                raise ContentError(f"{member} {value!r} is used twice", place=document.place, hint=hint)


def _marks_of(document: Document) -> set[tuple[str, str]]:
    """Return what a rule is known by: its name and its id, where it has them."""
    found = {("name", str(document.data.get("name") or "")), ("id", same_id(document.data.get("id") or ""))}
    return {(member, value) for member, value in found if value}


def same_id(value: object) -> str:
    """Return an id in the one form in which equal ids are equal: in any case, with or without hyphens and braces."""
    return re.sub(r"[-{}]|urn:|uuid:", "", str(value).lower())


def layered(layers: Iterable[Sequence[Document]]) -> list[Document]:
    """Return the documents of all layers, less those that one of a later layer replaces by its id or its name."""
    found: list[Document] = []
    for layer in layers:
        taken = {mark for document in layer for mark in _marks_of(document)}
        found = [document for document in found if not taken & _marks_of(document)] + [*layer]
    return found


def without_orphans(kept: Sequence[Document], documents: Sequence[Document]) -> list[Document]:
    """Return `kept` without the base rules that only correlations outside of it use: alone, they would alert.

    Args:
        kept: The rules that are in force.
        documents: All rules, also those that were replaced or switched off.
    """
    found = list(kept)
    while True:
        lost = _referred((d for d in documents if d not in found), generate=False) - {
            name for d in found for name in d.references
        }
        left = [document for document in found if not lost & _names(document)]
        if len(left) == len(found):
            return found
        found = left


def _referred(documents: Iterable[Document], *, generate: bool) -> set[str]:
    """Return what correlations refer to that say `generate`, or that do not."""
    correlations = ((d, d.data.get("correlation")) for d in documents)
    return {
        name
        for d, found in correlations
        if isinstance(found, dict) and bool(found.get("generate")) is generate
        for name in d.references
    }


def alerting(documents: Sequence[Document]) -> list[Document]:
    """Return the rules that alert: not those that a correlation refers to, unless it says `generate: true`.

    Correlations that refer to each other in a circle are among them, so that they are refused and not just silent.
    """
    names = _referred(documents, generate=False) - _referred(documents, generate=True)
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
