"""What needs Python after a chunk is read, done once per distinct value: keys in clear, IPv6 texts, prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from keytrip.records.addresses import normal_address
from keytrip.sources.pricing import prices_of
from keytrip.sources.secrets import SECRET, pseudonym
from keytrip.sources.select import COLON, FLAGS, SECRETS, UNPRICED

if TYPE_CHECKING:
    import duckdb

CHUNK = "kt_chunk"
_BATCH = 5000


def _fill(con: duckdb.DuckDBPyConnection, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    con.execute(f"create or replace temp table {table} ({columns})")
    width = columns.count(",") + 1
    batch: list[object] = []
    insert = f"insert into {table} values "
    for row in rows:
        batch += row
        if len(batch) >= _BATCH * width:
            con.execute(insert + ", ".join([f"({', '.join('?' * width)})"] * (len(batch) // width)), batch)
            batch = []
    if batch:
        con.execute(insert + ", ".join([f"({', '.join('?' * width)})"] * (len(batch) // width)), batch)


def _replace(con: duckdb.DuckDBPyConnection, column: str, changed: Iterable[tuple[str, str]]) -> None:
    _fill(con, "kt_map", "old varchar, new varchar", changed)
    con.execute(f"update {CHUNK} set {column} = m.new from kt_map m where {CHUNK}.{column} = m.old")
    con.execute("drop table kt_map")


def hide_keys(con: duckdb.DuckDBPyConnection, key: Callable[[], bytes]) -> None:
    """Put a pseudonym in place of each key in clear."""
    rows = con.execute(
        f"select distinct key_id from {CHUNK} where regexp_full_match(key_id, ?)", [SECRET]
    ).fetchall()
    if rows:
        secret = key()
        _replace(con, "key_id", [(text, pseudonym(text, secret)) for (text,) in rows])


def normalise_addresses(con: duckdb.DuckDBPyConnection) -> None:
    """Write IPv6 addresses as RFC 5952 and IPv4-mapped ones as IPv4."""
    rows = con.execute(f"select distinct source_ip from {CHUNK} where contains(source_ip, ':')").fetchall()
    changed = [(text, new) for (text,) in rows if (new := normal_address(text)) != text]
    if changed:
        _replace(con, "source_ip", changed)


def price(con: duckdb.DuckDBPyConnection, columns: Collection[str]) -> None:
    """Fill list prices, and the costs that the log lacks (cost_source says which)."""
    wanted = con.execute(
        f"select distinct provider, model, cast(timestamp as date) from {CHUNK} where model is not null "
        "and timestamp is not null"
    ).fetchall()
    rows = ((p.provider, p.model, p.day, p.input, p.cached, p.output, p.list_price) for p in prices_of(wanted))
    _fill(
        con, "kt_prices", "provider varchar, model varchar, day date, i double, c double, o double, list double", rows
    )
    sets = []
    if "list_price" in columns:
        sets.append("list_price = p.list")
    if "cost_usd" in columns:
        cost = (
            "case when input_tokens is not null or output_tokens is not null then round("
            "(coalesce(input_tokens, 0) - coalesce(cached_input_tokens, 0)) * coalesce(p.i, 0) "
            "+ coalesce(cached_input_tokens, 0) * coalesce(p.c, p.i, 0) + coalesce(output_tokens, 0) * coalesce(p.o, 0), 12) end"
        )
        sets.append(f"cost_usd = coalesce(cost_usd, {cost})")
    if "cost_source" in columns:
        sets.append(f"cost_source = case when {CHUNK}.cost_usd is not null then 'reported' else 'priced' end")
    con.execute(
        f"update {CHUNK} set {', '.join(sets)} from kt_prices p where {CHUNK}.model = p.model "
        f"and {CHUNK}.provider is not distinct from p.provider and cast({CHUNK}.timestamp as date) = p.day"
    )
    con.execute("drop table kt_prices")


def finish(con: duckdb.DuckDBPyConnection, columns: Collection[str], key: Callable[[], bytes]) -> int:
    """Run the passes that the chunk's flags ask for; return those flags."""
    (flags,) = con.execute(f"select coalesce(bit_or({FLAGS}), 0) from {CHUNK}").fetchone() or (0,)
    if flags & SECRETS:
        hide_keys(con, key)
    if flags & COLON:
        normalise_addresses(con)
    if flags & UNPRICED:
        price(con, columns)
    return int(flags)
