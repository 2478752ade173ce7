"""All rules as DuckDB SQL with what the hunt must know of them, cached by the hash of everything they come from."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip import __version__
from keytrip.content import content_files
from keytrip.errors import KeytripError
from keytrip.records.vocabulary import vocabulary

if TYPE_CHECKING:
    from keytrip.rules.load import Document

_QUOTED = re.compile(r'"(\w+)"')


@dataclass(frozen=True)
class CompiledRule:
    """One alerting rule, ready to run.

    Attributes:
        name, rule_id, title, level, tags: From the rule.
        kind: `plain`, or the correlation's type.
        table: The canonical table that it reads.
        sql: DuckDB text.
        fields: Canonical and derived fields of the events that it uses.
        group_by: Group fields.
        seconds, offset: The window.
        share: Whether the result has a share.
        money: Whether the value is a sum of cost_usd, which is rounded to nine decimals.
        baseline_columns: Columns of the result that come from the baseline, in order.
        tables: (baseline table, columns of it that the text uses), in order.
        refused: Why this rule has no SQL, or an empty string.
    """

    name: str
    rule_id: str
    title: str
    level: str
    tags: tuple[str, ...]
    kind: str = "plain"
    table: str = "usage"
    sql: str = ""
    fields: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    seconds: int = 0
    offset: int = 0
    share: bool = False
    money: bool = False
    baseline_columns: tuple[str, ...] = ()
    tables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    refused: str = ""

    @property
    def plain(self) -> bool:
        """Whether each event is an alert."""
        return self.kind == "plain"


def compiled_rules(packs: Sequence[Path] = (), cache: Path | None = None) -> list[CompiledRule]:
    """Return every alerting rule compiled for DuckDB, sorted by name; one that cannot be says why in `refused`.

    Args:
        packs: User packs.
        cache: Folder for the result; None compiles afresh.

    Raises:
        ContentError: A file cannot be loaded.
    """
    if cache is None:
        return _compile_all(packs)
    path = cache / f"rules-{_fingerprint(packs)}.json"
    found = _read(path)
    if found is None:
        found = _compile_all(packs)
        _write(path, found)
    return found


def _fingerprint(packs: Sequence[Path]) -> str:
    from importlib.metadata import version

    digest = hashlib.sha256(f"{__version__} {version('pysigma')}".encode())
    parts = (Path(__file__).parents[1] / name for name in ("baselines", "compile", "records", "rules"))
    ours = [path for part in parts for path in sorted(part.iterdir()) if path.suffix in {".py", ".yml"}]
    content = [*content_files("rules", ".yml", packs), *content_files("baselines", ".py", packs)]
    pack_files = [p / "pack.yml" for p in packs if (p / "pack.yml").is_file()]
    for path in [*ours, *content, *pack_files]:
        digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:32]


def _read(path: Path) -> list[CompiledRule] | None:
    try:
        return [_from_json(entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError):
        return None  # no cache, or one that something spoiled: it is only a cache


def _from_json(entry: dict[str, Any]) -> CompiledRule:
    tables = tuple((table, tuple(columns)) for table, columns in entry.pop("tables"))
    members: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return CompiledRule(**members, tables=tables)


def _write(path: Path, rules: list[CompiledRule]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps([asdict(rule) for rule in rules]), encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # a cache that cannot be written costs time, nothing else


def _compile_all(packs: Sequence[Path]) -> list[CompiledRule]:
    from keytrip.rules.load import alerting, load_rules

    documents = load_rules(packs)
    return [compile_rule(rule, documents, packs) for rule in sorted(alerting(documents), key=lambda d: d.name)]


def collection_of(chosen: Sequence[Document], documents: Sequence[Document]) -> Any:
    """Return a pySigma collection of rules and their bases; numbers keep their fractions, rules their line.

    Raises:
        SigmaError: pySigma does not accept a rule.
        ContentError: A member has a form that nobody could read.
    """
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaRuleLocation

    from keytrip.rules.load import with_bases
    from keytrip.rules.shape import check_shape

    parsed = list(with_bases(chosen, documents))
    for document in parsed:
        check_shape(document)
    collection = SigmaCollection.from_dicts([dict(document.data) for document in parsed])
    by_id = {(_same_id(d.data.get("id")), d.data.get("name")): d for d in parsed}
    for rule in collection.rules:
        document = by_id[(_same_id(rule.id), rule.name)]
        correlation = document.data.get("correlation")
        condition = correlation.get("condition") if isinstance(correlation, dict) else None
        rule.source = SigmaRuleLocation(document.path)
        rule.custom_attributes |= {"keytrip_condition": condition, "keytrip_line": document.line}
    return collection


def _same_id(value: object) -> str:
    """Ids are equal in any case, with or without hyphens and braces: pySigma makes UUIDs of them."""
    return re.sub(r"[-{}]|urn:|uuid:", "", str(value).lower())


def compile_rule(document: Document, documents: Sequence[Document], packs: Sequence[Path] = ()) -> CompiledRule:
    """Return one rule compiled for DuckDB, or why it cannot be."""
    from sigma.exceptions import SigmaError

    try:
        return compile_or_raise(document, documents, tuple(packs))
    except SigmaError as error:
        reason = str(error.__cause__ if isinstance(error.__cause__, KeytripError) else error)
    except KeytripError as error:
        reason = str(error)
    return CompiledRule(
        document.name,
        str(document.data.get("id")),
        str(document.data.get("title")),
        document.level,
        document.tags,
        refused=reason,
    )


def compile_or_raise(document: Document, documents: Sequence[Document], packs: tuple[Path, ...]) -> CompiledRule:
    """Return one rule compiled for DuckDB.

    Raises:
        SigmaError: pySigma does not accept the rule; its cause is a KeytripError where the fault is one of SEMANTICS.
        ContentError: The rule refers to what is not there.
    """
    from keytrip.compile.duckdb import DuckDBBackend
    from keytrip.compile.plan import plan_of

    collection = collection_of([document], documents)
    backend = DuckDBBackend()
    backend.packs = packs
    queries = backend.convert(collection)
    rule = collection.rules[-1]
    common = {
        "name": document.name,
        "rule_id": str(document.data.get("id") or document.name),
        "title": str(document.data.get("title") or ""),
        "level": document.level,
        "tags": document.tags,
        "sql": queries[-1],
    }
    if "correlation" not in document.data:
        table = backend.table_of(rule)
        return CompiledRule(**common, table=table, fields=tuple(vocabulary().tables[table].fields))
    plan = plan_of(rule, packs)
    table, _ = backend.events_of(rule)
    wanted: dict[str, dict[str, None]] = {name: {} for name in plan.tables}
    for block in plan.blocks:
        wanted[block.table] |= dict.fromkeys((*block.on, *block.columns))
        if block.requires:
            wanted[block.requires[0]] |= dict.fromkeys(block.requires[1])
    return CompiledRule(
        **common,
        kind=plan.type,
        table=table,
        fields=_fields_in(queries[-1], table),
        group_by=plan.group_by,
        seconds=plan.seconds,
        offset=plan.offset,
        share=plan.share_block is not None,
        money=plan.cost_sum,
        baseline_columns=tuple(f"{b.prefix}{c}" for b in plan.blocks for c in b.columns),
        tables=tuple((name, tuple(columns)) for name, columns in wanted.items()),
    )


def _fields_in(sql: str, table: str) -> tuple[str, ...]:
    """Fields are always quoted in our SQL, so the text says which ones it uses."""
    known = vocabulary().tables[table].columns
    return tuple(dict.fromkeys(name for name in _QUOTED.findall(sql) if name in known))
