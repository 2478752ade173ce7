"""Random small histories of usage records for property tests: habits, thefts, borders, faults, duplicates, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Record = dict[str, Any]
SINCE = date(2026, 4, 6)
_MIDNIGHT = datetime(2026, 4, 6)  # noqa: DTZ001 - naive UTC
KEYS = ("a", "b", "", "0042", "é \"'\\,\n;", "ключ", None)
_INSTANTS = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(hours=9, minutes=30),
    timedelta(hours=9, minutes=59, seconds=59, microseconds=999999),
    timedelta(hours=10),
    timedelta(hours=23, minutes=59, seconds=59, microseconds=999999),
)
_NO_TIMES = ("not-a-time", "", None, "2026-02-30T10:00:00Z", "2026-04-05T24:00:00Z", "1969-12-31T23:59:59Z")
_FIELDS: dict[str, Sequence[Any]] = {
    "provider": ("openai", "anthropic", "", None),
    "model": ("gpt-4o", "GPT-4o-2024-08-06", "gpt-4o-latest", "o'dd", "", None),
    "source_ip": ("10.0.0.1", "10.0.0.2", "10.0.1.9", "2001:DB8:0:1::1", "::ffff:10.0.0.1", "10.0.0.1:80", "", None),
    "user_agent": ("curl/8.5", "CURL/9 x", "python requests", "/x", "", None),
    "operation": ("chat", "files", "", None),
    "cost_usd": (0.1, 0.2, 0.3, 5.0, 12.5, 30.0, 600.0, 0, None),
    "list_price": (0.6, 5.0, 25.0, 75.0, None),
    "input_tokens": (0, 500, 1_000_000, None),
    "output_tokens": (0, 500, 1_000_000, None),
    "request_count": (1, 2, 30, 200, None),
    "bucket_seconds": (60, 3600, 3601, 86400, None),
    "status_code": (200, 401, 429, None),
}


@dataclass(frozen=True)
class History:
    """Records in files, and one of the ways to give them again."""

    files: tuple[tuple[Record, ...], ...]
    again: tuple[tuple[Record, ...], ...]


def spelt(moment: datetime, way: int) -> Any:
    """Return a time in one of the forms that mean it."""
    whole = moment.replace(microsecond=0)
    later = moment + timedelta(hours=5, minutes=30)
    forms = [
        moment.isoformat(timespec="microseconds") + "Z",
        moment.isoformat(timespec="microseconds") + "+00:00",
        moment.isoformat(sep=" ", timespec="microseconds"),
        later.isoformat(timespec="microseconds") + "999+05:30",
        whole.isoformat() + "Z" if moment == whole else moment.isoformat() + "Z",
    ]
    return forms[way % len(forms)]


@st.composite
def moments(draw: st.DrawFn, first: int = -33, last: int = 2) -> Any:
    """Draw a time between two days around the one to score, or none."""
    if draw(st.integers(0, 11)) == 0:
        return draw(st.sampled_from(_NO_TIMES))
    day = draw(st.integers(first, last) | st.sampled_from([-31, -30, -1, 0, 1]))
    return spelt(_MIDNIGHT + timedelta(days=day) + draw(st.sampled_from(_INSTANTS)), draw(st.integers(0, 4)))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Draw a record that may be anything."""
    record: Record = {"timestamp": draw(moments()), "key_id": draw(st.sampled_from(KEYS))}
    for name, values in _FIELDS.items():
        if draw(st.booleans()):
            record[name] = draw(st.sampled_from(values))
    if draw(st.integers(0, 3)) == 0:
        record["request_id"] = draw(st.sampled_from(["r1", "r2", "R1"]))
        record |= draw(st.sampled_from([{}, {"source": "other"}, {"source": None}]))
    if record["key_id"] is None and record["timestamp"] in _NO_TIMES:
        record["key_id"] = "a"
    return record


@st.composite
def habits(draw: st.DrawFn) -> list[Record]:
    """Draw a key's steady past and, maybe, a day on which somebody else uses it."""
    chance = draw(st.randoms(use_true_random=False))
    usual = {name: chance.choice(values[:3]) for name, values in _FIELDS.items()} | {"key_id": chance.choice(KEYS[:-1])}
    usual["bucket_seconds"] = chance.choice([None, None, 3600, 86400])
    counts = chance.choice([(1,), (1, 2), (20, 30)])
    found: list[Record] = []
    for back in range(1, chance.choice([1, 2, 7, 14, 15, 31]) + 1):
        for instant in chance.choice([(2,), (2, 4), (2, 2, 2)]):
            time = spelt(_MIDNIGHT - timedelta(days=back) + _INSTANTS[instant], back)
            found.append({**usual, "timestamp": time, "request_count": chance.choice(counts)})
    for _ in range(draw(st.integers(1, 5))):
        changed = chance.sample(sorted(_FIELDS), chance.randrange(5))
        odd = {name: chance.choice(_FIELDS[name]) for name in changed}
        found.append({**usual, "timestamp": draw(moments(first=0)), **odd})
    return found


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw records, spread over up to four files; some stand in two files, or with a change."""
    found = [record for habit in draw(st.lists(habits(), max_size=3)) for record in habit]
    found += draw(st.lists(records(), min_size=1, max_size=25))
    twins = draw(st.lists(st.sampled_from(found), max_size=4))
    found += [{**twin, "cost_usd": draw(st.sampled_from([0.2, 7.5, None]))} for twin in twins]
    count = draw(st.integers(1, 4))
    places = draw(st.lists(st.integers(0, count - 1), min_size=len(found), max_size=len(found)))
    files = [tuple(r for r, place in zip(found, places, strict=True) if place == number) for number in range(count)]
    again = draw(st.permutations(files))
    if draw(st.booleans()):
        again = [*again, draw(st.sampled_from(files))]
    return History(tuple(files), tuple(again))
