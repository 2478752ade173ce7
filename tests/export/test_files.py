"""A folder as a destination, for real: what lies in it, through crashes, edits and hostile content."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from export.sharing.examples import an_agent, made, one_of_each
from hostile import hostile_texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keytrip.baselines.store import Store
from keytrip.errors import ContentError, DataError, SystemRefusedError, UsageError
from keytrip.export.desired import Desired, Request
from keytrip.export.drift import drift
from keytrip.export.engine import apply, destroy, read_plan, roll_back
from keytrip.export.files.folder import checked_file, checked_path
from keytrip.export.files.iocs import list_items
from keytrip.export.files.items import file_items
from keytrip.export.files.tables import read_table, write_table
from keytrip.export.files.transport import FileTransport
from keytrip.export.indicators import read_indicators
from keytrip.export.manifest import Manifest
from keytrip.export.model import Holder, Item, Table, Transport
from keytrip.export.tables import table_of

COLUMNS = {"key_id": "VARCHAR", "share": "DOUBLE", "last_seen": "TIMESTAMP", "events": "BIGINT"}
NOON = datetime.fromisoformat("2026-11-01T12:00:00.000001")


def table(*keys: str, events: int = 1) -> Table:
    """A table of keys."""
    rows = [{"key_id": key, "share": 0.1, "last_seen": NOON, "events": events} for key in sorted(keys)]
    return table_of("keytrip_keys", ("key_id",), COLUMNS, lambda: rows)


def text(name: str, content: str) -> Item:
    """A file."""
    return Item("text", name, {"text": content})


ONE = Desired((text("README.md", "one\n"), text("rules/splunk/a.spl", "a\n")), (table("a", "b"),), {}, 1)
TWO = Desired((text("README.md", "two\n"), text("rules/esql/a.esql", "a\n")), (table("b", "c", events=2),), {}, 2)


def seen(root: Path) -> dict[str, str]:
    """What a user finds in a folder."""
    files = (path for path in root.rglob("*") if path.is_file() and ".keytrip" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


class Killed:
    """A transport whose process is killed before its n-th call, which is after the one before."""

    def __init__(self, inner: Transport, step: int) -> None:
        self._inner, self._left = inner, step
        self.kinds = inner.kinds

    def __getattr__(self, name: str) -> Any:
        """Return the inner transport's method, which may not come to its end."""
        found = getattr(self._inner, name)
        if name in {"row_id", "row_digest", "row_digests"}:
            return found

        def call(*arguments: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise KeyboardInterrupt
            return found(*arguments)

        return call


def test_a_folder_holds_what_people_take_from_it(tmp_path: Path) -> None:
    """Files lie where the manifest says, and all that keytrip needs is in one hidden folder."""
    root = tmp_path / "export"
    apply(FileTransport(root), ONE)
    assert sorted(seen(root)) == ["README.md", "rules/splunk/a.spl", "tables/keys.csv"]
    assert seen(root)["tables/keys.csv"].splitlines() == [
        '"key_id","share","last_seen","events"',
        '"a",0.1,2026-11-01T12:00:00.000001Z,1',
        '"b",0.1,2026-11-01T12:00:00.000001Z,1',
    ]
    assert read_plan(FileTransport(root), ONE).empty
    assert apply(FileTransport(root), TWO, prune=True).counts == {
        "create": 1,
        "update": 2,
        "delete": 1,
        "kept": 0,
        "unchanged": 0,
    }
    assert sorted(seen(root)) == ["README.md", "rules/esql/a.esql", "tables/keys.csv"]
    roll_back(FileTransport(root))
    assert seen(root)["README.md"] == "one\n"
    assert sorted(seen(root)) == ["README.md", "rules/splunk/a.spl", "tables/keys.csv"]
    assert read_plan(FileTransport(root), ONE).empty
    destroy(FileTransport(root))
    assert not root.exists()


def test_killed_at_any_call_the_next_apply_converges(tmp_path: Path) -> None:
    """Between all calls of an apply, every file that a reader finds is an old one or a new one, whole."""
    before, after = FileTransport(tmp_path / "before"), FileTransport(tmp_path / "after")
    apply(before, ONE)
    apply(after, TWO)
    whole = [*seen(before.root).items(), *seen(after.root).items()]
    for step in range(200):
        there = FileTransport(Path(shutil.copytree(before.root, tmp_path / str(step))))
        try:
            apply(Killed(there, step), TWO, prune=True)
        except KeyboardInterrupt:
            assert all(found in whole for found in seen(there.root).items())
            assert "tables/keys.csv" in seen(there.root)
            (there.state / "lock.json").unlink(missing_ok=True)
            apply(there, TWO, prune=True)
            assert seen(there.root) == seen(after.root)
            assert read_plan(there, TWO, prune=True).empty
            assert len([*(there.state / "generations/keytrip_keys").glob("*.csv")]) <= 2
            continue
        assert step > 10
        return
    pytest.fail("it never ended")


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet", None])
def test_lists_of_indicators_are_read_back(tmp_path: Path, form: str | None) -> None:
    """A list is written so that `--iocs` reads the same list, whatever its texts."""
    agents = hostile_texts(fit=an_agent)
    kinds = [made("user_agent", text, description=text, rules=[f"r{text.replace(';', '')}"]) for text in agents]
    wanted = (*one_of_each()[:3], *kinds, made("domain", revoked=True, rules=[]))
    (item,) = list_items(wanted, form)
    path = tmp_path / Path(item.name).name
    path.write_text(item.body["text"], encoding="utf-8", newline="\n")
    assert read_indicators(path) == wanted
    assert list_items((), form) == ()


def test_a_list_that_no_cell_holds(tmp_path: Path) -> None:
    """A rule's name that would be two in a CSV cell is refused; NDJSON has it."""
    for names in (["a;b"], [""]):
        with pytest.raises(ContentError, match="is no list of a CSV cell"):
            list_items([made(rules=names)], "csv")
        (item,) = list_items([made(rules=names)], "ndjson")
        (tmp_path / "iocs.ndjson").write_text(item.body["text"], encoding="utf-8")
        assert read_indicators(tmp_path / "iocs.ndjson") == (made(rules=names),)


def test_others_files_are_never_touched(tmp_path: Path) -> None:
    """A file that was there is not overwritten, nor a table; destroy leaves what is not ours."""
    (tmp_path / "README.md").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match=r"text 'README.md' is there already"):
        apply(FileTransport(tmp_path), ONE)
    (tmp_path / "README.md").unlink()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/keys.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match="table 'keytrip_keys' is there already"):
        apply(FileTransport(tmp_path), ONE)
    (tmp_path / "tables/keys.csv").rename(tmp_path / "tables/mine.csv")
    apply(FileTransport(tmp_path), ONE)
    destroy(FileTransport(tmp_path))
    assert seen(tmp_path) == {"tables/mine.csv": "mine"}


