"""What a person reads of a plan and of a drift, the parts that a folder does not show. No server is used."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from stubs.memory import Memory

from keytrip.cli import app
from keytrip.cli.output import Format
from keytrip.cli.plan_text import show_drift, show_plan
from keytrip.errors import DataError, UsageError
from keytrip.export.connection import Connection
from keytrip.export.desired import Desired
from keytrip.export.drift import drift
from keytrip.export.engine import apply, read_plan, roll_back
from keytrip.export.manifest import Manifest
from keytrip.export.model import Holder, Item, Table
from keytrip.export.record import deployment_of, deployment_text, holder_of, holder_text
from keytrip.export.tables import table_of
from keytrip.export.transports import diagnose, transport_to


def rule(name: str, query: object, rule_id: str = "") -> Item:
    """A rule."""
    return Item("rule", name, {"query": query, "threat": {"id": "T1", "names": ["a"]}}, rule_id or name)


def table(events: int, *keys: str) -> Table:
    """A table of keys."""
    rows = [{"key_id": key, "events": events} for key in keys]
    return table_of("keytrip_keys", ("key_id",), {"key_id": "VARCHAR", "events": "BIGINT"}, lambda: rows)


@pytest.fixture
def server() -> Memory:
    """A server with a deployment."""
    there = Memory()
    apply(there, Desired((rule("a", "x" * 300), rule("old", "q", "id-1"), rule("gone", "q")), (table(1, "k", "l"),)))
    return there


def test_an_id_is_shown_with_its_name(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Where items are called by ids, plans and drifts also say what people call them, and harmlessly."""
    called = replace(server.kinds["rule"], title="query")
    server.kinds = {**server.kinds, "rule": called}
    show_plan(read_plan(server, Desired((rule("old", "Cost\x1b[1m"), rule("new", "Hours")))), Format.table)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == '~ rule old "Cost\\u001b[1m"'
    assert '+ rule new "Hours"' in shown
    assert '= rule gone "q"' in shown
    show_plan(read_plan(server, Desired((rule("new", "Hours"),))), Format.json)
    assert '"name":"new","title":"Hours"' in capsys.readouterr().out
    server.items["rule", "old"]["threat"] = {}
    show_drift(drift(server, {}), Format.table)
    assert 'changed rule old "q" (by anna' in capsys.readouterr().out
    show_drift(drift(server, {}), Format.json)
    assert '"name":"old","title":"q"' in capsys.readouterr().out


LINES = "\n".join(map(str, range(100)))


