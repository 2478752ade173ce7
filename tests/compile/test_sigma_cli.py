"""Stock sigma-cli finds our backends and pipeline, and makes the text that keytrip itself makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keytrip.compile.targets import TARGETS, compile_to
from keytrip.content import content_root
from keytrip.rules.load import alerting, load_rules


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_convert(target: str) -> None:
    """A folder of rules converts alone, and each of its rules to the text of `keytrip compile`."""
    folder = content_root() / "rules" / "reference"
    arguments = ["convert", "-t", f"keytrip_{target}", "-p", "keytrip_canonical", str(folder)]
    command = [str(Path(sys.executable).with_name("sigma")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    documents = load_rules()
    rules = [rule for rule in alerting(documents) if rule.path.parent == folder]
    assert len(rules) == 6
    for found in compile_to(target, rules, documents):
        assert found.text.strip() in done.stdout
