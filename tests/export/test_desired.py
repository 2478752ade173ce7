"""What a destination should hold: rules by the first target that can say them, tables counted and digested."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hostile import half_characters
from hypothesis import given
from hypothesis import strategies as st

from keytrip.baselines.store import Store
from keytrip.errors import ContentError, DataError
from keytrip.export.desired import Desired, Request, desired_for
from keytrip.export.elastic.versions import server_of_version
from keytrip.export.manifest import Manifest, destination_named
from keytrip.export.tables import canonical, digest_of_rows, row_identity, table_of
from keytrip.rules.selection import Selection

ITEM = {"kind": "search", "for": "rule", "name": "'keytrip - ' ~ rule.name", "template": "rule.yml.j2"}
TEMPLATE = "<<: {{ rule.settings }}\nid: {{ rule.id }}\nguide: {{ rule.triage }}\nevery: {{ rule.schedule.interval }}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A destination's folder."""
    (tmp_path / "rule.yml.j2").write_text(TEMPLATE, encoding="utf-8")
    (tmp_path / "table.yml.j2").write_text("key: {{ table.key }}\nrows: {{ table.rows }}\n", encoding="utf-8")
    (tmp_path / "once.yml.j2").write_text("app: {{ options.app }}\nrules: {{ rules | length }}\n", encoding="utf-8")
    return tmp_path


def manifest(folder: Path, *items: Mapping[str, Any], targets: tuple[str, ...] = ("splunk",)) -> Manifest:
    """A destination that makes `items`."""
    return Manifest.model_validate(
        {"name": "there", "about": "x", "transport": "splunk", "targets": targets, "items": items, "folder": folder}
    )


def desired(store: Store, found: Manifest, *names: str) -> Desired:
    """What it should hold."""
    return desired_for(found, Request(store, selection=Selection(names), options={"app": "keytrip"}))


def test_items_are_made_of_rules_tables_and_once(store: Store, folder: Path) -> None:
    """Each entry of `items` makes one item a rule, a table, or one in all, in this order, with the rule's id."""
    table = {"kind": "definition", "for": "table", "name": "table.lookup", "template": "table.yml.j2"}
    table["when"] = "'model' in table.key"
    once = {"kind": "app", "for": "once", "name": "'app'", "template": "once.yml.j2"}
    there = desired(store, manifest(folder, once, table, ITEM), "key_never_s*", "key_new_network")
    made = [(item.kind, item.name) for item in there.items]
    assert made[:2] == [("app", "app"), ("definition", "keytrip_key_models")]
    assert made[2:] == [("search", f"keytrip - {name}") for name in ("key_never_seen", "key_new_network")]
    assert there.items[0].body == {"app": "keytrip", "rules": 2}
    assert there.items[1].body == {"key": ["key_id", "model"], "rows": 8}
    body = there.items[-1].body
    assert body["id"] == there.items[-1].rule_id == "bae81c69-87f3-4882-8f1d-d7fc3ac00242"
    assert body["every"] == 900
    assert body["cron_schedule"] == "*/15 * * * *"
    assert "\n| where (window_end" in body["search"]
    assert body["guide"]["containment"]
    assert there.snapshot == 1


def test_a_rule_goes_to_the_first_target_that_can_say_it(store: Store, folder: Path) -> None:
    """What no target can say is left out, with each one's reason."""
    there = desired(store, manifest(folder, ITEM, targets=("eql", "esql")), "key_new_network")
    assert there.items[0].body["language"] == "esql"
    there = desired(store, manifest(folder, ITEM, targets=("eql", "lucene")), "key_new_network")
    assert there.items == ()
    assert there.refused["key_new_network"].startswith("eql: ")
    assert " | lucene: " in there.refused["key_new_network"]


