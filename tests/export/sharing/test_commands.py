"""Indicators from a file to a destination and back, as a user types it: a folder, and our stub of a TAXII server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from export.sharing.examples import made, one_of_each
from stubs.taxii import COLLECTION, TaxiiStub, taxii_stub

from keytrip.cli import app
from keytrip.export.indicators import Indicator


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(*indicators: Indicator, name: str = "iocs.ndjson") -> str:
    """Write a list; return its path."""
    Path(name).write_text("".join(f"{one.model_dump_json()}\n" for one in indicators), encoding="utf-8")
    return name


def typed(shown: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """Return the rows that a command writes."""
    shown.readouterr()
    assert app.run([*arguments, "--format", "json"]) == code, shown.readouterr().err
    return [json.loads(line) for line in shown.readouterr().out.splitlines()]


def actions(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what rows say is done, to what."""
    return sorted((row["action"], row["name"]) for row in rows if row.get("action") not in {None, "unchanged"})


def test_the_way_of_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    """(Folder.) Planned, applied, nothing left to do, shortened with --prune, rolled back, removed."""
    iocs = written(*one_of_each())
    to = ("stix", "--url", "out")
    planned = actions(typed(capsys, "plan", *to, "--iocs", iocs))
    assert planned == sorted(("create", one.name) for one in one_of_each())
    assert not Path("out").exists()
    typed(capsys, "apply", *to, "--iocs", iocs)
    assert actions(typed(capsys, "plan", *to, "--iocs", iocs)) == []
    assert typed(capsys, "drift", *to) == []
    written(made(count=9))
    fewer = actions(typed(capsys, "plan", *to, "--iocs", iocs))
    assert fewer[0] == ("kept", "cidr 203.0.113.0/24")
    assert fewer[-1] == ("update", made().name)
    pruned = actions(typed(capsys, "apply", *to, "--iocs", iocs, "--prune"))
    assert [action for action, _ in pruned] == ["delete"] * 6 + ["update"]
    typed(capsys, "rollback", *to)
    written(*one_of_each())
    assert actions(typed(capsys, "plan", *to, "--iocs", iocs)) == []
    typed(capsys, "destroy", *to, "--yes")
    bundle = json.loads(Path("out/bundle.json").read_text(encoding="utf-8"))
    told = [one for one in bundle["objects"] if one["type"] == "indicator"]
    assert all(one["revoked"] for one in told)


def test_an_edit_in_the_bundle_is_drift(capsys: pytest.CaptureFixture[str]) -> None:
    """(Folder.) What someone changed is told with the field, and put right by the next apply."""
    to = ("stix", "--url", "out")
    iocs = written(made())
    typed(capsys, "apply", *to, "--iocs", iocs)
    path = Path("out/bundle.json")
    path.write_text(path.read_text(encoding="utf-8").replace('"confidence": 50', '"confidence": 99'), encoding="utf-8")
    (row,) = typed(capsys, "drift", *to, code=1)
    assert row["name"] == made().name
    assert row["fields"][0]["field"] == "confidence"
    typed(capsys, "apply", *to, "--iocs", iocs)
    assert typed(capsys, "drift", *to) == []


def test_a_list_is_needed_and_has_to_be_sound(capsys: pytest.CaptureFixture[str]) -> None:
    """(Folder.) Without a list nothing is planned, since --prune would take everything back; a bad row has its line."""
    assert app.run(["plan", "stix", "--url", "out"]) == 2
    assert "say --iocs FILE" in capsys.readouterr().err
    Path("iocs.csv").write_text("kind,value\nipv4,300.1.1.1\n", encoding="utf-8")
    assert app.run(["apply", "stix", "--url", "out", "--iocs", "iocs.csv"]) == 1
    assert "iocs.csv:2: " in capsys.readouterr().err


def test_a_collection_is_reached_by_its_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """(Stub.) Address, user and password come from the environment; a plan that was agreed to is applied once."""
    stub = TaxiiStub()
    with taxii_stub(tmp_path / "tls", stub) as (url, authority):
        found = {
            "URL": url,
            "USER": "writer",
            "PASSWORD": "secret",
            "CA_FILE": str(authority),
            "COLLECTION": COLLECTION,
        }
        for name, value in found.items():
            monkeypatch.setenv(f"KEYTRIP_TAXII_{name}", value)
        iocs = written(made(), made("domain"))
        typed(capsys, "plan", "taxii", "--iocs", iocs, "--out", "plan.json")
        assert stub.posts == []
        assert "secret" not in Path("plan.json").read_text(encoding="utf-8")
        typed(capsys, "apply", "plan.json")
        assert len(stub.posts) == 1
        assert app.run(["apply", "plan.json"]) == 3
        assert "changed since the plan was made" in capsys.readouterr().err
        assert actions(typed(capsys, "plan", "taxii", "--iocs", iocs)) == []
        stub.can_write = False
        rows = {row["subject"]: row["ok"] for row in typed(capsys, "doctor", "taxii", code=1)}
        assert rows["permission can_write"] is False
