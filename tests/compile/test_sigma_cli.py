"""Stock sigma-cli finds our backends and pipeline, and makes the text that keytrip itself makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compile.rules import compiled, matching, text

from keytrip.compile.targets import TARGETS, compile_to
from keytrip.content import content_root
from keytrip.rules.load import alerting, load_rules


def sigma(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run sigma-cli."""
    command = [str(Path(sys.executable).with_name("sigma")), *arguments]
    wide = {**os.environ, "COLUMNS": "400"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=wide)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_convert(target: str) -> None:
    """A folder of rules converts alone, and each of its rules to the text of `keytrip compile`, or is refused alike."""
    folder = content_root() / "rules" / "reference"
    done = sigma("convert", "-t", f"keytrip_{target}", "-p", "keytrip_canonical", "-s", str(folder))
    assert done.returncode == 0, done.stderr
    documents = load_rules()
    rules = [rule for rule in alerting(documents) if rule.path.parent == folder]
    assert len(rules) == 6
    for found in compile_to(target, rules, documents):
        assert found.text.strip() in done.stdout
        assert found.reason.rpartition(": ")[2] in done.stderr


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_plain(target: str, tmp_path: Path) -> None:
    """A plain rule converts to the text of `keytrip compile` in every target."""
    rule = matching({"model|contains": ["gpt", "x*y"], "source_ip|cidr": "10.0.0.0/8"}, {"user": None})
    path = tmp_path / "rule.yml"
    path.write_text(yaml.safe_dump(dict(rule.data)), encoding="utf-8")
    done = sigma("convert", "-t", f"keytrip_{target}", "-p", "keytrip_canonical", str(path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == text(target, rule).strip()


def test_lists() -> None:
    """sigma-cli lists every target, our pipeline, and the formats of each target."""
    targets = sigma("list", "targets").stdout
    assert all(f"keytrip_{target}" in targets for target in TARGETS)
    assert "keytrip_canonical" in sigma("list", "pipelines").stdout
    assert "savedsearches" in sigma("list", "formats", "keytrip_splunk").stdout
    assert "detection_rule" in sigma("list", "formats", "keytrip_lucene").stdout


def test_refusal(tmp_path: Path) -> None:
    """What a target cannot say is an error of sigma-cli too, with file, rule, reason and the targets that can."""
    rule = matching({"model|fieldref": "model_raw"})
    path = tmp_path / "rule.yml"
    path.write_text(yaml.safe_dump(dict(rule.data)), encoding="utf-8")
    done = sigma("convert", "-t", "keytrip_lucene", str(path))
    assert done.returncode == 1
    assert f"{path}: base: model: Lucene cannot compare fields; esql, splunk, duckdb and spark can" in done.stderr
    assert compiled("lucene", rule).reason.endswith("Lucene cannot compare fields; esql, splunk, duckdb and spark can")
