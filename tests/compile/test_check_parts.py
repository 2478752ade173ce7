"""`keytrip check` on what is no rule: baseline jobs, pipelines, destinations and `pack.yml`."""

from __future__ import annotations

from pathlib import Path

import pytest
from compile.small_pack import JOB, MANIFEST, PIPELINE, RULE, Writer, found, writer

from keytrip.export.elastic.transport import KINDS as ELASTIC
from keytrip.export.opensearch.transport import KINDS as OPENSEARCH
from keytrip.export.splunk.indicators import KIND as INDICATORS
from keytrip.export.splunk.kinds import kinds_for
from keytrip.export.splunk.lookups import KIND as LOOKUPS
from keytrip.export.transports import TRANSPORTS


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file of the pack `tmp_path`."""
    return writer(tmp_path)


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
    "no item template": (f"{MANIFEST}items:\n  - {{kind: x, for: once, name: \"'a'\", template: no.j2}}\n", 9, "no.j2"),
    "no expression": (
        f"{MANIFEST}items:\n  - {{kind: x, for: once, name: 'a +', template: README.md.j2}}\n",
        9,
        "no expression",
    ),
    "no condition": (
        f"{MANIFEST}items:\n  - {{kind: x, for: rule, name: a, template: README.md.j2, when: '('}}\n",
        9,
        "no expression",
    ),
    "items of a folder": (
        f"{MANIFEST}items:\n  - {{kind: x, for: once, name: '1', template: README.md.j2}}\n",
        8,
        "the transport files writes no items; write `templates`",
    ),
    "for nobody": (
        f"{MANIFEST}items:\n  - {{kind: x, for: all, name: a, template: README.md.j2}}\n",
        9,
        "`items.0.for`",
    ),
    "a number as an option": (f"{MANIFEST}options: {{port: 8089}}\n", 8, "`options.port`"),
    "an unknown credential": (f"{MANIFEST}credential: password\n", 8, "`credential`"),
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


SERVER = """\
name: here
about: Rules for somebody.
transport: splunk
targets: [splunk]
items:
  - {kind: KIND, for: rule, name: "rule.NAME", template: rule.yml.j2, when: "WHEN"}
"""


@pytest.mark.parametrize(
    ("kind", "name", "when", "template", "told"),
    [
        ("monitor", "name", "", "a: b", ("manifest.yml:6", "splunk has no items of kind 'monitor'; one of: macro, ")),
        ("macro", "nam", "", "a: b", ("manifest.yml:6", "has no attribute 'nam'")),
        ("macro", "name", "rule.nix", "a: b", ("manifest.yml:6", "has no attribute 'nix'")),
        ("macro", "name", "", "a: b\nc: {{ rule.nope }}", ("rule.yml.j2:2", "fails on a sample: ")),
        ("macro", "name", "", "a: x{{ rule.name }}", ("rule.yml.j2", "fails on a sample: ")),
        ("macro", "name", "", "[a]", ("rule.yml.j2", "makes no mapping of names to values")),
        ("macro", "name", "not rule.group_by", "a: {{ rule.name }}", ("", "")),
    ],
)
def test_a_template_that_fails_is_found(
    kind: str, name: str, when: str, template: str, told: tuple[str, str], write: Writer, tmp_path: Path
) -> None:
    """Kinds that the transport has not, and templates that fail on a sample rule, are told before an apply."""
    text = SERVER.replace("KIND", kind).replace("NAME", name).replace("WHEN", when)
    write("exporters/here/manifest.yml", text)
    write("exporters/here/rule.yml.j2", template)
    problems = [str(problem) for problem in found(tmp_path)]
    assert len(problems) == bool(told[0]), problems
    assert all(f"exporters/here/{told[0]}" in problem and told[1] in problem for problem in problems)


def test_a_template_of_a_parameter_that_fails_is_found(write: Writer, tmp_path: Path) -> None:
    """Templates that are written for each parameter of a rule are tried on one too."""
    text = SERVER.replace("KIND", "macro").replace("for: rule", "for: parameter").replace(', when: "WHEN"', "")
    write("exporters/here/manifest.yml", text.replace("rule.NAME", "parameter.macro"))
    path = write("exporters/here/rule.yml.j2", "a: {{ parameter.default }}\nb: {{ parameter.nope }}\n")
    assert [str(p).startswith(f"{path}:2: fails on a sample") for p in found(tmp_path)] == [True]


def test_a_text_that_fails_is_found(write: Writer, tmp_path: Path) -> None:
    """So are texts of a folder that name what is not there."""
    write("exporters/here/manifest.yml", MANIFEST)
    path = write("exporters/here/README.md.j2", "one\n{{ tables[0].nope }}\n")
    assert [str(p).startswith(f"{path}:2: fails on a sample") for p in found(tmp_path)] == [True]


def test_the_kinds_of_a_transport_are_known() -> None:
    """What a manifest may list is what the transport writes."""
    splunk = {*kinds_for(enterprise_security=True)}
    known = {"elastic": {*ELASTIC}, "opensearch": {*OPENSEARCH}, "splunk": {*splunk, INDICATORS.name, LOOKUPS.name}}
    known["splunk_app"] = splunk
    assert {name: {*one.kinds} for name, one in TRANSPORTS.items() if one.kinds} == known


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


def test_a_job_without_a_key_is_found(write: Writer, tmp_path: Path) -> None:
    """A table without a key could be joined with nothing."""
    write("baselines/my_requests.py", JOB.replace('("key_id",)', "()"))
    assert "its table has no key" in [problem.message for problem in found(tmp_path)]
