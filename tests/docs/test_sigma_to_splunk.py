"""docs/sigma_to_splunk.md: the rule, search and stanzas that it shows are those there are; test_commands.py runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keytrip.cli import app

ROOT = Path(__file__).parents[2]
_TEXT = (ROOT / "docs/sigma_to_splunk.md").read_text(encoding="utf-8")
YAML, SPL, TRANSFORMS, STANZA = (block for _, block in re.findall(r"```(yaml|spl|ini)\n(.*?)```", _TEXT, re.DOTALL))


def test_the_page_shows_the_rule() -> None:
    """The YAML is that of the rule's file."""
    assert YAML in (ROOT / "rules/usage/key_new_network.yml").read_text(encoding="utf-8")


def test_the_page_shows_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    """The SPL is what `compile` writes after its comment."""
    assert app.run(["compile", "key_new_network", "--target", "splunk"]) == 0
    assert capsys.readouterr().out.partition("```\n")[2] == SPL
    assert "| lookup keytrip_key_source_nets " in SPL
    assert TRANSFORMS.startswith("[keytrip_key_source_nets]\nfilename = key_source_nets.csv\n")


def test_the_page_shows_the_schedule() -> None:
    """The lines of the stanza are those that stock sigma-cli writes."""
    command = ["convert", "-t", "keytrip_splunk", "-p", "keytrip_canonical", "-f", "savedsearches"]
    sigma = str(Path(sys.executable).with_name("sigma"))
    path = str(ROOT / "rules/usage/key_new_network.yml")
    done = subprocess.run([sigma, *command, path], capture_output=True, text=True, check=True)
    assert STANZA in done.stdout
