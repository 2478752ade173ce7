"""Rules as a SIEM schedules them: the query, when it runs, and the settings of the SIEM's own form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from keytrip.compile.attack import threats_of
from keytrip.compile.compiled import collection_of, reason_of
from keytrip.compile.formats import Written, schedule_of
from keytrip.compile.kibana import detection_rule
from keytrip.compile.monitors import monitor_rule
from keytrip.compile.required import required_fields
from keytrip.compile.savedsearches import search_name, search_settings
from keytrip.compile.security_analytics import security_analytics
from keytrip.compile.splunk_parameters import with_macros
from keytrip.compile.stock import is_foreign
from keytrip.compile.targets import backend_of
from keytrip.errors import ContentError, KeytripError, UsageError

if TYPE_CHECKING:
    from keytrip.rules.load import Document

_FORMAT = "scheduled"
_VERSIONED = "target_version"
Settings = Callable[[Written], dict[str, Any]]


def _read(write: Callable[[Written], str]) -> Settings:
    return lambda written: dict(json.loads(write(written)))


def _of_kibana(kind: str, language: str) -> Settings:
    read = _read(detection_rule(kind, language))
    return lambda written: {**read(written), "required_fields": required_fields(written.query, written.table)}


# Target -> the settings of a rule in the SIEM's own words.
SETTINGS: dict[str, Settings] = {
    "splunk": lambda written: {"name": search_name(written), **search_settings(written)},
    "esql": _of_kibana("esql", "esql"),
    "eql": _of_kibana("eql", "eql"),
    "lucene": _of_kibana("query", "lucene"),
    "opensearch": _read(monitor_rule),
}


@dataclass(frozen=True)
class Scheduled:
    """One rule for a scheduler, or why there is none.

    Attributes:
        rule, rule_id: From the rule.
        facts: What templates may speak of (docs/exporters.md lists it); empty if refused.
        reason: Why no target can say it, or an empty string.
    """

    rule: str
    rule_id: str
    facts: Mapping[str, Any]
    reason: str = ""


def scheduled_for(
    targets: Sequence[str],
    chosen: Sequence[Document],
    documents: Sequence[Document],
    packs: tuple[Path, ...] = (),
    version: str = "",
) -> list[Scheduled]:
    """Return each chosen rule for the first of the targets that can say it, in order.

    Args:
        targets: Their names.
        chosen: Rules.
        documents: All rules and bases.
        packs: User packs.
        version: Of the server, for the targets that write one text for one version and another for others.

    Raises:
        UsageError: There is no such target.
    """
    backends = {target: _backend(target, packs, version) for target in targets}
    return [_first(document, documents, backends) for document in chosen]


def _backend(target: str, packs: tuple[Path, ...], version: str) -> Any:
    """Return a target's backend, or why there is none for the version."""
    backend = backend_of(target)
    if version and _VERSIONED in backend.options:
        try:
            backend = backend_of(target, {_VERSIONED: version})
        except UsageError as error:
            return error
    backend.packs = packs
    return backend


def _first(document: Document, documents: Sequence[Document], backends: Mapping[str, Any]) -> Scheduled:
    rule_id = str(document.data.get("id") or "")
    reasons = []
    for target, backend in backends.items():
        facts, reason = _facts(target, backend, document, documents)
        if facts:
            return Scheduled(document.name, rule_id, facts)
        reasons.append(f"{target}: {reason}" if len(backends) > 1 else reason)
    return Scheduled(document.name, rule_id, {}, " | ".join(reasons) or "the destination names no target")


def _facts(target: str, backend: Any, document: Document, documents: Sequence[Document]) -> tuple[dict[str, Any], str]:
    from sigma.exceptions import SigmaError

    if isinstance(backend, UsageError):
        return {}, backend.message.removeprefix(f"{target}: ")
    try:
        written = _written(backend, document, documents)
        facts = _of(target, written, document)
        return facts | (_in_splunk(written, backend, document, documents) if target == "splunk" else {}), ""
    except (SigmaError, KeytripError) as error:
        return {}, reason_of(document, error)


def _written(backend: Any, document: Document, documents: Sequence[Document]) -> Written:
    """Return what a backend would write out.

    Raises:
        ContentError: The rule is of another logsource, so none of our backends writes it.
        SigmaError: The backend cannot say it.
    """
    collection = collection_of([document], documents)
    if is_foreign(collection.rules[-1]):
        hint = "export it with `sigma convert`"
        raise ContentError("a rule of another logsource than ai_* has no schedule", place=document.place, hint=hint)
    kept: list[Written] = []

    def keep(written: Written) -> str:
        kept.append(written)
        return written.query

    backend.writers = {**type(backend).writers, _FORMAT: keep}
    backend.convert(collection, _FORMAT)
    return kept[-1]


def _of(target: str, written: Written, document: Document) -> dict[str, Any]:
    schedule, data = schedule_of(written.plan), document.data
    tags = list(document.tags)
    return {
        "name": document.name,
        "id": written.rule_id,
        "title": written.title,
        "level": written.level,
        "description": written.description,
        "text": written.query.strip(),
        "target": target,
        "schedule": {"interval": schedule.interval, "reach": schedule.reach, "grace": schedule.grace},
        "group_by": list(written.plan.group_by) if written.plan else [],
        "table": written.table,
        "tables": list(_tables(written)),
        "deviations": list(written.deviations),
        "settings": SETTINGS[target](written) if target in SETTINGS else {},
        "analytics": _analytics(written) if target == "opensearch" else {},
        "tags": tags,
        "threat": threats_of(tags),
        "triage": _plain(data.get("triage") or {}),
        "references": _texts(data.get("references")),
        "false_positives": _texts(data.get("falsepositives")),
        "author": str(data.get("author") or ""),
        "status": str(data.get("status") or ""),
        "version": 1,
        "parameters": [],
    }


def _in_splunk(written: Written, backend: Any, document: Document, documents: Sequence[Document]) -> dict[str, Any]:
    """Return the parameters that are macros, and the settings with the search that names them."""

    def write(changed: Document, all_of_them: Sequence[Document]) -> str:
        return _written(backend, changed, all_of_them).query

    text, parameters = with_macros(written.query, document, documents, write)
    settings = SETTINGS["splunk"](replace(written, query=text))
    return {"settings": settings, "parameters": [asdict(one) for one in parameters]}


def _analytics(written: Written) -> dict[str, Any]:
    """Return a rule as Security Analytics takes it, or nothing where that has no word for it."""
    try:
        return dict(yaml.safe_load(security_analytics(written)))
    except ContentError:
        return {}


def _tables(written: Written) -> Iterator[str]:
    """Yield the baseline tables that a rule joins, each once."""
    found = [
        table for block in (written.plan.blocks if written.plan else ()) for table in (block.table, *_needed(block))
    ]
    yield from dict.fromkeys(found)


def _needed(block: Any) -> list[str]:
    return [block.requires[0]] if block.requires else []


def _texts(value: Any) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []


def _plain(value: Any) -> Any:
    """Return YAML's values as those of JSON: a date is its text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)
