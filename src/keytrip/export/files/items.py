"""The items of a folder: a file a rule and target, a list of them for each target, and what the templates write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from keytrip.compile.cached import compile_cached
from keytrip.compile.targets import Compiled
from keytrip.export.files.folder import checked_file, checked_path
from keytrip.export.files.iocs import list_items
from keytrip.export.manifest import Manifest
from keytrip.export.model import Item, Table
from keytrip.rules.load import alerting, load_rules
from keytrip.rules.selection import choose

if TYPE_CHECKING:
    from keytrip.export.desired import Request


def file_items(
    manifest: Manifest, request: Request, context: Mapping[str, Any], tables: Sequence[Table]
) -> tuple[Item, ...]:
    """Return the files that a folder should hold beside its tables.

    Raises:
        ContentError: A rule file or a template is wrong, or an indicator is one that no file of the folder holds.
        UsageError: The selection means no rule, or the manifest names no target.
    """
    results = _compiled(manifest, request)
    facts = {**context, "tables": [_table(table, manifest) for table in tables]}
    facts["targets"] = [_target(name, results) for name in manifest.targets]
    iocs = list_items(request.indicators, manifest.tables)
    facts["lists"] = [{"file": one.name, "indicators": len(request.indicators)} for one in iocs]
    lists = (_list(name, results) for name in manifest.targets)
    return (*(_rule(one) for one in results if one.text), *lists, *iocs, *_texts(manifest, facts))


def table_path(name: str, form: str | None) -> str:
    """Return the path of a table's file in the folder."""
    return f"tables/{name.removeprefix('keytrip_')}.{form}"


def _compiled(manifest: Manifest, request: Request) -> list[Compiled]:
    documents = load_rules(request.packs, request.variables)
    chosen = choose(alerting(documents), request.selection)
    return compile_cached(manifest.targets, chosen, documents, request.packs, request.cache)


def _rule(one: Compiled) -> Item:
    return Item("rule", f"rules/{one.target}/{checked_file(one.file)}", {"text": one.text}, one.rule_id)


def _list(target: str, results: Sequence[Compiled]) -> Item:
    entries = [one.as_json() for one in sorted(results, key=lambda one: one.rule) if one.target == target]
    return Item("list", f"rules/{target}/index.json", {"text": json.dumps(entries, indent=1) + "\n"})


def _table(table: Table, manifest: Manifest) -> dict[str, Any]:
    return {"file": table_path(table.name, manifest.tables), "rows": table.count, "key": list(table.key)}


def _target(name: str, results: Sequence[Compiled]) -> dict[str, Any]:
    ours = [one for one in results if one.target == name]
    compiled = sum(bool(one.text) for one in ours)
    return {"name": name, "folder": f"rules/{name}", "compiled": compiled, "refused": len(ours) - compiled}


def _texts(manifest: Manifest, context: Mapping[str, Any]) -> Iterator[Item]:
    from keytrip.export.render import render_text

    for template in manifest.templates:
        path = PurePosixPath(checked_path(template.path))
        yield Item("text", path.as_posix(), {"text": render_text(manifest.folder, template.template, context)})
