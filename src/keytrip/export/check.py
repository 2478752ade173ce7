"""Checks of destinations: the manifest, its templates, and the paths that they are written to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from keytrip.compile.check import in_order, read_subjects
from keytrip.compile.check_files import find_files
from keytrip.compile.problems import Problem, Subject, holes_in, model_faults, nearest
from keytrip.compile.targets import TARGETS
from keytrip.errors import Place
from keytrip.export.manifest import Manifest, template_file
from keytrip.export.samples import template_errors
from keytrip.export.transports import TRANSPORTS

_HINTS = {
    "transport": "one of: " + ", ".join(TRANSPORTS),
    "tables": "csv, ndjson or parquet; leave it out for no tables",
    "targets": "a list, such as [splunk, esql]",
    "templates": "a list of {template: README.md.j2, path: README.md}",
    "items": "a list of {kind: saved_search, for: rule, name: \"'keytrip - ' ~ rule.name\", template: rule.yml.j2}",
    "options": "names with their defaults, all of them texts",
    "credential": "bearer or api_key: what a token from a file or a command is",
}


def check_destinations(packs: Sequence[Path] = (), paths: Sequence[Path] = ()) -> Iterator[Problem]:
    """Yield every problem of the folders of `exporters/`, by file and line; the arguments are those of `check_content`.

    Raises:
        UsageError: A path or pack is not there.
    """
    problems: list[Problem] = []
    for path in find_files(packs, paths).of("exporters"):
        for subject in read_subjects(path, problems):
            problems += _manifest(Subject(subject.document, subject.marks))
    yield from in_order(problems)


def _manifest(subject: Subject) -> Iterator[Problem]:
    yield from (replace(p, kind=p.kind if p.kind == "hole" else "destination") for p in _faults(subject))


def _faults(subject: Subject) -> Iterator[Problem]:
    data, folder = subject.document.data, subject.document.path.parent
    faults = list(model_faults(subject, Manifest, {**data, "folder": folder}, _HINTS))
    yield from (fault.problem for fault in faults)
    if any(fault.kind != "unknown" for fault in faults):
        return
    if data["name"] != folder.name:
        yield subject.problem(f"is called {data['name']!r}", "name", hint=f"its folder's name, {folder.name}")
    found = [*_targets(subject), *_texts(subject), *_items(subject)]
    yield from found
    if not found and not faults:
        yield from _rendered(subject, Manifest.model_validate({**data, "folder": folder}))


def _targets(subject: Subject) -> Iterator[Problem]:
    for number, target in enumerate(subject.document.data.get("targets") or ()):
        if target not in TARGETS:
            yield subject.problem(f"no target {target!r}", "targets", number, hint=nearest(target, list(TARGETS)))


def _texts(subject: Subject) -> Iterator[Problem]:
    for number, template in enumerate(subject.document.data.get("templates") or ()):
        yield from _path(subject, number, template["path"])
        yield from _template(subject, "templates", number, template["template"])


def _items(subject: Subject) -> Iterator[Problem]:
    data = subject.document.data
    kinds = TRANSPORTS[data["transport"]].kinds
    if data["transport"] == "files" and data.get("items"):
        yield subject.problem("the transport files writes no items", "items", hint="write `templates`")
    for number, item in enumerate(data.get("items") or ()):
        if kinds and item["kind"] not in kinds:
            hint = f"one of: {', '.join(kinds)}"
            yield subject.problem(
                f"{data['transport']} has no items of kind {item['kind']!r}", "items", number, "kind", hint=hint
            )
        yield from _template(subject, "items", number, item["template"])
        yield from _expression(subject, number, "name", item["name"])
        yield from _expression(subject, number, "when", item.get("when") or "true")


def _rendered(subject: Subject, manifest: Manifest) -> Iterator[Problem]:
    """Yield what goes wrong when the templates meet sample facts."""
    for member, number, error in template_errors(manifest):
        if error.place.path in {None, str(subject.document.path)}:
            yield subject.problem(error.message, member, number, hint=error.hint)
        else:
            yield Problem(error.place, f"fails on a sample: {error.message}", error.hint)


def _expression(subject: Subject, number: int, member: str, text: str) -> Iterator[Problem]:
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment(autoescape=True).compile_expression(text)
    except TemplateSyntaxError as error:
        hint = "an expression such as \"'keytrip - ' ~ rule.name\""
        yield subject.problem(f"is no expression: {error.message}", "items", number, member, hint=hint)


def _path(subject: Subject, number: int, out: str) -> Iterator[Problem]:
    place = PurePosixPath(out)
    if place.is_absolute() or ".." in place.parts:
        hint = "a path below the folder that is written"
        yield subject.problem(f"writes to {out!r}", "templates", number, "path", hint=hint)


def _template(subject: Subject, member: str, number: int, name: str) -> Iterator[Problem]:
    from jinja2 import Environment, TemplateSyntaxError

    file = template_file(subject.document.path.parent, name)
    if not file.is_file():
        yield subject.problem(f"no template {name!r}", member, number, "template", hint=f"write {file.name} there")
        return
    yield from holes_in(file)
    try:
        Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))
    except TemplateSyntaxError as error:
        yield Problem(Place(str(file), error.lineno), f"is no template: {error.message}", "mend that line")