def test_a_plan_reads_as_what_will_be(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Long values are cut, texts are shown by their lines, names by what they were, rows by how many."""
    items = (rule("a", "y" * 300), rule("new", "q", "id-1"))
    plan = read_plan(server, Desired(items, (table(2, "l", "m"),), {"hard": "esql: cannot say it"}))
    show_plan(plan, Format.table)
    assert capsys.readouterr().out.splitlines() == [
        "~ table keytrip_keys: 2 rows, 1 added, 1 changed, 1 removed",
        "~ rule a",
        f'    query: "{"x" * 199}... (302 characters) -> "{"y" * 199}... (302 characters)',
        "+ rule new (was old)",
        "= rule gone",
        "- rule old",
        "! rule hard is left out: esql: cannot say it",
        "1 to create, 2 to change, 1 to delete, 1 kept; --prune deletes what is kept",
    ]


def test_a_long_text_is_cut(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a text that is another one altogether sixty lines are shown, and where the rest is."""
    show_plan(read_plan(server, Desired((rule("a", LINES),), (table(1, "k", "l"),))), Format.table)
    shown = capsys.readouterr().out.splitlines()
    assert shown[1] == "    query:"
    assert shown[-4] == "      ... 42 lines more; --format json has them"


def test_a_nested_field_is_named_by_its_path(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the member that differs is shown, absent ones as nothing."""
    server.items["rule", "a"]["threat"] = {"id": "T2", "names": ["a"], "more": 1}
    show_plan(read_plan(server, Desired((rule("a", "x" * 300),), (table(1, "k", "l"),))), Format.table)
    assert capsys.readouterr().out.splitlines()[1:3] == ['    threat.id: "T2" -> "T1"', "    threat.more: 1 -> nothing"]


def test_a_rollback_names_the_generation(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows are not compared there: the old generation comes back as it is."""
    apply(server, Desired((), (table(2, "k"),)))
    show_plan(roll_back(server), Format.table, done=True)
    assert capsys.readouterr().out.splitlines() == [
        "~ table keytrip_keys: 2 rows, generation 1",
        "1 changed, 3 unchanged",
    ]


def test_a_drift_reads_as_what_is_there(server: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Who changed what and when, and how many rows are more or others."""
    server.items["rule", "a"]["query"] = "theirs"
    server.rows["keytrip_keys", 1]["0" * 32] = {"key_id": "x", "events": 1}
    found = drift(server, {"keytrip_keys": table(1, "k", "l")})
    show_drift(found, Format.table)
    assert capsys.readouterr().out.splitlines() == [
        "changed rule a (by anna at 2026-11-24T00:00:00Z)",
        f'    query: "{"x" * 199}... (302 characters) -> "theirs"',
        "changed table keytrip_keys: 1 added rows",
        "2 drifted",
    ]
    show_drift(found, Format.json)
    assert '"rows":{"added":1,"changed":0,"removed":0}' in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"items": [{"no": 1}], "tables": []}', '{"items": 1, "tables": []}'])
def test_a_record_of_others_is_refused(text: str) -> None:
    """What is no record or no holder is told, and what is one comes back."""
    for read in (deployment_of, holder_of):
        with pytest.raises(DataError, match=r"no JSON|none of ours"):
            read(text)


def test_records_come_back(server: Memory) -> None:
    """A record and a holder are what they were after they were text."""
    record, holder = server.records[1], Holder("t", "a@h", 1, 2)
    assert deployment_of(deployment_text(record)) == record
    assert holder_of(holder_text(holder)) == holder


def test_a_transport_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest may name one of another version; an import that fails for another reason is not hidden."""
    manifest = Manifest.model_validate({"name": "there", "about": "x", "transport": "files"})
    monkeypatch.setattr("keytrip.export.transports.TRANSPORTS", {"files": opener("keytrip.export.nowhere")})
    with pytest.raises(UsageError, match="the transport files is not in this version"):
        transport_to(Connection("x"), manifest)
    (tmp_path / "broken_transport.py").write_text("import nowhere_at_all\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("keytrip.export.transports.TRANSPORTS", {"files": opener("broken_transport")})
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        list(diagnose(Connection("x"), manifest))


def opener(module: str) -> object:
    """Where a transport is said to be."""
    from keytrip.export.transports import Opener

    return Opener(module)


@pytest.fixture(name="answers")
def _answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    asked: list[bool] = []

    def confirm(text: str, *, abort: bool, err: bool) -> None:
        assert text == "csv: remove 0 items and 0 tables in export?"
        asked.append(abort and err)
        if len(asked) == 1:
            raise typer.Abort

    monkeypatch.setattr("typer.confirm", confirm)
    return asked


def test_destroy_asks_first(answers: list[bool], capsys: pytest.CaptureFixture[str]) -> None:
    """No is no, and says so with 130; yes goes on."""
    assert app.run(["destroy", "csv", "--url", "export"]) == 130
    assert app.run(["destroy", "csv", "--url", "export"]) == 0
    assert answers == [True, True]
    assert capsys.readouterr().out == "nothing to do: 0 unchanged\n"


def test_a_doctor_names_what_to_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is a file cannot be a destination."""
    (tmp_path / "file").touch()
    assert app.run(["doctor", "csv", "--url", str(tmp_path / "file")]) == 1
    shown = capsys.readouterr()
    assert "is no folder" in shown.out
    assert shown.err == "2 to fix\n"
