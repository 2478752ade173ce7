"""What the canonical layout promises: SEMANTICS section 6, word for word, for Elasticsearch and Splunk."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keytrip.baselines.jobs import load_jobs
from keytrip.content import content_files
from keytrip.errors import ContentError, DataError
from keytrip.export.layout import (
    elastic_data_stream,
    elastic_document,
    elastic_field,
    elastic_index_template,
    elastic_lookup_documents,
    elastic_lookup_mapping,
    elastic_mappings,
    lookup_key,
    lookup_name,
    splunk_event,
    splunk_lookup_rows,
)
from keytrip.records.vocabulary import vocabulary

MOMENT = datetime(2026, 4, 1, 23, 59, 59, 999999, tzinfo=UTC)
UNIT = "\x1f"
COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "first_seen": "TIMESTAMP", "days": "BIGINT", "share": "DOUBLE"}


def record(**values: object) -> dict[str, object]:
    """A usage record of MOMENT."""
    return {"timestamp": MOMENT, "key_id": "key_a", **values}


def flat(document: dict[str, Any], before: str = "") -> dict[str, object]:
    """Dotted names -> values."""
    found: dict[str, object] = {}
    for name, value in document.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def test_document() -> None:
    """A record becomes nested ECS and OpenTelemetry objects that are plain JSON, with the rest under `keytrip`."""
    document = elastic_document(record(model="gpt-4o", source_ip="10.1.2.3", source_net="10.1.2.0/24", cost_usd=0.5))
    assert json.loads(json.dumps(document)) == {
        "@timestamp": "2026-04-01T23:59:59.999Z",
        "gen_ai": {"request": {"model": "gpt-4o"}},
        "source": {"address": "10.1.2.3", "ip": "10.1.2.3"},
        "keytrip": {"key_id": "key_a", "source_net": "10.1.2.0/24", "cost_usd": 0.5},
    }


def test_names() -> None:
    """The fields with a name of ECS or OpenTelemetry are those of SEMANTICS; every other is `keytrip.<name>`."""
    names = {name for table in vocabulary().tables.values() for name in table.columns}
    assert {name: field for name in names if (field := elastic_field(name)) != f"keytrip.{name}"} == {
        "timestamp": "@timestamp",
        "source_ip": "source.address",
        "user_agent": "user_agent.original",
        "country": "source.geo.country_iso_code",
        "asn": "source.as.number",
        "user": "user.name",
        "request_id": "http.request.id",
        "status_code": "http.response.status_code",
        "model": "gen_ai.request.model",
        "input_tokens": "gen_ai.usage.input_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "operation": "gen_ai.operation.name",
        "provider": "gen_ai.provider.name",
    }


def test_pipeline_agrees() -> None:
    """Rules look where records go: the pipeline maps every shipped field to the name that the documents have."""
    (path,) = (path for path in content_files("pipelines", ".yml", ()) if path.stem == "keytrip_canonical_elastic")
    (mapping,) = (item["mapping"] for item in yaml.safe_load(path.read_text(encoding="utf-8"))["transformations"])
    shipped = {n for table in vocabulary().tables.values() for n, field in table.columns.items() if field.shipped}
    assert mapping == {name: elastic_field(name) for name in shipped}


def test_absent_members() -> None:
    """Nulls and the derived fields of time are left out; a zero and an empty text are values."""
    values = record(model=None, user="", status_code=0, hour_of_day=23, hour_of_week=71, day="2026-04-01")
    assert flat(elastic_document(values)).keys() == {
        "@timestamp",
        "keytrip.key_id",
        "user.name",
        "http.response.status_code",
    }
    assert splunk_event("usage", values)["event"].keys() == {"timestamp", "key_id", "user", "status_code"}


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_address(address: str) -> None:
    """An address is in `source.ip` too, where networks can be searched."""
    assert elastic_document(record(source_ip=address))["source"] == {"address": address, "ip": address}


@pytest.mark.parametrize("text", ["unix:", "192.0.2.1:80", "192.0.2.0/24", "192.0.2.01", "fe80::1%eth0", "", "1"])
def test_no_address(text: str) -> None:
    """Any other text is kept as written, and is no `source.ip`: the server would refuse the whole document."""
    assert elastic_document(record(source_ip=text))["source"] == {"address": text}


@pytest.mark.parametrize("moment", [MOMENT.replace(tzinfo=None), MOMENT.astimezone(timezone(timedelta(hours=5)))])
def test_times(moment: datetime) -> None:
    """A time without a zone is UTC and one with a zone is converted; it is cut, never rounded into the next day."""
    assert elastic_document({"timestamp": moment})["@timestamp"] == "2026-04-01T23:59:59.999Z"
    event = splunk_event("usage", {"timestamp": moment})
    assert event["time"] == MOMENT.timestamp()
    assert event["event"] == {"timestamp": "2026-04-01T23:59:59.999999Z"}


def test_undated() -> None:
    """An undated record is refused: either server would take it for one of now, or not at all."""
    with pytest.raises(DataError, match="without a time"):
        elastic_document(record(timestamp=None))
    with pytest.raises(DataError, match="without a time"):
        splunk_event("usage", {"key_id": "key_a"})


def test_mappings() -> None:
    """Strings are keywords, counts and statuses long, costs double, times dates; times of day have no field."""
    usage = elastic_mappings("usage")["properties"]
    kinds = {name: usage[name]["type"] for name in usage}
    expected = {
        "@timestamp": "date",
        "keytrip.key_id": "keyword",
        "source.address": "keyword",
        "source.ip": "ip",
        "source.as.number": "long",
        "gen_ai.usage.input_tokens": "long",
        "keytrip.total_tokens": "long",
        "http.response.status_code": "long",
        "keytrip.cost_usd": "double",
    }
    assert expected.items() <= kinds.items()
    assert not {f"keytrip.{name}" for name in ("hour_of_day", "hour_of_week", "day")} & kinds.keys()
    assert elastic_mappings("leak")["properties"]["keytrip.exposed_at"] == {"type": "date"}
    assert "source.ip" not in elastic_mappings("leak")["properties"]


def test_every_document_is_mapped() -> None:
    """No member of a document is without a mapping, whatever the table."""
    for name, table in vocabulary().tables.items():
        values = dict.fromkeys(table.columns, "192.0.2.1") | {"timestamp": MOMENT}
        assert flat(elastic_document(values)).keys() == elastic_mappings(name)["properties"].keys()


def test_long_keyword() -> None:
    """A keyword too long for the index is left unindexed, or the server would refuse its document: 32,766 bytes."""
    limits = {f["ignore_above"] for f in elastic_mappings("usage")["properties"].values() if f["type"] == "keyword"}
    assert max(limits) * len("\U0001f600".encode()) <= 32766


def test_template() -> None:
    """A table's template is for its own data streams, and beats the one that Elasticsearch brings."""
    template = elastic_index_template("usage")
    (pattern,) = template["index_patterns"]
    assert pattern == "logs-keytrip.usage-*"
    assert fnmatchcase(elastic_data_stream("usage"), pattern)
    assert not fnmatchcase(elastic_data_stream("audit"), pattern)
    assert template["priority"] > 100
    assert template["data_stream"] == {}


