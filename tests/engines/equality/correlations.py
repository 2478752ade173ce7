"""Random correlations of every type: counting with baseline blocks, temporal, aliased over two tables, and chains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from keytrip.baselines.jobs import load_jobs
from keytrip.rules.load import Document

Mapped = dict[str, Any]
COUNTING = ("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median")
_SPANS = ("10s", "30s", "30m", "1h", "90m", "6h", "1d", "36h", "7d", "1w", "2w")
_SLIDING = ("5s", "10s", "1h", "6h", "1d")
# Names that usage and audit records share, and such as they call differently -> the field in each.
_SHARED = ("provider", "project", "source_ip", "source_net", "user_agent", "agent_family", "day", "hour_of_day")
_ALIASED: dict[str, dict[str, tuple[str, ...]]] = {
    "key_id": {"ai_usage": ("key_id", "key_id", "user"), "ai_audit": ("target_key_id", "actor_key_id")},
    "who": {"ai_usage": ("user", "key_id"), "ai_audit": ("actor", "actor_key_id")},
}
_USAGE = ("model", "status_code", "model_family", "hour_of_week", "operation", "total_tokens", *_SHARED)
_NUMBERS = ("cost_usd", "list_price", "input_tokens", "output_tokens", "total_tokens", "request_count")
_BASES: tuple[tuple[str, Mapped], ...] = (
    ("ai_usage", {"a": {"request_count|gte": 1}, "condition": "a"}),
    ("ai_usage", {"a": {"model": "gpt*"}, "condition": "not a"}),
    ("ai_usage", {"a": {"provider": "OpenAI"}, "b": {"status_code|gte": 400}, "condition": "a or b"}),
    ("ai_usage", {"a": {"source_ip|cidr": "10.0.0.0/8"}, "b": {"cost_usd|gt": 0.1}, "condition": "not b or a"}),
    ("ai_audit", {"a": {"provider|exists": True}, "condition": "a"}),
    ("ai_audit", {"a": {"action": "key_created"}, "condition": "not a"}),
)


def _document(name: str, more: Mapping[str, Any]) -> Document:
    common = {"title": "Made", "id": str(uuid5(NAMESPACE_URL, name)), "status": "test", "level": "low"}
    return Document({**common, "name": name, **more}, Path("made.yml"), 1)


def bases() -> list[Document]:
    """Return the plain rules that correlations refer to."""
    return [
        _document(f"seen_{n}", {"logsource": {"category": category}, "detection": detection})
        for n, (category, detection) in enumerate(_BASES)
    ]


def random_correlations(seed: int, count: int) -> Iterator[Document]:
    """Yield correlations over `bases()` and over each other: an outer one comes after its inner ones."""
    random = Random(seed)  # noqa: S311 - test data
    plain = bases()
    inner: list[Document] = []
    for number in range(count):
        name = f"correlated_{seed}_{number}"
        chosen = random.random()
        if chosen < 0.55 or len(inner) < 5:
            found = _document(name, _counting(random, [d for d in plain if _category(d) == "ai_usage"]))
        elif chosen < 0.8:
            found = _document(name, _mixed(random, plain))
        else:
            found = _document(name, _chain(random, inner, plain))
        inner.append(found)
        yield found


def _category(document: Document) -> str:
    return str(document.data["logsource"]["category"]) if "logsource" in document.data else ""


def _named(documents: Sequence[Document]) -> list[str]:
    return [document.name for document in documents]


def _counting(random: Random, plain: Sequence[Document]) -> Mapped:
    """Return a counting correlation over usage records, most with baseline blocks."""
    rules = random.sample(list(plain), random.choice((1, 1, 2)))
    wanted = _wanted_tables(random)
    group = list(dict.fromkeys(column for table, on in wanted for column in on))
    group += random.sample(sorted({"key_id", *_USAGE} - set(group)), random.choice((0, 0, 1)))
    correlation = {"rules": _named(rules), "timespan": random.choice(_SPANS), **_value(random)}
    return {"correlation": {**correlation, **_grouped(group)}, **_baseline(random, wanted, group)}


def _grouped(group: Sequence[str]) -> Mapped:
    return {"group-by": list(group)} if group else {}


def _value(random: Random) -> Mapped:
    """Return a type with its condition. A threshold of a mean is none that a mean hits, since doubles are rounded."""
    kind = random.choice(COUNTING)
    if kind == "event_count":
        return {
            "type": kind,
            "condition": {random.choice(("gt", "gte", "lt", "lte", "eq", "neq")): random.choice((1, 2, 3))},
        }
    if kind == "value_count":
        fields = random.sample(("key_id", *_USAGE), random.choice((1, 1, 2)))
        return {
            "type": kind,
            "condition": {"field": fields if len(fields) > 1 else fields[0], "gte": random.choice((0, 1, 2))},
        }
    field = random.choice(_NUMBERS)
    bound = {random.choice(("gte", "gt")): random.choice((0, 0, 0.3, 1, 17))} if kind == "value_sum" else {
        random.choice(("gt", "lt")): random.choice((-1, 0.0731, 1.313, 2**40))}  # fmt: skip
    percentile = {"percentile": random.choice((0, 7, 50, 90, 99, 100))} if kind == "value_percentile" else {}
    return {"type": kind, "condition": {"field": field, **bound, **percentile}}


def _wanted_tables(random: Random) -> list[tuple[str, tuple[str, ...]]]:
    """Return baseline tables to compare with, and their key columns."""
    count = random.choice((0, 1, 1, 1, 2))
    return [(name, load_jobs()[name].table_key) for name in random.sample(sorted(load_jobs()), count)]


def _baseline(random: Random, wanted: Sequence[tuple[str, tuple[str, ...]]], group: list[str]) -> Mapped:
    blocks: list[Mapped] = []
    for table, on in wanted:
        if random.random() < 0.5:
            blocks.append(_exceeds(random, table, on))
        else:
            blocks.append(_absent(random, table, on))
    if len(wanted) == 1 and set(group) == set(wanted[0][1]) and len(group) > 1 and random.random() < 0.6:
        # a share is that of the events in a group by all columns but the last
        table, on = wanted[0]
        group.remove(on[-1])
        share = {random.choice(("gt", "gte", "lt", "lte")): random.choice((0, 0.25, 0.4, 0.5))}
        blocks = [{"table": table, "on": list(on), "absent": True, "share": share}]
    if not blocks:
        return {}
    return {"baseline": blocks[0] if len(blocks) == 1 and random.random() < 0.8 else blocks}


def _absent(random: Random, table: str, on: Sequence[str]) -> Mapped:
    requires = {"requires": random.choice(("keys", table))} if "key_id" in on and random.random() < 0.5 else {}
    return {"table": table, "on": list(on), "absent": True, **requires}


def _exceeds(random: Random, table: str, on: Sequence[str]) -> Mapped:
    kinds = load_jobs()[table].columns
    columns = [name for name, kind in kinds.items() if kind in {"DOUBLE", "BIGINT"} and name not in on]
    where = {"where": _logic(random, columns, 2)} if random.random() < 0.5 else {}
    missing = {"missing": random.choice(("fire", "ignore"))} if random.random() < 0.4 else {}
    return {"table": table, "on": list(on), "exceeds": _sum(random, columns, 2), **where, **missing}


def _sum(random: Random, columns: Sequence[str], depth: int) -> str:
    if depth == 0 or random.random() < 0.25:
        return random.choice((*columns, "value", "0", "0.5", "3", "1e-3"))
    left, right = (_sum(random, columns, depth - 1) for _ in range(2))
    forms = (
        "{0} + {1}",
        "{0} - {1}",
        "{0} * ({1})",
        "({0}) / ({1})",
        "-({0})",
        "max({0}, {1})",
        "min({0}, {1}, 2)",
        "abs({0})",
    )
    return f"({random.choice(forms).format(left, right)})"


def _logic(random: Random, columns: Sequence[str], depth: int) -> str:
    if depth == 0 or random.random() < 0.3:
        sign = random.choice(("<", "<=", ">", ">=", "==", "!="))
        return f"{_sum(random, columns, 1)} {sign} {_sum(random, columns, 1)}"
    left, right = (_logic(random, columns, depth - 1) for _ in range(2))
    return random.choice(("({0} and {1})", "({0} or {1})", "not ({0})")).format(left, right)


def _mixed(random: Random, plain: Sequence[Document]) -> Mapped:
    """Return a correlation over records of both tables, with aliases; now and then a rule stands there twice."""
    chosen = [random.choice(plain) for _ in range(random.choice((1, 2, 2, 3)))]
    group = random.choice(
        ([], ["key_id"], ["key_id"], ["who"], [random.choice(_SHARED)], ["key_id", random.choice(_SHARED)])
    )
    kind = _sliding_or_count(random, [*_SHARED, *group])
    counted = kind.get("condition", {}).get("field")
    names = [*group, *([counted] if counted else [])]
    aliases = {
        name: {d.name: random.choice(_ALIASED[name][_category(d)]) for d in chosen}
        for name in names
        if name in _ALIASED
    }
    found = {"rules": _named(chosen), **kind, **_grouped(group)}
    return {"correlation": {**found, **({"aliases": aliases} if aliases else {})}}


def _sliding_or_count(random: Random, countable: Sequence[str]) -> Mapped:
    kind = random.choice(("temporal", "temporal", "temporal_ordered", "temporal_ordered", "event_count", "value_count"))
    if kind.startswith("temporal"):
        return {"type": kind, "timespan": random.choice(_SLIDING)}
    field = {"field": random.choice(countable)} if kind == "value_count" else {}
    return {"type": kind, "timespan": random.choice(_SPANS), "condition": {**field, "gte": random.choice((1, 1, 2))}}


def _chain(random: Random, inner: Sequence[Document], plain: Sequence[Document]) -> Mapped:
    """Return a correlation over the alerts of others, and over records beside them."""
    chosen = [random.choice(inner[-12:])]
    known = [name for name in chosen[0].data["correlation"].get("group-by") or [] if name != "who"]
    group = random.sample(known, min(len(known), random.choice((0, 1, 1, 2))))
    if random.random() < 0.3 and set(group) <= {*_SHARED, "key_id"} - {"key_id"}:
        chosen.append(random.choice((*inner[-12:], *plain)))
    elif random.random() < 0.4:
        chosen.append(random.choice([document for document in plain if _category(document) == "ai_usage"]))
    kind = _sliding_or_count(random, group or ["provider"])
    return {"correlation": {"rules": _named(chosen), **kind, **_grouped(group)}}
