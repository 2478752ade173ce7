"""docs/language.md: each part of the language has an example, which is a part of a whole rule that is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from keytrip.cli import app
from keytrip.rules.schema import MODIFIERS, Block, Condition, Correlation, Parameter, RuleFile, Triage

ROOT = Path(__file__).parents[2]
PACK = ROOT / "docs/examples/language"
_TEXT = (ROOT / "docs/language.md").read_text(encoding="utf-8")
# A block of YAML, or the link that says which file the next ones are from.
_PART = re.compile(r"\]\((examples/language/rules/\w+\.yml)\)|^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Members of a rule that are about it, and say nothing of what it means.
_ABOUT = {
    "title", "id", "name", "status", "description", "related", "taxonomy", "license", "author", "date", "modified",
    "references", "tags", "fields", "falsepositives", "scope", "level",
}  # fmt: skip


def shown() -> list[tuple[str, str]]:
    """Return (file that was linked last, YAML) of each example."""
    file, found = "", []
    for link, block in _PART.findall(_TEXT):
        file = link or file
        if block:
            found.append((file, block))
    return found


EXAMPLES = shown()
MEMBERS = set(re.findall(r"^[ -]*([\w-]+):", "".join(block for _, block in EXAMPLES), re.MULTILINE))


@pytest.mark.parametrize(("file", "block"), EXAMPLES)
def test_an_example_is_a_part_of_its_file(file: str, block: str) -> None:
    """Whole lines of the file that the page links last before the example."""
    assert f"\n{block}" in (ROOT / "docs" / file).read_text(encoding="utf-8")


def test_every_file_of_the_pack_is_linked() -> None:
    """No rule lies in the pack that the page does not speak of."""
    linked = {ROOT / "docs" / link for link, _ in _PART.findall(_TEXT) if link}
    assert linked == set(PACK.glob("rules/*.yml"))


def test_check_accepts_the_pack(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing that `check` finds in the examples, nor in our content with them."""
    assert app.run(["check", "--pack", str(PACK)]) == 0
    assert capsys.readouterr().out == ""


def test_the_cases_of_the_pack_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule of the pack that alerts has cases, and does what they say."""
    assert app.run(["test", "example_*", "--pack", str(PACK)]) == 0
    assert re.fullmatch(r"[1-9]\d* cases passed, 0 failed\n", capsys.readouterr().err)


def test_every_modifier_has_an_example() -> None:
    """Each modifier stands behind a field in an example."""
    used = {word for _, block in EXAMPLES for key in re.findall(r"[\w|]+\|\w+(?=:)", block) for word in key.split("|")}
    assert set(MODIFIERS) <= used


def test_every_type_of_correlation_has_an_example() -> None:
    """Each type is shown as a correlation."""
    types = get_args(Correlation.model_fields["type"].annotation)
    assert len(types) == 8
    assert set(re.findall(r"^  type: (\w+)$", "".join(block for _, block in EXAMPLES), re.MULTILINE)) == set(types)


@pytest.mark.parametrize("model", [RuleFile, Correlation, Block, Parameter, Triage])
def test_every_member_has_an_example(model: type[RuleFile | Correlation | Block | Parameter | Triage]) -> None:
    """Each member that means something is shown."""
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert names - _ABOUT <= MEMBERS


def test_every_operator_is_named() -> None:
    """The operators of a condition stand in the text."""
    assert all(f"`{name}`" in _TEXT for name in Condition.model_fields)
