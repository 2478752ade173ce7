"""Source addresses as SEMANTICS section 1 writes them."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address


def normal_address(text: str) -> str:
    """Return an IPv6 text as RFC 5952, an IPv4-mapped one as IPv4, and anything else unchanged."""
    if ":" not in text or "%" in text:
        return text
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return text
    return str(address.ipv4_mapped or address)
