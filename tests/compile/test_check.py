"""`keytrip check`: every kind of problem, at its line, and none of one file hides those of another."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from keytrip.compile.check import check_content
from keytrip.compile.problems import Problem
from keytrip.content import content_root
from keytrip.errors import Place, UsageError
from keytrip.export.check import check_destinations

RULE = """\
title: More Requests Than Usual
id: 0b9a9a39-6f0c-4c07-9b7e-0d4a2b7c5e11
name: more_requests
status: test
description: More requests in a day than the key's mean and a few deviations.
author: somebody
date: 2026-11-24
references:
  - https://example.org/one
tags:
  - attack.t1078.004
  - atlas.aml-t0012
correlation:
  type: value_sum
  rules:
    - more_requests_events
  group-by:
    - key_id
  timespan: 1d
  condition:
    field: request_count
    gt: 50
baseline:
  table: key_requests_daily
  exceeds: mean + factor * stddev
parameters:
  floor:
    at: correlation.condition.gt
    default: 50
    why: a person makes that many
  factor:
    default: 3
    why: three deviations
falsepositives:
  - A load test
level: high
triage:
  meaning: More requests than usual.
  false_positive: The owner says so.
  first_questions:
    - Who asks?
  next_steps:
    - Look at the day
  containment:
    - Rotate the key
tests:
  - name: far more
    fires: true
    events:
      - {timestamp: "2026-11-02T10:00:00Z", key_id: key_a, request_count: 131}
    baseline:
      key_requests_daily:
        - {key_id: key_a, mean: 100, stddev: 10, days: 20}
  - name: exactly the bound
    fires: false
    events:
      - {timestamp: "2026-11-02T10:00:00Z", key_id: key_a, request_count: 130}
    baseline:
      key_requests_daily:
        - {key_id: key_a, mean: 100, stddev: 10, days: 20}
---
title: Any Request of a Key
id: 5f3a7a3e-3a56-4b57-8d0e-1f2a3b4c5d6e
name: more_requests_events
status: test
description: Every record of a key.
logsource:
  category: ai_usage
detection:
  selection:
    key_id|exists: true
  condition: selection
