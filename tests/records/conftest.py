"""A DuckDB connection that knows the macros, and a way to ask one macro about many texts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pytest

from keytrip.records.sql import SETUP

Ask = Callable[[str, Sequence[Any]], list[Any]]


@pytest.fixture(scope="session")
def ask() -> Iterator[Ask]:
    """Return a callable (SQL over `s`, texts) -> the answers, in order."""
    with duckdb.connect() as con:
        con.execute(SETUP)

        def answers(sql: str, texts: Sequence[Any]) -> list[Any]:
            rows = "select unnest(?::varchar[]) as s, generate_subscripts(?::varchar[], 1) as i"
            query = f"select {sql} from ({rows}) order by i"
            return [row[0] for row in con.execute(query, [list(texts), list(texts)]).fetchall()]

        yield answers
