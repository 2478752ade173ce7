"""docs/fields.md is made from the vocabulary."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from keytrip.records.vocabulary import vocabulary

_SCRIPT = Path(__file__).parents[2] / "scripts" / "fields_page.py"


@pytest.fixture(name="script")
def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fields_page", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: ModuleType) -> None:
    """The committed page is the one that the vocabulary gives."""
    assert script.main(["--check"]) == 0, "run `python scripts/fields_page.py`"


def test_a_stale_page_is_noticed_and_mended(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One changed word makes the check fail and say what to run; running it makes the check pass."""
    page = tmp_path / "fields.md"
    monkeypatch.setattr(script, "PAGE", page)

    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("int", "text", 1), encoding="utf-8")
    capsys.readouterr()

    assert script.main(["--check"]) == 1
    assert "run `python scripts/fields_page.py`" in capsys.readouterr().err


def test_every_field_is_on_the_page(script: ModuleType) -> None:
    """No table, field or derived field is left out, and a bar in a text does not break a row."""
    text = script.page()

    for name, table in vocabulary().tables.items():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert [field for field in table.columns if f"\n| `{field}` | " not in section] == []
    assert script._row(["a|b"]) == "| a\\|b |"
