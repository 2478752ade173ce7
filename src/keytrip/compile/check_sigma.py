"""Checks of rules by those who read them: pySigma's validators, the baseline block, and a build for DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from keytrip.compile.fault_lines import fault_line, hint_for, ours
from keytrip.compile.problems import Problem, Subject
from keytrip.errors import ContentError, KeytripError
from keytrip.rules.baseline import placed_blocks
from keytrip.rules.load import Document


@cache
def validators() -> tuple[Any, ...]:
    """Return pySigma's validators that hold for our rules.

    Left out: ATT&CK and D3FEND tags (they download their lists), tag namespaces and custom attributes (they know
    neither ATLAS nor our members), ids and titles (ours name the line), file names (rules go by name, and a pack may
    replace one), Windows logsources and fields, numbers as text (a text field may hold digits).
    """
    from sigma.validators.core import condition, metadata, modifiers, tags, values

    return (
        condition.DanglingDetectionValidator,
        condition.DanglingConditionValidator,
        condition.ThemConditionWithSingleDetectionValidator,
        condition.AllOfThemConditionValidator,
        metadata.DuplicateReferencesValidator,
        modifiers.InvalidModifierCombinationsValidator,
        tags.TagFormatValidator,
        tags.TLPv2TagValidator,
        tags.CVETagValidator,
        tags.DuplicateTagValidator,
        values.DoubleWildcardValidator,
        values.ControlCharacterValidator,
        values.WildcardsInsteadOfModifiersValidator,
        values.EscapedWildcardValidator,
    )


def blocks(subject: Subject, packs: tuple[Path, ...]) -> Iterator[Problem]:
    """Yield what each baseline block has wrong, at its own line."""
    from keytrip.compile.blocks import blocks_of

    data = subject.document.data
    group_by = tuple((data.get("correlation") or {}).get("group-by") or ())
    for path, block in placed_blocks(data):
        try:
            blocks_of({**data, "baseline": block}, group_by, packs)
        except ContentError as error:
            yield subject.problem(error.message, *path, hint=error.hint)


def readers(
    document: Document, bases: Sequence[Document], documents: Sequence[Document], packs: tuple[Path, ...]
) -> Iterator[Problem]:
    """Yield what pySigma objects to in a rule or its bases, and why DuckDB has no query for it.

    What a base has wrong is said of it alone, not again of all that build on it.
    """
    found = [problem for base in bases for problem in _read(base, documents, packs)]
    yield from found or _read(document, documents, packs)


def _read(document: Document, documents: Sequence[Document], packs: tuple[Path, ...]) -> Iterator[Problem]:
    def said(other: Document) -> list[str]:
        return [problem.message for problem in _faults(other, [other], packs)]

    for problem in _faults(document, documents, packs):
        place = problem.place
        if (place.path, place.line) == (str(document.path), document.line):
            place = replace(place, line=fault_line(document, problem.message, said))
        yield replace(problem, place=place)


def _faults(document: Document, documents: Sequence[Document], packs: tuple[Path, ...]) -> Iterator[Problem]:
    from sigma.exceptions import SigmaError

    from keytrip.compile.compiled import collection_of, compile_or_raise

    try:
        yield from _objections(collection_of([document], documents))
        compile_or_raise(document, documents, packs)
    except (SigmaError, KeytripError) as error:
        yield _placed(document, ours(error))


def _objections(collection: Any) -> Iterator[Problem]:
    from keytrip.compile.resolve import place_of

    for validator in validators():
        checker = validator()
        issues = [issue for rule in collection.rules for issue in checker.validate(rule)] + checker.finalize()
        for issue in issues:
            for rule in issue.rules:
                words = _words(issue)
                yield Problem(place_of(rule), words, hint_for(words))


def _words(issue: Any) -> str:
    names = [field.name for field in fields(issue) if field.name not in {"rules", "detection_item"}]
    about = [str(getattr(issue, name)) for name in names]
    return ": ".join([issue.description, *about])


def _placed(document: Document, error: KeytripError) -> Problem:
    known = error.place.path is not None and error.place.line is not None
    return Problem(error.place if known else document.place, error.message, error.hint)
