"""Checks of YAML itself: values that it reads as something else than they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from keytrip.compile.problems import Problem, Subject
from keytrip.content import HOLE
from keytrip.records.vocabulary import Field, vocabulary
from keytrip.rules.marks import Steps, members_of

_BOOL, _INT, _FLOAT, _TEXT = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "str"))
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_SIXTIES = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?")
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
# Styles of a scalar whose type its text does not decide.
_QUOTED = {"'", '"', "|", ">"}
# `on` is a member of the baseline block, and read as what it says there.
_KEYS = {"on"}


def traps(subject: Subject, node: yaml.Node) -> Iterator[Problem]:
    """Yield values that YAML reads as something else than they look like, each at its line."""
    done: set[int] = set()

    def visit(steps: Steps, node: yaml.Node) -> Iterator[Problem]:
        if id(node) in done:
            return
        done.add(id(node))
        for name, place, value in members_of(node):
            said = _trap(value) or _digits((*steps, name), value)
            if isinstance(node, yaml.MappingNode) and name not in _KEYS:
                said = _trap(place) or said
            if said:
                yield subject.problem(said[0], *steps, name, hint=said[1])
            yield from visit((*steps, name), value)

    yield from visit((), node)


def holes(node: yaml.Node) -> frozenset[Steps]:
    """Return the members whose text says that they are still to be filled in."""
    return frozenset(_holes((), node))


def _holes(steps: Steps, node: yaml.Node) -> Iterator[Steps]:
    if isinstance(node, yaml.ScalarNode):
        if str(node.value).startswith(HOLE):
            yield steps
        return
    for name, _, value in members_of(node):
        yield from _holes((*steps, name), value)


def _trap(node: yaml.Node) -> tuple[str, str] | None:
    """Return what is wrong with a scalar and what to write instead."""
    if not isinstance(node, yaml.ScalarNode) or node.style in _QUOTED:
        return None
    text = str(node.value)
    if node.tag == _BOOL and text.lower() not in {"true", "false"}:
        meant = str(text.lower() in {"yes", "on"}).lower()
        return f"`{text}` is read as {meant}", f'write {meant}, or "{text}" for the text'
    if node.tag == _INT and _OCTAL.fullmatch(text):
        return f"`{text}` is read as the octal number {int(text.replace('_', ''), 8)}", f'"{text}" for the text'
    if node.tag in {_INT, _FLOAT} and _SIXTIES.fullmatch(text):
        return f"`{text}` is read as a number to the base of 60", f'"{text}" for the text'
    if node.tag == _TEXT and _EXPONENT.fullmatch(text):
        return f"`{text}` is read as a text", f'write the number out, or "{text}" for the text'
    return None


def _digits(steps: Steps, node: yaml.Node) -> tuple[str, str] | None:
    """Return what is wrong with a number that a text is compared with: its digits are not those that are written."""
    if steps[0] not in {"detection", "filter"} or node.tag not in {_INT, _FLOAT}:
        return None
    field = next((step for step in reversed(steps) if not step.isdigit()), "").partition("|")[0]
    read = str(yaml.constructor.SafeConstructor().construct_document(node))
    if read == node.value or not any(_is_text(table.columns.get(field)) for table in vocabulary().tables.values()):
        return None
    return f"`{node.value}` is read as {read}", f'"{node.value}" for the text'


def _is_text(field: Field | None) -> bool:
    return field is not None and field.type == "string"
