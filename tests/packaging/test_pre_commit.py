"""The hooks that other repositories use: their entries run, and only where content changed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compile.small_pack import RULE, writer

_FILE = Path(__file__).parents[2] / ".pre-commit-hooks.yaml"
HOOKS: dict[str, dict[str, Any]] = {hook["id"]: hook for hook in yaml.safe_load(_FILE.read_text(encoding="utf-8"))}
_BROKEN = {
    "keytrip-check": ("level: high", "level: urgent"),
    "keytrip-test": ("request_count: 130}", "request_count: 132}"),
}


def run(hook: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a hook's entry as pre-commit does, in a repository that says `args: [--pack, mypack]`."""
    program, *arguments = shlex.split(hook["entry"])
    command = [str(Path(sys.executable).with_name(program)), *arguments, "--pack", "mypack"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_stops_a_commit_with_a_fault_and_no_other(name: str, tmp_path: Path) -> None:
    """The entry's status is 1 with the file and line of the fault, and 0 when it is mended."""
    hook = HOOKS[name]
    assert hook["language"] == "python"
    assert hook["pass_filenames"] is False
    write = writer(tmp_path)
    old, new = _BROKEN[name]
    write("mypack/rules/more_requests.yml", RULE.replace(old, new))
    done = run(hook, tmp_path)
    assert done.returncode == 1, done.stderr
    assert "mypack/rules/more_requests.yml:" in done.stdout
    write("mypack/rules/more_requests.yml", RULE)
    assert run(hook, tmp_path).returncode == 0


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_runs_where_content_changes(name: str) -> None:
    """Rules and jobs of a pack, wherever it lies, start the hooks; other files do not."""
    pattern = HOOKS[name]["files"]
    for path in ("rules/a.yml", "mypack/rules/usage/a.yml", "mypack/baselines/a.py", "mypack/pack.yml", "pack.yml"):
        assert re.search(pattern, path), path
    for path in ("README.md", "src/a.py", "unpack.yml", "docs/rules.md"):
        assert not re.search(pattern, path), path