level: informational
"""
JOB = '''\
"""Requests by key."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(request_count)")
'''
MANIFEST = """\
name: here
about: Tables for somebody.
transport: files
tables: csv
targets: [splunk]
templates:
  - {template: README.md.j2, path: README.md}
"""
PIPELINE = """\
name: mine
priority: 50
transformations:
  - id: mine_splunk_fields
    type: field_name_mapping
    mapping:
      key_id: apiKey
"""
Writer = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file of the pack `tmp_path`."""

    def at(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return at


def found(pack: Path) -> list[Problem]:
    """Return the problems of a pack and of nothing else."""
    return [*check_content((), (pack,)), *check_destinations((), (pack,))]


def line_of(text: str, part: str) -> int:
    """Return the number of the first line that holds `part`."""
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


# what is changed in RULE, into what, what must be said, and which part of the new text is in the line that is named
CHANGES = {
    "no title": ("title: More Requests Than Usual\n", "", "`title` is missing", "id: 0b9a"),
    "id is no UUID": ("0b9a9a39-6f0c", "0B9A9A39-6f0c", "`id`: ", "id: 0B9A"),
    "name with a hyphen": ("name: more_requests\n", "name: more-requests\n", "`name`: ", "name: more-requests"),
    "no description": ("description: More", "author2: More", "`description` is missing", "title: More"),
    "unknown member": (
        "author: somebody",
        "auther: somebody",
        "unknown member `auther`; did you mean author?",
        "auther",
    ),
    "unknown status": ("status: test", "status: new", "`status`: ", "status: new"),
    "unknown level": ("level: high", "level: urgent", "`level`: ", "level: urgent"),
    "a text that YAML reads as a mapping": (
        "- Who asks?",
        "- Who asks: whom?",
        "quote a text that holds",
        "- Who asks: whom?",
    ),
    "a member twice": ("author: somebody", "author: a\nauthor: b", "`author` stands there twice", "author: b"),
    "no triage": (RULE[RULE.index("triage:") : RULE.index("tests:")], "", "`triage` is missing", "title: More"),
    "triage without a part": (
        "  containment:\n    - Rotate the key\n",
        "",
        "`triage.containment` is missing",
        "triage:",
    ),
    "triage with an empty part": ("    - Look at the day\n", "", "`triage.next_steps`: ", "next_steps:"),
    "no tests": (RULE[RULE.index("tests:") : RULE.index("---")], "", "`tests` is missing", "title: More"),
    "no hit": ("fires: true", "fires: false", "no test fires", "tests:"),
    "no near miss": ("fires: false", "fires: 1", "every test fires", "tests:"),
    "a test of nothing": ("    fires: true\n", "", "`tests.0.fires` is missing", "name: far more"),
    "two tests of one name": ("exactly the bound", "far more", "two tests are called 'far more'", "tests:"),
    "a test's field": ("request_count: 131", "requests: 131", "no field 'requests' in a record", "requests: 131"),
    "a test's table": (
        "key_requests_daily:\n        - {key_id: key_a, mean: 100, stddev: 10, days: 20}\n  -",
        "key_request_daily:\n        - {key_id: key_a}\n  -",
        "no job makes the table 'key_request_daily'; did you mean key_requests_daily?",
        "key_request_daily:",
    ),
    "a test's column": ("days: 20}\n  -", "day: 20}\n  -", "key_requests_daily has no column 'day'", "day: 20}"),
    "no ATT&CK tag": ("  - attack.t1078.004\n", "", "no attack.* tag", "tags:"),
    "no ATLAS tag": ("  - atlas.aml-t0012\n", "", "no atlas.* tag", "tags:"),
    "an ATT&CK tag's form": ("attack.t1078.004", "attack.t78", "tag 'attack.t78' has not the form", "attack.t78"),
    "an ATLAS tag's form": (
        "atlas.aml-t0012",
        "atlas.aml.t0012",
        "tag 'atlas.aml.t0012' has not the form",
        "aml.t0012",
    ),
    "a tag twice": ("  - atlas.aml-t0012\n", "  - atlas.aml-t0012\n  - atlas.aml-t0012\n", "same tag", "title: More"),
    "a reference twice": (
        "  - https://example.org/one\n",
        "  - https://a.org\n  - https://a.org\n",
        "same ref",
        "title: More",
    ),
    "a parameter without reason": ("    why: three deviations\n", "", "`parameters.factor.why` is missing", "factor:"),
    "a parameter that is no number": (
        "default: 3\n",
        "default: three\n",
        "`parameters.factor.default`",
        "default: three",
    ),
    "a parameter beside its literal": (
        "default: 50",
        "default: 60",
        "floor is 60, but correlation.condition.gt is 50",
        "default: 60",
    ),
    "a parameter that points at nothing": (
        "at: correlation.condition.gt",
        "at: correlation.condition.gte",
        "points at 'correlation.condition.gte', where no number is",
        "at: correlation.condition.gte",
    ),
    "a parameter of no use": (
        "  factor:\n",
        "  other:\n    default: 1\n    why: none\n  factor:\n",
        "other is used nowhere",
        "other:",
    ),
    "unknown table": (
        "table: key_requests_daily",
        "table: key_requests",
        "no job makes the table 'key_requests'",
        "baseline:",
    ),
    "unknown column": ("mean + factor", "average + factor", "key_requests_daily has no number 'average'", "baseline:"),
    "no expression": ("mean + factor * stddev", "mean +* 3", "is no expression", "baseline:"),
    "unknown group field": (
        "    - key_id\n  timespan",
        "    - keyid\n  timespan",
        "no field 'keyid' in usage records",
        "- keyid",
    ),
    "unknown counted field": (
        "field: request_count",
        "field: requests",
        "no field 'requests' in usage records",
        "field: requests",
    ),
    "unknown field": (
        "key_id|exists",
        "keyid|exists",
        "no field 'keyid' in usage records; did you mean key_id?",
        "keyid|exists",
    ),
    "unknown category": (
        "category: ai_usage",
        "category: ai_use",
        "logsource category 'ai_use' is none of ai_*",
        "ai_use",
    ),
    "unknown logsource member": (
        "category: ai_usage",
        "category: ai_usage\n  service: x",
        "`logsource.service`",
        "service: x",
    ),
    "no such base rule": (
        "    - more_requests_events\n",
        "    - others\n",
        "refers to 'others', which is not there",
        "- others",
    ),
    "neither of the two": (
        "logsource:\n  category: ai_usage\ndetection:",
        "fields: [key_id]\nscope:",
        "neither",
        "title: Any",
    ),
    "a baseline without a correlation": (
        "detection:\n",
        "baseline: {table: keys}\ndetection:\n",
        "belongs to a corr",
        "baseline: {",
    ),
    "a selection that the condition forgets": (
        "  condition: selection",
        "  other: {model: a}\n  condition: selection",
        "not ref",
        "title: Any",
    ),
    "a condition of nothing": ("condition: selection", "condition: selected", "selected", "title: Any"),
    "a wildcard that is a modifier": ("key_id|exists: true", "model: gpt*", "startswith modifier", "title: Any"),
    "order of texts": ("key_id|exists: true", "model|gt: 5", "model is text", "title: Any"),
    "a level that is a list": ("level: high", "level: [high]", "`level`: ", "level: [high]"),
    "no YAML": ("level: high", "level: [high", "is no YAML", ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_found_at_its_line(change: str, write: Writer, tmp_path: Path) -> None:
    """One fault in a good rule is said once, in words that name it, at the line of the member."""
    old, new, words, where = CHANGES[change]
    assert old in RULE
    text = RULE.replace(old, new, 1)
    path = write("rules/more_requests.yml", text)
    problems = found(tmp_path)
    said = [str(problem) for problem in problems if words in str(problem)]
    assert len(said) == 1, problems
    line = re.match(re.escape(str(path)) + r":(\d+): ", said[0])
    assert line is not None
    assert not where or int(line[1]) == line_of(text, where)


def test_a_good_pack_has_no_problem(write: Writer, tmp_path: Path) -> None:
    """What follows the rules of the house is not talked about."""
    write("rules/mine/more_requests.yml", RULE)
    write("baselines/my_requests.py", JOB)
    write("pipelines/mine.yml", PIPELINE)
    write("exporters/here/manifest.yml", MANIFEST)
    write("exporters/here/README.md.j2", "{{ version }}\n")
    write("pack.yml", "variables: {}\ndisabled: [key_never_seen]\nparameters: {more_requests: {factor: 4}}\n")
    assert found(tmp_path) == []


def test_shipped_content_has_no_problem() -> None:
    """Our own content is clean."""
    assert [str(problem) for problem in [*check_content(), *check_destinations()]] == []


def test_ten_rules_take_well_under_a_second(write: Writer, tmp_path: Path) -> None:
    """Twenty rules in two seconds, with room for our own that they are checked against."""
    for number in range(10):
        text = RULE.replace("more_requests", f"more_{number}").replace("Than Usual", f"Than Usual {number}")
        text = text.replace("of a Key", f"of a Key {number}").replace("0b9a9a3", f"0b9a9a{number}")
        write(f"rules/more_{number}.yml", text.replace("5f3a7a3e", f"5f3a7a{number}e"))
    began = process_time()
    assert found(tmp_path) == []
    assert process_time() - began < 2


def test_a_broken_file_hides_nothing(write: Writer, tmp_path: Path) -> None:
    """A file that is no YAML, a job that is no Python, and a rule over an unknown column are each reported."""
    write("rules/broken.yml", "title: [\n")
    write("rules/binary.yml", "title: \x00\n")
    write("baselines/broken.py", "JOB = (\n")
    write("baselines/my_requests.py", JOB)
    write("rules/more_requests.yml", RULE.replace("mean + factor", "average + factor"))
    write("rules/other.yml", "just text\n")
    said = "\n".join(str(problem) for problem in found(tmp_path))
    assert "broken.yml:2: is no YAML" in said
    assert "binary.yml" in said
    assert "broken.py:1: is no job" in said
    assert "key_requests_daily has no number 'average'" in said
    assert "other.yml:1: is no rule: not a mapping" in said


JOBS = {
    "no docstring": (JOB.partition("\n\n")[2], 1, "has no docstring"),
    "no job": ('"""Nothing."""\n', 1, "declares no JOB"),
    "no Python": ('"""Nothing."""\n\nJOB = (\n', 3, "is no job"),
    "no module": ('"""Nothing."""\n\nimport nothing_of_that_name\n', 1, "No module named"),
    "no measure": (JOB.replace("sum(request_count)", "mean(request_count)"), 5, "is no measure"),
    "no field": (JOB.replace('"key_id",', '"key",'), 5, "no field 'key' in usage records; did you mean key_id?"),
}


@pytest.mark.parametrize("kind", JOBS)
def test_a_faulty_job_is_found(kind: str, write: Writer, tmp_path: Path) -> None:
    """A job that cannot be used says why, at the line of its declaration."""
    text, line, words = JOBS[kind]
    path = write("baselines/my_requests.py", text)
    assert any(str(p).startswith(f"{path}:{line}: ") and words in str(p) for p in found(tmp_path)), found(tmp_path)


def test_a_job_needs_the_name_of_a_table(write: Writer, tmp_path: Path) -> None:
    """The table bears the file's name, so that must be one."""
    write("baselines/my-requests.py", JOB)
    assert [p.message for p in found(tmp_path)] == ["'my-requests' is no table name"]


PIPELINES = {
    "unknown field": (PIPELINE.replace("key_id:", "keyid:"), 7, "maps 'keyid', which is no canonical field"),
    "unknown transformation": (PIPELINE.replace("field_name_mapping", "nothing"), 3, "is no pipeline"),
    "unknown member": (PIPELINE + "other: 1\n", 3, "is no pipeline"),
    "no list": ("name: mine\ntransformations: 5\n", 2, "is no pipeline"),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_faulty_pipeline_is_found(kind: str, write: Writer, tmp_path: Path) -> None:
    """A pipeline that pySigma does not read, or that maps what is no field of ours, is told."""
    text, line, words = PIPELINES[kind]
    path = write("pipelines/mine.yml", text)
    assert any(str(p).startswith(f"{path}:{line}: ") and words in str(p) for p in found(tmp_path)), found(tmp_path)


MANIFESTS = {
    "unknown member": (MANIFEST + "table: csv\n", 8, "unknown member `table`; did you mean tables?"),
    "another name": (MANIFEST.replace("name: here", "name: there"), 1, "is called 'there'; its folder's name, here"),
    "no name": (MANIFEST.replace("name: here\n", ""), 1, "`name` is missing"),
    "unknown transport": (MANIFEST.replace("transport: files", "transport: mail"), 3, "`transport`: "),
    "unknown target": (MANIFEST.replace("[splunk]", "[splunc]"), 5, "no target 'splunc'; did you mean splunk?"),
    "no template": (MANIFEST.replace("README.md.j2", "OTHER.md.j2"), 7, "no template 'OTHER.md.j2'"),
    "a path above": (MANIFEST.replace("path: README.md", "path: ../README.md"), 7, "writes to '../README.md'"),
    "no YAML": ("name: [\n", 2, "is no YAML"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_faulty_manifest_is_found(kind: str, write: Writer, tmp_path: Path) -> None:
    """A destination's manifest that nothing could be written by is told, at the member's line."""
    text, line, words = MANIFESTS[kind]
    path = write("exporters/here/manifest.yml", text)
    write("exporters/here/README.md.j2", "{{ version }}\n")
    assert any(str(p).startswith(f"{path}:{line}: ") and words in str(p) for p in found(tmp_path)), found(tmp_path)


def test_a_faulty_template_is_found(write: Writer, tmp_path: Path) -> None:
    """A template that Jinja cannot read is named with its own line."""
    write("exporters/here/manifest.yml", MANIFEST)
    path = write("exporters/here/README.md.j2", "one\n{% for %}\n")
    assert [str(p).startswith(f"{path}:2: is no template") for p in found(tmp_path)] == [True]


PACKS = {
    "unknown member": ("enabled: []\n", 1, "unknown member `enabled`; did you mean disabled?"),
    "unknown rule": (
        "disabled:\n  - key_never_sean\n",
        2,
        "no rule is called 'key_never_sean'; did you mean key_never_seen?",
    ),
    "nothing alike": ("disabled: [zzz]\n", 1, "no rule is called 'zzz'; see `keytrip rules`"),
    "unknown rule with a number": ("parameters:\n  zzz: {floor: 1}\n", 2, "no rule is called 'zzz'"),
    "unknown parameter": (
        "parameters:\n  key_new_network: {bound: 1}\n",
        2,
        "key_new_network has no parameter 'bound'",
    ),
    "no number": ("parameters:\n  key_new_network: {floor: many}\n", 2, "`parameters.key_new_network.floor`"),
}


@pytest.mark.parametrize("kind", PACKS)
def test_a_faulty_pack_file_is_found(kind: str, write: Writer, tmp_path: Path) -> None:
    """A `pack.yml` that means nothing is told, with what it may have meant."""
    text, line, words = PACKS[kind]
    path = write("pack.yml", text)
    write("rules/more_requests.yml", RULE)
    assert any(str(p).startswith(f"{path}:{line}: ") and words in str(p) for p in found(tmp_path)), found(tmp_path)


def test_ids_names_and_titles_are_used_once(write: Writer, tmp_path: Path) -> None:
    """A copy of a rule is found in all three, and each says where the other is."""
    first = write("rules/a.yml", RULE)
    second = write("rules/b.yml", RULE)
    said = [str(problem) for problem in found(tmp_path)]
    for member, line in (("title", 1), ("id", 2), ("name", 3)):
        assert any(s.startswith(f"{second}:{line}: ") and s.endswith(f"{first}:{line}") and member in s for s in said)


def test_a_pack_may_replace_a_rule_of_ours(write: Writer, tmp_path: Path) -> None:
    """The id of a rule of ours in a pack replaces it, so it is no id used twice."""
    ours = content_root() / "rules/reference/reference_cost_spike.yml"
    write("rules/mine.yml", ours.read_text(encoding="utf-8"))
    assert found(tmp_path) == []


def test_only_what_is_named_is_reported(write: Writer) -> None:
    """A file that is named alone is judged against all, and others' problems are left out."""
    bad = RULE.replace("level: high", "level: urgent")
    one = write("one.yml", bad)
    write("two.yml", bad.replace("more_requests", "others"))
    problems = [*check_content((), (one,))]
    assert {problem.place.path for problem in problems} == {str(one)}
    assert [*check_destinations((), (one,))] == []


def test_a_loose_pipeline_is_known_by_what_is_in_it(write: Writer) -> None:
    """A file outside any folder of ours is no rule where it holds transformations."""
    assert [*check_content((), (write("mine.yml", PIPELINE),))] == []


def test_loose_folders_are_searched(write: Writer, tmp_path: Path) -> None:
    """A folder that is not laid out as a pack is searched for rules, jobs and manifests."""
    write("some/more_requests.yml", RULE.replace("level: high", "level: urgent"))
    write("some/job.py", "x = 1\n")
    write("some/manifest.yml", "name: 5\n")
    write("some/pack.yml", "enabled: []\n")
    names = {Path(str(problem.place.path)).name for problem in found(tmp_path / "some")}
    assert names == {"more_requests.yml", "job.py", "manifest.yml", "pack.yml"}


def test_another_suffix_is_told(write: Writer, tmp_path: Path) -> None:
    """`rules/x.yaml` would be passed over in silence."""
    path = write("rules/more_requests.yaml", RULE)
    write("rules/ok.yml", RULE)
    assert [str(problem) for problem in found(tmp_path)] == [f"{path}: is not read; rules end in .yml"]


def test_rules_that_refer_to_each_other_end(write: Writer, tmp_path: Path) -> None:
    """A circle of references is a problem, not an endless loop."""
    circle = RULE.replace("    - more_requests_events\n", "    - more_requests\n")
    write("rules/more_requests.yml", circle)
    assert any("correlations over correlations" in str(problem) for problem in found(tmp_path)), found(tmp_path)


def test_wrong_paths_are_wrong_usage(tmp_path: Path) -> None:
    """A path that is not there, and one without content, are refused by name."""
    with pytest.raises(UsageError, match="no such file or folder"):
        list(check_content((), (tmp_path / "nothing",)))
    with pytest.raises(UsageError, match="no content in it"):
        list(check_content((), (tmp_path,)))


def test_a_problem_is_one_line() -> None:
    """Line breaks of a value do not break the line of a problem."""
    problem = Problem(Place("a.yml", 3, "rule"), "two\nlines", "write one")
    assert str(problem) == "a.yml:3: rule: two lines; write one"
