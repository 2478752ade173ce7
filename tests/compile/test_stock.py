"""A rule of any logsource but ours becomes what pySigma's own backend makes of it, text for text, in every format."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from compile.foreign import DETECTIONS, foreign_rules, plain
from compile.rules import base, compiled, document
from sigma.collection import SigmaCollection
from sigma.data import mitre_attack
from sigma.exceptions import SigmaError
from sigma.pipelines.elasticsearch import ecs_windows
from sigma.pipelines.splunk import splunk_cim_data_model, splunk_windows_pipeline

from keytrip.compile.pipelines import canonical_pipeline
from keytrip.compile.stock import STOCK
from keytrip.compile.targets import TARGETS
from keytrip.rules.load import LOADER

OURS = sorted(target for target in TARGETS if f"keytrip_{target}" in STOCK)
PIPELINES: dict[str, list[Callable[[], Any]]] = {
    "splunk": [splunk_windows_pipeline, splunk_cim_data_model],
    "esql": [ecs_windows],
    "lucene": [ecs_windows],
    "eql": [ecs_windows],
    "opensearch": [ecs_windows],
}


@pytest.fixture(autouse=True)
def attack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give pySigma two names of ATT&CK, which it would fetch and keep in the user's cache folder."""
    kinds = {"TA0002": "x-mitre-tactic", "T1059": "attack-pattern", "T1059.001": "attack-pattern"}
    objects = [
        {
            "type": kind,
            "name": name,
            "x_mitre_shortname": "execution",
            "external_references": [{"source_name": "mitre-attack", "external_id": name}],
        }
        for name, kind in kinds.items()
    ]
    path = tmp_path / "attack.json"
    path.write_text(json.dumps({"objects": objects}), encoding="utf-8")
    monkeypatch.setattr("sigma.data.mitre_attack._custom_url", str(path))
    monkeypatch.setattr("sigma.data.mitre_attack._custom_cache_dir", tmp_path / "cache")
    monkeypatch.setattr("sigma.data.mitre_attack._cache", None)
    yield
    mitre_attack._get_cache().close()


def own(target: str) -> Any:
    """Return our backend class."""
    module, name, _ = TARGETS[target]
    return getattr(import_module(module), name)


def stock(target: str) -> Any:
    """Return pySigma's backend class for the same target."""
    module, name = STOCK[f"keytrip_{target}"]
    return getattr(import_module(module), name)


@cache
def _documents(text: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(text, Loader=LOADER))


def outcome(backend: Any, text: str, form: str | None, method: str | None = None) -> object:
    """Return what a backend makes of a rule: its output, or the name of its error."""
    try:
        return backend.convert(SigmaCollection.from_dicts(deepcopy(_documents(text))), form, method)
    except (SigmaError, NotImplementedError, KeyError, AttributeError, TypeError) as error:
        return type(error).__name__


@pytest.mark.parametrize("target", OURS)
def test_equal(target: str) -> None:
    """Each rule gives the same text in each stock format, and with each stock pipeline."""
    compared = 0
    for make in (lambda: None, *PIPELINES[target]):
        for form in stock(target).formats if make() is None else ["default"]:
            for name, text in foreign_rules():
                expected = outcome(stock(target)(make()), text, form)
                assert outcome(own(target)(make()), text, form) == expected, (name, form)
                compared += not isinstance(expected, str) or expected.startswith(("[", "{"))
    assert compared > len(DETECTIONS)


@pytest.mark.parametrize("target", OURS)
def test_canonical_pipeline(target: str) -> None:
    """Our own pipeline changes nothing of such rules."""
    for name, text in foreign_rules():
        expected = outcome(stock(target)(), text, None)
        assert outcome(own(target)(canonical_pipeline()), text, None) == expected, name


@pytest.mark.parametrize("target", OURS)
def test_formats_and_methods(target: str) -> None:
    """No format and no correlation method of the stock backend is missing."""
    assert set(stock(target).formats) <= set(own(target).formats)
    assert set(stock(target).correlation_methods or ()) <= set(own(target).correlation_methods or ())


@pytest.mark.parametrize("target", OURS)
def test_correlation_method(target: str) -> None:
    """A method asked for by name reaches the stock backend, and our default stands for its default."""
    rules = dict(foreign_rules())
    for method in stock(target).correlation_methods or ():
        expected = outcome(stock(target)(), rules["event_count"], None, method)
        assert outcome(own(target)(), rules["event_count"], None, method) == expected
    assert outcome(own(target)(), rules["event_count"], None, "default") == outcome(
        stock(target)(), rules["event_count"], None
    )


