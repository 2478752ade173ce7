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
from keytrip.export.manifest import Manifest

_HINTS = {
    "transport": "a transport of keytrip.export, such as files",
    "tables": "csv, ndjson or parquet; leave it out for no tables",
    "targets": "a list, such as [splunk, esql]",
    "templates": "a list of {template: README.md.j2, path: README.md}",
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
    faults = model_faults(subject, Manifest, {**data, "folder": folder}, _HINTS)
    yield from (fault.problem for fault in faults)
    if any(fault.kind != "unknown" for fault in faults):
        return
    if data["name"] != folder.name:
        yield subject.problem(f"is called {data['name']!r}", "name", hint=f"its folder's name, {folder.name}")
    for number, target in enumerate(data.get("targets") or ()):
        if target not in TARGETS:
            yield subject.problem(f"no target {target!r}", "targets", number, hint=nearest(target, list(TARGETS)))
    for number, template in enumerate(data.get("templates") or ()):
        yield from _template(subject, number, template["template"], template["path"])


def _template(subject: Subject, number: int, name: str, out: str) -> Iterator[Problem]:
    from jinja2 import Environment, TemplateSyntaxError

    place = PurePosixPath(out)
    if place.is_absolute() or ".." in place.parts:
        hint = "a path below the folder that is written"
        yield subject.problem(f"writes to {out!r}", "templates", number, "path", hint=hint)
    file = subject.document.path.parent / name
    if not file.is_file():
        yield subject.problem(f"no template {name!r}", "templates", number, "template", hint=f"write {file.name} there")
        return
    yield from holes_in(file)
    try:
        Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))
    except TemplateSyntaxError as error:
        yield Problem(Place(str(file), error.lineno), f"is no template: {error.message}", "mend that line")