def test_a_rule_whose_table_is_not_there_is_left_out(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that names a missing lookup fails, so the rule is refused with the table's name."""
    monkeypatch.setattr("keytrip.export.desired.snapshot_tables", lambda *_: [])
    there = desired(store, manifest(folder, ITEM), "key_new_network")
    assert there.items == ()
    assert there.refused == {"key_new_network": "the snapshot has no table key_source_nets; build a new one"}


def test_an_older_server_gets_what_it_can_hold(store: Store) -> None:
    """Before lookup indices there are no tables and plain rules alone; where joins follow no alias, no such rules."""
    elastic = destination_named("elastic")

    def names(version: str) -> tuple[set[str], Desired]:
        request = Request(store, options=elastic.options, server=server_of_version(version))
        there = desired_for(elastic, request)
        assert there.server == request.server
        return {str(item.body["type"]) for item in there.items if item.kind == "detection_rule"}, there

    _, whole = names("8.19.21")
    kinds, old = names("8.15.3")
    assert kinds <= {"eql", "query"}
    assert old.tables == ()
    assert whole.tables
    assert all(reason.startswith("esql: Elasticsearch 8.15 has no") for reason in old.refused.values())
    assert " | lucene: " in old.refused["key_new_network"]
    _, between = names("9.0.2")
    assert between.tables
    assert "follows no alias" in between.refused["key_new_network"]
    joining = {name for name, reason in between.refused.items() if "follows no alias" in reason}
    assert {item.rule_id for item in whole.items} - {item.rule_id for item in between.items} != set()
    assert joining | set(whole.refused) == set(between.refused)
    assert names("9.1.0")[1].items == names("9.2.0")[1].items == whole.items


def test_two_items_of_one_name_are_refused(store: Store, folder: Path, tmp_path: Path) -> None:
    """One would be written over the other."""
    with pytest.raises(ContentError, match="two items are search 'same'"):
        desired(store, manifest(folder, {**ITEM, "name": "'same'"}), "key_*")
    with pytest.raises(DataError, match="has no baseline yet"):
        desired(Store(tmp_path), manifest(folder))


def test_a_table_says_what_its_rows_are(store: Store, folder: Path) -> None:
    """Count and digest are those of the rows, which are read anew at each call, in the order of the key."""
    tables = {table.name: table for table in desired(store, manifest(folder)).tables}
    table = tables["keytrip_key_models"]
    rows = list(table.rows())
    assert list(table.rows()) == rows
    assert digest_of_rows(rows) == (table.count, table.digest) == (8, table.digest)
    keys = [(row["key_id"], row["model"]) for row in rows]
    assert keys == sorted(keys)
    assert tuple(rows[0]) == tuple(table.columns)


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A broken file of a snapshot is named."""
    from keytrip.baselines.jobs import load_jobs
    from keytrip.export.tables import parquet_table

    path = tmp_path / "key_models.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="cannot be read"):
        parquet_table("key_models", load_jobs()["key_models"], path, duckdb.connect())


def test_half_a_character() -> None:
    """What no UTF-8 holds is in no table, whatever the destination: it is refused with the row it is in."""
    for text in half_characters():
        with pytest.raises(DataError, match="surrogates not allowed"):
            table_of("keytrip_x", ("key_id",), {"key_id": "VARCHAR"}, partial(list, [{"key_id": text}]))


KEYS = st.tuples(*[st.none() | st.text(max_size=3) | st.sampled_from(["None", "\x1f", "a\x1f", "\x1fa"])] * 2)


@given(left=KEYS, right=KEYS)
def test_rows_have_one_identity_each(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Two keys have one identity only if they are equal, whatever separators and nulls they hold."""
    one, other = ({"a": a, "b": b, "n": n} for n, (a, b) in enumerate((left, right)))
    assert (row_identity(("a", "b"), one) == row_identity(("a", "b"), other)) == (left == right)


@given(
    row=st.dictionaries(st.text(max_size=4), st.text() | st.integers(-(2**63), 2**63 - 1) | st.none() | st.booleans())
)
def test_a_canonical_row_is_json_on_one_line(row: dict[str, Any]) -> None:
    """The order of members does not matter, and what was written can be read."""
    text = canonical(row)
    assert json.loads(text) == row
    assert text == canonical(dict(reversed(row.items())))
    assert text.count(b"\n") == 1
