"""The app package: no Splunk and no stub; what is read back is read from the archive, and AppInspect judges it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hostile import hostile_texts
from hypothesis import given
from hypothesis import strategies as st

from keytrip.baselines.store import Store
from keytrip.errors import ContentError, DataError
from keytrip.export.connection import Connection
from keytrip.export.desired import Request, desired_for
from keytrip.export.indicators import indicator_of
from keytrip.export.manifest import Manifest, destination_named
from keytrip.export.model import Generation, Holder, Item, Table
from keytrip.export.splunk_app import diagnose, open_transport
from keytrip.export.splunk_app.conf import read_conf, write_conf
from keytrip.export.splunk_app.lint import app_problems
from keytrip.export.splunk_app.transport import AppTransport

from .made import deployment, macro, row, rows, search, table

NAME = "keytrip_key_models"
SEEN = {"first_seen": "2026-04-01T00:00:00Z", "last_seen": "2026-04-02T00:00:00Z"}
LISTED = tuple(
    indicator_of({"kind": kind, "value": value, "revoked": revoked, **SEEN})
    for kind, value, revoked in [
        ("ipv4", "203.0.113.7", False), ("ipv4", "203.0.113.8", True), ("ipv6", "2001:db8::1", False),
        ("cidr", "203.0.113.0/24", False), ("user_agent", '=evil/1, "x" | delete', False), ("domain", "x.test", False),
        ("url", "https://x.test/a", False), ("key_id_sha256", "0" * 64, False),
    ]
)  # fmt: skip


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """The one that ships."""
    return destination_named("splunk_app")


def opened(folder: Path, manifest: Manifest, **options: str) -> AppTransport:
    """Return the transport of a folder."""
    transport = open_transport(Connection(str(folder), options=options), manifest)
    assert isinstance(transport, AppTransport)
    return transport


def packed(folder: Path, manifest: Manifest, number: int = 1, **options: str) -> AppTransport:
    """Return a transport that wrote a package with all of the store's content of `made`."""
    transport = opened(folder, manifest, **options)
    transport.read((), ())
    made = table(rows(30))
    assert transport.stage(made, number, lambda _: None) == 30
    transport.switch([(made, number)])
    transport.create(macro())
    transport.create(search())
    transport.save(deployment(number, macro(), search(), state="applying"))
    transport.save(deployment(number, macro(), search()))
    return transport


def names(transport: AppTransport) -> list[str]:
    """Return the names in the archive."""
    with tarfile.open(transport.package) as archive:
        return archive.getnames()


def test_the_package_holds_what_was_put_there(tmp_path: Path, manifest: Manifest) -> None:
    """Items and the live generation come back from the archive, its digest from the record."""
    transport = packed(tmp_path, manifest)
    made = table(rows(30))
    generation = Generation(NAME, 1, 30, made.digest, made.key, made.columns)
    transport.save(deployment(1, macro(), search(), tables=(generation,)))
    live = opened(tmp_path, manifest).read((), [NAME])
    assert {identity for identity, one in live.items.items() if one.ours} == {
        ("macro", macro().name),
        ("saved_search", search().name),
    }
    kind = opened(tmp_path, manifest).kinds["saved_search"]
    assert kind.normal(live.items["saved_search", search().name].body) == kind.normal(search().body)
    assert live.tables == {NAME: generation}
    assert live.generations == {(NAME, 1)}
    assert [d.number for d in live.deployments] == [1]


def test_the_layout_is_that_of_an_app(tmp_path: Path, manifest: Manifest) -> None:
    """One folder named after the app, no local files, the table named after its generation."""
    assert names(packed(tmp_path, manifest, 4)) == [
        "keytrip", "keytrip/default", "keytrip/lookups", "keytrip/metadata", "keytrip/README.txt",
        "keytrip/app.manifest", "keytrip/default/app.conf", "keytrip/default/macros.conf",
        "keytrip/default/savedsearches.conf", "keytrip/default/transforms.conf",
        "keytrip/lookups/keytrip_key_models_g4.csv", "keytrip/metadata/default.meta",
    ]  # fmt: skip


def test_the_same_content_is_the_same_bytes(tmp_path: Path, manifest: Manifest) -> None:
    """Wherever and whenever it is packed."""
    first, second = packed(tmp_path / "a", manifest), packed(tmp_path / "b", manifest)
    assert first.package.read_bytes() == second.package.read_bytes()


