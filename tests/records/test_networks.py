"""Addresses and their networks, against the ipaddress module."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records.naive import naive_address, naive_net

from keytrip.records.addresses import normal_address

if TYPE_CHECKING:
    from records.conftest import Ask
_V4 = st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n)))
# groups of zero are frequent, so that `::` comes at every place
_V6 = st.lists(st.one_of(st.just(0), st.integers(0, 0xFFFF)), min_size=8, max_size=8)
_WRITTEN = st.one_of(
    _V6.map(lambda groups: ":".join(f"{g:x}" for g in groups)),
    _V6.map(lambda groups: ":".join(f"{g:04X}" for g in groups)),
    _V6.map(lambda groups: str(IPv6Address(":".join(f"{g:x}" for g in groups)))),
    _V4.map(lambda text: f"::ffff:{text}"),
    _V4.map(lambda text: f"::{text}"),
    _V4.map(lambda text: f"64:ff9b::{text}"),
)
_GARBAGE = st.one_of(
    st.text("0123456789abcdefABCDEFg.:%/[] -", max_size=45),
    st.builds(
        lambda a, b: a + b,
        st.one_of(_V4, _WRITTEN),
        st.sampled_from([":80", "%eth0", "/24", " ", "\n", ".1", ":", "::"]),
    ),
    st.builds(lambda a, b: a + b, st.sampled_from([" ", "[", "0", "1", ":", "::"]), st.one_of(_V4, _WRITTEN)),
    st.text(max_size=20),
)


@given(st.lists(st.one_of(_WRITTEN, _V4, _GARBAGE), min_size=20, max_size=200))
def test_networks_are_those_of_ipaddress(ask: Ask, texts: list[str]) -> None:
    """A normalised text has the /24 or /48 that ipaddress gives it, and none if it is no address."""
    normal = [normal_address(text) for text in texts]

    assert ask("kt_net(s)", normal) == [naive_net(text) for text in normal]


@given(st.one_of(_WRITTEN, _V4, _GARBAGE))
def test_addresses_are_written_one_way(text: str) -> None:
    """IPv6 is RFC 5952, a mapped IPv4 is IPv4, everything else stays as it is; a second time changes nothing."""
    assert normal_address(text) == naive_address(text)
    assert normal_address(normal_address(text)) == normal_address(text)


@pytest.mark.parametrize(
    ("text", "address", "net"),
    [
        ("10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
        ("::FFFF:10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
        ("2001:DB8:0001::0001", "2001:db8:1::1", "2001:db8:1::/48"),
        ("::1", "::1", "::/48"),
        ("0:0:1:0:0:0:0:1", "0:0:1::1", "0:0:1::/48"),
        ("1::", "1::", "1::/48"),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("10.1.2.3:443", "10.1.2.3:443", None),
        ("010.1.2.3", "010.1.2.3", None),
        ("2001:db8::/32", "2001:db8::/32", None),
        ("unix:", "unix:", None),
        ("", "", None),
    ],
)
def test_address_at_the_edges(ask: Ask, text: str, address: str, net: str | None) -> None:
    """Ports, zones and prefix lengths make a text no address; runs of zeros are cut as RFC 5952 says."""
    assert normal_address(text) == address
    assert ask("kt_net(s)", [address]) == [net]