def test_lookup_mapping() -> None:
    """Key columns are one keyword; the others have a prefix, since a lookup overwrites columns of the same name."""
    body = elastic_lookup_mapping(("key_id", "model"), COLUMNS)
    assert body["settings"]["index"]["mode"] == "lookup"
    assert {name: kind["type"] for name, kind in body["mappings"]["properties"].items()} == {
        "keytrip_key": "keyword",
        "baseline_found": "boolean",
        "baseline_first_seen": "date",
        "baseline_days": "long",
        "baseline_share": "double",
    }


def test_every_job_has_a_lookup() -> None:
    """Every baseline table that we ship can be a lookup index."""
    for job in load_jobs().values():
        properties = elastic_lookup_mapping(job.table_key, job.columns)["mappings"]["properties"]
        assert len(properties) == 2 + len(job.columns) - len(job.table_key)


def test_lookup_mapping_refuses() -> None:
    """A column type without a counterpart is refused by name."""
    with pytest.raises(ContentError, match="column seen is INTERVAL"):
        elastic_lookup_mapping(("key_id",), {"key_id": "VARCHAR", "seen": "INTERVAL"})


def test_lookup_documents() -> None:
    """A row has its key's values joined and its other values prefixed, nulls left out and times cut to milliseconds."""
    row = {"key_id": "a", "model": "m", "first_seen": MOMENT.replace(tzinfo=None), "days": 3, "share": None}
    assert list(elastic_lookup_documents(("key_id", "model"), [row])) == [
        {"keytrip_key": "a", "baseline_found": True},
        {
            "keytrip_key": f"a{UNIT}m",
            "baseline_found": True,
            "baseline_first_seen": "2026-04-01T23:59:59.999Z",
            "baseline_days": 3,
        },
    ]


