"""The compiled text of every alerting rule for every target lies in tests/golden: a change to it is seen and meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from keytrip.compile.targets import TARGETS, Compiled, compile_to
from keytrip.rules.load import alerting, load_rules

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_file(found: Compiled) -> Path:
    """Return where a rule's text lies; a refusal lies there under another suffix, with its reason."""
    return GOLDEN / found.target / (found.file if found.text else f"{found.rule}.refused")


def golden_text(found: Compiled) -> str:
    """Return what lies there."""
    return found.text or f"{found.reason.partition(f'{found.rule}: ')[2] or found.reason}\n"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_golden(target: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """Every rule compiles to the text that was agreed on; `pytest --update-golden` agrees on the new one."""
    documents = load_rules()
    found = {golden_file(c): golden_text(c) for c in compile_to(target, alerting(documents), documents)}
    folder = GOLDEN / target
    if update_golden:
        folder.mkdir(parents=True, exist_ok=True)
        for path in set(folder.iterdir()) - set(found):
            path.unlink()
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
    kept = {path: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    changed = sorted(path.name for path in {**found, **kept} if found.get(path) != kept.get(path))
    assert not changed, f"{target}: {', '.join(changed)}; look at `git diff` after `pytest --update-golden`"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_repeatable(target: str) -> None:
    """Compiling twice gives the same bytes, also with one backend for all rules and with a new one for each."""
    documents = load_rules()
    rules = alerting(documents)
    together = [c.text for c in compile_to(target, rules, documents)]
    assert together == [compile_to(target, [rule], documents)[0].text for rule in rules]
