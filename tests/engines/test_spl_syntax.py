"""Compiled SPL is well formed by a published grammar. What it means, tests/compile says; no Splunk runs here."""

from __future__ import annotations

from pathlib import Path

from compile.test_spl_meaning import mixtures
from compile.test_spl_statistics import searches
from engines.invented import BASES, INNER, correlations, plain_rules, sliding
from engines.spl_parser.spl_parser import SplCheck

from keytrip.compile.combined import compile_combined
from keytrip.compile.scheduled import scheduled_for
from keytrip.compile.targets import compile_to
from keytrip.rules.load import alerting, load_rules
from keytrip.rules.selection import Selection, choose

GOLDEN = Path(__file__).parents[1] / "golden"


def test_golden(spl_check: SplCheck) -> None:
    """The SPL of every rule and of each kind of correlation parses."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in GOLDEN.rglob("splunk/*.spl")}
    assert len(texts) >= 24
    assert not {name: errors for name, errors in spl_check(texts).items() if errors}


def test_invented(spl_check: SplCheck) -> None:
    """So does the SPL of every kind of condition, correlation and baseline block, quotes and other scripts included."""
    rules = [*plain_rules(), *correlations(), *sliding(), *mixtures()]
    found = compile_to("splunk", rules, [*BASES, INNER, *rules])
    assert not [one.reason for one in found if one.reason]
    assert not {name: errors for name, errors in spl_check({one.rule: one.text for one in found}).items() if errors}


def test_parameters(spl_check: SplCheck) -> None:
    """So do searches with macros in the places of their parameters."""
    documents = load_rules(())
    chosen = choose(alerting(documents), Selection(("*",)))
    found = scheduled_for(("splunk",), chosen, documents)
    texts = {one.rule: one.facts["settings"]["search"] for one in found if one.facts["parameters"]}
    assert len(texts) >= 12
    assert not {name: errors for name, errors in spl_check(texts).items() if errors}


def test_baselines(spl_check: SplCheck) -> None:
    """So do the searches by which Splunk keeps tables of statistics."""
    texts = {name: one.body["search"] for name, one in searches().items() if "search" in one.body}
    assert len(texts) == 10
    assert not {name: errors for name, errors in spl_check(texts).items() if errors}


def test_data_model(spl_check: SplCheck) -> None:
    """So does what is written over an accelerated data model."""
    rules = [*correlations(), *sliding()]
    found = compile_to("splunk", rules, [*BASES, INNER, *rules], (), {"data_model": "keytrip"})
    texts = {one.rule: one.text for one in found if one.text}
    assert len(texts) > 20
    assert not {name: errors for name, errors in spl_check(texts).items() if errors}


def test_combined(spl_check: SplCheck) -> None:
    """So do the searches that several rules share."""
    rules = list(correlations())
    texts = {one.shared: one.text for one in compile_combined(rules, [*BASES, INNER, *rules]) if one.shared}
    assert len(texts) == 2
    assert not {name: errors for name, errors in spl_check(texts).items() if errors}
