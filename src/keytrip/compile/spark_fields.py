"""Derived fields and networks as Spark SQL over the canonical columns (SEMANTICS section 1); no function is ours.

Times are arithmetic on the epoch: Spark's own functions follow the session's zone. An IPv6 is RFC 5952 text here
(reading normalised it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from keytrip.compile.spark_text import END, quote_name
from keytrip.records.vocabulary import Field, vocabulary

# What a query calls a derived field: `usage` may have a column of its own under the field's name.
_PREFIX = "kt_"
_HOUR = "unix_micros(timestamp) div 3600000000"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = f"'^{_BYTE}([.]{_BYTE}){{3}}{END}'"
_GROUP = "[0-9a-f]{1,4}"
_SOME = f"({_GROUP}(:{_GROUP})*)?"
# eight groups, or at most seven and a `::`
_V6 = f"'^(({_GROUP}:){{7}}{_GROUP}|(?!(::)?([0-9a-f]+::?){{7}}[0-9a-f]){_SOME}::{_SOME}){END}'"


def _groups(address: str) -> str:
    """Return the eight groups of an IPv6 as an array: `::` stands for as many zeros as are missing."""
    given = f"size(filter(split({address}, ':'), g -> g <> ''))"
    written = f"replace({address}, '::', concat(':', repeat('0:', 8 - {given})))"
    return f"split(trim(both ':' from {written}), ':')"


def _net(address: str) -> str:
    first = f"array_join(slice({_groups(address)}, 1, 3), ':')"
    return (
        f"case when {address} rlike {_V4} then concat(substring_index({address}, '.', 3), '.0/24') "
        f"when {address} rlike {_V6} then concat(regexp_replace({first}, '(^|:)0(:0)*$', ''), '::/48') end"
    )


DERIVED = {
    "hour_of_day": f"({_HOUR}) % 24",
    # the epoch began on a Thursday
    "hour_of_week": f"({_HOUR} + 72) % 168",
    "day": "cast(date_from_unix_date(cast(unix_micros(timestamp) div 86400000000 as int)) as string)",
    "source_net": _net("`source_ip`"),
    "agent_family": "lower(regexp_extract(`user_agent`, '^[^/ ]*', 0))",
    "model_family": "regexp_replace(`model`, '(-[0-9]{4}-[0-9]{2}-[0-9]{2}|-[0-9]{8}|@[0-9]{8}|-latest)"
    + END
    + "', '')",
    "total_tokens": "case when `input_tokens` is not null or `output_tokens` is not null "
    "then cast(coalesce(`input_tokens`, 0) as decimal(20, 0)) + coalesce(`output_tokens`, 0) end",
}


def column(name: str) -> str:
    """Return what a field's column is called in `relation`."""
    return quote_name(_PREFIX + name if name in DERIVED else name)


def derived(name: str, field: Field) -> str:  # noqa: ARG001 - as every dialect
    """Return the text that computes a derived field."""
    return DERIVED[name]


def relation(table: str, texts: Sequence[str]) -> str:
    """Return the view of a canonical table, with the derived fields that the texts name."""
    named = {name for text in texts for name in re.findall(rf"`{_PREFIX}(\w+)`", text)}
    wanted = [name for name in vocabulary().tables[table].derived if name in named]
    computed = "".join(f", {DERIVED[name]} as {column(name)}" for name in wanted)
    return f"(select *{computed} from {table})" if wanted else table


def within(address: str, network: IPv4Network | IPv6Network) -> str:
    """Return whether an address, as hexadecimal digits, lies between the ends of a network."""
    low, high = network.network_address.packed.hex(), network.broadcast_address.packed.hex()
    if isinstance(network, IPv4Network):
        valid, digits = _V4, f"transform(split({address}, '[.]'), b -> format_string('%02x', cast(b as int)))"
    else:
        valid, digits = _V6, f"transform({_groups(address)}, g -> lpad(g, 4, '0'))"
    return f"case when {address} rlike {valid} then array_join({digits}, '') between '{low}' and '{high}' end"
