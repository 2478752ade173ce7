"""Finds every problem of rules, baseline jobs, pipelines and packs at once: no faulty file hides another's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from keytrip.baselines.kinds import Job
from keytrip.compile import check_filters, check_parts, check_rule, check_sigma, check_source, check_yaml
from keytrip.compile.check_files import Files, find_files, unread
from keytrip.compile.problems import Problem, Subject, of_kind
from keytrip.content import HOLE, content_root
from keytrip.errors import ContentError
from keytrip.rules.load import Document, alerting, layered, nodes_of, text_of, with_bases
from keytrip.rules.marks import marks_of
from keytrip.rules.packs import PACK_FILE, Variables, read_packs
from keytrip.rules.shape import check_shape
from keytrip.sources.work import work_folder

__all__ = ["Problem", "check_content", "in_order", "read_subjects"]


def check_content(
    packs: Sequence[Path] = (), paths: Sequence[Path] = (), variables: Mapping[str, Sequence[str]] | None = None
) -> Iterator[Problem]:
    """Yield every problem, by file and line.

    Args:
        packs: Folders layered over our content.
        paths: Files and folders whose problems are wanted; none: our content and the packs.
        variables: Values for placeholders, over those of the packs.

    Raises:
        UsageError: A path or pack is not there.
    """
    files = find_files(packs, paths)
    problems = [*of_kind("file", unread(files))]
    jobs, broken = _jobs(files, problems)
    texts = [path for kind in ("rules", "pipelines", "packs") for path in files.all[kind]]
    subjects = {path: read_subjects(path, problems) for path in texts}
    for path in files.of("sources"):
        problems += of_kind("source", check_source.source(path))
    pipelines = {p for p in subjects if p in files.all["pipelines"] or _is_pipeline(subjects[p])}
    values = {**_variables(files), **(variables or {})}
    found = [s for path in files.all["rules"] if path not in pipelines for s in subjects[path]]
    found = [replace(s, document=replace(s.document, variables=values)) for s in found]
    filters = [subject for subject in found if "filter" in subject.document.data]
    rules = [subject for subject in found if "filter" not in subject.document.data]
    effective = _effective(rules, files)
    for path in pipelines:
        problems += [p for subject in subjects[path] for p in of_kind("pipeline", check_parts.pipeline(subject))]
    for path in files.all["packs"]:
        named = [*effective, *(f.document for f in filters)]
        problems += [p for subject in subjects[path] for p in of_kind("pack", check_parts.pack(subject, named))]
    with _sound(files.packs, broken) as sound:
        # bases first: they know the lines of what the rules that build on them stumble over
        by_base = sorted(rules, key=lambda subject: bool(subject.document.references))
        wanted = [subject for subject in by_base if files.wanted(subject.document.path)]
        problems += [p for subject in wanted for p in _rule_problems(subject, effective, jobs, sound)]
    for subject in filters:
        problems += of_kind("filter", check_filters.problems_of(subject, effective))
    problems += of_kind("duplicate", _repeated(found, files))
    yield from in_order(problem for problem in problems if files.wanted(Path(str(problem.place.path))))


def _effective(subjects: Sequence[Subject], files: Files) -> list[Document]:
    layers: dict[Path, list[Document]] = {}
    for subject in subjects:
        layers.setdefault(files.layer(subject.document.path), []).append(subject.document)
    return layered(layers.values())


def _variables(files: Files) -> Variables:
    try:
        return read_packs(files.packs).variables
    except ContentError:
        return {}  # the pack.yml is wrong, which is said of it


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems by file and line, each once, files shown from the working directory."""
    once = {(p.place.path, p.place.rule, p.message): p for p in reversed([*problems])}.values()
    shown = [replace(p, place=replace(p.place, path=_shown(Path(str(p.place.path))))) for p in once]
    return sorted(shown, key=lambda p: (str(p.place.path), p.place.line or 0, p.message))


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def read_subjects(path: Path, problems: list[Problem]) -> list[Subject]:
    """Return a YAML file's documents, and add what is wrong with it as YAML to `problems`."""
    try:
        subjects, found = _looked_at(path, text_of(path))
    except ContentError as error:
        problems.append(Problem(error.place, error.message, error.hint, "yaml"))
        return []
    problems += found
    return [*subjects]


@lru_cache(maxsize=1024)
def _looked_at(path: Path, text: str) -> tuple[Sequence[Subject], Sequence[Problem]]:
    subjects: list[Subject] = []
    problems: list[Problem] = []
    for document, node in nodes_of(path, text):
        name = document.name if path.name != PACK_FILE else None
        subject = Subject(document, marks_of(node), name, check_yaml.holes(node))
        problems += of_kind("hole", subject.unfilled())
        problems += of_kind("yaml", [*subject.repeats(), *check_yaml.traps(subject, node)])
        subjects.append(subject)
    return subjects, problems


