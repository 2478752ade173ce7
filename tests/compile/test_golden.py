"""The compiled text of every alerting rule for every target lies in tests/golden: a change to it is seen and meant.

So does, in tests/golden/kinds, that of one correlation of each kind, whether a rule of ours is of that kind or not.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from compile.kinds import BASES, KINDS

from keytrip.compile.combined import compile_combined
from keytrip.compile.targets import TARGETS, Compiled, compile_to
from keytrip.rules.load import alerting, load_rules

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_file(found: Compiled, folder: Path) -> Path:
    """Return where a rule's text lies; a refusal lies there under another suffix, with its reason."""
    return folder / found.target / (found.file if found.text else f"{found.rule}.refused")


def golden_text(found: Compiled) -> str:
    """Return what lies there."""
    return found.text or f"{found.reason.partition(f'{found.rule}: ')[2] or found.reason}\n"


def agree(compiled: list[Compiled], folder: Path, *, update: bool) -> list[str]:
    """Return the names of files that differ from what was agreed on, or agree on what is there now."""
    found = {golden_file(c, folder): golden_text(c) for c in compiled}
    target = folder / compiled[0].target
    if update:
        target.mkdir(parents=True, exist_ok=True)
        for path in set(target.iterdir()) - set(found):
            path.unlink()
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
    kept = {path: path.read_text(encoding="utf-8") for path in target.iterdir()}
    return sorted(path.name for path in {**found, **kept} if found.get(path) != kept.get(path))


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_golden(target: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """Every rule compiles to the text that was agreed on; `pytest --update-golden` agrees on the new one."""
    documents = load_rules()
    changed = agree(compile_to(target, alerting(documents), documents), GOLDEN, update=update_golden)
    assert not changed, f"{target}: {', '.join(changed)}; look at `git diff` after `pytest --update-golden`"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_kinds(target: str, update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """So does each kind of correlation, refusals included."""
    changed = agree(compile_to(target, KINDS, [*BASES, *KINDS]), GOLDEN / "kinds", update=update_golden)
    assert not changed, f"{target}: {', '.join(changed)}; look at `git diff` after `pytest --update-golden`"


def test_combined(update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """So do the searches that rules share in Splunk."""
    documents = load_rules()
    together = [one for one in compile_combined(alerting(documents), documents) if one.shared]
    changed = agree(together, GOLDEN / "combined", update=update_golden)
    assert not changed, f"{', '.join(changed)}; look at `git diff` after `pytest --update-golden`"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_repeatable(target: str) -> None:
    """Compiling twice gives the same bytes, also with one backend for all rules and with a new one for each."""
    documents = load_rules()
    rules = alerting(documents)
    together = [c.text for c in compile_to(target, rules, documents)]
    assert together == [compile_to(target, [rule], documents)[0].text for rule in rules]
