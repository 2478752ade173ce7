"""Random worlds: usage and audit records around the borders of windows, and baseline tables over the same names.

Each seed has three weeks of its own, and three weeks of nothing after them. So no window and no pair reaches from one
into the next, and an engine reads all seeds at once while the judge reads them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from engines.invented import ADDRESSES, AGENTS, KEYS, MODELS, START, STATUSES
from judge.records import derived, normal_address

from keytrip.baselines.jobs import load_jobs

Record = dict[str, Any]
PERIOD = timedelta(weeks=6)
USAGE, AUDIT = 40, 16
_DAYS = (0, 0, 1, 1, 2, 6, 7, 20)
# Pairs of them lie 5 and 10 seconds, half an hour, an hour and a day apart, or a microsecond more or less.
_SECONDS = (0, 5, 10, 10.000001, 1800, 3599.999999, 3600, 3605, 7200, 43200, 86395, 86399.999999)
_FIELDS: dict[str, dict[str, Sequence[Any]]] = {
    "usage": {
        "key_id": (*KEYS, "k1", "k1", "k2", "k2"),
        "provider": ("openai", "openai", "anthropic", None),
        "project": ("p1", "p2", None),
        "user": ("k1", "K1", "v", "V", "2001:DB8::1", "10.0.0.1", None),
        "model": MODELS,
        "model_raw": ("gpt-4o", 'a"b', "gpt", "o", "", "5.0", "5", "ǅx-ⴀ", None),
        "operation": ("chat", "files", "", None),
        "source_ip": (*ADDRESSES, "10.0.0.1", "10.0.0.1"),
        "user_agent": AGENTS,
        "status_code": STATUSES,
        "input_tokens": (0, 1, 17, 1_000_000, None),
        "output_tokens": (0, 1, 17, 250, None),
        "cost_usd": (0.0, 0.000001, 0.1, 0.2, 1.7, 33.333333, None),
        "list_price": (0.5, 2.5, 15.0, None),
        "request_count": (1, 1, 1, 40),
        "bucket_seconds": (None, None, 60, 3600, 86400),
    },
    "audit": {
        "target_key_id": (*KEYS, "k1", "k1", "k2"),
        "actor_key_id": (*KEYS, "k1", "k2"),
        "provider": ("openai", "openai", "anthropic", None),
        "project": ("p1", "p2", None),
        "actor": ("k1", "v", "V", None),
        "action": ("key_created", "limit_raised", "", None),
        "outcome": ("success", "failure", None),
        "source_ip": (*ADDRESSES, "10.0.0.1", "10.0.0.1"),
        "user_agent": AGENTS,
    },
}


def start_of(seed: int) -> datetime:
    """Return the Monday on which a seed's records begin; every width of whole weeks up to three begins there too."""
    return START + (seed - 1) * PERIOD


def records(table: str, seed: int) -> list[Record]:
    """Return a seed's records of a table."""
    random = Random(f"{table} {seed}")  # noqa: S311 - test data
    count = {"usage": USAGE, "audit": AUDIT}[table]
    return [_record(random, table, f"{table}-{seed}-{number}", start_of(seed)) for number in range(count)]


def _record(random: Random, table: str, request_id: str, start: datetime) -> Record:
    seconds = random.choice(_SECONDS) if random.random() < 0.85 else random.uniform(0, 86400)
    time = start + timedelta(days=random.choice(_DAYS), seconds=seconds)
    drawn = {name: random.choice(values) for name, values in _FIELDS[table].items()}
    return {"timestamp": time, "request_id": request_id, **drawn}


def tables(seed: int) -> dict[str, list[Record]]:
    """Return rows of every baseline table over the names that the records use."""
    random = Random(seed)  # noqa: S311 - test data
    return {name: list(_rows(random, job.table_key, job.columns)) for name, job in load_jobs().items()}


def _rows(random: Random, key: Sequence[str], columns: Mapping[str, str]) -> Iterator[Record]:
    values = {name: {"DOUBLE": _MEASURES, "BIGINT": (1, 2, 7, 14, 29), "TIMESTAMP": (START,)}.get(kind, ())
              for name, kind in columns.items()}  # fmt: skip
    for first in _members(key[0]):
        if random.random() < 0.2:
            continue
        others = [(other,) for other in _members(key[1]) if random.random() < 0.5] if len(key) > 1 else [()]
        for other in others:
            known = dict(zip(key, (first, *other), strict=True))
            yield {**known, **{n: random.choice(found) for n, found in values.items() if n not in known}}


_MEASURES = (0.0, 0.0, 0.5, 3.25, 40.0, None)


def _members(column: str) -> list[Any]:
    """Return the values of a key column that records have; an empty text is in no table that a job makes."""
    hours = {"hour_of_day": range(24), "hour_of_week": range(0, 168, 5)}.get(column)
    if hours is not None:
        return list(hours)
    made = [derived({"user_agent": agent, "model": model, "source_ip": normal_address(ip)})
            for agent, model, ip in zip(AGENTS * 3, MODELS, ADDRESSES * 2, strict=True)]  # fmt: skip
    raw = _FIELDS["usage"].get(column) or [record[column] for record in made]
    return [value for value in dict.fromkeys(map(normal_address, raw)) if value]