def _is_pipeline(subjects: Sequence[Subject]) -> bool:
    return any("transformations" in subject.document.data for subject in subjects)


def _jobs(files: Files, problems: list[Problem]) -> tuple[dict[str, Job], frozenset[Path]]:
    """Return every sound job by table and the files that have none, and add what is wrong to `problems`."""
    jobs: dict[str, Job] = {}
    broken: set[Path] = set()
    for path in files.all["baselines"]:
        job, found = check_parts.job_of(path)
        problems += of_kind("job", found)
        if job is None:
            broken.add(path)
        else:
            jobs[path.stem] = job
    return jobs, frozenset(broken)


@contextmanager
def _sound(packs: tuple[Path, ...], broken: frozenset[Path]) -> Iterator[tuple[Path, ...] | None]:
    """Yield packs with the sound jobs of `packs`, so that one broken job does not hide what rules have wrong.

    None: a job of our own is broken; what a rule says of tables cannot be judged then.
    """
    if not broken:
        yield packs
    elif any(path.is_relative_to(content_root()) for path in broken):
        yield None
    else:
        with work_folder() as folder:
            yield tuple(_copy(pack, broken, folder / str(n)) for n, pack in enumerate(packs))


def _copy(pack: Path, broken: frozenset[Path], folder: Path) -> Path:
    (folder / "baselines").mkdir(parents=True)
    for path in (pack / "baselines").glob("**/*.py"):
        if path not in broken:
            shutil.copy(path, folder / "baselines" / path.name)
    return folder


def _rule_problems(
    subject: Subject, documents: Sequence[Document], jobs: Mapping[str, Job], packs: tuple[Path, ...] | None
) -> Iterator[Problem]:
    document = subject.document
    context = [*documents, document]
    lost = [n for n, name in enumerate(document.references) if not _is_there(name, context)]
    for number in lost:
        message = f"refers to {document.references[number]!r}, which is not there"
        said = subject.problem(message, "correlation", "rules", number, hint="name a rule of this file or folder")
        yield replace(said, kind="reference")
    bases = [] if lost else _bases(document, context)
    names = {d.name for d in alerting(context)}
    rule = check_rule.Rule(subject, document.name in names, bases, jobs)
    faults = [fault for fault in check_rule.structure(rule) if fault.steps not in subject.holes]
    yield from (fault.problem for fault in faults)
    if subject.holes:
        return
    yield from check_rule.kind(rule)
    yield from check_rule.alerts(rule)
    if not any(fault.steps[0] == "tests" for fault in faults):
        yield from of_kind("case", check_rule.tests(rule))
    if lost or not all(check_rule.compiles_despite(fault) for fault in faults):
        return
    try:
        check_shape(document)
    except ContentError as error:
        named = re.match(r"`([\w.-]+)`", error.message)
        yield subject.problem(error.message, *(named[1].split(".") if named else ()), hint=error.hint)
        return
    readable = all(check_rule.is_readable(base) for base in bases)
    for about, check in check_rule.CHECKS:
        yield from of_kind(about, check(rule))
    if packs is not None:
        yield from of_kind("baseline", check_sigma.blocks(subject, packs))
    if readable and (packs is not None or "baseline" not in document.data):
        yield from of_kind("sigma", check_sigma.readers(document, bases, context, packs or ()))


def _is_there(name: str, documents: Sequence[Document]) -> bool:
    return any(name in {d.name, str(d.data.get("id"))} for d in documents)


def _bases(document: Document, documents: Sequence[Document]) -> list[Document]:
    try:
        return [d for d in with_bases([document], documents) if d is not document]
    except ContentError:
        return []  # a base's own base is lost; that is said of the base


def _repeated(subjects: Sequence[Subject], files: Files) -> Iterator[Problem]:
    """Yield ids, names and titles that two rules share. A pack's rule with the id of one below replaces it."""
    seen: dict[tuple[str, str], Subject] = {}
    for subject in subjects:
        document = subject.document
        for member in ("id", "name", "title"):
            value = str(document.data.get(member) or "")
            other = seen.get((member, value.lower()), subject)
            if (
                value
                and other is not subject
                and not value.startswith(HOLE)
                and not _replaces(document, other.document, files)
            ):
                place = f"{_shown(other.document.path)}:{other.marks.line(member)}"
                yield subject.problem(f"{member} {value!r} is used twice", member, hint=f"it is also in {place}")
            seen[member, value.lower()] = subject


def _replaces(document: Document, other: Document, files: Files) -> bool:
    same = str(document.data.get("id")).lower() == str(other.data.get("id")).lower()
    return same and files.layer(document.path) != files.layer(other.path)