def test_row_digests_of_the_file_are_ours(tmp_path: Path, manifest: Manifest) -> None:
    """Quotes, commas and newlines in a cell come back as they were."""
    transport = opened(tmp_path, manifest)
    texts = hostile_texts(fit=lambda text: "\0" not in text)
    made = table([*(row(text, text) for text in texts), {**row("null"), "share": None}])
    assert transport.stage(made, 1, lambda _: None) == len(texts) + 1
    ours = {transport.row_id(made, r): transport.row_digest(made, r) for r in made.rows()}
    assert dict(transport.row_digests(made, 1)) == ours
    assert not list(transport.row_digests(made, 2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "a\0"}, "a NUL"),
        ({"model": ""}, "empty text"),
        ({"model": "\ud800"}, "surrogate"),
        ({"share": float("nan")}, "no number"),
    ],
)
def test_what_a_csv_would_change_is_refused_by_name(
    tmp_path: Path, manifest: Manifest, change: dict[str, Any], said: str
) -> None:
    """With the table, the key and the column."""
    columns = dict.fromkeys(row("x"), "VARCHAR")
    made = Table("keytrip_t", ("key_id",), columns, 1, "", lambda: iter([{**row("key_1"), **change}]))
    with pytest.raises(DataError, match=said) as error:
        opened(tmp_path, manifest).stage(made, 1, lambda _: None)
    assert "key_1" in str(error.value)


def test_old_generations_and_what_is_left_out_go(tmp_path: Path, manifest: Manifest) -> None:
    """The package has the live generation alone; the older one stays beside it until it is dropped."""
    packed(tmp_path, manifest)
    transport = opened(tmp_path, manifest)
    live = transport.read((), ())
    newer = table(rows(31))
    transport.stage(newer, 2, lambda _: None)
    transport.switch([(newer, 2)])
    changed = search(description="new")
    transport.update(changed, live.items["saved_search", search().name])
    transport.delete(live.items["saved_search", search().name])
    transport.save(deployment(2, macro()))
    assert not [name for name in names(transport) if name.endswith("_g1.csv")]
    again = opened(tmp_path, manifest).read((), ())
    assert again.generations == {(NAME, 1), (NAME, 2)}
    assert list(again.items) == [("macro", macro().name)]
    transport.drop(NAME, 1)
    transport.forget(NAME)
    transport.save(deployment(3, macro()))
    assert opened(tmp_path, manifest).read((), ()).tables == {}
    transport.wipe()
    assert not tmp_path.exists()


def test_one_works_on_a_folder(tmp_path: Path, manifest: Manifest) -> None:
    """The lock is a file; a dead holder is taken over by one."""
    ann, bob = Holder("a", "ann@one", 1, 0), Holder("b", "bob@two", 2, 0)
    transport = opened(tmp_path, manifest)
    transport.unlock(ann)
    assert transport.lock(ann) is None
    assert transport.lock(bob) == ann
    assert transport.lock(bob, ann) is None
    assert not transport.beat(ann)
    assert transport.beat(bob)
    transport.unlock(ann)
    assert transport.lock(ann) == bob
    transport.unlock(bob)
    assert transport.lock(ann) is None