def test_leading_parts() -> None:
    """Each leading part of a key is there once, of every length; a table with one key column has none."""
    rows = [{"a": a, "b": b, "hour": hour} for a in "xy" for b in "pq" for hour in (0, 1)]
    keys = [document["keytrip_key"] for document in elastic_lookup_documents(("a", "b", "hour"), rows)]
    whole = {UNIT.join((a, b, hour)) for a in "xy" for b in "pq" for hour in "01"}
    assert sorted(map(str, keys)) == sorted({"x", "y"} | {UNIT.join((a, b)) for a in "xy" for b in "pq"} | whole)
    single = list(elastic_lookup_documents(("a",), [{"a": "x", "days": 1}]))
    assert single == [{"keytrip_key": "x", "baseline_found": True, "baseline_days": 1}]


def test_null_key() -> None:
    """A row with a null in its key is in no lookup, and makes no leading part: nothing equals a null."""
    assert list(elastic_lookup_documents(("a", "b"), [{"a": "x", "b": None}])) == []


PARTS = st.text("abu\x1e\x1f", max_size=3)


@given(st.integers(1, 3).flatmap(lambda columns: st.lists(st.lists(PARTS, min_size=1, max_size=columns), max_size=9)))
def test_no_two_keys_are_one(keys: list[list[str]]) -> None:
    """Keys and leading parts of keys that differ are found under different texts, whatever characters they hold."""
    columns = max(map(len, keys), default=1)
    distinct = set(map(tuple, keys))
    assert len({lookup_key(key, columns) for key in distinct}) == len(distinct)


def test_usual_keys_are_joined() -> None:
    """A key without control characters is its values, joined; the last value is never changed."""
    assert lookup_key(("a", "b", f"c{UNIT}"), 3) == f"a{UNIT}b{UNIT}c{UNIT}"
    assert lookup_key(("a",), 1) == "a"


def test_splunk_event() -> None:
    """A record is one event: index, sourcetype and time around canonical names, and its source in both places."""
    assert json.loads(json.dumps(splunk_event("audit", record(source="litellm", outcome=None)))) == {
        "time": MOMENT.timestamp(),
        "index": "keytrip",
        "sourcetype": "keytrip:audit",
        "source": "litellm",
        "event": {"timestamp": "2026-04-01T23:59:59.999999Z", "key_id": "key_a", "source": "litellm"},
    }


def test_splunk_lookup_rows() -> None:
    """A lookup keeps the table's column names; times are epoch seconds, as in every SPL result; nulls are left out."""
    rows = [{"key_id": "a", "first_seen": datetime(1970, 1, 2, tzinfo=UTC).replace(tzinfo=None), "share": None}]
    assert list(splunk_lookup_rows(rows)) == [{"key_id": "a", "first_seen": 86400.0}]


def test_lookup_name() -> None:
    """Every SIEM knows a table's lookup by the same name."""
    assert lookup_name("key_models") == "keytrip_key_models"
