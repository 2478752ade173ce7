"""The commands on Splunk with all rules that ship, against the stub of splunkd, and on the app package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from stubs.splunk import SplunkStub

from keytrip.baselines.store import Store
from keytrip.cli import app
from keytrip.export.desired import Request, desired_for
from keytrip.export.manifest import destination_named
from keytrip.export.splunk.doctor import CAPABILITIES
from keytrip.export.splunk_app.conf import read_conf
from keytrip.export.tables import row_identity
from keytrip.rules.selection import Selection

from .conftest import Start

Typed = Callable[..., str]


@pytest.fixture
def typed(store: Store, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run a command; return what it writes to both outputs."""

    def run(command: str, *arguments: str, code: int = 0) -> str:
        more = ["--store", str(store.root)] if command.startswith(("plan", "apply", "drift")) else []
        capsys.readouterr()
        ended = app.run([*command.split(), *more, *arguments])
        out, err = capsys.readouterr()
        assert ended == code, out + err
        return out + err

    return run


def _environment(stub: SplunkStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYTRIP_SPLUNK_URL", stub.url)
    monkeypatch.setenv("KEYTRIP_SPLUNK_CA_FILE", str(stub.ca_file))
    monkeypatch.setenv("KEYTRIP_SPLUNK_TOKEN", stub.user.secret)


def test_the_way_of_a_deployment(start: Start, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planned without a write, applied, found in order, edited by someone, put right, and removed."""
    stub = start()
    _environment(stub, monkeypatch)
    assert "it is there to" not in typed("doctor splunk")
    assert "to create" in typed("plan splunk")
    assert {method for method, _ in stub.log} == {"GET"}
    said = typed("apply splunk", "--option", "enterprise_security=true")
    assert stub.user.secret not in said
    assert "nothing to do" in typed("plan splunk", "--option", "enterprise_security=true")
    assert "nothing drifted" in typed("drift splunk", "--option", "enterprise_security=true")
    held = stub.objects["searches"]["keytrip", "keytrip - key_unknown_model - Rule"]
    held.values |= {"disabled": "0", "search": "index=keytrip | head 1"}
    assert "key_unknown_model" in typed("drift splunk", code=1)
    typed("apply splunk", "--option", "enterprise_security=true")
    assert held.values["search"].endswith("| `key_unknown_model_filter`")
    assert held.values["disabled"] == "0"
    assert held.values["action.keytrip.version"] == "2"
    assert json.loads(held.values["action.risk.param._risk"])[0]["risk_object_field"] == "key_id"
    typed("destroy splunk", "--yes")
    assert not any(stub.objects.values())
    assert not stub.kv


def test_the_events_of_an_alert_are_found_by_a_digest(
    start: Start, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No text of a log stands in a drilldown: what takes its place there would be a part of the search."""
    stub = start()
    _environment(stub, monkeypatch)
    typed("apply splunk", "--option", "enterprise_security=true", "--rule", "key_unknown_model")
    (held,) = stub.objects["searches"].values()
    (drilldown,) = json.loads(held.values["action.notable.param.drilldown_searches"])
    assert drilldown["search"].count("$") == 2
    assert '= "$keytrip_group$"' in drilldown["search"]
    assert "eval keytrip_group = sha256(key_id)" in held.values["search"]


def test_the_package_by_the_same_commands(typed: Typed, tmp_path: Path) -> None:
    """Applied, found in order, and the same bytes from another folder."""
    where = ["--url", str(tmp_path / "one")]
    typed("apply splunk_app", *where)
    assert "nothing to do" in typed("plan splunk_app", *where)
    assert "nothing drifted" in typed("drift splunk_app", *where)
    typed("apply splunk_app", "--url", str(tmp_path / "two"))
    first, second = ((tmp_path / name / "keytrip.tar.gz").read_bytes() for name in ("one", "two"))
    assert first == second
    typed("apply splunk_app", *where, "--option", "enabled=true")
    typed("rollback splunk_app", *where)
    typed("destroy splunk_app", *where, "--yes")
    assert not (tmp_path / "one").exists()


def test_a_rule_as_items(store: Store, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """A rule's search, its macros, and what Enterprise Security gets of it."""
    manifest = destination_named("splunk")
    options = {**manifest.options, "enterprise_security": "true"}
    request = Request(store, selection=Selection(("key_new_network",), ()), options=options)
    items = [{"kind": i.kind, "name": i.name, "body": i.body} for i in desired_for(manifest, request).items]
    text = json.dumps(items, indent=1, sort_keys=True) + "\n"
    golden = Path(__file__).parents[2] / "golden" / "splunk_items.json"
    if update_golden:
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_sets_are_learned_inside_splunk_if_wanted(
    start: Start, typed: Typed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search for each set, none for statistics; its rows have the `_key`s that ours have, so nothing is doubled."""
    stub = start()
    _environment(stub, monkeypatch)
    typed("apply splunk", "--option", "learn=true")
    assert "nothing to do" in typed("plan splunk", "--option", "learn=true")
    names = {name for _, name in stub.objects["searches"] if name.endswith(" - Baseline")}
    assert "keytrip - key_models - Baseline" in names
    assert "keytrip - key_cost_daily - Baseline" not in names
    text = stub.objects["searches"]["keytrip", "keytrip - key_models - Baseline"].values["search"]
    assert 'sha256(key_id . urldecode("%1F") . model), 1, 32)' in text
    row = {"key_id": "key_a", "model": "gpt"}
    ours = hashlib.sha256(b"key_a\x1fgpt").hexdigest()[:32]
    assert row_identity(("key_id", "model"), row) == ours
    lookup = stub.objects["lookups"]["keytrip", "keytrip_key_models"].values
    assert ours in stub.kv["keytrip", lookup["collection"]].documents
    assert "_key" in lookup["fields_list"].split(", ")


def test_statistics_are_made_inside_splunk_if_wanted(
    start: Start, typed: Typed, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two searches and a lookup of days for each table of statistics; what Splunk put there stays, until all goes."""
    stub = start()
    _environment(stub, monkeypatch)
    typed("apply splunk", "--option", "rebuild=true")
    assert "nothing to do" in typed("plan splunk", "--option", "rebuild=true")
    searches = {name for _, name in stub.objects["searches"]}
    assert {"keytrip - key_cost_daily - Days", "keytrip - key_cost_daily - Baseline"} <= searches
    assert "keytrip - key_models - Days" not in searches
    name = "keytrip_key_cost_daily_by_day"
    assert stub.objects["lookups"]["keytrip", name].values["collection"] == name
    days = stub.kv["keytrip", name].documents
    days["a"] = {"_key": "a", "_user": "nobody", "key_id": "k", "day": 1}
    typed("apply splunk", "--option", "rebuild=true", "--option", "enabled=true")
    assert days
    stub.objects["lookups"]["keytrip", name].values["fields_list"] = "_key, day"
    assert "fields" in typed("plan splunk", "--option", "rebuild=true")
    typed("apply splunk", "--option", "rebuild=true")
    assert "nothing to do" in typed("plan splunk", "--option", "rebuild=true")
    assert "kept" in typed("plan splunk")
    typed("apply splunk", "--prune")
    assert ("keytrip", name) not in stub.kv
    assert ("keytrip", name) not in stub.objects["lookups"]


def test_the_role_has_what_doctor_asks_for() -> None:
    """Every capability that keytrip looks for is in the role that ships, and no other."""
    path = destination_named("splunk").folder / "authorize.conf"
    (role,) = read_conf(path.read_text(encoding="utf-8")).values()
    assert {name for name, value in role.items() if value == "enabled"} == set(CAPABILITIES)
