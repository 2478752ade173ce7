"""Section 1 of the semantics said again in plain Python: what a time and a network are. Nothing here is the package."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
END = datetime(2262, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MILLISECONDS = 10**11
_TOO_LARGE = 10**14


def naive_time(text: str) -> datetime | None:
    """Return the moment (UTC, naive) that a text names, or None."""
    if _NUMBER.fullmatch(text):
        moment = _from_number(Fraction(text))
    elif match := _TIME.fullmatch(text):
        moment = _from_parts(*match.groups())
    else:
        moment = None
    return moment if moment is not None and EPOCH <= moment < END else None


def _from_number(number: Fraction) -> datetime | None:
    if not 0 <= number < _TOO_LARGE:
        return None
    return EPOCH + timedelta(microseconds=int(number * (1000 if number >= _MILLISECONDS else 10**6)))


def _from_parts(*parts: str | None) -> datetime | None:
    year, month, day, hour, minute, second, fraction, zone = parts
    numbers = [int(part or 0) for part in (year, month, day, hour, minute, second)]
    try:
        moment = datetime(*numbers, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]
        moment += timedelta(microseconds=int(((fraction or "") + "000000")[:6]))
        return moment - _offset(zone or "Z")
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    return (1 if zone[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes)


def naive_address(text: str) -> str:
    """Return an address as section 1 writes it, other text unchanged."""
    if "%" in text or ":" not in text:
        return text
    try:
        address = IPv6Address(text)
    except ValueError:
        return text
    return str(address.ipv4_mapped) if address.ipv4_mapped else _rfc5952(address)


def _rfc5952(address: IPv6Address) -> str:
    """Write eight groups without leading zeros, the longest run (of two or more, the first of equals) as `::`."""
    groups = [f"{int(group, 16):x}" for group in address.exploded.split(":")]
    text = ":".join(groups)
    runs = sorted(re.finditer(r"\b0(:0)+\b", text), key=lambda m: (-len(m.group()), m.start()))
    if not runs:
        return text
    return text[: runs[0].start()].rstrip(":") + "::" + text[runs[0].end() :].lstrip(":")


def naive_net(text: str) -> str | None:
    """Return the /24 or /48 of an address as section 1 writes it, None for other text."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return None
    if isinstance(address, IPv4Address):
        return str(ip_network((address, 24), strict=False))
    return str(ip_network((address, 48), strict=False))