def test_a_package_that_is_none_is_said(tmp_path: Path, manifest: Manifest) -> None:
    """By its file, and by doctor too; so is a state that someone edited."""
    (tmp_path / "keytrip.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match="no app package"):
        opened(tmp_path, manifest).read((), ())
    found = {f.subject: f.ok for f in diagnose(Connection(str(tmp_path)), manifest)}
    assert found == {"folder": True, "package": False}
    (tmp_path / "keytrip.tar.gz").unlink()
    assert all(f.ok for f in diagnose(Connection(str(tmp_path / "new")), manifest))
    (tmp_path / ".keytrip" / "deployments").mkdir(parents=True)
    (tmp_path / ".keytrip" / "deployments" / "1.json").write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        opened(tmp_path, manifest).read((), ())


_ANY = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=3)
_TEXT = st.lists(st.sampled_from([*"\n\\#[]=a \t", "\\\n", "\n[b]\n", "\nx = y"]) | _ANY, max_size=12).map("".join)
_STANZA = st.text(st.characters(exclude_characters="[]", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)


def _plain(text: str) -> str:
    """Return a value as the conf file promises to hold it: without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n")).strip()


@given(st.dictionaries(_STANZA.filter(lambda s: s == s.strip()), st.dictionaries(st.just("search"), _TEXT), max_size=4))
def test_whatever_a_value_is_the_conf_file_has_it(stanzas: dict[str, dict[str, str]]) -> None:
    """Backslashes at line ends, lines that look like stanzas, comments or settings: all of it stays in its value."""
    back = read_conf(write_conf(stanzas))
    wanted = {name: {k: _plain(v) for k, v in settings.items()} for name, settings in stanzas.items()}
    plain = {name: {k: _plain(v) for k, v in settings.items()} for name, settings in back.items()}
    assert plain == {name: s for name, s in wanted.items() if s or name != "default"}


@pytest.mark.parametrize(
    "stanzas",
    [
        {"a]": {}},
        {"a\nb": {}},
        {"": {}},
        {"a": {"b c": ""}},
        {"a": {"b\n": ""}},
        {"a": {"b": "\0"}},
        {"a": {"b": "\x1b"}},
    ],
)
def test_what_no_conf_file_holds_is_refused(stanzas: dict[str, dict[str, str]]) -> None:
    """Brackets in a stanza's name, spaces in a setting's, control characters in a value."""
    with pytest.raises(ContentError):
        write_conf(stanzas)


def test_lines_that_are_none_are_refused() -> None:
    """A broken continuation leaves a line that is no setting: AppInspect does not see it."""
    broken = "[a]\nsearch = index=keytrip\n| stats count\n"
    with pytest.raises(ContentError, match="no line"):
        read_conf(broken)
    assert "no line" in next(app_problems({"default/savedsearches.conf": broken}, frozenset()))


def test_what_appinspect_does_not_see_is_found() -> None:
    """JSON that is none, macros and lookups that are not there, files that lack, quotes that do not pair up."""
    bad = {
        "search": 'index=keytrip "| `gone(1)` | lookup nowhere key_id',
        "action.risk.param._risk": "[",
        "cron_schedule": "hourly",
    }
    files = {
        "default/savedsearches.conf": write_conf({"a": bad, "b": {"cron_schedule": "* * * * *"}}),
        "default/transforms.conf": write_conf({"keytrip_keys": {"filename": "x.csv"}}),
        "default/collections.conf": write_conf({"c": {"accelerated_fields.key": "{"}}),
    }
    found = "\n".join(app_problems(files, frozenset()))
    for said in ("_risk is no JSON", "accelerated_fields.key is no JSON", "x.csv", "pair up", "cron", "time range"):
        assert said in found
    fine = {**bad, "search": "index=keytrip | `gone(1)` | lookup nowhere key_id"}
    found = "\n".join(app_problems({"default/savedsearches.conf": write_conf({"a": fine})}, frozenset()))
    assert "macro gone" in found
    assert "lookup nowhere" in found


def test_a_package_that_would_not_work_is_not_written(tmp_path: Path, manifest: Manifest) -> None:
    """A search that names a macro which is not there stops the packing; what was there stays."""
    transport = packed(tmp_path, manifest)
    before = transport.package.read_bytes()
    transport.create(search("keytrip - x - Rule", search="index=keytrip | `nowhere`"))
    with pytest.raises(ContentError, match="macro nowhere"):
        transport.save(deployment(2, search()))
    assert transport.package.read_bytes() == before


def shipped(store: Store, manifest: Manifest, folder: Path, **options: str) -> AppTransport:
    """Return a transport that packed all rules and tables that ship."""
    given_options: Mapping[str, str] = {**manifest.options, **options}
    desired = desired_for(manifest, Request(store, options=given_options, indicators=LISTED))
    transport = opened(folder, manifest, **given_options)
    transport.read((), ())
    for item in desired.items:
        transport.create(item)
    for each in desired.tables:
        transport.stage(each, 1, lambda _: None)
    transport.switch([(each, 1) for each in desired.tables])
    items: tuple[Item, ...] = desired.items
    transport.save(deployment(1, *items))
    return transport


def test_all_that_ships_is_packed(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """Every rule and table, with Enterprise Security's actions; a second reading finds nothing to change."""
    transport = shipped(store, manifest, tmp_path, enterprise_security="true")
    options = {**manifest.options, "enterprise_security": "true"}
    desired = desired_for(manifest, Request(store, options=options, indicators=LISTED))
    live = transport.read((), ())
    for item in desired.items:
        normal = transport.kinds[item.kind].normal
        assert normal(live.items[item.kind, item.name].body) == normal(item.body)
    assert {each.name: 1 for each in desired.tables} == {n: g.number for n, g in live.tables.items()}


def lookup_rows(transport: AppTransport, name: str) -> list[dict[str, str]]:
    """Return the rows of a lookup file in the archive."""
    with tarfile.open(transport.package) as archive:
        file = archive.extractfile(f"keytrip/lookups/{name}_g1.csv")
        assert file is not None
        return list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")))


def test_indicators_are_lookup_files(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """The list is in the package with the search that asks it, without what was revoked; for none there is neither."""
    transport = shipped(store, manifest, tmp_path)
    rows = lookup_rows(transport, "keytrip_indicators")
    assert [(row["kind"], row["value"]) for row in rows] == sorted(
        (one.kind, one.value) for one in LISTED if not one.revoked
    )
    search = transport.read((), ()).items["saved_search", "keytrip - indicators - Rule"].body["search"]
    assert "lookup keytrip_indicators value as source_ip" in search
    assert "keytrip/default/inputs.conf" not in names(transport)
    assert "keytrip_ip_intel" not in transport.read((), ()).tables
    bare = desired_for(manifest, Request(store, options=manifest.options))
    assert "keytrip_indicators" not in {table.name for table in bare.tables}
    assert ("saved_search", "keytrip - indicators - Rule") not in {(one.kind, one.name) for one in bare.items}


def test_threat_intelligence_of_enterprise_security(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """If wanted, lookups have the columns of its collections, and inputs lead it there; switched off like the rest."""
    transport = shipped(store, manifest, tmp_path, threat_intel="true")
    assert [(row["ip"], row["domain"]) for row in lookup_rows(transport, "keytrip_ip_intel")] == [
        ("", "x.test"), ("2001:db8::1", ""), ("203.0.113.7", ""),
    ]  # fmt: skip
    rows = lookup_rows(transport, "keytrip_http_intel")
    assert {row["http_user_agent"] for row in rows} == {"", '=evil/1, "x" | delete'}
    assert {row["url"] for row in rows} == {"", "https://x.test/a"}
    assert all(row["weight"] == "50" and row["description"] for row in rows)
    with tarfile.open(transport.package) as archive:
        file = archive.extractfile("keytrip/default/inputs.conf")
        assert file is not None
        inputs = read_conf(file.read().decode())
    assert inputs.keys() == {"threatlist://keytrip_ip_intel", "threatlist://keytrip_http_intel"}
    assert inputs["threatlist://keytrip_ip_intel"]["url"] == "lookup://keytrip_ip_intel"
    assert {one["disabled"] for one in inputs.values()} == {"1"}
    live = destination_named("splunk")
    request = Request(store, options={**live.options, "threat_intel": "true"}, indicators=LISTED)
    told = {table.name for table in desired_for(live, request).tables}
    assert {"keytrip_ip_intel", "keytrip_http_intel"} <= told
    assert "keytrip_indicators" not in told


def _tool(name: str) -> str:
    """Return a program of our environment, or skip: it comes with keytrip[dev]."""
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        pytest.skip(f"{name} is not installed")
    return str(path)


def test_appinspect_has_no_error_or_failure(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """Splunk's own checks for Splunk Cloud judge the package of all that ships. Its exit code says nothing: it is 0."""
    program = _tool("splunk-appinspect")
    package = shipped(store, manifest, tmp_path, enterprise_security="true", threat_intel="true").package
    out = tmp_path / "report.json"
    tags = ["--included-tags", "cloud", "--included-tags", "private_victoria"]
    run = [
        program,
        "inspect",
        str(package),
        "--mode",
        "precert",
        *tags,
        "--data-format",
        "json",
        "--output-file",
        str(out),
    ]
    subprocess.run(run, check=False, capture_output=True, env={**os.environ, "HOME": str(tmp_path)})
    summary = json.loads(out.read_text(encoding="utf-8"))["summary"]
    assert summary["success"] > 50
    assert {name: summary[name] for name in ("error", "failure", "future_failure")} == {
        "error": 0,
        "failure": 0,
        "future_failure": 0,
    }


def test_slim_accepts_the_package(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    """Splunk's packaging toolkit reads the manifest and the conf files; it sees a broken continuation."""
    program = _tool("slim")
    package = shipped(store, manifest, tmp_path, enterprise_security="true", threat_intel="true").package
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run([program, "validate", str(package)], check=False, capture_output=True, text=True, env=home)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "[ERROR]" not in said
    assert "App validation complete" in said
