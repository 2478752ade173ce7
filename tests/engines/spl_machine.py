"""Runs the part of SPL that keytrip writes, as Splunk's documentation describes it: no Splunk, but a second reading.

It is strict where the documentation is silent: NOT over null, a null in max() or min(), an assigned fraction that
Splunk would round (outside of exact()) are errors, so that a query which needs luck fails here.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, TypeAlias
from urllib.parse import unquote

Row: TypeAlias = dict[str, Any]
Parsed: TypeAlias = Any
Meaning: TypeAlias = Callable[[Row], Any]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|'(?P<quoted>[^']+)'|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)"""
    r"""|(?P<sign>!=|<=|>=|[-+*/%.<>=(),]))"""
)
# loosest first; `where` and `eval` bind NOT tighter than AND, AND tighter than OR
_LEVELS = (("OR",), ("AND",), ("=", "!=", "<", "<=", ">", ">="), ("+", "-", "."), ("*", "/", "%"))
_COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TSTATS = re.compile(r"tstats (.+) from datamodel=keytrip\.(\w+) by (.+) span=(\d+)s")
# Splunk cuts time into slices by the user's zone: this one is as odd as there are.
_ZONE = 20700
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "%": operator.mod, "/": operator.truediv}
_NUMERIC = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


class Unknown:
    """A result that the documentation does not settle; it may meet false in an AND, and nothing else."""


UNKNOWN = Unknown()


def run(
    spl: str, events: Iterable[Row], lookups: Mapping[str, Sequence[Row]], info: Mapping[str, float] | None = None
) -> list[Row]:
    """Return the rows of a compiled query over events (with `_time`) and lookup tables.

    Args:
        spl: The query.
        events: All of them; those within the range of `info` are read.
        lookups: By name; `outputlookup` writes to them.
        info: `now`, when the search began, and its range, `info_min_time` and `info_max_time`.
    """
    body = re.sub(r"```.*?```", "", spl, flags=re.DOTALL).strip()
    if info is not None:
        # one value for a whole search: when it began (Search Reference, date and time functions)
        body = body.replace("now()", f"{info['now']}")
        events = (e for e in events if info["info_min_time"] <= e["_time"] < info["info_max_time"])
    search, *commands = _split(body, "|")
    if not search and commands[0].strip().startswith("inputlookup "):
        rows = []
    elif not search:
        rows = tstats(commands.pop(0).strip(), events)
    else:
        asked, rest = _searched(re.findall(_SEARCH_WORD, search))
        assert not rest, f"cannot read {search!r}"
        rows = [dict(event) for event in events if met(asked, event)]
    for command in commands:
        name, _, rest = command.strip().partition(" ")
        if name == "addinfo":
            # the search's own range, in each row (Search Reference, addinfo)
            rows = [{**row, **{k: v for k, v in (info or {}).items() if k != "now"}} for row in rows]
            continue
        rows = _COMMANDS[name](rows, rest.strip(), lookups)
    return rows


def indexed(envelopes: Iterable[Row]) -> list[Row]:
    """Return events as the HTTP Event Collector keeps them; their texts are escaped and spaced differently."""
    found = []
    for number, envelope in enumerate(envelopes):
        dense, ascii_only = number % 2 == 0, number % 3 == 0
        text = json.dumps(envelope["event"], ensure_ascii=ascii_only, separators=(",", ":") if dense else None)
        metadata = {"_time": envelope["time"], "sourcetype": envelope["sourcetype"], "_raw": text}
        found.append({**envelope["event"], **metadata})
    return found


