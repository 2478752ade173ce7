"""Checks of what is no rule: baseline jobs, pipelines, and the pack.yml of a user's pack."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr, StringConstraints

from keytrip.baselines.jobs import load_job
from keytrip.baselines.kinds import Job
from keytrip.compile.problems import Problem, Subject, holes_in, model_faults, nearest
from keytrip.errors import ContentError, Place
from keytrip.records.vocabulary import usage, vocabulary
from keytrip.rules.load import Document
from keytrip.rules.schema import Text

Number = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Value = StrictStr | Number
Variable = Annotated[Text, StringConstraints(pattern="^[^%]+$")]


class PackFile(BaseModel):
    """What a `pack.yml` may say."""

    model_config = ConfigDict(extra="forbid")

    variables: Mapping[Variable, Value | Annotated[Sequence[Value], Field(min_length=1)]] = {}
    disabled: Sequence[Text] = ()
    parameters: Mapping[Text, Mapping[Text, Number]] = {}


def job_of(path: Path) -> tuple[Job | None, list[Problem]]:
    """Return a job file's job, unless it has none, and what is wrong with the file."""
    try:
        if holes := holes_in(path):
            return None, holes
        job = load_job(path)
        problems = list(_job_problems(path, job))
    except ContentError as error:
        return None, [Problem(Place(str(path), _job_line(path)), error.message, error.hint)]
    return job, problems


def _job_problems(path: Path, job: Job) -> Iterator[Problem]:
    line = _job_line(path)
    for name in sorted({*job.inputs, *job.grain} - set(usage().columns)):
        yield Problem(Place(str(path), line), f"no field {name!r} in usage records", nearest(name, [*usage().columns]))
    if not job.table_key:
        yield Problem(Place(str(path), line), "its table has no key", "key=(...), such as key=('key_id',)")
    job.merge(path.stem, "partial")
    if not path.stem.isidentifier() or path.stem != path.stem.lower():
        hint = "lower-case letters, digits and _, since the table bears the file's name"
        yield Problem(Place(str(path)), f"{path.stem!r} is no table name", hint)
    if not ast.get_docstring(_parsed(path)):
        hint = 'begin it with """What is learned. For the rules that need it."""'
        yield Problem(Place(str(path), 1), "has no docstring", hint)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def _job_line(path: Path) -> int:
    """Return the line of `JOB = ...`, or 1; for a file that Python cannot read, the line where it stops."""
    try:
        body = _parsed(path).body
    except SyntaxError as error:
        return error.lineno or 1
    assigned = (node for node in body if isinstance(node, ast.Assign | ast.AnnAssign))
    return next((node.lineno for node in assigned if "JOB" in ast.dump(node)), 1)


def pipeline(subject: Subject) -> Iterator[Problem]:
    """Yield what pySigma, or the vocabulary, objects to in a pipeline."""
    from sigma.exceptions import SigmaError
    from sigma.processing.pipeline import ProcessingPipeline

    known = [name for table in vocabulary().tables.values() for name in table.columns]
    transformations = subject.document.data.get("transformations")
    for number, item in enumerate(transformations if isinstance(transformations, list) else []):
        mapping = item.get("mapping") if isinstance(item, Mapping) else None
        for name in mapping if isinstance(mapping, Mapping) and item.get("type") == "field_name_mapping" else ():
            if name not in known:
                path = ("transformations", number, "mapping", name)
                yield subject.problem(f"maps {name!r}, which is no canonical field", *path, hint=nearest(name, known))
    try:
        ProcessingPipeline.from_yaml(subject.document.path.read_text(encoding="utf-8-sig"))
    except (SigmaError, TypeError, AttributeError, ValueError, KeyError) as error:
        # pySigma lets some faults through as Python's own errors
        yield subject.problem(f"is no pipeline: {error}", "transformations", hint="see pySigma's processing pipelines")


def pack(subject: Subject, rules: Sequence[Document]) -> Iterator[Problem]:
    """Yield what a `pack.yml` has wrong, such as a rule that is not there."""
    names = [rule.name for rule in rules]
    faults = model_faults(subject, PackFile, subject.document.data, {"parameters": "such as {rule: {floor: 20}}"})
    yield from (fault.problem for fault in faults)
    if faults:
        return
    for number, name in enumerate(subject.document.data.get("disabled") or ()):
        if not any(fnmatchcase(rule, name) for rule in names):
            yield subject.problem(f"no rule is called {name!r}", "disabled", number, hint=_like(name, names))
    for name, values in (subject.document.data.get("parameters") or {}).items():
        declared = next((rule.data.get("parameters") or {} for rule in rules if rule.name == name), None)
        if declared is None:
            yield subject.problem(f"no rule is called {name!r}", "parameters", name, hint=_like(name, names))
            continue
        for parameter in [p for p in values if p not in declared]:
            hint = f"it has: {', '.join(declared) or 'none'}"
            yield subject.problem(f"{name} has no parameter {parameter!r}", "parameters", name, parameter, hint=hint)


def _like(name: str, names: Sequence[str]) -> str:
    hint = nearest(name, names)
    return "see `keytrip rules`" if hint.startswith("one of") else hint
