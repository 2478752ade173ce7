"""Lists of indicators as tables: what a destination holds in generations, like baselines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keytrip.export.indicators import Indicator
from keytrip.export.model import Row, Table
from keytrip.export.tables import table_of

_TEXT = "VARCHAR"
_WHOLE = {
    "kind": _TEXT, "value": _TEXT, "first_seen": _TEXT, "last_seen": _TEXT, "count": "BIGINT", "confidence": "BIGINT",
    "tlp": _TEXT, "description": _TEXT, "rules": _TEXT, "sources": _TEXT,
}  # fmt: skip
# Collection of Enterprise Security -> indicator kind -> its column there. Networks, digests of key ids have none.
_INTEL: Mapping[str, Mapping[str, str]] = {
    "ip_intel": {"ipv4": "ip", "ipv6": "ip", "domain": "domain"},
    "http_intel": {"user_agent": "http_user_agent", "url": "url"},
}
_DESCRIPTION = "Seen misusing an AI API key"


def indicator_table(indicators: Iterable[Indicator]) -> Table:
    """Return the list as one table, without those that were revoked."""
    rows = [_whole(one) for one in indicators if not one.revoked]
    return _sorted("keytrip_indicators", ("kind", "value"), _WHOLE, rows)


def intelligence_tables(indicators: Sequence[Indicator]) -> list[Table]:
    """Return the list as tables with the columns of Enterprise Security's threat intelligence."""
    return [_intelligence(name, columns, indicators) for name, columns in _INTEL.items()]


def _intelligence(name: str, columns: Mapping[str, str], indicators: Iterable[Indicator]) -> Table:
    key = tuple(dict.fromkeys(columns.values()))
    types = {**dict.fromkeys(key, _TEXT), "description": _TEXT, "weight": "BIGINT"}
    told = (one for one in indicators if not one.revoked and one.kind in columns)
    rows = [{**dict.fromkeys(key), columns[one.kind]: one.value, **_about(one)} for one in told]
    return _sorted(f"keytrip_{name}", key, types, rows)


def _about(one: Indicator) -> dict[str, Any]:
    return {"description": one.description or _DESCRIPTION, "weight": max(1, one.confidence)}


def _whole(one: Indicator) -> dict[str, Any]:
    """Return a row; an empty text is none, since a CSV lookup tells them not apart."""
    found = one.model_dump(mode="json", include=set(_WHOLE))
    texts = {name: ";".join(value) if isinstance(value, list) else value for name, value in found.items()}
    return {name: None if texts[name] == "" else texts[name] for name in _WHOLE}


def _sorted(name: str, key: tuple[str, ...], columns: Mapping[str, str], rows: list[dict[str, Any]]) -> Table:
    rows.sort(key=lambda row: [row[column] or "" for column in key])

    def read() -> Iterator[Row]:
        return iter(rows)

    return table_of(name, key, columns, read)
