"""The canonical layout of SEMANTICS section 6: how records and baseline tables look in a SIEM. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from typing import Any

from keytrip.errors import ContentError, DataError
from keytrip.records.vocabulary import vocabulary

SEPARATOR = "\x1f"
ESCAPE = "\x1e"
SPLUNK_INDEX = "keytrip"
# Canonical name -> ECS or OpenTelemetry name; a field that is not here is `keytrip.<name>`.
ELASTIC_FIELDS: dict[str, str] = {
    "timestamp": "@timestamp",
    "provider": "gen_ai.provider.name",
    "user": "user.name",
    "model": "gen_ai.request.model",
    "operation": "gen_ai.operation.name",
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "source_ip": "source.address",
    "country": "source.geo.country_iso_code",
    "asn": "source.as.number",
    "user_agent": "user_agent.original",
    "status_code": "http.response.status_code",
    "request_id": "http.request.id",
}
# Elasticsearch refuses a whole document for one keyword of more than 32,766 bytes; a character has at most four.
KEYWORD: dict[str, object] = {"type": "keyword", "ignore_above": 8191}
_RECORD_TYPES: dict[str, dict[str, object]] = {
    "timestamp": {"type": "date"},
    "string": KEYWORD,
    "json": KEYWORD,
    "int": {"type": "long"},
    "double": {"type": "double"},
}
_LOOKUP_TYPES: dict[str, dict[str, object]] = {
    "VARCHAR": KEYWORD,
    "BIGINT": {"type": "long"},
    "DOUBLE": {"type": "double"},
    "TIMESTAMP": {"type": "date"},
}


def elastic_field(name: str) -> str:
    """Return the field of Elasticsearch and OpenSearch that holds the canonical field `name`."""
    return ELASTIC_FIELDS.get(name, f"keytrip.{name}")


def elastic_data_stream(table: str, namespace: str = "default") -> str:
    """Return the data stream that records of the canonical `table` go to."""
    return f"logs-keytrip.{table}-{namespace}"


def elastic_mappings(table: str) -> dict[str, Any]:
    """Return the mappings of a canonical table; what is not in the vocabulary is kept, but not indexed.

    Raises:
        KeyError: There is no such table.
    """
    columns = vocabulary().tables[table].columns.items()
    properties = {elastic_field(name): _RECORD_TYPES[field.type] for name, field in columns if field.shipped}
    if ELASTIC_FIELDS["source_ip"] in properties:
        properties["source.ip"] = {"type": "ip"}
    return {"dynamic": False, "properties": properties}


def elastic_index_template(table: str) -> dict[str, Any]:
    """Return the index template of a canonical table's data streams.

    Its priority is above 100, that of the template which Elasticsearch itself brings for `logs-*-*`.

    Raises:
        KeyError: There is no such table.
    """
    return {
        "index_patterns": [elastic_data_stream(table, "*")],
        "data_stream": {},
        "priority": 500,
        "template": {"mappings": elastic_mappings(table)},
        "_meta": {"managed_by": "keytrip"},
    }


def elastic_document(record: Mapping[str, object]) -> dict[str, Any]:
    """Return the document of a canonical record; derived fields that it holds go in too, but for those of time.

    Args:
        record: Canonical name -> value; times are datetimes. They are cut to milliseconds, which `date` holds.

    Raises:
        DataError: The record has no time. No rule would match it, and a data stream refuses it.
    """
    _time_of(record)
    document: dict[str, Any] = {}
    for name, value in _shipped(record):
        _put(document, elastic_field(name), _time_text(value, "milliseconds"))
    address = record.get("source_ip")
    if isinstance(address, str) and _is_address(address):
        document["source"]["ip"] = address
    return document


def lookup_name(table: str) -> str:
    """Return the name of a baseline table's lookup, the same in every SIEM."""
    return f"keytrip_{table}"


def lookup_key(texts: Sequence[str], columns: int) -> str:
    """Return the `keytrip_key` of a row, or of a leading part of its key.

    U+001F joins the values. Before it U+001E stands twice and U+001F is U+001E and a `u`, so that no two keys are one;
    the last column's text has nothing behind it and stays as it is. The queries of ES|QL write it the same way.

    Args:
        texts: The values of the first key columns, or of all.
        columns: How many key columns the table has.
    """
    before = [text.replace(ESCAPE, 2 * ESCAPE).replace(SEPARATOR, f"{ESCAPE}u") for text in texts[: columns - 1]]
    return SEPARATOR.join([*before, *texts[columns - 1 :]])


