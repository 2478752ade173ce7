"""Which part of a rule became which part of its query, found by experiment: change the part, and see what changes.

So it holds for every target and stays true when one is rewritten. Tests of fields are converted alone and looked up in
the query; of correlations and baselines, one part at a time is changed, and the lines that this takes away are its own.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from keytrip.compile.compiled import collection_of
from keytrip.compile.targets import backend_of, compile_to
from keytrip.errors import ContentError
from keytrip.rules.load import Document, read_nodes, with_bases
from keytrip.rules.marks import Marks, marks_of

Steps: TypeAlias = tuple[str, ...]
Change: TypeAlias = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Part:
    """A part of a rule and what became of it.

    Attributes:
        rule: Name of the rule that it stands in.
        path: Members that lead to it.
        said: What the rule says there.
        place: `file:line`.
        lines: Lines of the query that it made or touches, from 1; none where the target needs no text for it.
        text: Its own text in the query.
    """

    rule: str
    path: Steps
    said: str
    place: str
    lines: tuple[int, ...]
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        part = ".".join(self.path)
        return {
            "rule": self.rule,
            "part": part,
            "says": self.said,
            "at": self.place,
            "lines": list(self.lines),
            "query": self.text,
        }

    def as_row(self) -> dict[str, Any]:
        """Return it for people."""
        place = Path(self.place)
        return {**self.as_json(), "at": place.name, "lines": ", ".join(map(str, self.lines)) or "-"}


def explain(target: str, document: Document, documents: Sequence[Document], packs: tuple[Path, ...] = ()) -> list[Part]:
    """Return the parts of a rule and of its base rules, in the order of their files.

    Raises:
        ContentError: The target refuses the rule.
    """
    whole = compile_to(target, [document], documents, packs)[0]
    if not whole.text:
        raise ContentError(whole.reason)
    lines = whole.text.splitlines()
    found = []
    for rule in with_bases([document], documents):
        marks = _marks(rule)
        for path, said in _tests(rule):
            made, text = _converted(target, rule, path, lines)
            found.append(Part(rule.name, path, said, _place(rule, marks, path), made, text))
    return [*found, *_parts(target, document, documents, packs, lines)]


def _parts(
    target: str, document: Document, documents: Sequence[Document], packs: tuple[Path, ...], lines: list[str]
) -> Iterator[Part]:
    """Yield the parts of a rule beside its tests."""
    marks = _marks(document)
    compiled = partial(_recompiled, target, document, documents, packs)
    for path, change in _changes(document.data):
        if path[:2] == ("correlation", "group-by"):
            # a baseline needs the group's fields, so it is left out of both
            before = compiled([_without_baseline])
            lost = {before[number - 1] for number in _lost(before, compiled([_without_baseline, change]))}
            made = tuple(number for number, line in enumerate(lines, 1) if line in lost)
        else:
            made = _lost(lines, compiled([change]))
        text = "\n".join(lines[number - 1].strip() for number in made)
        yield Part(document.name, path, _said(document.data, path), _place(document, marks, path), made, text)


def _marks(document: Document) -> Marks:
    """Return the lines of a document's members; a document without a file has none."""
    if not document.path.is_file():
        return Marks(document.line)
    nodes = read_nodes(document.path)
    return next((marks_of(node) for found, node in nodes if found.line == document.line), Marks(document.line))


def _place(document: Document, marks: Marks, path: Steps) -> str:
    return f"{document.path}:{marks.line(*path)}"


def _said(data: Mapping[str, Any], path: Steps) -> str:
    value: Any = data
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


# -- tests of fields ---------------------------------------------------------------------------------------------------


def _tests(rule: Document) -> Iterator[tuple[Steps, str]]:
    """Yield path and value of each test of a field in a plain rule."""
    detection = rule.data.get("detection")
    for name, selection in (detection or {}).items():
        maps = selection if isinstance(selection, list) else [selection]
        for number, items in enumerate(maps):
            where = ("detection", name, *([str(number)] if isinstance(selection, list) else []))
            for item in items if isinstance(items, Mapping) else ():
                yield (*where, str(item)), _said(rule.data, (*where, str(item)))


def _converted(target: str, rule: Document, path: Steps, lines: list[str]) -> tuple[tuple[int, ...], str]:
    """Return (lines, text) of one test, which stands in the query as it is or negated."""
    value: Any = rule.data
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    texts = [_alone(target, rule, {path[-1]: value}, condition) for condition in ("not part", "part")]
    found = [(_where(text, lines), text) for text in texts]
    return next(((made, text) for made, text in found if made), ((), texts[1]))


