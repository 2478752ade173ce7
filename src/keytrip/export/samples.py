"""A destination's templates on made-up facts: what `check` finds before there is a store, a server or a rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from keytrip import __version__
from keytrip.baselines.jobs import load_jobs
from keytrip.errors import ContentError
from keytrip.export.desired import index_templates, items_of, table_facts
from keytrip.export.layout import lookup_name
from keytrip.export.manifest import ItemTemplate, Manifest
from keytrip.export.model import Table
from keytrip.rules.load import Document

_PATH = Path("sample.yml")
_ABOUT: Mapping[str, Any] = {
    "description": "A sample.",
    "author": "keytrip",
    "status": "test",
    "level": "high",
    "references": ["https://example.com/"],
    "falsepositives": ["None."],
    "tags": ["attack.initial-access", "attack.t1078.004"],
    "triage": {
        "meaning": "A sample.",
        "false_positive": "A sample.",
        **{part: ["A sample."] for part in ("first_questions", "next_steps", "containment")},
    },
}
_PARAMETERS = {"least": {"at": "correlation.condition.gte", "default": 5, "why": "A sample."}}
_COUNT: Mapping[str, Any] = {
    "type": "event_count",
    "rules": ["sample_events"],
    "group-by": ["key_id"],
    "timespan": "1d",
    "condition": {"gte": 5},
}
_INDICATOR: Mapping[str, Any] = {
    "kind": "ipv4",
    "value": "192.0.2.1",
    "first_seen": "2026-01-01T00:00:00Z",
    "last_seen": "2026-01-02T00:00:00Z",
    "count": 1,
    "confidence": 50,
    "tlp": "amber",
    "description": "A sample.",
    "rules": ["sample"],
    "sources": ["litellm"],
    "revoked": False,
}
_WINDOW = {"start": "2026-01-01", "end": "2026-01-31"}


def template_errors(manifest: Manifest) -> Iterator[tuple[str, int, ContentError]]:
    """Yield (member, number, error) of each template that fails on sample facts; each is told once.

    Where an option is `true` or `false`, both are tried.
    """
    for number, template in enumerate(manifest.items):
        error = _first(_item_error(manifest, template, options) for options in _settings(manifest))
        if error is not None:
            yield "items", number, error
    for number, text in enumerate(manifest.templates):
        error = _first(_text_error(manifest, text.template, options) for options in _settings(manifest))
        if error is not None:
            yield "templates", number, error


def _first(errors: Iterator[ContentError | None]) -> ContentError | None:
    return next((error for error in errors if error is not None), None)


def _settings(manifest: Manifest) -> Iterator[dict[str, str]]:
    flags = [name for name, default in manifest.options.items() if default in {"true", "false"}]
    return ({**manifest.options, **dict.fromkeys(flags, chosen)} for chosen in ("false", "true"))


def _item_error(manifest: Manifest, template: ItemTemplate, options: Mapping[str, str]) -> ContentError | None:
    base = {"snapshot": 1, "window": _WINDOW, "version": __version__, "options": options, "server": [8, 19]}
    context = {**base, "index_templates": index_templates()}
    lists = [{"name": "indicators", "indicators": [dict(_INDICATOR)]}]
    one = manifest.model_copy(update={"items": (template,)})
    try:
        items_of(one, context, _rules(manifest.targets), _tables(), lists)
    except ContentError as error:
        return error
    return None


def _text_error(manifest: Manifest, template: str, options: Mapping[str, str]) -> ContentError | None:
    from keytrip.export.render import render_text

    facts = {
        "snapshot": 1,
        "window": _WINDOW,
        "version": __version__,
        "options": options,
        "tables": [{"file": "tables/sample.csv", "rows": 1, "key": ["key_id"]}],
        "targets": [
            {"name": name, "folder": f"rules/{name}", "compiled": 1, "refused": 1} for name in manifest.targets
        ],
        "lists": [{"file": "iocs/indicators.csv", "indicators": 1}],
    }
    package = {"app": "keytrip", "app_version": "1.0.1", "searches": ["sample"], "lookups": ["keytrip_sample"]}
    try:
        render_text(manifest.folder, template, {**facts, **(package if manifest.transport == "splunk_app" else {})})
    except ContentError as error:
        return error
    return None


@cache
def _rules(targets: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the facts of a plain rule and of one that counts, as far as a target says them."""
    from keytrip.compile.scheduled import scheduled_for

    named = {"logsource": {"category": "ai_usage"}, "detection": {"a": {"model": "sample"}, "condition": "a"}}
    plain = Document({**_ABOUT, **named, "title": "Sample", "name": "sample_events", "id": _id(1)}, _PATH, 1)
    count = {"correlation": _COUNT, "parameters": _PARAMETERS}
    counting = Document({**_ABOUT, **count, "title": "Count", "name": "sample", "id": _id(2)}, _PATH, 1)
    return [one.facts for one in scheduled_for(targets, [plain, counting], [plain, counting]) if one.facts]


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-00000000000{number}"


@cache
def _tables() -> list[dict[str, Any]]:
    """Return the facts of a table of what a key uses, and of one of daily statistics."""
    jobs = load_jobs()
    named = [(name, jobs[name]) for name in ("key_models", "key_cost_daily")]
    return table_facts(
        [Table(lookup_name(n), job.table_key, dict(job.columns), 0, "", lambda: iter(())) for n, job in named]
    )
