"""Why a rule did not do what a case expects: which events matched, what was computed, and what did not hold.

It is asked of the tables that the case was tried on, or computed from the rule's own text. Whether a case passes is not
decided here.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keytrip.baselines.jobs import load_jobs
from keytrip.compile.blocks import constants_of
from keytrip.compile.compiled import compile_rule
from keytrip.errors import KeytripError
from keytrip.hunt.bench import EVENT, Bench, Row, Trial
from keytrip.rules.baseline import placed_blocks
from keytrip.rules.cases import Case
from keytrip.rules.evaluate import compared, number_of, truth_of
from keytrip.rules.expression import parse_expression
from keytrip.rules.load import Document, with_bases

_SHOWN = 20
_GROUPS = 5
_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "==", "neq": "!="}
_Fact = tuple[bool, str]


def shown(case: Case, about: str) -> Iterator[str]:
    """Yield the events of a case, numbered, and its baseline rows, as lines; `about` names the records."""
    yield f"  {about} records:" if case.events else f"  {about} records: none"
    yield from _listed([f"{n}: {_row(event)}" for n, event in enumerate(case.events, start=1)])
    for table, rows in case.baseline.items():
        yield f"  {table}:" if rows else f"  {table}: none"
        yield from _listed([_row(row) for row in rows])


def _listed(lines: Sequence[str], most: int = _SHOWN) -> Iterator[str]:
    yield from (f"    {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"    and {len(lines) - most} more"


def _row(row: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)


def explained(bench: Bench, trial: Trial, documents: Sequence[Document], packs: Sequence[Path]) -> list[str]:
    """Return lines on what the rule made of a case's events; what DuckDB cannot be asked is left out."""
    import duckdb

    bases = [d for d in with_bases([trial.document], documents) if "detection" in d.data]
    try:
        with bench.filled([trial.rows]):
            bench.at(0)
            lines = [line for base in bases for line in _matched(bench, base, packs)]
            return [*lines, *_grouped(bench, trial, tuple(packs))]
    except (duckdb.Error, KeytripError):
        return []


# -- events ----------------------------------------------------------------------------------------------------------


def _matched(bench: Bench, base: Document, packs: Sequence[Path]) -> Iterator[str]:
    found = _events(bench, base, packs)
    if found:
        yield f"  {base.name} matches event{'s' if len(found) > 1 else ''} {', '.join(map(str, sorted(found)))}"
        return
    yield f"  {base.name} matches no event"
    items = [(text, _events(bench, alone, packs)) for text, alone in _items(base)][:_SHOWN]
    numbers = {number for _, events in items for number in events}
    nearest = max(sorted(numbers), key=lambda n: sum(n in events for _, events in items), default=1)
    yield f"    the nearest is event {nearest}, of `{base.data['detection'].get('condition')}`:"
    for text, events in sorted(items, key=lambda item: nearest in item[1]):
        yield f"      {'holds' if nearest in events else 'does not hold'}: {text}"


def _events(bench: Bench, rule: Document, packs: Sequence[Path]) -> set[int]:
    """Return the numbers of the case's events that a plain rule matches."""
    compiled = compile_rule(rule, [rule], packs)
    return {row[EVENT] for row in bench.rows(compiled.sql)} if compiled.sql else set()


def _items(base: Document) -> Iterator[tuple[str, Document]]:
    """Yield each test of a rule's selections as text, and as a rule of its own."""
    source = base.data.get("logsource") or {}
    if source.get("product"):
        yield f"product: {source['product']}", _alone(base, "provider|cased", source["product"])
    for name, selection in base.data["detection"].items():
        for part in selection if isinstance(selection, list) else [selection]:
            for key, value in part.items() if isinstance(part, Mapping) else ():
                yield f"{name}: {key}: {value}", _alone(base, str(key), value)


def _alone(base: Document, key: str, value: Any) -> Document:
    category = {"category": (base.data.get("logsource") or {}).get("category")}
    detection = {"selection": {key: value}, "condition": "selection"}
    return Document({**base.data, "logsource": category, "detection": detection}, base.path, base.line)


# -- groups ----------------------------------------------------------------------------------------------------------


