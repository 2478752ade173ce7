"""Compiled texts are kept until anything that they come from changes, for several targets at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keytrip.cli import app
from keytrip.compile.cached import compile_cached
from keytrip.compile.targets import TARGETS, Compiled, compile_to, targets_named
from keytrip.errors import UsageError
from keytrip.rules.load import load_rules

RULE = """\
title: Calls from an office
id: 7a4f1f0e-2a10-4f0c-9a53-0f4c1f1d7b52
name: office_calls
status: experimental
level: low
logsource: {category: ai_usage}
detection:
    selection: {user_agent|expand: '%office%', status_code: 200}
    condition: selection
"""
JOB = '"""No job of ours."""\n'


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Return a pack with one rule."""
    (tmp_path / "pack" / "rules").mkdir(parents=True)
    _put(tmp_path / "pack", RULE)
    return tmp_path / "pack"


def _put(pack: Path, rule: str) -> None:
    (pack / "rules" / "office.yml").write_text(rule, encoding="utf-8")


def _compiled(pack: Path, cache: Path | None, office: str = "north", target: str = "duckdb") -> Compiled:
    documents = load_rules((pack,), {"office": (office,)})
    chosen = [document for document in documents if document.name == "office_calls"]
    (found,) = compile_cached([target], chosen, documents, (pack,), cache)
    return found


def _entry(cache: Path, target: str = "duckdb") -> Path:
    (path,) = (cache / "texts" / target).iterdir()
    return path


def _same(results: list[Compiled]) -> bool:
    return all(one == results[0] for one in results)


@pytest.mark.parametrize("target", TARGETS)
def test_a_kept_text_is_the_compiled_one(pack: Path, tmp_path: Path, target: str) -> None:
    """What the cache returns is what the compiler made, of every target, with all that goes with it."""
    cache = tmp_path / "cache"
    assert _same([_compiled(pack, where, target=target) for where in (None, cache, cache)])


def test_an_unchanged_rule_is_not_written_again(pack: Path, tmp_path: Path) -> None:
    """A second run finds the entry and leaves it as it is."""
    _compiled(pack, tmp_path / "cache")
    before = _entry(tmp_path / "cache").stat().st_mtime_ns
    _compiled(pack, tmp_path / "cache")
    assert _entry(tmp_path / "cache").stat().st_mtime_ns == before


def test_a_changed_rule_is_compiled_again(pack: Path, tmp_path: Path) -> None:
    """A changed condition changes the text, and its entry takes the place of the old one."""
    cache = tmp_path / "cache"
    first = _compiled(pack, cache)
    _put(pack, RULE.replace("200", "429"))
    second = _compiled(pack, cache)
    assert "429" in second.text
    assert "429" not in first.text
    assert second == _compiled(pack, None)
    assert _entry(cache).is_file()


def test_a_changed_variable_is_compiled_again(pack: Path, tmp_path: Path) -> None:
    """Another value of a placeholder is in the text."""
    cache = tmp_path / "cache"
    texts = [_compiled(pack, cache, office).text for office in ("north", "south")]
    assert ["north" in text for text in texts] == [True, False]
    assert "south" in texts[1]


@pytest.mark.parametrize("name", ["pack.yml", "baselines/none.py"])
def test_a_changed_pack_is_compiled_again(pack: Path, tmp_path: Path, name: str) -> None:
    """A pack's settings and jobs are part of what a text comes from."""
    _compiled(pack, tmp_path / "cache")
    before = _entry(tmp_path / "cache").read_text(encoding="utf-8")
    (pack / name).parent.mkdir(exist_ok=True)
    (pack / name).write_text("variables: {other: [a]}\n" if name == "pack.yml" else JOB, encoding="utf-8")
    _compiled(pack, tmp_path / "cache")
    after = _entry(tmp_path / "cache").read_text(encoding="utf-8")
    assert before.split()[0] != after.split()[0]


@pytest.mark.parametrize("spoil", [b"", b"\xff\xfe", b"{}", None])
def test_a_spoiled_entry_is_made_again(pack: Path, tmp_path: Path, spoil: bytes | None) -> None:
    """An empty, cut or altered entry counts as none: what it says is never believed, and it is replaced."""
    first = _compiled(pack, tmp_path / "cache")
    entry = _entry(tmp_path / "cache")
    sound = entry.read_bytes()
    entry.write_bytes(sound.replace(b"north", b"south") if spoil is None else spoil)
    assert _compiled(pack, tmp_path / "cache") == first
    assert entry.read_bytes() == sound


def test_a_cache_that_cannot_be_written_costs_only_time(pack: Path, tmp_path: Path) -> None:
    """A file where the folder should be changes nothing in what is compiled."""
    (tmp_path / "cache").write_text("", encoding="utf-8")
    assert _compiled(pack, tmp_path / "cache") == _compiled(pack, None)


def test_a_rule_without_its_base_is_not_kept(pack: Path, tmp_path: Path) -> None:
    """A refusal that depends on what is missing is worded by the compiler each time."""
    rule = "title: T\nname: office_calls\ncorrelation: {type: event_count, rules: [nowhere], timespan: 1h}\n"
    _put(pack, rule)
    assert "nowhere" in _compiled(pack, tmp_path / "cache").reason
    assert not (tmp_path / "cache").exists()


