"""Output formats, as stock sigma-cli writes them: stanzas, detection rules, monitors; hostile text stays text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from compile.rules import base, counted, matching, text
from hypothesis import given
from hypothesis import strategies as st
from sigma.exceptions import SigmaError

from keytrip.compile.attack import threats_of
from keytrip.compile.compiled import collection_of
from keytrip.compile.targets import backend_of
from keytrip.content import content_root
from keytrip.errors import ContentError
from keytrip.rules.load import Document

HOSTILE = 'x\n[other]\ndisabled = 0 \\\n| delete ``` "y" \\'


def written(target: str, form: str, rule: Document, *bases: Document) -> str:
    """Return what a target writes of a rule in a format."""
    found = backend_of(target).convert(collection_of([rule], [rule, *bases]), form)
    assert len(found) == 1
    return str(found[0])


def stanzas(conf: str) -> dict[str, dict[str, str]]:
    """Read a .conf file as Splunk does: a backslash at the end of a line joins the next one to it."""
    found: dict[str, dict[str, str]] = {}
    lines = iter(conf.splitlines())
    for first in lines:
        line = first
        while line.endswith("\\"):
            line = line[:-1] + "\n" + next(lines)
        if line.startswith("["):
            found[line[1 : line.index("]")]] = current = {}
        elif line.strip():
            name, _, value = line.partition(" = ")
            current[name] = value
    return found


def renamed(rule: Document, **changes: Any) -> Document:
    """Return a rule with other members."""
    return Document({**rule.data, **changes}, rule.path, rule.line)


def sigma(target: str, form: str) -> str:
    """Return what stock sigma-cli prints for the reference rules."""
    arguments = ["convert", "-t", f"keytrip_{target}", "-p", "keytrip_canonical", "-f", form]
    command = [str(Path(sys.executable).with_name("sigma")), *arguments, str(content_root() / "rules" / "reference")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_saved_searches() -> None:
    """sigma-cli writes one stanza a rule, with its schedule; the search is the compiled query and a last test."""
    found = stanzas(sigma("splunk", "savedsearches"))
    assert len(found) == 6
    search = found["keytrip - reference_cost_spike - Rule"]
    compiled = text("splunk", *reference("reference_cost_spike"))
    assert search.pop("search").replace(" \n", "\n") == f"{compiled.strip()}\n| where (window_end > (now() - 1800))"
    assert search.pop("description").startswith("Cost of a UTC day")
    assert search == {
        "dispatch.earliest_time": "-88200s",
        "dispatch.latest_time": "now",
        "cron_schedule": "*/15 * * * *",
        "enableSched": "1",
        "schedule_window": "auto",
        "disabled": "1",
        "counttype": "number of events",
        "relation": "greater than",
        "quantity": "0",
        "alert.track": "1",
        "alert.severity": "6",
        "alert.digest_mode": "0",
        "alert.suppress": "1",
        "alert.suppress.fields": "key_id,window_start",
        "alert.suppress.period": "88200s",
    }


def test_combined_searches() -> None:
    """sigma-cli writes one stanza for the rules that one pass can serve, whose alerts are told apart by rule."""
    found = stanzas(sigma("splunk", "combined"))
    assert len(found) == 4
    search = found["keytrip - combined_usage_1d_key_id - Rule"]
    names = {"reference_cost_spike", "reference_volume_spike", "reference_volume_spike_extreme"}
    assert set(search["description"].removeprefix("Rules: ").removesuffix(".").split(", ")) == names
    assert search["alert.suppress.fields"] == "rule,key_id,window_start"
    assert (search["alert.severity"], search["cron_schedule"]) == ("6", "*/15 * * * *")
    assert search["search"].endswith("| where (window_end > (now() - 1800))")
    alone = stanzas(sigma("splunk", "savedsearches"))
    name = "keytrip - reference_unknown_model - Rule"
    assert found[name] == alone[name]


def test_combined_plain_rule() -> None:
    """A plain rule has its own stanza there too, and over a data model rules are not put together."""
    rule = matching({"model": "x"})
    assert written("splunk", "combined", rule) == written("splunk", "savedsearches", rule)
    rules = [base(), counted(), renamed(counted(), name="other", id="7b1b3c2e-4a53-4f0e-9d56-000000000001")]
    backend = backend_of("splunk", {"data_model": "keytrip"})
    with pytest.raises(ContentError, match="several rules in one search"):
        backend.convert(collection_of(rules[1:], rules), "combined")


def test_long_names() -> None:
    """Names that are cut stay different: Splunk takes two stanzas of one name for one search."""
    long = "n" * 90
    cut = [written("splunk", "savedsearches", renamed(matching({"user": "x"}), name=long + end)) for end in "ab"]
    assert len({text.splitlines()[0] for text in cut}) == 2
    assert all(len(text.splitlines()[0]) < 80 for text in cut)


def reference(name: str) -> list[Document]:
    """Return a reference rule, then its base rules."""
    from keytrip.rules.load import load_rules

    documents = load_rules()
    return [next(d for d in documents if d.name == name), *documents]


def test_saved_search_of_plain_rule() -> None:
    """A plain rule reads each five minutes once, five minutes late."""
    (search,) = stanzas(written("splunk", "savedsearches", matching({"model": "x"}))).values()
    assert (search["dispatch.earliest_time"], search["dispatch.latest_time"]) == ("-10m@m", "-5m@m")
    assert search["cron_schedule"] == "*/5 * * * *"
    assert "alert.suppress" not in search


@given(st.text(min_size=1, max_size=80), st.text(max_size=80))
def test_hostile_stanza(title: str, about: str) -> None:
    """Whatever a title, description or name holds, a rule stays one stanza with its own settings."""
    rule = renamed(counted(), title=title, description=about)
    (search,) = stanzas(written("splunk", "savedsearches", rule, base())).values()
    assert search["disabled"] == "1"
    assert search["search"].endswith("| where (window_end > (now() - 1800))")


def test_hostile_title() -> None:
    """A title with a stanza in it makes none."""
    rule = renamed(counted(), title=HOSTILE, description=HOSTILE)
    found = stanzas(written("splunk", "savedsearches", rule, base()))
    assert list(found) == ["keytrip - counted - Rule"]
    assert found["keytrip - counted - Rule"]["description"] == "x (other) disabled = 0 / / delete ''' 'y' /"


def test_detection_rules() -> None:
    """sigma-cli writes one detection rule a line, whose query reads whole windows."""
    found = [json.loads(line) for line in sigma("esql", "detection_rule").splitlines() if line]
    assert len(found) == 6
    rule = next(rule for rule in found if rule["rule_id"] == reference("reference_cost_spike")[0].data["id"])
    compiled = text("esql", *reference("reference_cost_spike")).strip()
    assert rule["query"] == f"{compiled}\n| WHERE window_end > TO_DATETIME(TO_LONG(NOW()) - 1800000)"
    assert (rule["type"], rule["language"], rule["severity"], rule["risk_score"]) == ("esql", "esql", "critical", 99)
    assert (rule["interval"], rule["from"], rule["to"], rule["enabled"]) == ("900s", "now-88200s", "now", False)
    assert "index" not in rule
    assert [threat["tactic"]["id"] for threat in rule["threat"]] == ["TA0001"]
    assert [technique["id"] for technique in rule["threat"][0]["technique"]] == ["T1078", "T1496"]


@pytest.mark.parametrize(
    ("level", "severity", "risk"),
    [("informational", "low", 10), ("low", "low", 21), ("medium", "medium", 47), ("high", "high", 73)],
)
def test_levels(level: str, severity: str, risk: int) -> None:
    """Levels become severities and risk scores; a rule without an id gets one made of its name."""
    rule = renamed(matching({"model": "x"}), level=level, title=HOSTILE)
    found = json.loads(written("esql", "detection_rule", rule))
    assert (found["severity"], found["risk_score"]) == (severity, risk)
    assert found["name"] == "x (other) disabled = 0 \\ / delete ''' 'y' \\"
    assert found["rule_id"]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], []),
        (["atlas.aml-t0012"], []),
        (["attack.t9999"], []),
        (["attack.impact"], [("TA0040", [])]),
        (["attack.defense_evasion", "attack.t1562.008"], [("TA0005", [("T1562", ["T1562.008"])])]),
        (["attack.impact", "attack.persistence"], [("TA0040", []), ("TA0003", [])]),
        (["attack.command-and-control", "attack.t9999.001"], [("TA0011", [("T9999", ["T9999.001"])])]),
    ],
)
def test_threats(tags: list[str], expected: list[Any]) -> None:
    """ATT&CK tags become tactics with techniques and their parts; other tags become none."""
    found = threats_of(tags)
    shown = [(threat["tactic"]["id"], [_parts(entry) for entry in threat["technique"]]) for threat in found]
    assert shown == expected


def _parts(technique: Mapping[str, Any]) -> tuple[str, list[str]]:
    return technique["id"], [part["id"] for part in technique["subtechnique"]]


def test_base_rules_are_not_written() -> None:
    """A base rule that only a correlation uses has no entry of its own in any format."""
    rules = yaml.safe_dump_all([dict(base().data), dict(counted().data)])
    from sigma.collection import SigmaCollection

    assert len(backend_of("splunk").convert(SigmaCollection.from_yaml(rules), "savedsearches")) == 1


def test_monitors() -> None:
    """sigma-cli writes a monitor a rule, disabled, on a schedule; what needs a baseline is refused by name."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("sigma")),
            *("convert", "-t", "keytrip_opensearch", "-p", "keytrip_canonical", "-f", "monitor_rule", "-s"),
            str(content_root() / "rules" / "usage"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert found
    assert all(monitor["enabled"] is False and monitor["monitor_type"] == "query_level_monitor" for monitor in found)
    assert "query DSL cannot join a baseline table; esql, splunk, duckdb and spark can" in done.stderr


def test_monitor() -> None:
    """A monitor asks the rule's search over whole windows, and fires where a bucket is left."""
    monitor = json.loads(written("opensearch", "monitor_rule", renamed(counted(timespan="1h"), title=HOSTILE), base()))
    assert monitor["name"] == "x (other) disabled = 0 \\ / delete ''' 'y' \\"
    assert monitor["schedule"] == {"period": {"interval": 5, "unit": "MINUTES"}}
    search = monitor["inputs"][0]["search"]
    assert search["indices"] == ["logs-keytrip.usage-*"]
    bounds = {"gt": "{{period_end}}||-4200s", "lte": "{{period_end}}||-0s", "format": "epoch_millis"}
    assert search["query"]["query"]["bool"]["filter"][1] == {"range": {"@timestamp": bounds}}
    trigger = monitor["triggers"][0]["query_level_trigger"]
    assert trigger["severity"] == "2"
    assert "aggregations.alerts.buckets.size() > 0" in trigger["condition"]["script"]["source"]


def test_security_analytics() -> None:
    """A plain rule becomes YAML with one test a selection, and case in the expression; a correlation is refused."""
    rule = renamed(matching({"model": "a/B", "status_code|gte": 400}, {"user": None}), references=["https://x.example"])
    found = yaml.safe_load(written("opensearch", "security_analytics", rule))
    assert found["detection"] == {
        "test_0": {"gen_ai.request.model|re": "[Aa]\\/[Bb]"},
        "test_1": {"http.response.status_code|gte": 400},
        "test_2": {"user.name": None},
        "condition": "((test_0 and test_1) and (not (not test_2)))",
    }
    assert (found["level"], found["status"], found["author"]) == ("high", "test", "unknown")
    with pytest.raises(SigmaError, match="knows no correlations"):
        written("opensearch", "security_analytics", counted(), base())


@pytest.mark.parametrize(("target", "kind", "language"), [("lucene", "query", "lucene"), ("eql", "eql", "eql")])
def test_detection_rule_of_one_event(target: str, kind: str, language: str) -> None:
    """A rule in a language without data streams of its own names them, and has the query as it is."""
    rule = matching({"model": "x"})
    found = json.loads(written(target, "detection_rule", rule))
    assert found == json.loads(written(target, "siem_rule_ndjson", rule))
    assert (found["type"], found["language"], found["index"]) == (kind, language, ["logs-keytrip.usage-*"])
    assert found["query"] == text(target, rule).strip()
    assert (found["interval"], found["from"]) == ("300s", "now-600s")
