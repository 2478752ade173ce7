"""Leaves as OpenSearch's query DSL; what an index cannot be asked for is a script over doc values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from keytrip.compile.dialects import to_lucene
from keytrip.compile.elastic import has_case, lucene_wildcards, short_enough
from keytrip.compile.leaves import (
    Absent,
    Compares,
    Equals,
    Leaf,
    Like,
    Matches,
    Named,
    Never,
    Present,
    SameAs,
    Within,
)
from keytrip.compile.times import hour_of_day, hour_of_week

if TYPE_CHECKING:
    from keytrip.compile.elastic import ElasticBackend

Json: TypeAlias = dict[str, Any]

_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SIGNS = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_HOURS = "(doc['@timestamp'].value.toInstant().toEpochMilli() / 3600000L)"
# Fields of time, which the layout does not hold, in Painless; doc values of a date are in UTC.
DERIVED = {
    "hour_of_day": hour_of_day(_HOURS),
    "hour_of_week": hour_of_week(_HOURS),
    "day": "doc['@timestamp'].value.toLocalDate().toString()",
}
_PARTS = {"start": "startsWith", "end": "endsWith", "anywhere": "contains", "whole": "equals"}


def any_of(queries: list[Json]) -> Json:
    """Return the query that one of `queries` matches."""
    return queries[0] if len(queries) == 1 else {"bool": {"should": queries, "minimum_should_match": 1}}


def all_of(queries: list[Json]) -> Json:
    """Return the query that all of `queries` match."""
    return {"bool": {"filter": queries}}


def none_of(queries: list[Json]) -> Json:
    """Return the query that none of `queries` matches."""
    return {"bool": {"must_not": queries}}


def script(source: str, **params: object) -> Json:
    """Return a script; numbers and texts are parameters, so that OpenSearch compiles it once."""
    return {"lang": "painless", "source": source, **({"params": params} if params else {})}


def dsl_condition(leaf: Leaf, backend: ElasticBackend) -> Json:
    """Return the query of a leaf.

    Raises:
        ContentError: Query DSL cannot say it.
    """
    match leaf:
        case Never():
            return {"match_none": {}}
        case Present(of) | Absent(of):
            found = {"exists": {"field": backend.stored(of) if of.field.shipped else "@timestamp"}}
            return found if isinstance(leaf, Present) else none_of([found])
        case Compares():
            return _comparison(leaf, backend)
        case Within():
            return _within(leaf, backend)
        case SameAs():
            return _same(leaf, backend)
    return _text_test(leaf, backend)


def _text_test(leaf: Equals | Like | Matches, backend: ElasticBackend) -> Json:
    if isinstance(leaf, Equals) and leaf.of.name in DERIVED:
        return _scripted(f"{DERIVED[leaf.of.name]} == params.text", text=leaf.text)
    name = backend.text_field(leaf.of)
    match leaf:
        case Equals(_, text, cased) if cased or not has_case(text):
            return {"term": {name: {"value": text}}}
        case Equals(_, text, _):
            return _regexp(name, lucene_wildcards((text,), cased=False))
        case Like(_, parts, cased):
            return _regexp(name, lucene_wildcards(parts, cased=cased))
        case Matches(_, regex):
            return _regexp(name, short_enough(to_lucene(regex)))


def _regexp(name: str, pattern: str) -> Json:
    return {"regexp": {name: {"value": pattern}}}


def _scripted(source: str, **params: object) -> Json:
    return {"script": {"script": script(source, **params)}}


def _comparison(leaf: Compares, backend: ElasticBackend) -> Json:
    if leaf.of.name in DERIVED:
        # a double holds every hour, and a number with a fraction
        source = f"(double) {DERIVED[leaf.of.name]} {_SIGNS[leaf.operator]} params.number"
        return _scripted(source, number=float(leaf.number))
    name = backend.stored(leaf.of)
    if leaf.operator == "=":
        return {"term": {name: {"value": leaf.number}}}
    return {"range": {name: {_RANGES[leaf.operator]: leaf.number}}}


def _within(leaf: Within, backend: ElasticBackend) -> Json:
    address, text = backend.within(leaf)
    test: Json = {"term": {address: {"value": str(leaf.network)}}}
    return test if text is None else all_of([test, _regexp(text, ".*:.*")])


def _same(leaf: SameAs, backend: ElasticBackend) -> Json:
    names = [backend.stored(of) for of in (leaf.of, leaf.other) if of.field.shipped]
    present = [f"doc['{_quoted(name)}'].size() > 0" for name in names]
    of, other = (_value(of, backend) for of in (leaf.of, leaf.other))
    if leaf.numeric:
        # two integers as they are: a double has not all of their digits
        exact = {leaf.of.field.type, leaf.other.field.type} == {"int"}
        test = f"{of} == {other}" if exact else f"(double) {of} == (double) {other}"
    elif leaf.of.field.type == "timestamp":
        test = f"{of}.toInstant().equals({other}.toInstant())"
    else:
        fold = "" if leaf.cased else ".toLowerCase()"
        left, right = (f"String.valueOf({text}){fold}" for text in (of, other))
        test = f"{left}.{_PARTS[leaf.part]}({right})"
    return _scripted(" && ".join([*present, test]))


def _value(of: Named, backend: ElasticBackend) -> str:
    return DERIVED.get(of.name) or f"doc['{_quoted(backend.stored(of))}'].value"


def _quoted(name: str) -> str:
    """A field's name in a script's text: a user's pipeline gives it."""
    return name.replace("\\", "\\\\").replace("'", "\\'")
