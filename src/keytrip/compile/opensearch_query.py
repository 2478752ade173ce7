"""A counting correlation as a composite aggregation: one bucket a group and window, those that do not count left out.

Distinct values, medians and percentiles are scripted metrics: `cardinality` and `percentiles` are approximate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keytrip.compile.leaves import Named
from keytrip.compile.opensearch_conditions import DERIVED, Json, script
from keytrip.compile.plan import Plan

if TYPE_CHECKING:
    from keytrip.compile.elastic import ElasticBackend

ROWS = 10_000
_SIGNS = {"=": "==", "<>": "!="}
_SIMPLE = {"value_sum": "sum", "value_avg": "avg"}
_ALL = "List all = new ArrayList(); for (found in states) { if (found != null) { all.addAll(found) } }"
_DISTINCT = "Set all = new HashSet(); for (found in states) { if (found != null) { all.addAll(found) } }"
# SEMANTICS section 3: linear between the closest ranks.
_RANKED = (
    " if (all.isEmpty()) { return 0.0 } Collections.sort(all); double place = params.part / 100.0 * (all.size() - 1);"
    " int low = (int) Math.floor(place); int high = (int) Math.ceil(place);"
    " return all[low] + (place - low) * (all[high] - all[low])"
)


def value_source(backend: ElasticBackend, of: Named) -> Json:
    """Return where an aggregation reads a canonical field: from the index, or from a script."""
    return {"script": script(DERIVED[of.name])} if of.name in DERIVED else {"field": backend.stored(of)}


def aggregation(plan: Plan, sources: Mapping[str, Json]) -> Json:
    """Return the aggregation of a counting correlation.

    Args:
        plan: What the rule means, without baseline blocks.
        sources: Canonical name -> where its values are, for group fields and counted fields.
    """
    keys = [{name: {"terms": _key(name, sources[name])}} for name in plan.group_by]
    windows = {"field": "@timestamp", "fixed_interval": f"{plan.seconds}s", "offset": f"{plan.offset}s"}
    keys.append({"window_start": {"date_histogram": windows}})
    return {
        "meta": {"rule": plan.rule, "level": plan.level, "window_seconds": plan.seconds},
        "composite": {"size": ROWS, "sources": keys},
        "aggs": {
            "first_seen": {"min": {"field": "@timestamp"}},
            "last_seen": {"max": {"field": "@timestamp"}},
            **_value(plan, [sources[name] for name in plan.fields]),
            "condition": _condition(plan),
        },
    }


def _key(name: str, source: Json) -> Json:
    """Return a group's source; what a script gives is text, unless one says what it is."""
    return {**source, "value_type": "long"} if "script" in source and name != "day" else source


def _value(plan: Plan, fields: list[Json]) -> Json:
    """Return the aggregations that make the value, and of how many values where nulls do not count."""
    if plan.type == "event_count":
        return {}
    if plan.type == "value_count":
        return {"value": {"scripted_metric": _distinct(fields)}}
    found: Json = {"values": {"value_count": fields[0]}}
    if plan.type not in _SIMPLE:
        return found | {"value": {"scripted_metric": _ranked(plan, fields[0])}}
    if not plan.cost_sum:
        return found | {"value": {_SIMPLE[plan.type]: fields[0]}}
    rounded = {"buckets_path": {"sum": "sum"}, "script": script("Math.round(params.sum * 1e9) / 1e9")}
    return found | {"sum": {"sum": fields[0]}, "value": {"bucket_script": rounded}}


def _condition(plan: Plan) -> Json:
    sign = _SIGNS.get(plan.threshold.operator, plan.threshold.operator)
    paths = {"value": {"event_count": "_count"}.get(plan.type, "value")}
    if plan.type not in {"event_count", *_SIMPLE}:
        paths["value"] = "value.value"
    test = f"params.value {sign} params.limit"
    if plan.type not in {"event_count", "value_count"}:
        paths["values"] = "values"
        test = f"params.values > 0 && {test}"
    return {"bucket_selector": {"buckets_path": paths, "script": script(test, limit=float(plan.threshold.number))}}


def _distinct(fields: list[Json]) -> Json:
    absent = " || ".join(f"doc['{field['field']}'].size() == 0" for field in fields if "field" in field)
    skip = f"if ({absent}) {{ return }} " if absent else ""
    values = ", ".join(_read(field) for field in fields)
    return {
        "init_script": "state.seen = new HashSet()",
        "map_script": f"{skip}state.seen.add([{values}])",
        "combine_script": "return new ArrayList(state.seen)",
        "reduce_script": f"{_DISTINCT} return all.size()",
    }


def _ranked(plan: Plan, field: Json) -> Json:
    part = 50 if plan.type == "value_median" else plan.percentile
    skip = f"if (doc['{field['field']}'].size() == 0) {{ return }} " if "field" in field else ""
    metric: dict[str, Any] = {
        "init_script": "state.values = []",
        "map_script": f"{skip}state.values.add((double) {_read(field)})",
        "combine_script": "return state.values",
        "reduce_script": _ALL + _RANKED,
        "params": {"part": part},
    }
    return metric


def _read(field: Json) -> str:
    return f"doc['{field['field']}'].value" if "field" in field else str(field["script"]["source"])
