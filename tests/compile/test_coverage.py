"""`keytrip coverage`: what each source can feed, what each target can say, and why not."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from keytrip.cli import app
from keytrip.compile.coverage import Covered, Side, coverage
from keytrip.compile.targets import TARGETS
from keytrip.rules.load import Document, alerting, load_rules
from keytrip.sources import all_sources

PATH = Path("made.yml")


def plain(selections: Mapping[str, Any], condition: str, category: str = "ai_usage", name: str = "base") -> Document:
    """Return a plain rule."""
    number = sum(map(ord, name))
    data = {
        "title": name,
        "id": f"0d9f5c4e-6d0b-4b7a-9a57-{number:012}",
        "name": name,
        "logsource": {"category": category},
        "detection": {**selections, "condition": condition},
    }
    return Document(data, PATH, 1)


def over(*bases: str, kind: str = "event_count", **more: Any) -> Document:
    """Return a correlation."""
    correlation = {
        "type": kind,
        "rules": [*bases],
        "group-by": ["key_id"],
        "timespan": "1d",
        **({} if "temporal" in kind else {"condition": {"gte": 2}}),
        **more.pop("correlation", {}),
    }
    data = {"title": "over", "id": "0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02", "name": "over", "correlation": correlation}
    return Document({**data, **more}, PATH, 1)


def side(source: str, rule: Document, *bases: Document) -> Side:
    """Return what a source is to a rule."""
    (found,) = coverage([rule], [rule, *bases], sources=[source], targets=["duckdb"])
    return found.sources[source]


MODEL, STATUS = {"model": "a"}, {"status_code": 401}
NETWORK = {"source_net": "10.0.0.0/24"}


@pytest.mark.parametrize(
    ("selections", "condition", "covered"),
    [
        ({"a": MODEL}, "a", Covered.no),
        ({"a": STATUS}, "a", Covered.yes),
        ({"a": MODEL, "b": STATUS}, "a or b", Covered.yes),
        ({"a": MODEL, "b": STATUS}, "a and b", Covered.no),
        ({"a": STATUS, "b": MODEL}, "a and not b", Covered.yes),
        ({"a": {"model": None}}, "a", Covered.yes),
        ({"a": {"model|exists": False, **STATUS}}, "a", Covered.yes),
        ({"a": {"model|exists": True}}, "a", Covered.no),
        ({"a": [MODEL, STATUS]}, "a", Covered.yes),
        ({"a": [MODEL, {"model|startswith": "b"}]}, "a", Covered.no),
        ({"x_a": MODEL, "x_b": STATUS}, "1 of x_*", Covered.yes),
        ({"x_a": MODEL, "x_b": STATUS}, "all of x_*", Covered.no),
        ({"a": NETWORK}, "a", Covered.yes),
        ({"a": {"total_tokens|gt": 5}}, "a", Covered.no),
        ({"a": {"request_count|gt": 5}}, "a", Covered.yes),
        ({"a": {"key_id": "k"}}, "a", Covered.partly),
    ],
)
def test_a_source_covers_what_can_match_its_records(
    selections: Mapping[str, Any], condition: str, covered: Covered
) -> None:
    """Nginx logs no body, so no model and no tokens: only a condition that can hold without them is covered."""
    assert side("nginx_egress", plain(selections, condition)).covered is covered


def test_reasons_are_those_of_the_source() -> None:
    """A hole names the field, and why the log cannot have it."""
    found = side("nginx_egress", plain({"a": MODEL}, "a"))
    assert found.reason == "no model (the request's body is not logged)"
    assert side("litellm", plain({"a": MODEL}, "a")) == Side(Covered.yes)
    assert side("litellm", plain({"a": {"action": "a"}}, "a", "ai_audit")).reason == "reads no audit records"


def test_a_counting_rule_needs_any_base_and_a_temporal_one_all() -> None:
    """Where one of two referenced rules cannot match, counting goes on without it and a sequence cannot be."""
    bases = plain({"a": MODEL}, "a", name="one"), plain({"a": STATUS}, "a", name="two")
    # the hint of the key is in one form of the log only
    assert side("nginx_egress", over("one", "two"), *bases).covered is Covered.partly
    assert side("nginx_egress", over("one", "two", kind="temporal"), *bases).covered is Covered.no


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"correlation": {"group-by": ["model"]}}, "no model"),
        (
            {"correlation": {"type": "value_sum", "condition": {"field": "cost_usd", "gt": 5}}},
            "no cost_usd (without tokens there is no price)",
        ),
        ({"correlation": {"group-by": ["who"], "aliases": {"who": {"base": "model"}}}}, "no model"),
        (
            {"baseline": {"table": "key_models", "on": ["key_id", "model"], "absent": True, "share": {"gt": 1}}},
            "no model",
        ),
        ({"baseline": {"table": "key_cost_daily", "exceeds": "mean"}}, "no cost_usd"),
    ],
)
def test_what_is_grouped_counted_or_learned_has_to_be_there(more: Mapping[str, Any], reason: str) -> None:
    """Group fields, counted fields and the inputs of baseline tables are needed too."""
    found = side("nginx_egress", over("base", **more), plain({"a": STATUS}, "a"))
    assert found.covered is Covered.no
    assert reason in found.reason


def test_every_rule_of_ours_is_fed_and_compiles_somewhere() -> None:
    """No rule is without a source and a target, and what a target refuses has a reason."""
    documents = load_rules()
    found = coverage(alerting(documents), documents)
    assert {name for one in found for name in one.sources} == set(all_sources())
    assert {name for one in found for name in one.targets} == set(TARGETS)
    for one in found:
        assert Covered.yes in {s.covered for s in one.sources.values()}
        assert Covered.yes in {s.covered for s in one.targets.values()}
        assert all(bool(c.reason) == (c.covered is not Covered.yes) for c in one.cells)


def test_what_a_target_refuses_is_a_hole() -> None:
    """The reason is the compiler's."""
    (found,) = coverage([plain({"a": ["words"]}, "a")], [plain({"a": ["words"]}, "a")], targets=["splunk"])
    assert found.targets["splunk"].covered is Covered.no
    assert "has no field to search" in found.targets["splunk"].reason
    assert all(cell.covered is Covered.no for cell in found.cells)


def test_the_command_in_its_forms(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has the sides and the holes, the others a row for each combination, and both can be narrowed."""
    choice = ["coverage", "key_unknown_model", "-s", "nginx_egress", "-s", "canonical", "-t", "esql"]
    assert app.run(choice) == 0
    head, rule, _, hole = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert head.split() == ["rule", "level", "canonical", "nginx_egress", "esql"]
    assert rule.startswith(" \u2500")
    assert hole == "key_unknown_model, nginx_egress: no model (the request's body is not logged)"
    assert app.run([*choice, "--format", "json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["source"], row["target"], row["covered"]) for row in rows] == [
        ("canonical", "esql", "yes"),
        ("nginx_egress", "esql", "no"),
    ]
    assert app.run([*choice, "--format", "csv"]) == 0
    assert [row["reason"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == [
        "",
        "nginx_egress: no model (the request's body is not logged)",
    ]


@pytest.mark.parametrize("wrong", [["-s", "nothing"], ["-t", "nothing"], ["nothing"]])
def test_a_name_that_is_none_is_wrong_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Rules, sources and targets that are not there exit 2."""
    assert app.run(["coverage", *wrong]) == 2
    assert "nothing" in capsys.readouterr().err
