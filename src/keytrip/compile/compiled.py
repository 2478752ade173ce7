"""All rules as DuckDB SQL with what the hunt must know of them, cached by the hash of everything they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keytrip.compile.cache import digest_of_compiler, digest_of_files, digest_of_text, keep_text, kept_text
from keytrip.content import content_files
from keytrip.errors import ContentError, KeytripError, own_error, words_of
from keytrip.records.vocabulary import vocabulary

if TYPE_CHECKING:
    from keytrip.compile.plan import Block
    from keytrip.rules.load import Document

# A hunt sets this DuckDB variable to the snapshot's end: no window of a rule with a baseline that begins before it is
# scored. Of the rules that alert it leaves such windows out itself; in the queries below them their text does.
SCORED_FROM = "keytrip_scored_from"
_QUOTED = re.compile(r'"(\w+)"')


@dataclass(frozen=True)
class CompiledRule:
    """One alerting rule, ready to run.

    Attributes:
        name, rule_id, title, level, tags: From the rule.
        kind: `plain`, or the correlation's type.
        reads: The canonical tables that it reads.
        sql: DuckDB text.
        fields: Canonical and derived fields of the events that it uses.
        group_by: Group fields.
        reach: How many seconds before an alert's end its earliest record may be; None: any time.
        baselined: Whether it has a baseline block itself.
        scored: (width, offset) in seconds of the windows that are compared with a baseline, its own or below it.
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
    reads: tuple[str, ...] = ("usage",)
    sql: str = ""
    fields: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    reach: int | None = 0
    baselined: bool = False
    scored: tuple[tuple[int, int], ...] = ()
    share: bool = False
    money: bool = False
    baseline_columns: tuple[str, ...] = ()
    tables: tuple[tuple[str, tuple[str, ...]], ...] = ()
    refused: str = ""

    @property
    def plain(self) -> bool:
        """Whether each event is an alert."""
        return self.kind == "plain"

    @property
    def temporal(self) -> bool:
        """Whether the alert has no value."""
        return self.kind.startswith("temporal")


def compiled_rules(
    packs: Sequence[Path] = (), cache: Path | None = None, variables: Mapping[str, Sequence[str]] | None = None
) -> list[CompiledRule]:
    """Return every alerting rule compiled for DuckDB, sorted by name; one that cannot be says why in `refused`.

    Args:
        packs: User packs.
        cache: Folder for the result; None compiles afresh.
        variables: Values for placeholders, over those of the packs.

    Raises:
        ContentError: A file cannot be loaded.
    """
    if cache is None:
        return _compile_all(packs, variables or {})
    key = _fingerprint(packs, variables or {})
    path = cache / f"rules-{key[:32]}.json"
    found = _read(path, key)
    if found is None:
        found = _compile_all(packs, variables or {})
        keep_text(path, key, json.dumps([asdict(rule) for rule in found]))
    return found


def _fingerprint(packs: Sequence[Path], variables: Mapping[str, Sequence[str]]) -> str:
    rules = digest_of_files(content_files("rules", ".yml", packs))
    return digest_of_text(digest_of_compiler(packs), rules, json.dumps(sorted(variables.items())))


def _read(path: Path, key: str) -> list[CompiledRule] | None:
    body = kept_text(path, key)
    return None if body is None else [_from_json(entry) for entry in json.loads(body)]


def _from_json(entry: dict[str, Any]) -> CompiledRule:
    tables = tuple((table, tuple(columns)) for table, columns in entry.pop("tables"))
    scored = tuple((width, offset) for width, offset in entry.pop("scored"))
    members: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return CompiledRule(**members, tables=tables, scored=scored)


def _compile_all(packs: Sequence[Path], variables: Mapping[str, Sequence[str]]) -> list[CompiledRule]:
    from keytrip.rules.load import alerting, load_rules

    documents = load_rules(packs, variables)
    return [compile_rule(rule, documents, packs) for rule in sorted(alerting(documents), key=lambda d: d.name)]