def _split(text: str, mark: str) -> list[str]:
    """Split where `mark` stands in no text and no parentheses."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|.', text, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if match[0] == mark and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


# -- the search before the first pipe ----------------------------------------------------------------------------------

# Default of MAJOR in segmenters.conf (Admin Manual). Of the terms of an event only those between major breakers are
# taken here: Splunk's index holds parts of them too, so that it can only find more.
_MAJOR = re.compile(r"""[\]\[<>(){}|!;,'"*\n\r\s\t&?+]|%(?:21|26|2526|3B|7C|20|2B|3D|2520|5D|5B|3A|0A|2C|28|29)|--""")
_SEARCH_WORD = re.compile(r'TERM\([^()\s]+\)|\w+=(?:"[^"]*"|\w+)|OR|[()]|\S+')


def _searched(words: list[str]) -> tuple[Parsed, list[str]]:
    """Parse words that all have to hold: OR binds tighter than the AND between words (Search Manual)."""
    parts: list[Parsed] = []
    while words and words[0] != ")":
        part, words = _search_part(words)
        either = [part]
        while words[:1] == ["OR"]:
            part, words = _search_part(words[1:])
            either.append(part)
        parts.append(("any", either) if len(either) > 1 else either[0])
    return ("all", parts), words


def _search_part(words: list[str]) -> tuple[Parsed, list[str]]:
    first, *rest = words
    if first == "(":
        inner, rest = _searched(rest)
        assert rest[:1] == [")"], f"a parenthesis is open before {rest}"
        return inner, rest[1:]
    if first.startswith("TERM("):
        return ("term", first[5:-1]), rest
    name, sign, wanted = first.partition("=")
    assert sign, f"a bare word {first!r}"
    return ("equals", name, wanted.strip('"')), rest


def met(asked: Parsed, event: Row) -> bool:
    """Whether an event meets a search; `TERM` is a whole term of `_raw` without regard to case (Search Manual)."""
    match asked:
        case ("all", parts):
            return all(met(part, event) for part in parts)
        case ("any", parts):
            return any(met(part, event) for part in parts)
        case ("term", term):
            return term.lower() in {found.lower() for found in _MAJOR.split(event["_raw"])}
        case ("equals", name, wanted):
            # an event without `index` is of the one that was filled
            return bool(event.get(name, wanted) == wanted)
    raise AssertionError(asked)


# -- expressions: parsed to tuples, then evaluated -------------------------------------------------------------------


def parse(text: str) -> Parsed:
    """Return the tree of an expression."""
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        assert match, f"cannot read {text[at:]!r}"
        tokens.append((match.lastgroup or "", match[match.lastgroup or 0]))
        at = match.end()
    tree, rest = _binary(tokens, 0)
    assert not rest, f"cannot read behind {text!r}: {rest}"
    return tree


def _binary(tokens: list[tuple[str, str]], level: int) -> tuple[Parsed, list[tuple[str, str]]]:
    if level == len(_LEVELS):
        return _unary(tokens)
    tree, tokens = _binary(tokens, level + 1)
    while tokens and tokens[0][1] in _LEVELS[level] and tokens[0][0] in {"sign", "name"}:
        sign = tokens[0][1]
        right, tokens = _binary(tokens[1:], level + 1)
        tree = ("binary", sign, tree, right)
    return tree, tokens


def _unary(tokens: list[tuple[str, str]]) -> tuple[Parsed, list[tuple[str, str]]]:
    (kind, word), rest = tokens[0], tokens[1:]
    match kind, word:
        case "name", "NOT":
            inner, rest = _unary(rest)
            return ("not", inner), rest
        case "sign", "-":
            inner, rest = _unary(rest)
            return ("binary", "-", ("value", 0), inner), rest
        case "sign", "(":
            inner, rest = _binary(rest, 0)
            return inner, _past(rest, ")")
        case "text", _:
            return ("value", re.sub(r'\\(["\\])', r"\1", word[1:-1])), rest
        case "number", _:
            return ("value", float(word) if "." in word else int(word)), rest
    called = kind == "name" and rest[:1] == [("sign", "(")]
    return _call(word, rest[1:]) if called else (("field", word), rest)


def _past(tokens: list[tuple[str, str]], sign: str) -> list[tuple[str, str]]:
    assert tokens[:1] == [("sign", sign)], f"{sign} expected before {tokens}"
    return tokens[1:]


def _call(name: str, tokens: list[tuple[str, str]]) -> tuple[Parsed, list[tuple[str, str]]]:
    arguments: list[Parsed] = []
    while tokens[0] != ("sign", ")"):
        tree, tokens = _binary(tokens, 0)
        arguments.append(tree)
        tokens = tokens[1:] if tokens[0] == ("sign", ",") else tokens
    return ("call", name, arguments), tokens[1:]


def meaning(tree: Parsed) -> Meaning:
    """Return what gives a tree's value over a row; null is None."""
    match tree:
        case ("value", constant):
            return lambda _: constant
        case ("field", name):
            return lambda row: row.get(name)
        case ("not", inner):
            return _denied(meaning(inner))
        case ("binary", "AND" | "OR" as sign, left, right):
            return _joined(_both, sign == "OR", meaning(left), meaning(right))
        case ("binary", sign, left, right):
            return _joined(_operate, sign, meaning(left), meaning(right))
        case ("call", "if", [test, then, otherwise]):
            return _chosen(meaning(test), meaning(then), meaning(otherwise))
        case ("call", name, arguments):
            return _called(_FUNCTIONS[name], [meaning(argument) for argument in arguments])
    raise AssertionError(tree)


def _denied(inner: Meaning) -> Meaning:
    def denied(row: Row) -> bool:
        found = inner(row)
        assert isinstance(found, bool), f"NOT over {found!r}: undocumented"
        return not found

    return denied


def _joined(join: Callable[[Any, Any, Any], Any], by: Any, left: Meaning, right: Meaning) -> Meaning:
    return lambda row: join(by, left(row), right(row))


def _chosen(test: Meaning, then: Meaning, otherwise: Meaning) -> Meaning:
    def chosen(row: Row) -> Any:
        found = test(row)
        assert not isinstance(found, Unknown), "if() over what is not settled"
        return then(row) if found is True else otherwise(row)

    return chosen


def _called(function: Callable[..., Any], arguments: Sequence[Meaning]) -> Meaning:
    def called(row: Row) -> Any:
        given = [argument(row) for argument in arguments]
        return UNKNOWN if UNKNOWN in given else function(*given)

    return called


def _both(deciding: Any, left: Any, right: Any) -> Any:
    if left is deciding or right is deciding:
        return deciding
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    return None if left is None or right is None else not deciding


def _number(found: Any) -> float | None:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    return float(found) if isinstance(found, str) and _NUMERIC.fullmatch(found) else None


def text_of(found: Any) -> str:
    """Return a value as text: whole numbers without a fraction."""
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found)