def _grouped(bench: Bench, trial: Trial, packs: tuple[Path, ...]) -> Iterator[str]:
    """Yield each group that the query had before its last filter, with what holds of it and what does not."""
    correlation = trial.document.data.get("correlation")
    if not isinstance(correlation, Mapping):
        return
    groups = bench.rows(_unfiltered(bench, trial.rule.sql))
    if not groups:
        fields = ", ".join(correlation.get("group-by") or ())
        yield "  no window has events" + (f": each needs {fields}" if fields else "")
    judged = [(row, [*_facts(trial, row, packs)]) for row in groups]
    for row, facts in sorted(judged, key=lambda pair: sum(not holds for holds, _ in pair[1]))[:_GROUPS]:
        yield f"  {_row({name: value for name, value in row.items() if name not in {'rule', 'level'}})}"
        for holds, text in sorted(facts):
            yield f"    {'holds' if holds else 'does not hold'}: {text}"
    if len(judged) > _GROUPS:
        yield f"  and {len(judged) - _GROUPS} more groups"


def _unfiltered(bench: Bench, sql: str) -> str:
    """Return a query without its last filter."""
    (text,) = bench.connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchone() or ("{}",)
    tree = json.loads(text)
    tree["statements"][0]["node"]["where_clause"] = None
    (found,) = bench.connection.execute("select json_deserialize_sql(?::json)", [json.dumps(tree)]).fetchone() or (sql,)
    return str(found)


def _facts(trial: Trial, row: Row, packs: tuple[Path, ...]) -> Iterator[_Fact]:
    data = trial.document.data
    condition = data["correlation"].get("condition")
    if "value" in row and isinstance(condition, Mapping):
        yield from _bounds("value", row["value"], condition)
    for number, (_, block) in enumerate(placed_blocks(data)):
        prefix = f"baseline_{block['table']}_" if number else "baseline_"
        columns = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
        if block.get("absent"):
            yield from _absence(trial, row, block, packs)
        else:
            yield from _excess(trial, block, {**columns, "value": row.get("value")})


def _bounds(name: str, value: Any, condition: Mapping[str, Any]) -> Iterator[_Fact]:
    for operator, bound in condition.items():
        if operator in _SIGNS:
            yield compared(_SIGNS[operator], value, bound), f"{name} {_SIGNS[operator]} {bound} ({name} is {value})"


def _excess(trial: Trial, block: Mapping[str, Any], columns: Mapping[str, Any]) -> Iterator[_Fact]:
    constants = constants_of(trial.document.data)
    if all(value is None for name, value in columns.items() if name != "value") and len(columns) > 1:
        yield block.get("missing") == "fire", f"{block['table']} has a row for the group"
        return
    text = str(block["exceeds"])
    bound = number_of(parse_expression(text, constants), columns)
    yield compared(">", columns["value"], bound), f"value > {text} ({_plain(columns['value'])} > {_plain(bound)})"
    for part in _conjuncts(str(block.get("where") or "")):
        yield truth_of(parse_expression(part, constants, logic=True), columns), part


def _conjuncts(text: str) -> list[str]:
    if not text:
        return []
    tree = ast.parse(text.strip(), mode="eval").body
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And) else [tree]
    return [ast.unparse(part) for part in parts]


def _plain(value: Any) -> str:
    return "null" if value is None else f"{value:.12g}"


def _absence(trial: Trial, row: Row, block: Mapping[str, Any], packs: tuple[Path, ...]) -> Iterator[_Fact]:
    jobs, table = load_jobs(packs), str(block["table"])
    columns = [str(name) for name in block.get("on") or jobs[table].table_key]
    if isinstance(block.get("share"), Mapping):
        yield from _bounds("share", row.get("share"), block["share"])
        columns = [name for name in columns if name in row]
    else:
        yield not _is_in(trial.case, table, columns, row), f"{', '.join(columns)} is not in {table}"
    required = str(block.get("requires") or table)
    keys = [name for name in jobs[required].table_key if name in row] if "requires" in block else columns[:-1]
    if keys:
        yield _is_in(trial.case, required, keys, row), f"{', '.join(keys)} is in {required}"


def _is_in(case: Case, table: str, columns: Sequence[str], row: Row) -> bool:
    return any(all(known.get(name) == row.get(name) for name in columns) for known in case.baseline.get(table, ()))
