"""Records, baselines and rules made up at random or to be awkward: nulls, borders of windows, quotes, other scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from engines.worlds import World

from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

# a Monday; DuckDB's timestamps are naive and UTC
START = datetime(2026, 3, 30)  # noqa: DTZ001
KEYS = ("k1", "K1", "k2", "k3", "k4", "k5", "k6", "ключ", "a b", 'q"uote', "back\\slash", "1000", "1e3", None)
MODELS = (
    "gpt-4o",
    "GPT-4o",
    "gpt-4o-2024-08-06",
    'a"b',
    'a"bc',
    "a\\b",
    "a*b?c",
    "axbyc",
    "",
    "ÄÖ-größe",
    "äö-GRÖSSE",
    "line\nbreak",
    "日本語",
    "5",
    "5.0",
    " gpt-4o",
    "`tick` $x$ [s] |",
    None,
)
ADDRESSES = (
    "10.0.0.1",
    "10.0.0.255",
    "192.0.2.7",
    "2001:db8::1",
    "::1",
    "::ffff:10.0.0.9",
    "host-1",
    "10.0.0.1:80",
    None,
)
AGENTS = ("curl/8.5.0", "OpenAI/Python 1.3", "python-requests/2.31", "TruffleHog", "x", None)
STATUSES = (200, 200, 201, 400, 401, 429, 500, None)


def invented_world(seed: int, size: int = 400) -> World:
    """Return a world of random records over three weeks, with random baselines over the same names."""
    random = Random(seed)  # noqa: S311 - test data
    world = World()
    world.add_records("usage", (_record(random, number) for number in range(size)))
    for key in KEYS[:-1]:
        if random.random() < 0.8:
            _learn(world, random, key)
    return world


def _record(random: Random, number: int) -> dict[str, object]:
    seconds = random.choice((0, 86399.999999, 3600, 7200.000001, random.uniform(0, 86400)))
    model = random.choice(MODELS)
    return {
        "timestamp": START + timedelta(days=random.randrange(21), seconds=seconds),
        "request_id": f"r{number}",
        "key_id": random.choice(KEYS),
        "provider": random.choice(("openai", "anthropic", None)),
        "project": random.choice(("p1", "p2", None)),
        "model": model,
        "model_raw": random.choice((model, "gpt", "o", "", "5.0", "5", None)),
        "source_ip": random.choice(ADDRESSES),
        "user_agent": random.choice(AGENTS),
        "status_code": random.choice(STATUSES),
        "input_tokens": random.choice((0, 1, 17, 1_000_000, None)),
        "output_tokens": random.choice((0, 1, 17, 250, None)),
        "cost_usd": random.choice((0.0, 0.000001, 0.1, 0.2, 1.7, 33.333333, None)),
        "list_price": random.choice((0.5, 2.5, 15.0, None)),
        "request_count": random.choice((1, 1, 1, 40)),
        "bucket_seconds": random.choice((None, None, 60, 3600, 86400)),
    }


def _learn(world: World, random: Random, key: str) -> None:
    known = {"first_seen": START, "last_seen": START, "days": random.randrange(1, 30), "events": random.randrange(1000)}
    world.add_rows("keys", [{"key_id": key, **known}])
    for table in ("key_requests_daily", "key_cost_daily", "key_tokens_daily"):
        names = ("mean", "stddev", "max", "median", "mad")
        statistics = {name: random.choice((0.0, 0.0, 0.5, 3.25, 40.0, None)) for name in names}
        if random.random() < 0.9:
            world.add_rows(table, [{"key_id": key, **statistics, "days": random.randrange(1, 30)}])
    for model in MODELS[:-1]:
        if model and random.random() < 0.5:
            world.add_rows("key_models", [{"key_id": key, "model": model, **known}])
    for table, column, count in (("key_active_hours", "hour_of_day", 24), ("key_hours_of_week", "hour_of_week", 168)):
        hours = random.sample(range(count), random.choice((0, count // 2)))
        world.add_rows(table, [{"key_id": key, column: hour, "events": 5, "share": 0.1} for hour in hours])


def _document(data: Mapping[str, Any]) -> Document:
    common = {"title": "Made", "id": str(uuid5(NAMESPACE_URL, str(data["name"]))), "status": "test", "level": "high"}
    return Document({**common, **data}, Path("made.yml"), 1)


TESTS: tuple[dict[str, Any], ...] = (
    {"model": "gpt-4O"},
    {"model": ["gpt-4o", "5", 5, ""]},
    {"model|cased": "gpt-4o"},
    {"model": "gpt-4o*"},
    {"model|cased": "GPT*"},
    {"model|contains": "a*b"},
    {"model": "a\\*b\\?c"},
    {"model": "a*b?c"},
    {"model": "*"},
    {"model": "?"},
    {"model": "line?break"},
    {"model": "line*"},
    {"model|contains": "ÖSS"},
    {"model|startswith": "äÖ"},
    {"model|endswith": "größe"},
    {"model": 'a"b'},
    {"model": "a\\b"},
    {"model|contains": "`tick` $x$ [s] |"},
    {"model": None},
    {"model|exists": True},
    {"model|exists": False},
    {"model|neq": "gpt-4o"},
    {"model|contains|all": ["gpt", "4"]},
    {"model|re": "^gpt-4o(-[0-9]{4})?"},
    {"model|re": "4o$"},
    {"model|re|i": "GPT"},
    {"model|re|i": "ö-g"},
    {"model|re": "e.b"},
    {"model|re|s": "e.b"},
    {"model|re|m": "^break$"},
    {"model|re": r"\d|^$"},
    {"model|re": r"^\w+-[^a-z\d]"},
    {"model|re": r"[\"\\]"},
    {"model|re": "#|@|&|~|<|x"},
    {"source_ip|cidr": "10.0.0.0/24"},
    {"source_ip|cidr": ["2001:db8::/32", "::/0"]},
    {"source_ip|cidr": "::ffff:0:0/96"},
    {"source_ip|cidr": "0.0.0.0/0"},
    {"source_net": "10.0.0.0/24"},
    {"agent_family": ["curl", "trufflehog"]},
    {"model_family|contains": "gpt-4o"},
    {"status_code": "4*"},
    {"status_code|endswith": "1"},
    {"status_code": [200, "401", "x", 5.5]},
    {"status_code|gte": 400},
    {"status_code|re": "^4.9"},
    {"cost_usd|gt": 0.1},
    {"cost_usd|lte": 1e-6},
    {"cost_usd": 0.2},
    {"cost_usd": "33.333333"},
    {"input_tokens|fieldref": "output_tokens"},
    {"input_tokens|fieldref|neq": "output_tokens"},
    {"model|fieldref": "model_raw"},
    {"model|fieldref|startswith": "model_raw"},
    {"model|fieldref|endswith": "model_raw"},
    {"model|fieldref|contains": "model_raw"},
    {"model|fieldref": "status_code"},
    {"hour_of_day": [0, 1, 23]},
    {"hour_of_week|lt": 24},
    {"day": "2026-04-0*"},
    {"total_tokens|gt": 17},
    {"timestamp|exists": True},
    {"model|base64offset|contains": "x"},
    {"user_agent|windash|contains": "-requests"},
)


def _plain(name: str, detection: Mapping[str, Any], **logsource: str) -> Document:
    return _document({"name": name, "logsource": {"category": "ai_usage", **logsource}, "detection": detection})


def plain_rules() -> Iterator[Document]:
    """Yield each test as a rule, its negation, and mixtures of two."""
    for number, test in enumerate(TESTS):
        other = TESTS[(number * 7 + 3) % len(TESTS)]
        yield _plain(f"is_{number}", {"a": test, "condition": "a"})
        yield _plain(f"not_{number}", {"a": test, "condition": "not a"})
        mixed = "not (a and not b) or (b and not (a or b))"
        yield _plain(f"mixed_{number}", {"a": test, "b": other, "condition": mixed})
    for product in ("openai", "OpenAI"):
        either = {"a": {"model": "gpt*"}, "b": {"status_code": 200}, "condition": "a or b"}
        yield _plain(f"of_{product}", either, product=product)


BASES = (
    _plain("base", {"a": {"request_count|gte": 1}, "condition": "a"}),
    _plain("other", {"a": {"model": "gpt*"}, "b": {"status_code|gte": 400}, "condition": "a or not b"}),
)
# A correlation with a baseline, whose alerts others count.
INNER = _document(
    {
        "name": "inner",
        "correlation": {
            "type": "value_sum",
            "rules": ["base"],
            "group-by": ["key_id", "model", "user_agent"],
            "timespan": "1d",
            "condition": {"field": "request_count", "gte": 1},
        },
        "baseline": {"table": "key_requests_daily", "exceeds": "mean / 4", "missing": "fire"},
    }
)
_SUM = {"type": "value_sum", "condition": {"field": "cost_usd", "gt": 0.3}}
_REQUESTS = {"type": "value_sum", "condition": {"field": "request_count", "gt": 0}}
_LOW = {"type": "value_percentile", "condition": {"field": "input_tokens", "gte": 0, "percentile": 7}}
_PER_MODEL = {"group-by": ["key_id", "model"]}
_HOURS = {"table": "key_active_hours", "on": ["key_id", "hour_of_day"], "absent": True}
_MEAN = {"table": "key_requests_daily", "exceeds": "mean"}
CORRELATIONS: tuple[tuple[dict[str, Any], Any], ...] = (
    ({}, None),
    ({"timespan": "90m"}, None),
    ({"timespan": "7d", "condition": {"gt": 3}}, None),
    ({"timespan": "1w", "condition": {"lt": 20}}, None),
    ({"timespan": "2w", "condition": {"neq": 3}}, None),
    ({"timespan": "30s", "condition": {"eq": 1}}, None),
    ({"group-by": None, "condition": {"gte": 8}}, None),
    ({"group-by": ["source_net", "agent_family"]}, None),
    ({"group-by": ["key_id", "hour_of_day"]}, None),
    ({"group-by": ["day", "hour_of_week"], "timespan": "1h"}, None),
    ({"group-by": ["status_code", "project"]}, None),
    ({"rules": ["other"]}, None),
    ({"rules": ["base", "other"], "condition": {"gte": 2}}, None),
    ({"type": "value_count", "condition": {"field": "model", "gte": 0}}, None),
    ({"type": "value_count", "condition": {"field": ["model", "status_code"], "gte": 2}}, None),
    ({"type": "value_count", "condition": {"field": "key_id", "gte": 1}, "group-by": None, "timespan": "1w"}, None),
    ({"type": "value_count", "condition": {"field": "hour_of_day", "gt": 1}}, None),
    (_SUM, None),
    ({**_SUM, "condition": {"field": "total_tokens", "gte": 0}}, None),
    ({**_SUM, "condition": {"field": "list_price", "lt": 1e9}}, None),
    ({"type": "value_avg", "condition": {"field": "output_tokens", "gte": 0}}, None),
    ({"type": "value_avg", "condition": {"field": "cost_usd", "gt": 0.05}}, None),
    ({"type": "value_median", "condition": {"field": "cost_usd", "gte": 0}}, None),
    ({"type": "value_median", "condition": {"field": "input_tokens", "gte": 0}, "timespan": "1w"}, None),
    ({"type": "value_percentile", "condition": {"field": "list_price", "gte": 0, "percentile": 90}}, None),
    ({**_LOW, "timespan": "3w"}, None),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "mean + 3 * stddev", "where": "stddev > 0"}),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "value / stddev - value / (mean - 0.5)"}),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "max(mean, 1 / stddev) - min(mad, max, 2) + abs(-median)"}),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "0", "where": "not (value / mean > 2) and not stddev == 0"}),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "-1", "where": "mean != mad or (not days < 9)"}),
    (_REQUESTS, {"table": "key_requests_daily", "exceeds": "mean", "where": "days >= 7", "missing": "fire"}),
    (_PER_MODEL, {"table": "key_models", "absent": True}),
    (_PER_MODEL, {"table": "key_models", "absent": True, "requires": "keys"}),
    ({}, {"table": "keys", "absent": True}),
    (_PER_MODEL, [{"table": "key_models", "absent": True}, {"table": "key_requests_daily", "exceeds": "mean + mad"}]),
    (_REQUESTS, [_MEAN, {"table": "key_cost_daily", "exceeds": "mean / 4", "missing": "fire"}]),
    ({}, {**_HOURS, "share": {"gt": 0.3}}),
    (_SUM, {**_HOURS, "share": {"lte": 0.5}, "requires": "keys"}),
    ({"type": "value_count", "condition": {"field": "model", "gte": 0}}, {**_HOURS, "share": {"gte": 0}}),
    ({"type": "value_avg", "condition": {"field": "cost_usd", "gte": 0}}, {**_HOURS, "share": {"gte": 0.1}}),
    ({"type": "value_median", "condition": {"field": "cost_usd", "gte": 0}}, {**_HOURS, "share": {"gte": 0.1}}),
    ({"timespan": "1w"}, {"table": "key_models", "absent": True, "share": {"gte": 0.2}}),
    ({}, {"table": "key_models", "on": ["key_id"], "absent": True, "share": {"gte": 0}}),
    (
        {"type": "value_count", "condition": {"field": "model", "gte": 0}, "timespan": "1w"},
        {"table": "key_models", "absent": True, "share": {"gte": 0.2}, "requires": "key_models"},
    ),
    (_REQUESTS, [{**_HOURS, "share": {"gt": 0.1}}, _MEAN]),
    ({"rules": ["inner"], "timespan": "1w"}, None),
    ({"rules": ["inner"], "group-by": ["key_id", "model_family"], "timespan": "36h"}, None),
    ({"rules": ["inner"], **_PER_MODEL}, {"table": "key_models", "absent": True, "requires": "keys"}),
    ({"rules": ["inner", "other"], "timespan": "1w", "condition": {"gte": 2}}, None),
    ({"rules": ["inner"], "timespan": "1w"}, {"table": "key_models", "absent": True, "share": {"gte": 0.2}}),
)


def sliding() -> Iterator[Document]:
    """Yield temporal correlations with a baseline, and chains with them."""
    slid = {"type": "temporal", "rules": ["base", "other"], "timespan": "6h", **_PER_MODEL}
    absent = {"table": "key_models", "absent": True, "requires": "keys"}
    yield _document({"name": "slid", "correlation": slid, "baseline": absent})
    yield _document({"name": "in_order", "correlation": {**slid, "type": "temporal_ordered"}, "baseline": absent})
    over = {"type": "event_count", "rules": ["slid"], "group-by": ["key_id"], "timespan": "1d"}
    yield _document({"name": "over_slid", "correlation": {**over, "condition": {"gte": 2}}})
    yield _document({"name": "slid_over", "correlation": {**slid, "rules": ["inner"], "timespan": "2d"}})


def correlations() -> Iterator[Document]:
    """Yield the correlations, each with its baseline."""
    for number, (changes, baseline) in enumerate(CORRELATIONS):
        plain = {"type": "event_count", "rules": ["base"], "group-by": ["key_id"], "timespan": "1d"}
        changed = {**plain, "condition": {"gte": 1}, **changes}
        correlation = {name: value for name, value in changed.items() if value is not None}
        extra = {} if baseline is None else {"baseline": baseline}
        yield _document({"name": f"counted_{number}", "correlation": correlation, **extra})


def full_world() -> World:
    """Return a world with three records in each table, every field of which has a value of its own."""
    world = World()
    for name, table in vocabulary().tables.items():
        values = {"int": 7, "double": 0.5, "string": "v", "json": '{"a": 1}', "timestamp": START}
        for number in range(3):
            record = {field: values[f.type] for field, f in table.fields.items()}
            texts = {field: f"{value}{number}" for field, value in record.items() if value == "v"}
            numbers = {field: number for field, value in record.items() if value == 7}
            address = {"source_ip": f"10.0.{number}.1"} if "source_ip" in record else {}
            time = {"timestamp": START + timedelta(days=number, hours=number)}
            doubles = {field: number + 0.5 for field, value in record.items() if value == 0.5}
            world.add_records(name, [{**record, **texts, **numbers, **doubles, **address, **time}])
    return world


def field_rules() -> Iterator[Document]:
    """Yield, for each field but times, a rule that tests it and a correlation that groups by it."""
    for table in vocabulary().tables.values():
        for name, field in table.columns.items():
            if field.type == "timestamp":
                continue
            base = f"{table.category}_{name}"
            data = {"name": base, "logsource": {"category": table.category}}
            yield _document({**data, "detection": {"a": {f"{name}|exists": True}, "condition": "a"}})
            correlation = {"type": "event_count", "rules": [base], "timespan": "1h", "condition": {"gte": 1}}
            yield _document({"name": f"by_{base}", "correlation": {**correlation, "group-by": [name]}})