@pytest.mark.parametrize("name", ["snapshots", "segments", "index.parquet"])
def test_a_store_of_baselines_is_never_touched(name: str, tmp_path: Path) -> None:
    """A folder whose hidden folder is a store is no destination, also if it was one: nothing is removed there."""
    apply(FileTransport(tmp_path), ONE)
    (tmp_path / ".keytrip" / name).mkdir()
    with pytest.raises(UsageError, match="holds a store of baselines"):
        FileTransport(tmp_path)


def test_an_edited_file_is_drift_and_is_put_right(tmp_path: Path) -> None:
    """What someone edits is told, with rows for a table, and the next apply puts it right."""
    there, tables = FileTransport(tmp_path), {"keytrip_keys": ONE.tables[0]}
    apply(there, ONE)
    assert drift(there, tables) == []
    path = tmp_path / "tables/keys.csv"
    path.write_text(path.read_text(encoding="utf-8").replace('"a",0.1', '"x",0.1') + '"y",,,\n', encoding="utf-8")
    (tmp_path / "README.md").write_bytes(b"\xff")
    found = drift(there, tables)
    assert [(one.what, one.name) for one in found] == [("changed", "README.md"), ("changed", "keytrip_keys")]
    assert found[0].at is not None
    counts = found[1].counts
    assert counts is not None
    assert (counts.added, counts.changed, counts.removed) == (2, 0, 1)
    path.write_text("no table at all\n\x00", encoding="utf-8")
    assert {one.name: one.action for one in read_plan(there, ONE).changes}["keytrip_keys"] == "update"
    apply(there, ONE)
    assert drift(there, tables) == []
    assert '"a",0.1' in seen(tmp_path)["tables/keys.csv"]


def test_a_file_that_changes_between_plan_and_write_is_not_overwritten(tmp_path: Path) -> None:
    """An update writes over what was read, and nothing else."""
    there = FileTransport(tmp_path)
    apply(there, ONE)
    live = there.read([("text", "README.md")], []).items["text", "README.md"]
    (tmp_path / "README.md").write_text("someone", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match=r"README.md changed meanwhile"):
        there.update(TWO.items[0], live)