def collection_of(chosen: Sequence[Document], documents: Sequence[Document]) -> Any:
    """Return a pySigma collection of rules and their bases; numbers keep their fractions, rules their line.

    Raises:
        SigmaError: pySigma does not accept a rule.
        ContentError: A member has a form that nobody could read.
    """
    from sigma.collection import SigmaCollection
    from sigma.exceptions import SigmaRuleLocation

    from keytrip.compile.modifiers import prepared
    from keytrip.rules.filters import concerns, filters_of
    from keytrip.rules.load import same_id, with_bases
    from keytrip.rules.shape import check_shape

    parsed = list(with_bases(chosen, documents))
    for document in parsed:
        check_shape(document)
    filters = [f for f in filters_of(documents) if any(concerns(f, document) for document in parsed)]
    for document in filters:
        _check_filter(document)
    collection = SigmaCollection.from_dicts([prepared(document) for document in (*parsed, *filters)])
    by_id = {(same_id(d.data.get("id")), d.data.get("name")): d for d in parsed}
    for rule in collection.rules:
        document = by_id[(same_id(rule.id), rule.name)]
        correlation = document.data.get("correlation")
        condition = correlation.get("condition") if isinstance(correlation, dict) else None
        rule.source = SigmaRuleLocation(document.path)
        rule.custom_attributes |= {"keytrip_condition": condition, "keytrip_line": document.line}
    return collection


def _check_filter(document: Document) -> None:
    """Say of a filter itself, not of each rule that it narrows, what pySigma does not accept.

    Raises:
        ContentError: As `collection_of`.
    """
    from sigma.exceptions import SigmaError
    from sigma.filters import SigmaFilter

    from keytrip.compile.modifiers import prepared

    try:
        SigmaFilter.from_dict(prepared(document))
    except SigmaError as error:
        raise ContentError(str(error), place=document.place, hint="the filter is wrong, not the rule") from error


def reason_of(document: Document, error: Exception) -> str:
    """Return why a rule was refused; pySigma's own errors print the whole rule, of which the message is enough."""
    return str(own_error(error) or f"{document.place}: {words_of(error)}")


def compile_rule(document: Document, documents: Sequence[Document], packs: Sequence[Path] = ()) -> CompiledRule:
    """Return one rule compiled for DuckDB, or why it cannot be."""
    from sigma.exceptions import SigmaError

    try:
        return compile_or_raise(document, documents, tuple(packs))
    except (SigmaError, KeytripError) as error:
        reason = reason_of(document, error)
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
    from keytrip.compile.resolve import plan_of, table_of

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
        table = table_of(rule)
        return CompiledRule(**common, reads=(table,), fields=tuple(vocabulary().tables[table].fields))
    plan = plan_of(rule, packs)
    blocks = [(inner, block) for inner in plan.all for block in inner.blocks]
    return CompiledRule(
        **common,
        kind=plan.type,
        reads=plan.reads,
        fields=_fields_in(queries[-1], plan.reads),
        group_by=plan.group_by,
        reach=plan.reach,
        baselined=bool(plan.blocks),
        scored=tuple(dict.fromkeys((p.seconds, p.offset) for p, _ in blocks if not p.temporal)),
        share=plan.share_block is not None,
        money=plan.cost_sum,
        baseline_columns=tuple(f"{b.prefix}{c}" for b in plan.blocks for c in b.columns),
        tables=_tables([block for _, block in blocks]),
    )


def _tables(blocks: Sequence[Block]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    wanted: dict[str, dict[str, None]] = {}
    for block in blocks:
        wanted.setdefault(block.table, {}).update(dict.fromkeys((*block.on, *block.columns)))
        if block.requires:
            wanted.setdefault(block.requires[0], {}).update(dict.fromkeys(block.requires[1]))
    return tuple((name, tuple(columns)) for name, columns in wanted.items())


def _fields_in(sql: str, tables: Sequence[str]) -> tuple[str, ...]:
    """Fields are always quoted in our SQL, so the text says which ones it uses."""
    known = {name for table in tables for name in vocabulary().tables[table].columns}
    return tuple(dict.fromkeys(name for name in _QUOTED.findall(sql) if name in known))
