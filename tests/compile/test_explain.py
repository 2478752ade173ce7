"""`compile --explain` says which part of a rule became which lines of the query, in every target."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compile.rules import base, counted, document, matching, text

from keytrip.compile.explain import Part, explain
from keytrip.compile.targets import TARGETS
from keytrip.errors import ContentError
from keytrip.rules.load import Document, alerting, load_rules

MEAN = {"table": "key_requests_daily", "exceeds": "mean", "where": "days > 2"}


def parts(target: str, rule: Document, *bases: Document) -> dict[str, Part]:
    """Return the parts of a rule by their path."""
    return {".".join(part.path): part for part in explain(target, rule, [rule, *bases])}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_tests(target: str) -> None:
    """Each test of a plain rule is found in the query, negated ones too, and its text stands on the lines named."""
    tests: list[dict[str, Any]] = [{"model": "Gpt"}, {"status_code|gte": 400}, {"user": "x"}]
    rule = matching(*tests, condition="(a or b) and not c")
    found = parts(target, rule)
    assert [path for path in found if path.startswith("detection")] == [
        "detection.a.model",
        "detection.b.status_code|gte",
        "detection.c.user",
    ]
    query = text(target, rule).splitlines()
    for path, part in found.items():
        # a query string has no place for a level
        assert bool(part.lines) == (target != "lucene" or path != "level"), path
        assert path == "level" or target == "opensearch" or part.text in query[part.lines[0] - 1]


def test_negated() -> None:
    """A test that stands negated shows the text that the negation made."""
    part = parts("esql", matching({"user": "x"}, condition="not a"))["detection.a.user"]
    assert part.text == 'user.name IS NULL OR NOT (TO_LOWER(user.name) == "x")'


def test_correlation() -> None:
    """Of a correlation, each part names the lines that it made; a baseline's lines are not the group's."""
    rule = counted("value_sum", {"field": "request_count", "gt": 40}, baseline=MEAN, timespan="1h")
    found = parts("splunk", rule, base())
    assert found["correlation.condition.gt"].text == "| where (value > 40)"
    assert found["correlation.timespan"].text.startswith("| eval window_start = (floor(_time / 3600) * 3600)")
    assert "lookup" not in found["correlation.group-by.0"].text
    assert "by key_id window_start" in found["correlation.group-by.0"].text
    assert "sum(request_count)" in found["correlation.condition.field"].text
    assert "lookup keytrip_key_requests_daily" in found["baseline"].text
    assert "tonumber(baseline_days) > 2" in found["baseline.where"].text
    assert "value > tonumber(baseline_mean)" in found["baseline.exceeds"].text


def test_value_count_and_blocks() -> None:
    """Each of several blocks has its own lines, and a counted field its own."""
    blocks = [MEAN, {"table": "key_cost_daily", "exceeds": "max"}]
    rule = counted("value_count", {"field": "model", "gte": 2}, baseline=blocks)
    found = parts("duckdb", rule, base())
    assert "key_cost_daily" in found["baseline.1"].text
    assert "key_cost_daily" not in found["baseline.0.exceeds"].text
    assert "model" in found["correlation.condition.field"].text


def test_lists_of_maps() -> None:
    """Tests in a list of maps are told apart by their number."""
    rule = document(
        {
            "name": "maps",
            "logsource": {"category": "ai_usage", "product": "openai"},
            "detection": {"a": [{"model": "x"}, {"user": "y"}], "condition": "a"},
        }
    )
    assert [part.said for part in explain("lucene", rule, [rule])][:2] == ["x", "y"]


def test_refused() -> None:
    """What the target refuses is not explained but refused, with the reason."""
    with pytest.raises(ContentError, match="correlations are refused"):
        explain("lucene", counted(), [counted(), base()])


def test_every_rule() -> None:
    """Each of our rules is explained, and every part of a correlation has a line."""
    documents = load_rules()
    for rule in alerting(documents):
        for part in explain("splunk", rule, documents):
            assert part.lines, (rule.name, part.path)
            assert part.place.startswith(str(rule.path))


def test_command() -> None:
    """The command shows a table for people and JSON for machines; a refused rule is named, with exit code 1."""
    command = [str(Path(sys.executable).with_name("keytrip")), "compile", "org_spend_threshold_low", "--explain"]
    table = subprocess.run([*command, "-t", "esql"], capture_output=True, text=True, check=True).stdout
    assert "correlation.timespan" in table
    assert "org_spend_threshold_low.yml:" in table
    done = subprocess.run([*command, "-t", "esql", "--format", "json"], capture_output=True, text=True, check=True)
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    assert set(entries[0]) == {"rule", "part", "says", "at", "lines", "query"}
    refused = subprocess.run([*command, "-t", "eql"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "correlations are refused" in refused.stderr
