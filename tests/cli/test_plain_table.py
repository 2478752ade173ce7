"""A table in a pipe is rich's own, less colour and wrapping."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from keytrip.cli.output import harmless, plain_table

CELLS = st.text(st.sampled_from("ab \n\té漢😀\u0301\x1b"), max_size=8).map(harmless)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=4),
    )
)


def _rich(columns: list[str], texts: list[list[str]]) -> str:
    table = Table(box=box.SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in texts:
        table.add_row(*map(Text, row))
    console = Console(file=io.StringIO(), width=10_000, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


@given(TABLES)
def test_the_text_in_a_pipe_is_that_of_a_terminal(table: tuple[list[str], list[list[str]]]) -> None:
    """Wide letters, combining marks and empty tables are laid out as rich does."""
    assert plain_table(*table) == _rich(*table)
