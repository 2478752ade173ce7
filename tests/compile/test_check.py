"""`keytrip check`: every kind of problem of a rule, at its line, and none of one file hides those of another."""

from __future__ import annotations

import re
from pathlib import Path
from time import process_time

import pytest
from compile.small_pack import JOB, MANIFEST, PIPELINE, RULE, Writer, found, line_of, writer

from keytrip.compile.check import check_content
from keytrip.compile.problems import Problem
from keytrip.content import content_root
from keytrip.errors import Place, UsageError
from keytrip.export.check import check_destinations

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
    "a tag twice": ("  - atlas.aml-t0012\n", "  - atlas.aml-t0012\n  - atlas.aml-t0012\n", "same tag", "tags:"),
    "a reference twice": (
        "  - https://example.org/one\n",
        "  - https://a.org\n  - https://a.org\n",
        "same ref",
        "references:",
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
    "unknown column": ("mean + factor", "average + factor", "'average'", "baseline:"),
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
    "no logsource": ("logsource:\n  category: ai_usage\n", "", "`logsource` is missing", "title: Any"),
    "words without a field": ("    key_id|exists: true\n", "    - gpt\n", "has no field to search", "- gpt"),
    "aliases": (
        "  timespan: 1d\n",
        "  aliases: {value: {more_requests_events: key_id}}\n  timespan: 1d\n",
        "alias 'value' is the name of a result's column",
        "  aliases:",
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
        "other:",
    ),
    "a condition of nothing": ("condition: selection", "condition: selected", "selected'", "condition: selected"),
    "a wildcard that is a modifier": ("key_id|exists: true", "model: gpt*", "startswith modifier", "model: gpt"),
    "order of texts": ("key_id|exists: true", "model|gt: 5", "model is text", "model|gt"),
    "a modifier that is none": (
        "key_id|exists: true",
        "model|startwith: a",
        "modifier 'startwith'; one of:",
        "model|sta",
    ),
    "a network that is none": (
        "key_id|exists: true",
        "source_ip|cidr: 10.0.0/8",
        "such as 10.0.0.0/8",
        "source_ip|cidr",
    ),
    "an expression that is none": ("key_id|exists: true", "model|re: '('", "`re` is RE2 syntax", "model|re"),
    "a word for a number": ("key_id|exists: true", "asn: [1, x]", "asn is a number, and 'x' is none", "asn: ["),
    "a percentile of nothing": ("type: value_sum", "type: value_percentile", "from 0 to 100", "condition:"),
    "a pattern of nothing": (
        "condition: selection",
        "condition: 1 of a*",
        "no selection is called 'a*'",
        "condition: 1",
    ),
    "a bound that is infinite": ("    gt: 50", "    gt: .inf", "gt` is no finite number", "gt: .inf"),
    "a level that is a list": ("level: high", "level: [high]", "`level`: ", "level: [high]"),
    "no YAML": ("level: high", "level: [high", "is no YAML", ""),
}


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file of the pack `tmp_path`."""
    return writer(tmp_path)


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
    assert "more_requests: key_requests_daily has no " in said
    assert "other.yml:1: is no rule: not a mapping" in said


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
    assert any("more_requests -> more_requests" in str(problem) for problem in found(tmp_path)), found(tmp_path)


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


def test_a_lost_base_is_said_where_it_is_lost(write: Writer, tmp_path: Path) -> None:
    """A rule over a rule whose own base is not there says nothing of it; that one does."""
    inner = RULE.replace("    - more_requests_events\n", "    - others\n")
    outer = RULE.partition("---")[0].replace("more_requests_events", "more_requests").replace("0b9a9a39", "0b9a9a3a")
    write("rules/inner.yml", inner)
    write("rules/outer.yml", outer.replace("name: more_requests\n", "name: outer\n").replace("Usual", "Usual Twice"))
    said = [str(problem) for problem in found(tmp_path) if "not there" in str(problem)]
    assert len(said) == 1
    assert "inner.yml:16: more_requests: refers to 'others'" in said[0]


def test_a_broken_job_of_our_own_leaves_tables_unjudged(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no sound set of jobs can be had, rules are checked for everything but what they say of tables."""
    monkeypatch.setattr("keytrip.compile.check.content_root", lambda: tmp_path)
    write("baselines/broken.py", "JOB = (\n")
    write(
        "rules/more_requests.yml",
        RULE.replace("mean + factor", "average + factor").replace("key_id|exists", "a|exists"),
    )
    said = "\n".join(str(problem) for problem in found(tmp_path))
    assert "no field 'a' in usage records" in said
    assert "average" not in said


LISTS = {
    "a list of selections": (
        "    key_id|exists: true\n",
        "    - key_id|exists: true\n    - keyid: a\n",
        "no field 'keyid'",
    ),
    "a list of counted fields": ("field: request_count", "field: [request_count, requests]", "no field 'requests'"),
    "a list of blocks": ("  table: key_requests_daily", "  - table: key_requests_daily", "'average'"),
    "a parameter in a list": ("correlation.condition.gt", "correlation.rules.0", "where no number is"),
    "a parameter beyond a list": ("correlation.condition.gt", "correlation.rules.9", "where no number is"),
    "a parameter beyond a number": ("correlation.condition.gt", "correlation.condition.gt.x", "where no number is"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_looked_into(kind: str, write: Writer, tmp_path: Path) -> None:
    """What may be one thing or a list of them is checked in both forms."""
    old, new, words = LISTS[kind]
    text = RULE.replace(old, new)
    if kind == "a list of blocks":
        text = text.replace("  exceeds: mean + factor", "    exceeds: average + factor")
    write("rules/more_requests.yml", text)
    assert any(words in str(problem) for problem in found(tmp_path)), found(tmp_path)


def test_a_value_that_holds_itself_ends(write: Writer) -> None:
    """An alias to what it stands in is read once."""
    path = write("mine.yml", "transformations: &all\n  - *all\n")
    assert [problem.place.line for problem in check_content((), (path,))] == [1]