def _alone(target: str, rule: Document, selection: dict[str, Any], condition: str) -> str:
    """Return the target's text of one selection."""
    detection = {"part": selection, "condition": condition}
    logsource = {name: value for name, value in rule.data["logsource"].items() if name != "product"}
    alone = Document({**rule.data, "detection": detection, "logsource": logsource}, rule.path, rule.line)
    collection = collection_of([alone], [alone])
    backend_of(target).convert(collection)
    return str(collection.rules[-1].get_conversion_result()[0])


def _where(text: str, lines: list[str]) -> tuple[int, ...]:
    """Return the lines of the query that hold a text; JSON is laid out anew there."""
    single = tuple(number for number, line in enumerate(lines, 1) if text in line)
    if single or not text.startswith("{"):
        return single
    wanted = [line.strip().rstrip(",") for line in json.dumps(json.loads(text), indent=2).splitlines()]
    bare = [line.strip().rstrip(",") for line in lines]
    starts = range(len(bare) - len(wanted) + 1)
    start = next((n for n in starts if bare[n : n + len(wanted)] == wanted), None)
    return () if start is None else tuple(range(start + 1, start + len(wanted) + 1))


# -- everything else ---------------------------------------------------------------------------------------------------


def _changes(data: Mapping[str, Any]) -> Iterator[tuple[Steps, Change]]:
    """Yield the parts of a rule beside its tests, each with a change to it alone."""
    correlation = data.get("correlation")
    if isinstance(correlation, Mapping):
        yield from _correlation_changes(correlation)
    blocks = data.get("baseline") or []
    if isinstance(blocks, Mapping):
        yield ("baseline",), _without_baseline
        yield from _block_changes(blocks, ("baseline",))
    else:
        for number, block in enumerate(blocks):
            yield ("baseline", str(number)), partial(_without_block, number=number)
            yield from _block_changes(block, ("baseline", str(number)))
    if "level" in data:
        yield ("level",), _other_level


def _correlation_changes(correlation: Mapping[str, Any]) -> Iterator[tuple[Steps, Change]]:
    for number, _ in enumerate(correlation.get("group-by") or ()):
        yield ("correlation", "group-by", str(number)), partial(_ungrouped, number=number)
    yield ("correlation", "timespan"), _wider
    condition = correlation.get("condition")
    for name, value in (condition if isinstance(condition, Mapping) else {}).items():
        if isinstance(value, int | float):
            yield ("correlation", "condition", str(name)), partial(_other_number, name=str(name))
        elif name == "field":
            yield ("correlation", "condition", "field"), _counting_another


def _block_changes(block: Mapping[str, Any], path: Steps) -> Iterator[tuple[Steps, Change]]:
    for name in ("exceeds", "where"):
        if name in block:
            added = " + 7.25" if name == "exceeds" else " and value > -7.25"
            yield (*path, name), partial(_extended, path=(*path, name), added=added)


def _without_baseline(rule: dict[str, Any]) -> None:
    rule.pop("baseline", None)


def _without_block(rule: dict[str, Any], number: int) -> None:
    rule["baseline"].pop(number)


def _other_level(rule: dict[str, Any]) -> None:
    rule["level"] = "low" if str(rule["level"]) == "high" else "high"


def _ungrouped(rule: dict[str, Any], number: int) -> None:
    rule["correlation"]["group-by"].pop(number)


def _other_number(rule: dict[str, Any], name: str) -> None:
    rule["correlation"]["condition"][name] = 7.25


def _wider(rule: dict[str, Any]) -> None:
    span = str(rule["correlation"]["timespan"])
    rule["correlation"]["timespan"] = f"{int(span[:-1]) + 1}{span[-1]}"


def _counting_another(rule: dict[str, Any]) -> None:
    condition = rule["correlation"]["condition"]
    condition["field"] = "request_id" if rule["correlation"]["type"] == "value_count" else "max_tokens"


def _extended(rule: dict[str, Any], path: Steps, added: str) -> None:
    block: Any = rule
    for step in path[:-1]:
        block = block[int(step)] if isinstance(block, list) else block[step]
    block[path[-1]] = f"({block[path[-1]]}){added}"


def _recompiled(
    target: str, document: Document, documents: Sequence[Document], packs: tuple[Path, ...], changes: Sequence[Change]
) -> list[str]:
    """Return the lines of the query of a changed rule; none where the target refuses it."""
    data = copy.deepcopy(dict(document.data))
    for change in changes:
        change(data)
    changed = replace(document, data=data)
    others = [changed if other is document else other for other in documents]
    return compile_to(target, [changed], others, packs)[0].text.splitlines()


def _lost(lines: list[str], changed: list[str]) -> tuple[int, ...]:
    """Return the lines, from 1, that a change took away or replaced."""
    steps = SequenceMatcher(None, lines, changed, autojunk=False).get_opcodes()
    return tuple(n + 1 for tag, start, end, _, _ in steps if tag in {"delete", "replace"} for n in range(start, end))
