"""The cases of rules as a SIEM would hold them: records as they are shipped, and rows of baseline tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from keytrip.compile.compiled import compile_rule
from keytrip.errors import ContentError
from keytrip.hunt.bench import EVENT, Bench, Row, Trial, open_bench
from keytrip.hunt.casetest import CaseResult, readable_cases, trials_of
from keytrip.records.sql import quote_name
from keytrip.rules.cases import Case
from keytrip.rules.load import Document


@dataclass(frozen=True)
class ShippedCase:
    """One case.

    Attributes:
        document: Its rule.
        case: What is expected.
        records: Canonical table -> its dated records, derived fields included.
        tables: Baseline table -> its rows.
    """

    document: Document
    case: Case
    records: Mapping[str, Sequence[Row]]
    tables: Mapping[str, Sequence[Row]]


def shipped_cases(documents: Sequence[Document], packs: Sequence[Path] = ()) -> Iterator[ShippedCase | CaseResult]:
    """Yield every case of `documents` in their order, or the failure of one that cannot be tried at all.

    Args:
        documents: Rules, with the base rules that they refer to.
        packs: Folders layered over our content.
    """
    with open_bench(tuple(packs)) as bench:
        bench.learn_times(case for document in documents for case in readable_cases(document))
        for document in documents:
            if document.data.get("tests"):
                yield from _cases(bench, document, documents, packs)


def _cases(
    bench: Bench, document: Document, documents: Sequence[Document], packs: Sequence[Path]
) -> Iterator[ShippedCase | CaseResult]:
    import duckdb

    rule = compile_rule(document, documents, packs)
    if rule.refused:
        yield CaseResult(document.name, "", passed=False, report=rule.refused)
        return
    try:
        for trial in trials_of(bench, document, rule):
            yield _shipped(bench, trial)
    except (ContentError, duckdb.Error) as error:
        yield CaseResult(document.name, "", passed=False, report=str(error).partition("\n")[0])


def _shipped(bench: Bench, trial: Trial) -> ShippedCase:
    with bench.filled([trial.rows]):
        bench.at(0)
        dated = f"select * exclude ({EVENT}) from {{}} where timestamp is not null"
        records = {table: bench.rows(dated.format(quote_name(table))) for table in trial.rule.reads}
        tables = {table: bench.rows(f"select * from {quote_name(table)}") for table in trial.case.baseline}
    return ShippedCase(trial.document, trial.case, records, tables)
