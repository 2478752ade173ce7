"""Finds the job files of `baselines/` and groups jobs into partials."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from runpy import run_path
from typing import cast

from keytrip.baselines.kinds import Job
from keytrip.content import content_files
from keytrip.errors import ContentError, KeytripError, Place
from keytrip.records.sql import derived_sql, quote_name
from keytrip.records.vocabulary import usage, vocabulary

_NAME = re.compile(r"[a-z][a-z0-9_]*")
# What a file of Python can fail with before it has declared anything.
_FAULTS = (
    SyntaxError,
    NameError,
    ImportError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    ArithmeticError,
    OSError,
)


@cache
def load_jobs(packs: tuple[Path, ...] = ()) -> dict[str, Job]:
    """Return every job by its table's name (the file's), a pack's over ours.

    Raises:
        ContentError: A file is no job.
    """
    return {path.stem: _checked(load_job(path), path) for path in content_files("baselines", ".py", packs)}


def load_job(path: Path) -> Job:
    """Return the job that a file declares, whether or not a build could use it.

    Raises:
        ContentError: It declares none, or is no Python.
    """
    try:
        # without a cache of byte code: it takes a change of the same second and length for none
        job = run_path(str(path)).get("JOB")
    except KeytripError as error:
        raise ContentError(error.message, place=Place(str(path)), hint=error.hint) from error
    except _FAULTS as error:
        raise ContentError(f"is no job: {type(error).__name__}: {error}", place=Place(str(path))) from error
    if not all(hasattr(job, member) for member in ("table_key", "columns", "grain", "measures", "merge")):
        hint = "declare JOB = DailyStatistic(...), KnownSet(...) or HourProfile(...)"
        raise ContentError("declares no JOB", place=Place(str(path)), hint=hint)
    return cast("Job", job)


def _checked(job: Job, path: Path) -> Job:
    """Return the job if everything can be asked of it that a build will ask."""
    if not _NAME.fullmatch(path.stem) or path.stem in vocabulary().tables:
        hint = "lower-case letters, digits and _, such as key_models"
        raise ContentError(f"{path.stem!r} is no name for a table", place=Place(str(path)), hint=hint)
    try:
        unknown = [f"{name!r} is no field" for name in job.inputs if name not in usage().columns]
        if unknown or not job.table_key:
            raise ContentError(next(iter(unknown), "its key has no column"), hint="docs/fields.md lists the fields")
        job.merge(path.stem, partial_name(job), None)
    except KeytripError as error:
        raise ContentError(error.message, place=Place(str(path)), hint=error.hint) from error
    return job


@dataclass(frozen=True)
class Partial:
    """A reduced table that one or more jobs share.

    Attributes:
        name: Its name, from its grain.
        grain: Group columns beside the day.
        measures: Column -> its SQL over records.
        by_day: Whether rows are kept apart by day.
    """

    name: str
    grain: tuple[str, ...]
    measures: Mapping[str, str]
    by_day: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """Grain, day and measures, in the order of `reduce`."""
        return (*self.grain, "day", *self.measures)

    def reduce(self, relation: str) -> str:
        """Return the SELECT that reduces records to this partial; undated records have the day null."""
        # hour_of_day comes before the day, since grouping follows the select list's order
        parts = [f"{_field(name)} as {quote_name(name)}" for name in self.grain]
        day = "cast(timestamp as date)" if self.by_day else "case when timestamp is not null then date '1970-01-01' end"
        parts.append(f"{day} as day")
        parts += [f"{sql} as {quote_name(name)}" for name, sql in self.measures.items()]
        return f"select {', '.join(parts)} from {relation} group by all"


def _field(name: str) -> str:
    return derived_sql(name) if name in usage().derived else quote_name(name)


def partial_name(job: Job) -> str:
    """Return the name of the partial that `job` is merged from."""
    return "partial_" + "_".join(job.grain)


def partials_of(jobs: Mapping[str, Job], wanted: Mapping[str, frozenset[str]] | None = None) -> list[Partial]:
    """Return the partials that `jobs` need, one for each grain.

    Args:
        jobs: Table name -> job.
        wanted: Table name -> columns asked for; None asks for all, and keeps every day apart.
    """
    found: dict[str, Partial] = {}
    for table, job in sorted(jobs.items()):
        name = partial_name(job)
        before = found.get(name)
        by_day = wanted is None or job.needs_day(wanted[table]) or bool(before and before.by_day)
        measures = {**(before.measures if before else {}), **job.measures(table, wanted[table] if wanted else None)}
        found[name] = Partial(name, job.grain, measures, by_day)
    return list(found.values())


def columns_needed(names: Collection[str]) -> frozenset[str]:
    """Return the canonical columns that fields (derived ones among them) are computed from."""
    needed: set[str] = set()
    for name in names:
        if name in usage().fields:
            needed.add(name)
        else:
            sql = derived_sql(name)
            needed |= set(usage().fields) & set(re.findall(r"\w+", sql))
    return frozenset(needed)


def job_inputs(jobs: Sequence[Job]) -> frozenset[str]:
    """Return the canonical columns that jobs need."""
    return columns_needed({name for job in jobs for name in job.inputs})