def _operate(sign: str, left: Any, right: Any) -> Any:
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if left is None or right is None:
        return None
    if sign == ".":
        return text_of(left) + text_of(right)
    numbers = _number(left), _number(right)
    if sign in _COMPARE:
        # two texts that look like numbers are compared as numbers
        return _COMPARE[sign](*numbers if None not in numbers else (text_of(left), text_of(right)))
    assert numbers[0] is not None, f"arithmetic on {left!r}"
    assert numbers[1] is not None, f"arithmetic on {right!r}"
    return _arithmetic(sign, numbers[0], numbers[1])


def _arithmetic(sign: str, left: float, right: float) -> float | None:
    if sign in "/%" and right == 0:
        return None
    return _ARITHMETIC[sign](left, right)


def _extreme(pick: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        return UNKNOWN if None in values else pick(*values)

    return extreme


def _on_text(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda found, *rest: None if found is None or None in rest else function(text_of(found), *rest)


def _cidr(network: str, address: Any) -> bool | None:
    try:
        return None if address is None else ip_address(address) in ip_network(network)
    except ValueError:
        return None


def _match(text: str, pattern: str) -> bool:
    return re.search(pattern.replace("\\z", "\\Z"), text) is not None


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "isnull": lambda found: found is None,
    "isnotnull": lambda found: found is not None,
    "null": lambda: None,
    "lower": _on_text(str.lower),
    "len": _on_text(len),
    "tostring": _on_text(str),
    "match": _on_text(_match),
    "substr": _on_text(lambda text, start, *size: text[start - 1 :][: size[0] if size else None]),
    "split": _on_text(lambda text, by: text.split(by) if by else list(text)),
    "replace": _on_text(lambda text, pattern, by: re.sub(pattern.replace("\\z", "\\Z"), by, text)),
    # null arguments add nothing (Search Reference, multivalue eval functions)
    "mvappend": lambda *found: [one for one in found if one is not None] or None,
    "mvcount": lambda found: None if found is None else len(found),
    "tonumber": _number,
    "floor": lambda found: None if found is None else math.floor(found),
    "ceiling": lambda found: None if found is None else math.ceil(found),
    "abs": lambda found: None if found is None else abs(found),
    "round": lambda found, places: None if found is None else round(found, places),
    "exact": lambda found: found,
    "max": _extreme(max),
    "min": _extreme(min),
    "cidrmatch": _cidr,
    "sqrt": lambda found: None if found is None else math.sqrt(found),
    # percent signs and two digits become characters; digests are in hexadecimal (Search Reference)
    "urldecode": _on_text(unquote),
    "sha256": _on_text(lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()),
    # of its arguments the first that is not null (Search Reference, conditional functions)
    "coalesce": lambda *found: next((one for one in found if one is not None), None),
}


# -- commands --------------------------------------------------------------------------------------------------------


def _where(rows: list[Row], text: str, _: object) -> list[Row]:
    met_by = meaning(parse(text))
    kept = []
    for row in rows:
        found = met_by(row)
        assert not isinstance(found, Unknown), f"where {text} over {row} is not settled"
        kept += [row] if found is True else []
    return kept


def _eval(rows: list[Row], text: str, _: object) -> list[Row]:
    for assignment in _split(text, ","):
        name, _, expression = assignment.partition("=")
        tree, name = parse(expression), name.strip()
        given = meaning(tree)
        for row in rows:
            found = row[name] = given(row)
            rounded = tree[0] == "binary" and isinstance(found, float) and not found.is_integer()
            assert not rounded, f"{assignment} would be rounded"
    return rows


def _grouped(rows: Iterable[Row], by: Sequence[str]) -> dict[tuple[str, ...], list[Row]]:
    """Rows with a null by-field vanish; groups are told apart as texts."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        if all(row.get(name) is not None for name in by):
            groups.setdefault(tuple(text_of(row[name]) for name in by), []).append(row)
    return groups


def _aggregate(function: str, field: str, rows: Sequence[Row]) -> Any:
    if function == "count" and not field:
        return len(rows)
    values = [row[field] for row in rows if row.get(field) is not None]
    if function in {"count", "dc"}:
        return len(values) if function == "count" else len({text_of(v) for v in values})
    numbers = [number for v in values if (number := _number(v)) is not None]
    if not numbers:
        return None
    average = math.fsum(numbers) / len(numbers)
    return {"sum": math.fsum(numbers), "avg": average, "min": min(numbers), "max": max(numbers)}[function]


def tstats(command: str, events: Iterable[Row]) -> list[Row]:
    """Count what an accelerated data model holds, its fields named `dataset.field` (Search Reference, tstats).

    A row without a field of BY is left out, as `stats` does; the time is a slice's start.
    """
    match = _TSTATS.fullmatch(command)
    assert match, command
    aggregates, dataset, by, span = match[1], match[2], match[3], int(match[4])
    rows = []
    for event in events:
        if event["sourcetype"] == f"keytrip:{dataset}":
            fields = {f"{dataset}.{name}": found for name, found in event.items()}
            start = (event["_time"] + _ZONE) // span * span - _ZONE
            rows.append({**fields, f"{dataset}.event_time": event["_time"], "_time": start})
    return _stats(rows, f"{aggregates} by {by}", None)


def _parts(text: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    aggregates, _, by = text.partition(" by ")
    found = re.findall(r"(\w+)(?:\(([\w.]+)\))? as (\w+)", aggregates)
    assert " ".join(f"{f}({x}) as {n}" if x else f"{f} as {n}" for f, x, n in found) == aggregates.strip()
    return found, by.split()


def _stats(rows: list[Row], text: str, _: object) -> list[Row]:
    aggregates, by = _parts(text)
    return [
        {name: group[0][name] for name in by} | {name: _aggregate(f, x, group) for f, x, name in aggregates}
        for group in _grouped(rows, by).values()
    ]


def _eventstats(rows: list[Row], text: str, _: object) -> list[Row]:
    aggregates, by = _parts(text)
    for group in _grouped(rows, by).values():
        found = {name: _aggregate(function, field, group) for function, field, name in aggregates}
        for row in group:
            row.update(found)
    return rows


def _streamstats(rows: list[Row], text: str, _: object) -> list[Row]:
    """Running values in the order of the rows; `current=f` leaves out the row itself (Search Reference, streamstats).

    Windows are not read: `window` and `time_window` are capped by limits.conf.
    """
    before = text.startswith("current=f ")
    aggregates, by = _parts(text.removeprefix("current=f "))
    for group in _grouped(rows, by).values():
        seen = [dict(row) for row in group]
        for place, row in enumerate(group, 0 if before else 1):
            row.update({name: _aggregate(f, x, seen[:place]) for f, x, name in aggregates})
    return rows


def _fields(rows: list[Row], text: str, _: object) -> list[Row]:
    """Keep fields, and with them `_time` and `_raw`, unless `-` names what goes (Search Reference, fields)."""
    if text.startswith("- "):
        return [{name: found for name, found in row.items() if name not in text.split()} for row in rows]
    kept = {*text.split(), "_time", "_raw"}
    return [{name: found for name, found in row.items() if name in kept} for row in rows]


def _mvexpand(rows: list[Row], text: str, _: object) -> list[Row]:
    """One row for each value (Search Reference, mvexpand); a row without any is not documented to stay."""
    for row in rows:
        assert isinstance(row[text], list), f"mvexpand {text} over {row}"
    return [{**row, text: one} for row in rows for one in row[text]]


def _sort(rows: list[Row], text: str, _: object) -> list[Row]:
    match = re.fullmatch(r"0 num\((\w+)\)", text)
    assert match, f"sort {text}: without 0 it keeps 10,000 rows"
    return sorted(rows, key=lambda row: math.inf if row.get(match[1]) is None else row[match[1]])


def _lookup(rows: list[Row], text: str, lookups: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Several matches give a list; a null never matches."""
    inputs, _, outputs = text.partition(" OUTPUT ")
    table, *fields = inputs.split()
    index: dict[tuple[str, ...], list[Row]] = _grouped(lookups[table], fields)
    for row in rows:
        found = [] if any(row.get(f) is None for f in fields) else index.get(tuple(text_of(row[f]) for f in fields), [])
        for column, name in re.findall(r"(\w+) as (\w+)", outputs):
            values = [match[column] for match in found if match.get(column) is not None]
            row[name] = None if not values else values[0] if len(values) == 1 else values
    return rows


def _inputlookup(rows: list[Row], text: str, lookups: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Rows of a lookup; `append=true` adds them to those that are there (Search Reference, inputlookup)."""
    name = text.removeprefix("append=true ")
    assert rows == [] or name != text, f"inputlookup {text} would drop rows"
    # what a KV store collection has of a row: no nulls, and its key under `_key`
    return [*rows, *({k: v for k, v in row.items() if k != "_key"} for row in lookups[name])]


def _outputlookup(rows: list[Row], text: str, lookups: Mapping[str, Sequence[Row]]) -> list[Row]:
    """With `append=true` and `key_field` rows take the place of those of their key (Search Reference, outputlookup).

    Only so: without them all that is there would go first.
    """
    options = "append=true override_if_empty=false key_field=_key "
    assert text.startswith(options), f"outputlookup {text}"
    table = lookups[text.removeprefix(options)]
    assert isinstance(table, list)
    kept = {row["_key"]: row for row in table}
    for row in rows:
        kept[row["_key"]] = {name: found for name, found in row.items() if found is not None}
    table[:] = kept.values()
    return rows


def _table(rows: list[Row], text: str, _: object) -> list[Row]:
    return [{name: row.get(name) for name in text.split()} for row in rows]


_COMMANDS: dict[str, Callable[[list[Row], str, Any], list[Row]]] = {
    "where": _where,
    "eval": _eval,
    "stats": _stats,
    "eventstats": _eventstats,
    "streamstats": _streamstats,
    "sort": _sort,
    "fields": _fields,
    "mvexpand": _mvexpand,
    "lookup": _lookup,
    "table": _table,
    "inputlookup": _inputlookup,
    "outputlookup": _outputlookup,
}