def test_the_lock_is_one_holders(tmp_path: Path) -> None:
    """Only the holder's token beats and unlocks; a dead holder is passed over only if it is the one that was seen."""
    there = FileTransport(tmp_path)
    first, second = Holder("1", "a@h", 1, 0), Holder("2", "b@h", 2, 0)
    assert there.lock(first) is None
    assert there.lock(second) == first
    assert not there.beat(second)
    beaten = Holder("1", "a@h", 1, 1)
    assert there.beat(beaten)
    assert there.lock(second, dead=first) == beaten
    there.unlock(second)
    assert there.lock(second, dead=beaten) is None
    assert there.lock(second) is None
    assert not there.beat(beaten)
    there.unlock(second)
    assert there.lock(first) is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The system's word and what to do, with exit code 3."""
    (tmp_path / "file").touch()
    with pytest.raises(SystemRefusedError, match="apply again"):
        apply(FileTransport(tmp_path / "file"), ONE)
    there = FileTransport(tmp_path / "there")
    apply(there, ONE)
    (there.state / "deployments/1.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="deployment record is no JSON object"):
        read_plan(there, ONE)


HOSTILE = [
    "", "null", "NULL", '"', '""', ",", "a,b", "\n", "\r\n", "'", "\\", "=1+1", "@x", "$t$", "`m`", "[|x]", "{{ 1 }}",
    "<b>", "\x1b[2J", "\u202e", "\ufeff", "\U0001f600", "\x7f", "\t", " a ", "#c", "-", "1e5", "0042", "x" * 1_000_000,
    '"' * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_hostile_rows_arrive_as_they_are(form: str, tmp_path: Path) -> None:
    """Whatever a key id holds, a file gives it back, and null is not the empty text."""
    found = table(*{*HOSTILE, *hostile_texts()})
    rows: list[dict[str, Any]] = [dict.fromkeys(COLUMNS) | {"key_id": "n"}, *found.rows()]
    whole = table_of(found.name, found.key, COLUMNS, lambda: rows)
    path = tmp_path / f"t.{form}"
    assert write_table(whole, path, form, lambda _: None) == len(rows)
    assert list(read_table(path, form, COLUMNS)) == rows
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


VALUES = st.tuples(
    st.text(max_size=6), st.none() | st.floats(allow_nan=False), st.none() | st.integers(-(2**63), 2**63 - 1)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(found=st.lists(VALUES, max_size=30))
def test_any_row_arrives_as_it_is(found: list[tuple[Any, ...]], tmp_path: Path) -> None:
    """Texts of every character, numbers to their last digit."""
    rows = [{"key_id": key, "share": share, "last_seen": NOON, "events": events} for key, share, events in found]
    whole = table_of("keytrip_keys", ("key_id",), COLUMNS, lambda: rows)
    write_table(whole, tmp_path / "t.csv", "csv", lambda _: None)
    assert list(read_table(tmp_path / "t.csv", "csv", COLUMNS)) == rows


def test_other_readers_understand_the_csv(tmp_path: Path) -> None:
    """DuckDB's own reader, told nothing of the columns, finds the same keys."""
    path = tmp_path / "t.csv"
    write_table(table('a "b"', "c,d"), path, "csv", lambda _: None)
    assert duckdb.sql(f"select key_id from '{path}' order by 1").fetchall() == [('a "b"',), ("c,d",)]


def test_records_that_no_rollback_needs_go(tmp_path: Path) -> None:
    """The last two finished deployments are kept."""
    there = FileTransport(tmp_path)
    for number in range(5):
        apply(there, Desired((text("README.md", f"{number}\n"),)))
    records = there.state / "deployments"
    assert sorted(path.name for path in records.iterdir()) == ["4.json", "5.json"]
    assert json.loads((records / "5.json").read_text(encoding="utf-8"))["state"] == "done"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", ".keytrip/lock.json", "", "x" * 300, "a\0b", "..\\x"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    """A pack's rule or template names a file below the folder, and nothing of keytrip's own."""
    with pytest.raises(ContentError):
        checked_path(name)
    with pytest.raises(ContentError):
        checked_file(name)
    with pytest.raises(ContentError):
        checked_file("a/b")


def test_a_faulty_text_template_is_told(tmp_path: Path) -> None:
    """A template that names what is not there is named with its file."""
    (tmp_path / "t.j2").write_text("{{ nothing }}", encoding="utf-8")
    members = {"name": "here", "about": "x", "transport": "files", "folder": tmp_path}
    manifest = Manifest.model_validate({**members, "templates": [{"template": "t.j2", "path": "t.md"}]})
    with pytest.raises(ContentError, match="'nothing' is undefined") as told:
        list(file_items(manifest, Request(Store(tmp_path)), {}, []))
    assert told.value.place.path == str(tmp_path / "t.j2")
