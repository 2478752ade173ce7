"""What a destination should hold: compiled rules, tables, and the items that a manifest makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip import __version__
from keytrip.baselines.jobs import load_jobs
from keytrip.baselines.kinds import DailyStatistic
from keytrip.baselines.snapshots import active_snapshot
from keytrip.baselines.store import Store
from keytrip.errors import ContentError, Place, UsageError
from keytrip.export.indicator_tables import indicator_table, intelligence_tables
from keytrip.export.indicators import Indicator, indicator_items
from keytrip.export.manifest import SHARING, ItemTemplate, Manifest
from keytrip.export.model import Item, Server, Table
from keytrip.export.tables import snapshot_tables
from keytrip.records.vocabulary import usage
from keytrip.rules.load import alerting, load_rules
from keytrip.rules.selection import Selection, choose

if TYPE_CHECKING:
    from keytrip.compile.scheduled import Scheduled


@dataclass(frozen=True)
class Request:
    """What a user wants in a destination.

    Attributes:
        store: Whose active snapshot has the tables.
        packs, variables: As for `compile`.
        selection: Which rules.
        options: The destination's settings, defaults among them.
        cache: Where compiled texts are kept, or None.
        indicators: What a destination that shares indicators should tell; others make IOC lists of them.
        server: What is there, where rules and tables depend on it.
    """

    store: Store
    packs: tuple[Path, ...] = ()
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)
    options: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    indicators: tuple[Indicator, ...] = ()
    server: Server | None = None


@dataclass(frozen=True)
class Desired:
    """What a destination should hold.

    Attributes:
        items, tables: It, in order.
        refused: Rule -> why no target of the destination can say it.
        snapshot: Number of the snapshot that the tables come from.
        server: What it was made for, where that matters.
    """

    items: tuple[Item, ...]
    tables: tuple[Table, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    snapshot: int | None = None
    server: Server | None = None


def desired_for(manifest: Manifest, request: Request) -> Desired:
    """Return what a destination should hold.

    Raises:
        DataError: The store has no snapshot, or one that cannot be read.
        ContentError: A rule file, a job or a template is wrong, or two items have one name.
        UsageError: The selection means no rule, or the destination makes nothing of indicators.
    """
    if manifest.transport in SHARING:
        return Desired(indicator_items(request.indicators))
    snapshot = active_snapshot(request.store)
    tables = snapshot_tables(request.store, snapshot, request.packs)
    base = {"snapshot": snapshot.number, "window": snapshot.manifest["window"], "version": __version__}
    if manifest.transport == "files":
        from keytrip.export.files.items import file_items

        kept = tables if manifest.tables else []
        return Desired(file_items(manifest, request, base, kept), tuple(kept), {}, snapshot.number)
    server = request.server
    if server is not None and server.no_tables:
        tables = []
    there = {table.name for table in tables}
    rules = [_with_tables(rule, there, server) for rule in _scheduled(manifest, request)]
    version = [int(part) for part in server.version.split(".")[:2]] if server else []
    context = {**base, "options": dict(request.options), "index_templates": index_templates(), "server": version}
    rule_facts = [rule.facts for rule in rules if rule.facts]
    items = items_of(manifest, context, rule_facts, table_facts(tables, request.packs), _lists(request))
    told = _told(manifest, request)
    _refuse_unheard(manifest, request, [*items, *told])
    refused = {rule.rule: rule.reason for rule in rules if not rule.facts}
    return Desired(tuple(items), (*tables, *told), refused, snapshot.number, server)


def _told(manifest: Manifest, request: Request) -> list[Table]:
    """Return the tables of a list of indicators, where there is one."""
    found = [indicator_table(request.indicators)] if manifest.indicator_table and request.indicators else []
    wanted = request.options.get("threat_intel") == "true" and request.indicators
    return [*found, *(intelligence_tables(request.indicators) if wanted else ())]


def _refuse_unheard(manifest: Manifest, request: Request, made: Sequence[Item | Table]) -> None:
    """Refuse indicators of which nothing came: what is given is not dropped in silence."""
    kinds = {template.kind for template in manifest.items if template.each == "ioc_list"}
    if request.indicators and not any(isinstance(one, Table) or one.kind in kinds for one in made):
        hint = "leave --iocs out" + (f", or see the options of {manifest.name}" if kinds else "")
        raise UsageError(f"{manifest.name}: nothing is made of indicators", hint=hint)


def _lists(request: Request) -> list[dict[str, Any]]:
    """Return the facts of the IOC list, if there is one."""
    found = [one.model_dump(mode="json") for one in request.indicators]
    return [{"name": "indicators", "indicators": found}] if found else []


def index_templates() -> dict[str, Any]:
    """Return the index template of each canonical table, as Elasticsearch and OpenSearch take it."""
    from keytrip.export.layout import elastic_index_template
    from keytrip.records.vocabulary import vocabulary

    return {table: elastic_index_template(table) for table in vocabulary().tables}


def _scheduled(manifest: Manifest, request: Request) -> list[Scheduled]:
    # the compiler, with pySigma below it, is not for destinations of another kind
    from keytrip.compile.scheduled import scheduled_for

    documents = load_rules(request.packs, request.variables)
    chosen = choose(alerting(documents), request.selection)
    version = request.server.version if request.server else ""
    return scheduled_for(manifest.targets, chosen, documents, request.packs, version) if manifest.targets else []


def _with_tables(rule: Scheduled, there: set[str], server: Server | None) -> Scheduled:
    """Refuse a rule that asks a table which the snapshot has not, or the server does not find: its query would fail."""
    from keytrip.export.layout import lookup_name

    if server is not None and server.no_lookups and rule.facts.get("tables"):
        return replace(rule, facts={}, reason=server.no_lookups)
    lacking = [name for name in rule.facts.get("tables", ()) if lookup_name(name) not in there]
    if not lacking:
        return rule
    return replace(rule, facts={}, reason=f"the snapshot has no table {lacking[0]}; build a new one")


def items_of(
    manifest: Manifest,
    context: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]],
    tables: Sequence[Mapping[str, Any]],
    lists: Sequence[Mapping[str, Any]] = (),
) -> list[Item]:
    """Return the items that a manifest makes.

    Args:
        manifest: The destination's.
        context: What every template may speak of.
        rules: Facts of each rule (`keytrip.compile.scheduled`).
        tables: Facts of each baseline table.
        lists: Facts of each IOC list.

    Raises:
        ContentError: A template is wrong, or two items have one kind and name.
    """
    contexts = {
        "rule": [{**context, "rule": rule} for rule in rules],
        "parameter": [
            {**context, "rule": rule, "parameter": one} for rule in rules for one in rule.get("parameters", ())
        ],
        "table": [{**context, "table": table} for table in tables],
        "ioc_list": [{**context, "ioc_list": one} for one in lists],
        "once": [{**context, "rules": list(rules), "tables": list(tables)}],
    }
    found = [item for template in manifest.items for item in _made(manifest, template, contexts[template.each])]
    _refuse_twins(manifest, found)
    return found


def _made(manifest: Manifest, template: ItemTemplate, contexts: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    from keytrip.export.render import holds, item_environment, render_item, render_name

    environment = item_environment(manifest.folder)
    place = Place(str(manifest.folder / "manifest.yml"))
    for context in contexts:
        if template.when and not holds(environment, template.when, context, place):
            continue
        name = render_name(environment, template.name, context, place)
        body = render_item(environment, template.template, {**context, "name": name})
        yield Item(template.kind, name, body, context.get("rule", {}).get("id", ""))


def table_facts(tables: Sequence[Table], packs: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """Return what templates may speak of, for each table; `name` is the job's, `lookup` the one that queries use."""
    measures = _measures(packs)
    return [
        {
            "name": table.name.removeprefix("keytrip_"),
            "lookup": table.name,
            "key": list(table.key),
            "columns": dict(table.columns),
            "rows": table.count,
            "measure": measures.get(table.name),
        }
        for table in tables
    ]


def _measures(packs: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """Return the measure of each table of daily statistics, by its lookup, where a SIEM holds the measured field."""
    from keytrip.export.layout import lookup_name

    found = {}
    for name, job in load_jobs(packs).items():
        if isinstance(job, DailyStatistic):
            function, field = job.measured
            of = usage().columns[field]
            if of.shipped:
                found[lookup_name(name)] = {"function": function, "field": field, "whole": of.type == "int"}
    return found


def _refuse_twins(manifest: Manifest, items: Sequence[Item]) -> None:
    seen: set[tuple[str, str]] = set()
    for item in items:
        identity = (item.kind, item.name)
        if identity in seen:
            place = Place(str(manifest.folder / "manifest.yml"))
            raise ContentError(f"two items are {item.kind} {item.name!r}", place=place, hint="name one otherwise")
        seen.add(identity)
