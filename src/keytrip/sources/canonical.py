"""Records that already carry canonical names, taken as written; `api_key_prefix` also stands for `key_id`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keytrip.records.sql import quote_name
from keytrip.records.vocabulary import DUCKDB_TYPES, usage
from keytrip.sources.base import Source

# Times come in many forms, so they are read as text.
_NAMES = {name: DUCKDB_TYPES[f.type] if f.numeric else "VARCHAR" for name, f in usage().fields.items()}


def _recognise(record: Mapping[str, Any]) -> bool:
    named = "key_id" in record or "api_key_prefix" in record
    return "timestamp" in record and named and "remote_addr" not in record


_FIELDS = {name: quote_name(name) for name in _NAMES}
_FIELDS["key_id"] = 'coalesce("key_id", "api_key_prefix")'

SOURCE = Source(
    name="canonical",
    about="keytrip's own records: canonical names, one record a line, row or element",
    recognise=_recognise,
    members={**_NAMES, "api_key_prefix": "VARCHAR"},
    fields=_FIELDS,
)
