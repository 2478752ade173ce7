"""What needs Python after a chunk is read, done once per distinct value: keys in clear, IPv6 texts, prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from keytrip.records.addresses import normal_address
from keytrip.records.sql import quote_name
from keytrip.sources.pricing import prices_of
from keytrip.sources.secrets import SHORTEST_WITHIN, WITHIN, hide_within, pseudonym, secret_in
from keytrip.sources.select import COLON, FLAGS, SECRETS, UNPRICED

if TYPE_CHECKING:
    import duckdb

# The records of a chunk as they were read; `kt_chunk` shows them with every wanted column.
BASE, CHUNK = "kt_base", "kt_chunk"
_BATCH = 50_000
_TEXTS = ("key_label", "project", "user", "model", "model_raw", "endpoint", "user_agent")
_PRICES = {
    "provider": "varchar",
    "model": "varchar",
    "day": "date",
    "i": "double",
    "c": "double",
    "o": "double",
    "list": "double",
}
# Cached tokens are part of the input, at their own price; 12 decimals drop what adding binary fractions leaves.
_COST = """case when input_tokens is not null or output_tokens is not null then round(
  greatest(coalesce(input_tokens, 0) - coalesce(cached_input_tokens, 0), 0) * coalesce(p.i, 0)
  + coalesce(cached_input_tokens, 0) * coalesce(p.c, p.i, 0) + coalesce(output_tokens, 0) * coalesce(p.o, 0), 12) end"""


def _fill(
    con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], rows: Iterable[tuple[object, ...]]
) -> None:
    con.execute(f"create or replace temp table {table} ({', '.join(f'{n} {t}' for n, t in columns.items())})")
    # lists, one for each column: DuckDB takes them twenty times faster than rows
    insert = f"insert into {table} select {', '.join(f'unnest(?::{kind}[])' for kind in columns.values())}"
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        con.execute(insert, [list(column) for column in zip(*batch, strict=True)])


def _replace(con: duckdb.DuckDBPyConnection, column: str, changed: Iterable[tuple[str, str]]) -> None:
    _fill(con, "kt_map", {"old": "varchar", "new": "varchar"}, changed)
    con.execute(f"update {BASE} set {column} = m.new from kt_map m where {BASE}.{column} = m.old")
    con.execute("drop table kt_map")


def hide_keys(con: duckdb.DuckDBPyConnection, key: Callable[[], bytes]) -> None:
    """Put a pseudonym in place of each key in clear."""
    rows = con.execute(f"select distinct key_id from {BASE} where {FLAGS} & {SECRETS} = {SECRETS}").fetchall()
    secret = key()
    _replace(con, "key_id", ((text, pseudonym(secret_in(text), secret)) for (text,) in rows))


def hide_in_texts(con: duckdb.DuckDBPyConnection, columns: Collection[str]) -> None:
    """Cut keys in clear out of the other texts that people fill in."""
    for column in (quote_name(name) for name in _TEXTS if name in columns):
        rows = con.execute(
            f"select distinct {column} from {BASE} where strlen({column}) >= ? and regexp_matches({column}, ?)",
            [SHORTEST_WITHIN, WITHIN],
        ).fetchall()
        changed = [(text, new) for (text,) in rows if (new := hide_within(text)) != text]
        if changed:
            _replace(con, column, changed)


def normalise_addresses(con: duckdb.DuckDBPyConnection) -> None:
    """Write IPv6 addresses as RFC 5952 and IPv4-mapped ones as IPv4."""
    rows = con.execute(f"select distinct source_ip from {BASE} where contains(source_ip, ':')").fetchall()
    changed = [(text, new) for (text,) in rows if (new := normal_address(text)) != text]
    if changed:
        _replace(con, "source_ip", changed)


def price(con: duckdb.DuckDBPyConnection, columns: Collection[str]) -> None:
    """Fill list prices, and the costs that the log lacks; `cost_source` says which is which."""
    if "cost_source" in columns:
        con.execute(f"update {BASE} set cost_source = 'reported' where cost_usd is not null")
    wanted = con.execute(
        f"select distinct provider, model, cast(timestamp as date) from {BASE} where model is not null "
        "and timestamp is not null"
    ).fetchall()
    rows = ((p.provider, p.model, p.day, p.input, p.cached, p.output, p.list_price) for p in prices_of(wanted))
    _fill(con, "kt_prices", _PRICES, rows)
    cost = f"coalesce(cost_usd, {_COST})"
    values = {
        "list_price": "p.list",
        "cost_usd": cost,
        "cost_source": f"coalesce(cost_source, case when {cost} is not null then 'priced' end)",
    }
    con.execute(
        f"update {BASE} set {', '.join(f'{name} = {sql}' for name, sql in values.items() if name in columns)} "
        f"from kt_prices p where {BASE}.model = p.model "
        f"and {BASE}.provider is not distinct from p.provider and cast({BASE}.timestamp as date) = p.day"
    )
    con.execute("drop table kt_prices")


def finish(con: duckdb.DuckDBPyConnection, columns: Collection[str], key: Callable[[], bytes]) -> int:
    """Run the passes that the chunk's flags ask for over `columns` of it; return those flags."""
    (flags,) = con.execute(f"select coalesce(bit_or({FLAGS}), 0) from {BASE}").fetchone() or (0,)
    if flags & SECRETS:
        hide_keys(con, key)
    hide_in_texts(con, columns)
    if flags & COLON and "source_ip" in columns:
        normalise_addresses(con)
    if flags & UNPRICED:
        price(con, columns)
    return int(flags)
