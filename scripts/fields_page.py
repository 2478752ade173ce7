"""Writes docs/fields.md from the vocabulary of canonical records; `--check` only says whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from keytrip.records.vocabulary import Field, Table, vocabulary

PAGE = Path(__file__).parents[1] / "docs" / "fields.md"
_HEAD = """# Canonical fields

Every source is read into these tables, and every rule is written in these names. This page is made from
`src/keytrip/records/vocabulary.yml` by `python scripts/fields_page.py`: change that file, not this one.

Types: `timestamp` is UTC with microseconds, `int` has 64 bits, `json` is a text that holds JSON. Every field may be
null. Derived fields are computed from the others, alike in every engine.
"""


def page() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD, *(line for name, table in vocabulary().tables.items() for line in _section(name, table))])


def _section(name: str, table: Table) -> Iterator[str]:
    yield f"## {name}\n\n{table.about} Rules read it with `logsource: {{category: {table.category}}}`.\n"
    yield from _rows(("field", "type", "unit", "meaning"), table.fields)
    yield f"\nDerived fields of `{name}`:\n"
    yield from _rows(("field", "type", "unit", "meaning", "in the SIEM"), table.derived)
    yield ""


def _rows(header: Sequence[str], fields: Mapping[str, Field]) -> Iterator[str]:
    yield _row(header)
    yield _row(["---"] * len(header))
    for name, field in fields.items():
        default = f" (null is read as {field.default})" if field.default is not None else ""
        cells = [f"`{name}`", field.type, field.unit or "", field.about + default]
        yield _row([*cells, "shipped" if field.shipped else "computed by the query"][: len(header)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` return 1 if it is stale."""
    if "--check" not in arguments:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE.name} is stale: run `python scripts/fields_page.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
