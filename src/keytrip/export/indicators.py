"""Indicators of compromise: what is said of an address, a user agent or a key, and files of them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from keytrip.errors import DataError, Place
from keytrip.export.model import Item

IndicatorKind = Literal["ipv4", "ipv6", "cidr", "user_agent", "domain", "url", "key_id_sha256"]
Tlp = Literal["clear", "green", "amber", "amber+strict", "red"]
KINDS: tuple[str, ...] = get_args(IndicatorKind)
ITEM_KIND = "indicator"
# RFC 1035 and the underscore that names of services have.
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# What a keyword field holds in Elasticsearch and OpenSearch; web servers stop at 8,190 bytes.
LONGEST = 8191
_LISTS = ("rules", "sources")
LIST_SEPARATOR = ";"


def _milliseconds(moment: datetime) -> datetime:
    """Cut to what every destination holds."""
    utc = moment.astimezone(UTC)
    return utc - timedelta(microseconds=utc.microsecond % 1000)


def _shown(text: str) -> str:
    """Refuse what cannot be seen: nothing that a header, a name or a path can hold needs it."""
    found = _UNSEEN.search(text)
    if found:
        raise ValueError(f"holds U+{ord(found[0]):04X}, a character that cannot be seen")
    return text


Moment = Annotated[AwareDatetime, AfterValidator(_milliseconds)]
Text = Annotated[str, AfterValidator(_shown)]


class Indicator(BaseModel):
    """One indicator.

    Attributes:
        kind: What `value` is. `user_agent` is compared whole and with case; `key_id_sha256` is a digest, so that nobody
            learns a key's id from it.
        value: In the one form that its kind has: addresses compressed, names in lower case.
        first_seen, last_seen: In our records, cut to milliseconds.
        count: Records it was seen in.
        confidence: 0 to 100, as STIX counts it.
        tlp: Traffic Light Protocol 2.0: whom it may be told.
        description: For people, without spaces at its ends.
        rules: Ids or names of the rules that found it.
        sources: The adapters or logs that it comes from.
        revoked: Whether it was told by mistake and is to be forgotten.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: IndicatorKind
    value: Annotated[str, Field(min_length=1, max_length=LONGEST)]
    first_seen: Moment
    last_seen: Moment
    count: Annotated[int, Field(ge=1, le=999_999_999)] = 1
    confidence: Annotated[int, Field(ge=0, le=100)] = 50
    tlp: Tlp = "amber"
    description: Annotated[Text, AfterValidator(str.strip)] = ""
    rules: tuple[Text, ...] = ()
    sources: tuple[Text, ...] = ()
    revoked: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Indicator:
        if self.last_seen < self.first_seen:
            raise ValueError("last_seen is before first_seen")
        canonical = _FORMS[self.kind](self.value)
        if canonical != self.value:
            raise ValueError(f"{self.kind} is written {canonical!r}")
        return self

    @property
    def name(self) -> str:
        """Its identity in a destination."""
        return f"{self.kind} {self.value}"


def indicator_of(data: Mapping[str, Any]) -> Indicator:
    """Return an indicator whose value is brought into its kind's form first.

    Raises:
        ValidationError: A member is wrong.
    """
    kind, value = data.get("kind"), data.get("value")
    if kind in _FORMS and isinstance(value, str):
        # what has no form is told by the model, with the member's name
        with suppress(ValueError):
            data = {**data, "value": _FORMS[kind](value)}
    return Indicator.model_validate(data)


def indicator_items(indicators: tuple[Indicator, ...]) -> tuple[Item, ...]:
    """Return an item for each indicator: its JSON."""
    return tuple(Item(ITEM_KIND, one.name, one.model_dump(mode="json")) for one in indicators)


def read_indicators(path: Path) -> tuple[Indicator, ...]:
    """Return the indicators of a file, in its order.

    Args:
        path: `.csv` with a header line (lists as `a;b`), or `.ndjson`. Empty cells are left out.

    Raises:
        DataError: It cannot be read, or a row is wrong or there twice: the file is refused whole, with the first such
            line.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Any]]]] = {
        ".csv": _csv_rows,
        ".ndjson": _json_rows,
        ".jsonl": _json_rows,
    }
    if path.suffix.lower() not in readers:
        raise DataError("is no list of indicators", place=Place(str(path)), hint="give a .csv or .ndjson file")
    found: dict[str, Indicator] = {}
    lines: dict[str, int] = {}
    for line, row in readers[path.suffix.lower()](path):
        one = _checked(row, Place(str(path), line))
        if one.name in found:
            hint = f"it is in line {lines[one.name]}: write one row with both times and counts"
            raise DataError(f"{one.name!r} is there twice", place=Place(str(path), line), hint=hint)
        found[one.name] = one
        lines[one.name] = line
    return tuple(found.values())


def _checked(row: Any, place: Place) -> Indicator:
    try:
        if not isinstance(row, dict):
            raise DataError("is no object", place=place, hint='write {"kind": "ipv4", "value": "203.0.113.7", ...}')
        return indicator_of(row)
    except ValidationError as error:
        first = error.errors()[0]
        member = ".".join(str(part) for part in first["loc"])
        problem = str(first["msg"]).removeprefix("Value error, ")
        raise DataError(f"{member}: {problem}" if member else problem, place=place, hint=_HINT) from error


_HINT = "kind is one of " + ", ".join(KINDS) + "; times are ISO 8601 with a zone"


def _csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                yield reader.line_num, _cells(row, Place(str(path), reader.line_num))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _cells(row: Mapping[str | None, Any], place: Place) -> dict[str, Any]:
    if None in row:
        raise DataError("has more cells than the header", place=place, hint="quote values that hold a comma")
    given = {name: cell for name, cell in row.items() if name is not None and cell not in {None, ""}}
    lists = {name: tuple(given[name].split(LIST_SEPARATOR)) for name in _LISTS if name in given}
    return given | lists


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
            for number, line in lines:
                yield number, _parsed(line, Place(str(path), number))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _parsed(line: str, place: Place) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError("is no JSON", place=place, hint="one object a line") from error


def _unreadable(path: Path, error: Exception) -> DataError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return DataError(f"cannot be read: {why}", place=Place(str(path)), hint="give a readable UTF-8 file")


def _address(version: int, text: str) -> str:
    found = ip_address(text)
    if found.version != version or "%" in text:
        raise ValueError(f"is no IPv{version} address")
    return found.compressed


def _network(text: str) -> str:
    if "/" not in text or "%" in text:
        raise ValueError("is no network, such as 203.0.113.0/24")
    return ip_network(text).compressed


def _domain(text: str) -> str:
    lower = text.rstrip(".").lower()
    if not _DOMAIN.fullmatch(lower):
        raise ValueError("is no domain name; write international ones as xn--")
    return lower


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https", "ftp", "wss", "ws"} or not parts.hostname or " " in text:
        raise ValueError("is no URL with a scheme and a host")
    return _shown(text)


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text.lower()):
        raise ValueError("is no SHA-256 in 64 hex digits")
    return text.lower()


_FORMS: dict[str, Callable[[str], str]] = {
    "ipv4": lambda text: _address(4, text),
    "ipv6": lambda text: _address(6, text),
    "cidr": _network,
    "user_agent": _shown,
    "domain": _domain,
    "url": _url,
    "key_id_sha256": _digest,
}
