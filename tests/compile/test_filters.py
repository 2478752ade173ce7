"""Sigma filters: one file narrows many rules, in every command and target, and in stock sigma-cli too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compile.rules import base, document
from compile.small_pack import RULE, Writer, found, writer

from keytrip.cli.app import run
from keytrip.compile.targets import TARGETS, compile_to
from keytrip.content import content_root
from keytrip.rules.load import Document, load_rules

FILTER = """\
title: Not the scanner
name: not_the_scanner
logsource: {category: ai_usage}
filter:
  rules: RULES
  ip: {source_ip: 192.0.2.66}
  agent_a: {user_agent: scan}
  condition: not (ip or 1 of agent_*)
"""
BASE, BASE_ID = "more_requests_events", "5f3a7a3e-3a56-4b57-8d0e-1f2a3b4c5d6e"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Write a file of the pack `tmp_path`."""
    monkeypatch.setenv("KEYTRIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KEYTRIP_STORE", raising=False)
    return writer(tmp_path)


def texts(target: str, *packs: Path) -> dict[str, str]:
    """Return what a target makes of each rule."""
    documents = load_rules(packs)
    rules = [document for document in documents if "filter" not in document.data]
    return {one.rule: one.text for one in compile_to(target, rules, documents, packs)}


def test_a_pattern_that_takes_a_filters_selections_is_refused() -> None:
    """They stand beside the rule's own, under names that begin with `_`."""
    wide, own = (base({"_a": {"user": "x"}, "condition": f"1 of {pattern}"}) for pattern in ("_*", "_a*"))
    filtered = {"rules": "any", "scanner": {"user_agent": "scan"}, "condition": "not 1 of scan*"}
    narrowing = document({"name": "no_scan", "logsource": {"category": "ai_usage"}, "filter": filtered})
    (made,) = compile_to("duckdb", [wide], [wide, narrowing])
    assert "'_*' in its condition would take the selections of a filter too" in made.reason
    assert compile_to("duckdb", [wide], [wide])[0].text
    assert compile_to("duckdb", [own], [own, narrowing])[0].text


def test_a_filter_leaves_the_rule_as_it_is() -> None:
    """A list of conditions is narrowed once for each target, however many are compiled before."""
    rule = base({"a": {"user": "x"}, "b": {"user": "y"}, "condition": ["a", "b"]})
    filtered = {"rules": ["base"], "scanner": {"user_agent": "scan"}, "condition": "not 1 of scan*"}
    documents = [rule, document({"name": "no_scan", "logsource": {"category": "ai_usage"}, "filter": filtered})]
    first, again = (compile_to("opensearch", [rule], documents)[0] for _ in range(2))
    assert first == again
    assert first.text.count("user_agent") == 2
    assert rule.data["detection"]["condition"] == ["a", "b"]


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("rules", ["any", "[]", BASE, f"[{BASE_ID.upper()}]", f"[nothing, {BASE}]"])
def test_a_filter_narrows_the_base_rule(target: str, rules: str, write: Writer, tmp_path: Path) -> None:
    """By name, by id and for its logsource; a correlation is narrowed through its base rules."""
    write("rules/rule.yml", RULE)
    write("rules/filter.yml", FILTER.replace("RULES", rules))
    written = {name: text for name, text in texts(target, tmp_path).items() if text}
    narrowed = {name for name, text in written.items() if "192.0.2.66" in text}
    assert BASE in narrowed
    # a target that does not count refuses the correlation, filtered or not
    assert narrowed == written.keys() & (written.keys() if rules in {"any", "[]"} else {"more_requests", BASE})


@pytest.mark.parametrize("logsource", ["{category: ai_audit}", "{category: ai_usage, product: openai}"])
def test_another_logsource_is_not_narrowed(logsource: str, write: Writer, tmp_path: Path) -> None:
    """A filter for audit records, or for one provider's, leaves rules over all usage records as they are."""
    write("rules/rule.yml", RULE)
    write("rules/filter.yml", FILTER.replace("RULES", "any").replace("{category: ai_usage}", logsource))
    assert "192.0.2.66" not in texts("duckdb", tmp_path)[BASE]


