"""Compiles rules to a target's text: what `keytrip compile` and the exporters use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from keytrip.compile.compiled import collection_of, reason_of
from keytrip.errors import KeytripError, UsageError

if TYPE_CHECKING:
    from keytrip.rules.load import Document

# target -> (module, class, suffix of a compiled file)
TARGETS: dict[str, tuple[str, str, str]] = {
    "splunk": ("keytrip.compile.splunk", "SplunkBackend", "spl"),
    "esql": ("keytrip.compile.esql", "EsqlBackend", "esql"),
    "eql": ("keytrip.compile.eql", "EqlBackend", "eql"),
    "lucene": ("keytrip.compile.lucene", "LuceneBackend", "lucene"),
    "opensearch": ("keytrip.compile.opensearch", "OpensearchBackend", "json"),
    "duckdb": ("keytrip.compile.duckdb", "DuckDBBackend", "sql"),
    "spark": ("keytrip.compile.spark", "SparkBackend", "sql"),
}
# In place of a target's name: every target.
ALL = "all"


@dataclass(frozen=True)
class Compiled:
    """One rule's text for one target, or why there is none.

    Attributes:
        rule, rule_id: From the rule.
        target: The target's name.
        text: The query, empty if refused.
        reason: Why it was refused, or an empty string.
        line: Line of the rule's document in its file.
        range: The time range that a schedule must give the query.
        deviations: Named deviations from SEMANTICS that the text has.
        shared: Name of the search that the text is of, for several rules; empty where it is the rule's own.
        alone: Why a rule of a combined build has a search of its own.
    """

    rule: str
    rule_id: str
    target: str
    text: str
    reason: str = ""
    line: int | None = None
    range: str = ""
    deviations: tuple[str, ...] = ()
    shared: str = ""
    alone: str = ""

    @property
    def file(self) -> str:
        """Name of the compiled file."""
        return f"{self.shared or self.rule}.{TARGETS[self.target][2]}"

    def as_json(self) -> dict[str, Any]:
        """Return the entry of `index.json`."""
        return {
            "rule": self.rule,
            "rule_id": self.rule_id,
            "file": self.file if self.text else None,
            "status": "compiled" if self.text else "refused",
            "reason": self.reason or None,
            "line": self.line,
            "range": self.range or None,
            "deviations": list(self.deviations),
            **({"alone": self.alone} if self.alone else {}),
        }


def targets_named(names: Sequence[str]) -> tuple[str, ...]:
    """Return targets by name, each once; `all` stands for every one.

    Raises:
        UsageError: There is no such target.
    """
    for name in names:
        if name != ALL and name not in TARGETS:
            raise UsageError(f"no target {name!r}", hint="one of: " + ", ".join((*TARGETS, ALL)))
    return tuple(dict.fromkeys(target for name in names for target in (TARGETS if name == ALL else (name,))))


def backend_of(target: str, options: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Return a target's backend.

    Args:
        target: Its name.
        options: Of the backend, as `sigma convert -O` gives them.

    Raises:
        UsageError: There is no such target, or it has no such option.
    """
    if target not in TARGETS:
        raise UsageError(f"no target {target!r}", hint="one of: " + ", ".join(TARGETS))
    module, name, _ = TARGETS[target]
    from keytrip.compile.pipelines import canonical_pipeline

    backend = getattr(import_module(module), name)
    for unknown in set(options) - set(backend.options):
        known = ", ".join(backend.options) or "none"
        raise UsageError(f"{target} has no option {unknown!r}", hint=f"its options: {known}")
    return backend(canonical_pipeline(), **options)


def compile_to(
    target: str,
    chosen: Sequence[Document],
    documents: Sequence[Document],
    packs: tuple[Path, ...] = (),
    options: Mapping[str, str] = MappingProxyType({}),
) -> list[Compiled]:
    """Return each chosen rule compiled to `target`, in order.

    Raises:
        UsageError: There is no such target, or it has no such option.
    """
    backend = backend_of(target, options)
    backend.packs = packs
    return [compile_one(target, document, documents, backend) for document in chosen]


def compile_one(target: str, document: Document, documents: Sequence[Document], backend: Any) -> Compiled:
    """Return one rule compiled by the backend of `target`; what the text means is in `backend.plan` then."""
    from sigma.exceptions import SigmaError

    rule_id = str(document.data.get("id") or "")
    try:
        collection = collection_of([document], documents)
        text = _text_of(collection, backend.convert(collection))
    except (SigmaError, KeytripError) as error:
        return Compiled(document.name, rule_id, target, "", reason_of(document, error), document.line)
    text = text if text.endswith("\n") else text + "\n"
    return Compiled(document.name, rule_id, target, text, "", document.line, backend.range, backend.deviations)


def _text_of(collection: Any, queries: list[Any]) -> str:
    """Return the query of the collection's last rule, which alone was asked for."""
    from keytrip.compile.stock import is_foreign

    last = collection.rules[-1]
    # pySigma's backends give one query for each condition of a plain rule
    return "\n".join(map(str, last.get_conversion_result())) if is_foreign(last) else str(queries[-1])
