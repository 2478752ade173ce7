"""Writes the JSON Schema of rule files from the models; `--check` only says whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from keytrip.rules.json_schema import SCHEMA, schema_text


def main(arguments: Sequence[str]) -> int:
    """Write the schema, or with `--check` return 1 if it is stale."""
    if "--check" not in arguments:
        SCHEMA.write_text(schema_text(), encoding="utf-8")
        return 0
    if SCHEMA.is_file() and SCHEMA.read_text(encoding="utf-8") == schema_text():
        return 0
    print(f"{SCHEMA.name} is stale: run `python scripts/rule_schema.py`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
