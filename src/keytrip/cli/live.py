"""`keytrip test --live`: the rules' own cases in a real SIEM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.compile.targets import Compiled, compile_to
from keytrip.export.live import LiveCase, LiveServer, open_live
from keytrip.hunt.casetest import CaseResult
from keytrip.hunt.explain import shown
from keytrip.hunt.shipped import ShippedCase, shipped_cases

if TYPE_CHECKING:
    from keytrip.rules.load import Document


def run_live(
    target: str, documents: Sequence[Document], packs: tuple[Path, ...], environment: Mapping[str, str]
) -> tuple[list[CaseResult], dict[str, str]]:
    """Run every case of `documents` in the SIEM that the environment names.

    Args:
        target: Whose queries are run.
        documents: Rules, with the base rules that they refer to, and filters.
        packs: Folders layered over our content.
        environment: The process's.

    Returns:
        (how each case went, name of a rule that the target refuses -> why).

    Raises:
        UsageError: No cases are run in that target, or no variable names its server.
        SystemRefusedError: The server refuses, or cannot be reached.
    """
    from keytrip.baselines.jobs import load_jobs

    made = {compiled.rule: compiled for compiled in compile_to(target, _tested(documents), documents, packs)}
    refused = {name: compiled.reason for name, compiled in made.items() if not compiled.text}
    with open_live(target, environment, load_jobs(packs)) as server:
        return [*_results(server, target, made, shipped_cases(documents, packs))], refused


def _tested(documents: Sequence[Document]) -> list[Document]:
    return [document for document in documents if document.data.get("tests")]


def _results(
    server: LiveServer, target: str, made: Mapping[str, Compiled], cases: Iterator[ShippedCase | CaseResult]
) -> Iterator[CaseResult]:
    for one in cases:
        if isinstance(one, CaseResult):
            yield one
        elif made[one.document.name].text:
            span = _span(target, one.document)
            query = made[one.document.name].text
            yield _judged(
                one, server.alerts(LiveCase(query, one.records, one.tables, span)), target, whole=span is None
            )


def _span(target: str, document: Document) -> timedelta | None:
    """Return the timespan of a temporal rule where the schedule has to be its window (SEMANTICS section 3)."""
    from keytrip.compile.plan import TEMPORAL
    from keytrip.compile.resolve import window_of

    correlation = document.data.get("correlation") or {}
    if target != "esql" or correlation.get("type") not in TEMPORAL:
        return None
    return timedelta(seconds=window_of(correlation["timespan"])[0])


def _judged(one: ShippedCase, found: int, target: str, *, whole: bool) -> CaseResult:
    """Return how a case went; of a schedule's windows only whether there is an alert can be told, not how many."""
    passed = one.case.met_by(found) if whole else (found > 0) == one.case.hit
    if passed:
        return CaseResult(one.document.name, one.case.name, passed=True)
    problem = f"expected {one.case.expectation}, got {found or 'none'} in {target}"
    lines = [f"{one.document.place}: test {one.case.name!r}: {problem}", *shown(one.case, " and ".join(one.records))]
    return CaseResult(one.document.name, one.case.name, passed=False, report="\n".join(lines))
