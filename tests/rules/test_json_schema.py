"""The JSON Schema of rule files: made from the models, it accepts our rules and refuses only what `check` refuses."""

from __future__ import annotations

import copy
import datetime as dt
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml
from compile.small_pack import RULE, found
from hypothesis import example, given
from hypothesis import strategies as st

from keytrip.rules.json_schema import SCHEMA
from keytrip.rules.load import load_rules

_SCRIPT = Path(__file__).parents[2] / "scripts" / "rule_schema.py"
_VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
DOCUMENTS: list[dict[str, Any]] = list(yaml.safe_load_all(RULE))
FILTER: Mapping[str, Any] = {
    "title": "The team's own scanner",
    "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6faa",
    "logsource": {"category": "ai_usage"},
    "filter": {
        "rules": ["more_requests_events"],
        "selection": {"source_ip|cidr": "10.1.2.0/24"},
        "condition": "not selection",
    },
}


def plain(value: Any) -> Any:
    """Return a YAML value as an editor sees it: dates are texts, and the key `on` is no boolean."""
    if isinstance(value, dict):
        return {"on" if key is True else str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, dt.date) else value


@pytest.fixture(name="script")
def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rule_schema", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_up_to_date(script: ModuleType) -> None:
    """The committed schema is the one that the models give."""
    assert script.main(["--check"]) == 0, "run `python scripts/rule_schema.py`"


def test_a_stale_file_is_noticed_and_mended(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the file the check fails and says what to run; running it makes the check pass."""
    monkeypatch.setattr(script, "SCHEMA", tmp_path / "rule.schema.json")
    assert script.main(["--check"]) == 1
    assert "run `python scripts/rule_schema.py`" in capsys.readouterr().err
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0


def test_it_is_a_schema_and_accepts_our_rules() -> None:
    """The schema is valid itself, and no document of ours, and no filter, has a fault by it."""
    jsonschema.Draft202012Validator.check_schema(_VALIDATOR.schema)
    for data in [*(document.data for document in load_rules()), *DOCUMENTS, FILTER]:
        assert [error.message for error in _VALIDATOR.iter_errors(plain(data))] == []


WRONG: Mapping[str, tuple[int, tuple[str, ...], Any]] = {
    "no level of that name": (0, ("level",), "urgent"),
    "no correlation of that name": (0, ("correlation", "type"), "count"),
    "no timespan": (0, ("correlation", "timespan"), "1M"),
    "no operator": (0, ("correlation", "condition"), {"above": 3}),
    "no member of a block": (0, ("baseline", "tabel"), "keys"),
    "no form of a block": (0, ("baseline", "missing"), "error"),
    "no part of the triage": (0, ("triage", "who"), "somebody"),
    "no test's expectation": (0, ("tests",), [{"name": "a", "fires": "often", "events": []}]),
    "no reason for a number": (0, ("parameters", "floor"), {"at": "correlation.condition.gt", "default": 50}),
    "no field": (1, ("detection", "selection"), {"keyid": "a"}),
    "no modifier": (1, ("detection", "selection"), {"key_id|contain": "a"}),
    "words without a field": (1, ("detection", "selection"), ["a"]),
    "no condition": (1, ("detection",), {"selection": {"key_id": "a"}}),
    "a baseline of a plain rule": (1, ("baseline",), {"table": "keys", "absent": True}),
    "no kind of relation": (0, ("related",), [{"id": "a", "type": "like"}]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_editor_underlines_what_check_refuses(kind: str, tmp_path: Path) -> None:
    """A fault that the schema knows is refused by both."""
    number, path, value = WRONG[kind]
    documents = copy.deepcopy(DOCUMENTS)
    at = documents[number]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert not _VALIDATOR.is_valid(plain(documents[number]))
    assert _refused(documents, tmp_path)


def _refused(documents: list[Any], folder: Path) -> bool:
    path = folder / "rules" / "more_requests.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    return bool(found(folder))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 60) | st.sampled_from(["", "a", "keys", "key_id", "1d"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "gt", "name"]), inner, max_size=2)
    ),
    max_leaves=3,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, child in inner for found in _paths(child, (*path, step)))]


_PLACES = [(number, path) for number, document in enumerate(DOCUMENTS) for path in _paths(document) if path]


@example(place=(0, ("tests", 1, "events", 0, "request_count")), value=False)
@given(st.sampled_from(_PLACES), st.one_of(_VALUES, st.just(...)))
def test_what_the_schema_refuses_check_refuses(place: tuple[int, tuple[Any, ...]], value: Any) -> None:
    """Whatever one puts in the place of a member, or takes away: the schema is never stricter than `check`."""
    number, path = place
    documents = copy.deepcopy(DOCUMENTS)
    at: Any = documents[number]
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    if not _VALIDATOR.is_valid(plain(documents[number])):
        with TemporaryDirectory() as folder:
            assert _refused(documents, Path(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filter": {**FILTER["filter"], "rules": ["nothing"]}}, "no rule is called 'nothing'"),
        ({"filter": {**FILTER["filter"], "condition": "not other"}}, "'other' not defined"),
        ({"filter": {**FILTER["filter"], "selection": {"ip": "a"}}}, "no field 'ip' in usage records"),
        (
            {"filter": {"selection": {"key_id": "a"}, "condition": "not selection"}},
            "`filter.rules` is no list of texts",
        ),
        ({"detection": {"a": {"key_id": "a"}, "condition": "a"}}, "unknown member `detection`"),
        ({"level": "high"}, "unknown member `level`"),
        ({}, ""),
    ],
)
def test_filters_are_checked(change: Mapping[str, Any], words: str, tmp_path: Path) -> None:
    """A filter names rules, fields and selections that exist; a good one has nothing wrong with it."""
    _refused([*DOCUMENTS, {**FILTER, **change}], tmp_path)
    said = "\n".join(map(str, found(tmp_path)))
    assert (words in said) if words else said == "", said