def test_options() -> None:
    """Options of a stock backend reach it."""
    text = dict(foreign_rules())["plain"]
    rules = SigmaCollection.from_yaml(text)
    made = own("splunk")(None, min_time="-7d", max_time="-1d").convert(rules, "savedsearches")
    assert "dispatch.earliest_time = -7d" in made


def test_mixed() -> None:
    """A collection of both kinds gives both."""
    foreign = dict(foreign_rules())["plain"]
    ours = yaml.safe_dump(dict(base({"a": {"model": "x"}, "condition": "a"}).data))
    found = own("splunk")().convert(SigmaCollection.from_yaml(f"{ours}\n---\n{foreign}"))
    assert len(found) == 2
    assert found[0].startswith("```base:")
    assert found[1:] == stock("splunk")().convert(SigmaCollection.from_yaml(foreign))
    both = own("splunk")().convert(SigmaCollection.from_yaml(f"{ours}\n---\n{foreign}"), "savedsearches")
    assert "[Foreign plain]" in both
    assert "[keytrip - base - Rule]" in both


def test_correlation_over_both() -> None:
    """A correlation over rules of both kinds is refused: no query reads both."""
    foreign = document(plain("first", DETECTIONS["plain"]))
    correlation = {"type": "event_count", "rules": ["base", "first"], "timespan": "1d", "condition": {"gte": 1}}
    rule = document({"name": "mixed", "correlation": correlation})
    found = compiled("splunk", rule, base(), foreign)
    assert "refers to rules of ai_* and of other logsources" in found.reason


def test_compile() -> None:
    """`keytrip compile` gives such a rule too, all of its queries; DuckDB has no tables for it and says who does."""
    rule = document(plain("two", DETECTIONS["two"]))
    assert compiled("splunk", rule).text == 'Image="a"\nUser="b"\n'
    assert compiled("duckdb", rule).reason == (
        "made.yml:1: two: duckdb reads keytrip's own tables only (ai_*); "
        "targets for it: splunk, esql, lucene, eql, opensearch"
    )


def test_refused_by_stock() -> None:
    """What a stock backend cannot say is refused with its place and pySigma's message, without the whole rule."""
    reason = compiled("splunk", document(plain("placeholder", DETECTIONS["placeholder"]))).reason
    assert reason.startswith("made.yml:1: placeholder: ")
    assert "SigmaRule(" not in reason


def test_skip_unsupported() -> None:
    """Asked to go on, a backend keeps the errors of both kinds of rules and gives the rest."""
    bad = yaml.safe_dump(dict(base({"words": ["x"], "condition": "words"}).data))
    good = dict(foreign_rules())
    backend = own("splunk")(None, collect_errors=True)
    found = backend.convert(SigmaCollection.from_yaml("\n---\n".join([bad, good["placeholder"], good["plain"]])))
    assert found == stock("splunk")().convert(SigmaCollection.from_yaml(good["plain"]))
    assert [rule.name for rule, _ in backend.errors] == ["base", "placeholder"]


@pytest.mark.parametrize("target", OURS)
def test_stock_format_of_our_rule(target: str) -> None:
    """A stock format that we do not write is refused for our rules, with the formats that there are."""
    rules = yaml.safe_dump(dict(base({"a": {"model": "x"}, "condition": "a"}).data))
    strange = sorted(set(own(target).formats) - set(own(target).writers))
    for form in strange:
        with pytest.raises(SigmaError, match="for it: default"):
            own(target)().convert(SigmaCollection.from_yaml(rules), form)


@pytest.mark.parametrize(("target", "pipeline"), [("splunk", "splunk_windows"), ("esql", "ecs_windows")])
def test_sigma_cli(target: str, pipeline: str, tmp_path: Path) -> None:
    """Stock sigma-cli takes a stock pipeline for our target, and prints what the stock backend makes."""
    path = tmp_path / "rule.yml"
    path.write_text(dict(foreign_rules())["windash"], encoding="utf-8")
    command = [str(Path(sys.executable).with_name("sigma")), "convert", "-t", f"keytrip_{target}", "-p", pipeline]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = stock(target)(PIPELINES[target][0]()).convert(SigmaCollection.from_yaml(path.read_text(encoding="utf-8")))
    assert done.stdout.strip() == made[0].strip()