def test_processes_share_a_cache(pack: Path, tmp_path: Path) -> None:
    """Processes that compile the same at once agree, and leave one whole entry and nothing beside it."""
    command = [sys.executable, "-m", "keytrip", "compile", "office_calls", "--target", "duckdb", "--pack", str(pack)]
    command += ["--var", "office=north"]
    settings = os.environ | {"KEYTRIP_CACHE": str(tmp_path / "cache")}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=settings, text=True) for _ in range(3)]
    assert {process.communicate(timeout=60)[0] for process in running} == {_compiled(pack, None).text}
    assert _entry(tmp_path / "cache").suffix == ".json"


def test_all_stands_for_every_target() -> None:
    """Each target is named once, in the order in which it was asked for."""
    assert targets_named(["all"]) == tuple(TARGETS)
    assert targets_named(["spark", "esql", "spark"]) == ("spark", "esql")
    with pytest.raises(UsageError, match="no target 'nonesuch'"):
        targets_named(["esql", "nonesuch"])


def test_each_target_has_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of several targets has the folder that it would have alone, and each line names it."""
    monkeypatch.setenv("KEYTRIP_CACHE", str(tmp_path / "cache"))
    command = ["compile", "key_new_network", "--target", "esql", "--target", "duckdb", "--out", str(tmp_path / "out")]
    assert app.run([*command, "--format", "json"]) == 0
    first = capsys.readouterr()
    assert [json.loads(line)["target"] for line in first.out.splitlines()] == ["esql", "duckdb"]
    assert first.err.splitlines() == ["new: esql/key_new_network.esql", "new: duckdb/key_new_network.sql"]
    documents = load_rules()
    chosen = [document for document in documents if document.name == "key_new_network"]
    (alone,) = compile_to("esql", chosen, documents)
    assert (tmp_path / "out" / "esql" / "key_new_network.esql").read_text(encoding="utf-8") == alone.text
    assert app.run(command) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "out" / "duckdb" / "key_new_network.sql").write_text("", encoding="utf-8")
    assert app.run(command) == 0
    assert capsys.readouterr().err == "changed: duckdb/key_new_network.sql\n"
    assert app.run([*command[:1], "key_unknown_model", *command[2:]]) == 0
    assert "gone: esql/key_new_network.esql" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--explain", "--out", "x"]])
def test_several_targets_need_a_folder(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output and --explain are of one target, and the error says what to write instead."""
    assert app.run(["compile", "key_new_network", "--target", "all", *more]) == 2
    assert "name one --target, or a folder with --out" in capsys.readouterr().err


def test_help_names_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of --target lists what it takes."""
    assert app.run(["compile", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(target in shown for target in (*TARGETS, "all"))


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    """An option changes the text although the rule is the same; one without a value is told how to write it."""
    texts = []
    for option in ([], ["-O", "data_model=one"], ["-O", "data_model=two"], []):
        assert app.run(["compile", "key_cost_robust", *option]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[3]
    assert ["tstats" in text for text in texts] == [False, True, True, False]
    assert "from datamodel=two.usage" in texts[2]
    assert app.run(["compile", "key_cost_robust", "-O", "data_model"]) == 2
    assert "such as -O data_model=keytrip" in capsys.readouterr().err
    assert app.run(["compile", "key_cost_robust", "--target", "esql", "-O", "data_model=one"]) == 2
    assert "esql has no option 'data_model'" in capsys.readouterr().err


def test_combined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file holds the rules that share a search; the index says why another has its own."""
    names = ["org_spend_threshold_low", "org_spend_threshold_medium", "key_new_network", "key_model_tier_jump"]
    assert app.run(["compile", *names, "--combined", "--out", str(tmp_path)]) == 0
    index = {entry["rule"]: entry for entry in json.loads((tmp_path / "index.json").read_text())}
    assert {name: (index[name]["file"], index[name].get("alone")) for name in names} == {
        names[0]: ("combined_usage_1d.spl", None),
        names[1]: ("combined_usage_1d.spl", None),
        names[2]: ("key_new_network.spl", "no other rule has its table, group and window"),
        names[3]: ("key_model_tier_jump.spl", "value_median ranks the events of one rule"),
    }
    text = (tmp_path / "combined_usage_1d.spl").read_text()
    head = "```combined_usage_1d: org_spend_threshold_low, org_spend_threshold_medium (2 rules)"
    assert text.splitlines()[0] == head
    capsys.readouterr()


@pytest.mark.parametrize("more", [["--target", "esql", "--out", "x"], [], ["--explain", "--out", "x"]])
def test_combined_needs(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It is for one target and a folder."""
    assert app.run(["compile", "key_new_network", "--combined", *more]) == 2
    assert "--combined is for the target splunk, with --out" in capsys.readouterr().err


def test_explain_without_options(capsys: pytest.CaptureFixture[str]) -> None:
    """What is explained is the text without options, so both are not taken together."""
    assert app.run(["compile", "key_new_network", "--explain", "-O", "data_model=x"]) == 2
    assert "--explain does not know --option" in capsys.readouterr().err