def records(write: Writer) -> Path:
    """Write a day with 60 requests of a scanner and 60 of two persons, one with a null address."""
    rows = [("192.0.2.66", "x"), ("10.0.0.1", "SCAN"), ("10.0.0.1", "x"), (None, None)]
    lines = [
        {
            "timestamp": "2026-11-02T10:00:00Z",
            "key_id": f"k{n}",
            "request_count": 60,
            "source_ip": ip,
            "user_agent": agent,
        }
        for n, (ip, agent) in enumerate(rows)
    ]
    return write("log.ndjson", "".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_hunt_applies_filters(write: Writer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What a filter takes out gives no alert; a null is no match, so a `not` keeps it."""
    rule = RULE.replace("baseline:\n  table: key_requests_daily\n  exceeds: mean + factor * stddev\n", "")
    rule = rule.partition("tests:")[0] + "---" + rule.partition("---")[2]
    write("rules/rule.yml", rule)
    write("rules/filter.yml", FILTER.replace("RULES", "any"))
    arguments = ["--pack", str(tmp_path), "--rule", "more_requests", "--format", "json"]
    assert run(["hunt", str(records(write)), "--source", "canonical", *arguments]) == 0
    alerts = [json.loads(line)["key_id"] for line in capfd.readouterr().out.splitlines()]
    assert sorted(alerts) == ["k2", "k3"]


def test_cases_are_run_with_filters(write: Writer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`keytrip test` says when a filter takes away what a case expects."""
    write("rules/rule.yml", RULE)
    assert run(["test", "more_requests", "--pack", str(tmp_path)]) == 0
    write("rules/filter.yml", FILTER.replace("RULES", "any").replace("{source_ip: 192.0.2.66}", "{key_id: key_a}"))
    assert run(["test", "more_requests", "--pack", str(tmp_path)]) == 1
    assert "test 'far more': expected an alert, got none" in capfd.readouterr().out


def test_variables_in_a_filter(write: Writer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A filter may name networks that a pack, or the command line, holds; without them the rule is refused."""
    write("rules/rule.yml", RULE)
    text = FILTER.replace("RULES", "any").replace("source_ip: 192.0.2.66", "source_ip|cidr|expand: '%scanners%'")
    path = write("rules/filter.yml", text)
    command = ["compile", BASE.removesuffix("_events"), "--target", "duckdb", "--pack", str(tmp_path)]
    assert run(command) == 1
    assert f"{path}:1: not_the_scanner: source_ip|cidr|expand: placeholder %scanners%" in capfd.readouterr().err
    write("pack.yml", "variables: {scanners: [192.0.2.0/24]}\n")
    assert run(command) == 0
    assert "'c0000200' and 'c00002ff'" in capfd.readouterr().out
    assert run([*command, "--var", "scanners=10.0.0.0/8", "--var", "scanners=10.1.0.0/16"]) == 0
    out = capfd.readouterr().out
    assert "'0a000000' and '0affffff'" in out
    assert "c0000200" not in out
    assert run([*command, "--var", "scanners"]) == 2


def test_stock_sigma_cli_applies_the_filter(write: Writer, tmp_path: Path) -> None:
    """`sigma convert` with the filter's file gives the text that keytrip gives."""
    folder = content_root() / "rules" / "reference"
    path = write("rules/filter.yml", FILTER.replace("RULES", "any"))
    arguments = ["convert", "-t", "keytrip_splunk", "-p", "keytrip_canonical", str(folder), str(path)]
    command = [str(Path(sys.executable).with_name("sigma")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = texts("splunk", tmp_path)["reference_volume_spike"]
    assert "192.0.2.66" in text
    assert text.strip() in done.stdout


SHAPE: dict[str, tuple[str, str]] = {
    "logsource: {category: ai_usage}\n": ("", "has no `logsource`"),
    "  condition: not (ip or 1 of agent_*)\n": ("", "`filter.condition` is no text"),
    "  rules: RULES\n": ("", "`filter.rules` is no list of texts"),
    "filter:\n": ("filter: []\nother:\n", "`filter` has no selection"),
}


@pytest.mark.parametrize("part", SHAPE)
def test_a_filter_without_a_part_is_refused(
    part: str, write: Writer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every command refuses it, and `check` names it, with its file and line."""
    other, problem = SHAPE[part]
    path = write("rules/filter.yml", FILTER.replace(part, other).replace("RULES", "any"))
    assert run(["rules", "--pack", str(tmp_path)]) == 1
    assert f"{path}:1: not_the_scanner: {problem}" in capfd.readouterr().err
    assert [p for p in found(tmp_path) if p.place.path and p.place.path.endswith("filter.yml")]


IDLE = {
    "nothing": ("[more_requests_events, nothing]", "no rule is called 'nothing'; see `keytrip rules`", 5),
    "misspelt": (
        "[more_request_events]",
        "no rule is called 'more_request_events'; did you mean more_requests_events?",
        5,
    ),
    "correlation": (
        "more_requests",
        "more_requests is a correlation, and filters narrow plain rules; name the rules",
        5,
    ),
}


@pytest.mark.parametrize("kind", IDLE)
def test_check_names_filters_that_do_nothing(kind: str, write: Writer, tmp_path: Path) -> None:
    """A filter that names what it cannot narrow is a problem at that line."""
    rules, problem, line = IDLE[kind]
    write("rules/rule.yml", RULE)
    path = write("rules/filter.yml", FILTER.replace("RULES", rules))
    (one,) = found(tmp_path)
    assert str(one).startswith(f"{path}:{line}: not_the_scanner: {problem}")


DETECTIONS: dict[str, tuple[dict[str, str], str, int]] = {
    "no rule": ({"category: ai_usage}": "category: ai_leak, product: gitlab}"}, "the filter does nothing", 3),
    "another": ({"category: ai_usage": "category: ai_use"}, "logsource category 'ai_use' is none of ai_*", 3),
    "field": ({"source_ip:": "sourceip:"}, "no field 'sourceip' in usage records; did you mean source_ip?", 6),
    "modifier": ({"source_ip:": "source_ip|nothing:"}, "Unknown modifier", 6),
    "double": ({"source_ip: 192.0.2.66": "cost_usd: 1*"}, "cost_usd is a double: a text test on it is refused", 6),
    "condition": ({"not (ip": "not (ipp"}, "Detection 'ipp' not defined", 8),
    "member": ({"title:": "about: x\ntitle:"}, "unknown member `about`", 1),
}


@pytest.mark.parametrize("kind", DETECTIONS)
def test_check_reads_the_selections_of_a_filter(kind: str, write: Writer, tmp_path: Path) -> None:
    """What a filter's selections have wrong is said of the filter, and of no rule that it narrows."""
    changes, problem, line = DETECTIONS[kind]
    text = FILTER.replace("RULES", "any")
    for old, new in changes.items():
        text = text.replace(old, new)
    write("rules/rule.yml", RULE)
    path = write("rules/filter.yml", text)
    told = [str(p) for p in found(tmp_path)]
    assert any(one.startswith(f"{path}:{line}: ") and problem in one for one in told), told
    assert not [one for one in told if "rule.yml" in one]


def test_check_has_nothing_to_say_of_a_sound_filter(write: Writer, tmp_path: Path) -> None:
    """Nor of a pack that switches filters off by their name."""
    write("rules/rule.yml", RULE)
    write("rules/filter.yml", FILTER.replace("RULES", "any"))
    write("pack.yml", "disabled: [not_the_*]\n")
    assert found(tmp_path) == []
    assert not any("192.0.2.66" in text for text in texts("duckdb", tmp_path).values())


def test_a_filter_that_pysigma_refuses_is_named(write: Writer, tmp_path: Path) -> None:
    """The reason of the refused rule is the filter's place, so that nobody searches the rule."""
    write("rules/rule.yml", RULE)
    path = write("rules/filter.yml", FILTER.replace("RULES", "any").replace("source_ip:", "source_ip|nothing:"))
    documents: list[Document] = load_rules([tmp_path])
    rule: Any = next(document for document in documents if document.name == BASE)
    (one,) = compile_to("duckdb", [rule], documents, (tmp_path,))
    assert one.reason.startswith(f"{path}:1: not_the_scanner: Unknown modifier")
