"""Records as the semantics read them (section 1), said again in plain Python; nothing here comes from the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_network
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:(Z)|([+-])(\d\d):(\d\d))?)?", re.ASCII
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_MILLISECONDS_FROM = 10**11
_DATE_SUFFIX = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|@\d{8}|-latest)\Z", re.ASCII)
_DOUBLES = ("cost_usd", "list_price")
FIRST_YEAR, LAST_YEAR = 1970, 2261


@dataclass(frozen=True)
class Event:
    """One record.

    Attributes:
        values: Canonical and derived fields; a missing one is null.
        time: UTC, naive; None: undated.
        home: The day that an undated record belongs to; None: its file has no dated record.
    """

    values: Mapping[str, Any] = field(hash=False)
    time: datetime | None
    home: date | None

    @property
    def day(self) -> date | None:
        """The UTC day of a dated record."""
        return self.time.date() if self.time else None

    @property
    def belongs(self) -> date | None:
        """The day that the record belongs to."""
        return self.day or self.home

    def __getitem__(self, name: str) -> Any:
        """The value of a field, or None."""
        return self.values.get(name)


def read_time(value: Any) -> datetime | None:
    """Return what a raw time means, or None."""
    text = str(value)
    if value is None or isinstance(value, bool):
        return None
    if _NUMBER.fullmatch(text):
        return _unix(Decimal(text))
    match = _TIME.fullmatch(text)
    return _civil(match) if match else None


def _unix(number: Decimal) -> datetime | None:
    micros = number * (1000 if number >= _MILLISECONDS_FROM else 10**6)
    try:
        return _in_range(EPOCH + timedelta(microseconds=int(micros))) if number >= 0 else None
    except OverflowError:
        return None


def _civil(match: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = match.groups(default="")
    micros = int((fraction + "000000")[:6])
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), micros)  # noqa: DTZ001 - naive UTC
        offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
        return _in_range(moment + offset if sign == "-" else moment - offset)
    except (ValueError, OverflowError):
        return None


def _in_range(moment: datetime) -> datetime | None:
    return moment if FIRST_YEAR <= moment.year <= LAST_YEAR else None


def normal_address(text: Any) -> Any:
    """Return an IPv6 text as RFC 5952 and a mapped one as IPv4; anything else stays."""
    try:
        address = IPv6Address(text)
    except (AddressValueError, TypeError):
        return text
    return text if "%" in text else str(address.ipv4_mapped or address)


def network_of(text: Any) -> str | None:
    """Return the /24 or /48 of an address."""
    if not isinstance(text, str) or "/" in text or "%" in text:
        return None
    for kind, length in ((IPv4Address, 24), (IPv6Address, 48)):
        try:
            return str(ip_network((kind(text), length), strict=False))
        except AddressValueError:
            continue
    return None


def canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical members of a raw record of the source `canonical`, nulls left out."""
    record = {name: value for name, value in raw.items() if value is not None and name != "api_key_prefix"}
    record |= {name: float(record[name]) for name in _DOUBLES if name in record}
    if "key_id" not in record and raw.get("api_key_prefix") is not None:
        record["key_id"] = raw["api_key_prefix"]
    time = read_time(record.pop("timestamp", None))
    added = {"timestamp": time} if time else {}
    if "source_ip" in record:
        added["source_ip"] = normal_address(record["source_ip"])
    return {"request_count": 1, "source": "canonical", **record, **added}


def derived(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the derived fields of a canonical record."""
    time, agent, model = record.get("timestamp"), record.get("user_agent"), record.get("model")
    tokens = [record.get("input_tokens"), record.get("output_tokens")]
    found = {
        "source_net": network_of(record.get("source_ip")),
        "agent_family": re.split("[/ ]", agent, maxsplit=1)[0].lower() if agent is not None else None,
        "model_family": _DATE_SUFFIX.sub("", model) if model is not None else None,
        "total_tokens": None if tokens == [None, None] else sum(t or 0 for t in tokens),
    }
    if time:
        found |= {"hour_of_day": time.hour, "hour_of_week": time.weekday() * 24 + time.hour, "day": str(time.date())}
    return found


def canonical_json(record: Mapping[str, Any]) -> str:
    """Return a record's text by which equal times are told apart."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def read_files(files: Iterable[Sequence[Mapping[str, Any]]]) -> list[Event]:
    """Return the records of files, those of equal files once, duplicates by request_id dropped."""
    distinct = {json.dumps(rows): rows for rows in files}
    found = [pair for rows in distinct.values() for pair in _events(rows)]
    named: dict[tuple[str, str], list[tuple[str, Event]]] = {}
    for text, event in found:
        if event["request_id"] is not None:
            named.setdefault((event["source"], event["request_id"]), []).append((text, event))
    kept = [event for _, event in found if event["request_id"] is None]
    return kept + [min(twins, key=_order)[1] for twins in named.values()]


def _events(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Event]]:
    records = [canonical(row) for row in rows]
    last = max((r["timestamp"].date() for r in records if "timestamp" in r), default=None)
    for record in records:
        yield canonical_json(record), Event({**record, **derived(record)}, record.get("timestamp"), last)


def _order(twin: tuple[str, Event]) -> tuple[Any, ...]:
    text, event = twin
    return (event.time is None, event.time or EPOCH, text, event.home or date.max)