def elastic_lookup_mapping(key_columns: Sequence[str], columns: Mapping[str, str]) -> dict[str, Any]:
    """Return the body that creates a baseline table's lookup index.

    Args:
        key_columns: The table's key columns.
        columns: All its columns -> DuckDB type, as a baseline job declares them.

    Raises:
        ContentError: A column's type has no counterpart.
    """
    properties = {"keytrip_key": KEYWORD, "baseline_found": {"type": "boolean"}}
    for name, kind in columns.items():
        if kind not in _LOOKUP_TYPES:
            hint = f"use {', '.join(_LOOKUP_TYPES)}"
            raise ContentError(f"column {name} is {kind}, which no lookup index holds", hint=hint)
        if name not in key_columns:
            properties[f"baseline_{name}"] = _LOOKUP_TYPES[kind]
    return {
        "settings": {"index": {"mode": "lookup"}},
        "mappings": {"dynamic": False, "properties": properties, "_meta": {"managed_by": "keytrip"}},
    }


def elastic_lookup_documents(
    key_columns: Sequence[str], rows: Iterable[Mapping[str, object]]
) -> Iterator[dict[str, object]]:
    """Yield the lookup documents of a table's rows, and one for each distinct leading part of their keys.

    A leading part says that the table knows, for example, the key id at all: what `requires` asks. A row with a null
    in its key is left out, since nothing can be equal to it.
    """
    seen: set[str] = set()
    for row in rows:
        parts = [row[column] for column in key_columns]
        if None in parts:
            continue
        texts = [str(part) for part in parts]
        for length in range(1, len(texts)):
            leading = lookup_key(texts[:length], len(texts))
            if leading not in seen:
                seen.add(leading)
                yield {"keytrip_key": leading, "baseline_found": True}
        yield {"keytrip_key": lookup_key(texts, len(texts)), "baseline_found": True, **_baseline(key_columns, row)}


def splunk_sourcetype(table: str) -> str:
    """Return the sourcetype of a canonical table."""
    return f"keytrip:{table}"


def splunk_event(table: str, record: Mapping[str, object]) -> dict[str, Any]:
    """Return a canonical record as an event of Splunk's HTTP Event Collector; the time is in seconds.

    The envelope repeats `source`, so that a search reads the same whether Splunk takes the field from the event or from
    the metadata of that name.

    Raises:
        DataError: The record has no time. Splunk would put its own in its place.
    """
    time = _time_of(record).timestamp()
    event = {name: _time_text(value, "microseconds") for name, value in _shipped(record)}
    envelope = {
        "time": time,
        "index": SPLUNK_INDEX,
        "sourcetype": splunk_sourcetype(table),
        "event": event,
    }
    return envelope | ({"source": event["source"]} if "source" in event else {})


def splunk_lookup_rows(rows: Iterable[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    """Return the rows of a Splunk lookup: the table's own columns, nulls left out, times as seconds since 1970."""
    return map(splunk_lookup_row, rows)


def splunk_lookup_row(row: Mapping[str, object]) -> dict[str, object]:
    """Return one such row."""
    return {
        name: _utc(value).timestamp() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }


@cache
def _computed_by_queries() -> frozenset[str]:
    """Derived fields that no SIEM holds: those of time."""
    return frozenset(n for t in vocabulary().tables.values() for n, f in t.derived.items() if not f.shipped)


def _shipped(record: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the members that go into a SIEM; a null is an absent one."""
    left_out = _computed_by_queries()
    return ((name, value) for name, value in record.items() if value is not None and name not in left_out)


def _time_of(record: Mapping[str, object]) -> datetime:
    """Return the record's time in UTC.

    Raises:
        DataError: It has none.
    """
    time = record.get("timestamp")
    if not isinstance(time, datetime):
        raise DataError("a record without a time cannot be shipped", hint="leave undated records out")
    return _utc(time)


def _baseline(key_columns: Sequence[str], row: Mapping[str, object]) -> dict[str, object]:
    others = ((name, value) for name, value in row.items() if value is not None and name not in key_columns)
    return {f"baseline_{name}": _time_text(value, "milliseconds") for name, value in others}


def _put(document: dict[str, Any], path: str, value: object) -> None:
    """Set a dotted path in nested objects."""
    *parents, leaf = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[leaf] = value


def _is_address(text: str) -> bool:
    """Whether a text is an address: a zone (`%eth0`) makes it none (SEMANTICS section 1)."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one without a zone is UTC already, as DuckDB hands them out."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _time_text(value: object, precision: str) -> object:
    """Return a time as ISO 8601 in UTC, cut to `precision`, and any other value as it is."""
    if not isinstance(value, datetime):
        return value
    return _utc(value).isoformat(timespec=precision).replace("+00:00", "Z")
