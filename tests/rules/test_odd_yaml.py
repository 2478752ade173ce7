"""Whatever YAML makes of a rule file, each command says what is wrong and where, and none raises anything else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keytrip.cli.app import run
from keytrip.errors import ContentError
from keytrip.rules.load import read_documents

RULE = """title: Odd
id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f01
name: odd_rule
status: test
description: d
level: low
logsource: {category: ai_usage}
detection: {selection: {model: x}, condition: selection}
"""
CORRELATION = f"""{RULE}---
title: Odd sum
id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02
name: odd_sum
status: test
description: d
level: low
correlation:
  type: value_sum
  rules: [odd_rule]
  group-by: [key_id]
  timespan: 1d
  condition: {{field: cost_usd, gt: 5}}
baseline: {{table: key_cost_daily, exceeds: mean}}
"""
HUGE = "9" * 400
# What no loader can read -> the line that is named, and what is said.
UNREADABLE = {
    f"{RULE}date: 2024-13-45\n": (9, "'2024-13-45' is no timestamp"),
    f"{RULE}date: 2024-02-30 10:61:00\n": (9, "is no timestamp"),
    f"{RULE}date: 2024-01-01T10:00:00+25:00\n": (9, "is no timestamp"),
    f"{RULE}author: [a,\n  !!int x]\n": (10, "'x' is no int"),
    f"{RULE}author: !!float x\n": (9, "'x' is no float"),
    f"{RULE}author: !!bool x\n": (9, "'x' is no bool"),
    f"{RULE}author: !!timestamp x\n": (9, "'x' is no timestamp"),
    f"{RULE}author: !!binary zzz\n": (9, "is no YAML"),
    f"{RULE}scope: {'9' * 5000}\n": (9, "is no int"),
    f"{RULE}<<: 5\n": (9, "is no YAML"),
    f"{RULE}tags: &a [*a]\n": (1, "holds itself"),
    RULE.replace("detection: {", "detection: &d {also: *d, "): (1, "holds itself"),
    f"{RULE}author: {'[' * 900}{']' * 900}\n": (1, "nested too deeply"),
    "&a [*a]\n": (1, "holds itself"),
}
# What YAML reads, and a compiler cannot: (old text, new text), and what is said of it.
MISSHAPEN = {
    ("id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02", "id: 5"): "`id` is no text",
    ("id: 0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f6f02", "id: 2024-01-01"): "`id` is no text",
    ("{model: x}", "{5: x}"): "a name that is no text: 5",
    ("condition: selection", "condition: [1, 2]"): "`detection.condition` is no text",
    ("type: value_sum", "type: [x]"): "`correlation.type` is no text",
    ("field: cost_usd", "field: [5]"): "`correlation.condition.field` is no text",
    ("field: cost_usd", "field: nope"): "no field 'nope'",
    ("gt: 5", f"gt: {HUGE}"): "`correlation.condition.gt` is no finite number",
    ("gt: 5", "gt: [1]"): "`correlation.condition.gt` is no finite number",
    ("gt: 5", "gt: .inf"): "`correlation.condition.gt` is no finite number",
    ("gt: 5", "gt: 2024-01-01"): "`correlation.condition.gt` is no finite number",
    ("timespan: 1d", "timespan: 99999999999999d"): "timespan '99999999999999d' is refused",
    ("timespan: 1d", "timespan: 500000w"): "timespan '500000w' is refused",
    ("exceeds: mean", "exceeds: 1e400"): "a number that is not finite",
    ("exceeds: mean", f"exceeds: '{HUGE}'"): "a number that is not finite",
    ("exceeds: mean", "exceeds: mean, on: 5"): "`baseline.on` is no list of texts",
    ("exceeds: mean", "absent: true, share: 5"): "`baseline.share` is no comparison",
    ("exceeds: mean", "absent: true, share: {gt: .inf}"): "`baseline.share` is no finite number",
    ("{table: key_cost_daily, exceeds: mean}", "5"): "`baseline` is no mapping",
    ("baseline: {", "parameters: [1]\nbaseline: {"): "`parameters` is no mapping",
    (
        "baseline: {",
        f"parameters: {{a: {{default: {HUGE}, why: w}}}}\nbaseline: {{",
    ): "`parameters.a.default` is no finite number",
}
Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Return what a command says of a rule file in a pack; the commands are not foreseen to do anything else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEYTRIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KEYTRIP_STORE", raising=False)
    Path("rules").mkdir()
    Path("log.ndjson").write_text('{"timestamp": "2026-04-01", "key_id": "k", "model": "x"}\n', encoding="utf-8")

    def command(text: str, name: str) -> str:
        Path("rules/odd.yml").write_text(text, encoding="utf-8")
        arguments = {
            "check": ["rules/odd.yml"],
            "test": ["--pack", ".", "odd_*"],
            "rules": ["--pack", ".", "odd_*"],
            "compile": ["--pack", ".", "odd_*", "--target", "duckdb"],
            "hunt": ["log.ndjson", "--source", "canonical", "--pack", ".", "--rule", "odd_*", "--since", "2026-04-01"],
        }
        code = run([name, *arguments[name]])
        captured = capfd.readouterr()
        assert code in ({0, 1} if name in {"test", "rules"} else {1})
        assert "shows where" not in captured.err, "an error that nobody foresaw"
        return captured.out + captured.err

    return command


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: repr(text[-40:]))
@pytest.mark.parametrize("command", ["check", "test", "rules", "compile", "hunt"])
def test_a_file_that_cannot_be_read(text: str, command: str, said: Said) -> None:
    """Its line and what is wrong there are said."""
    line, problem = UNREADABLE[text]
    told = said(text, command)
    assert f"rules/odd.yml:{line}: " in told
    assert problem in told


@pytest.mark.parametrize("change", MISSHAPEN, ids=lambda change: change[1][:60])
@pytest.mark.parametrize("command", ["check", "compile", "hunt"])
def test_a_member_of_another_form(change: tuple[str, str], command: str, said: Said) -> None:
    """A rule that YAML reads and no compiler can is refused with the member, not with a traceback."""
    old, new = change
    assert old in CORRELATION
    told = said(CORRELATION.replace(old, new), command)
    # a check may name the same fault in the words of the rule file's schema
    assert MISSHAPEN[change] in told or (command == "check" and "rules/odd.yml:" in told)


SCALARS = st.one_of(
    st.sampled_from(["2024-13-45", "2024-01-01", ".nan", "1e999", "0x", "1:99:99", "~", "<<", "=", "!!binary x", "*a"]),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
NODES = st.recursive(
    SCALARS, lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(SCALARS, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
        inner.map(lambda part: f"&a {part}"),
    ), max_leaves=6,
)  # fmt: skip


@given(node=NODES)
def test_any_yaml_is_read_or_refused(node: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file's documents are those of PyYAML, or there is one error that names the file."""
    path = tmp_path_factory.getbasetemp() / "any.yml"
    text = f"title: {node}\n"
    path.write_bytes(text.encode())
    with contextlib.suppress(ContentError):
        documents = read_documents(path)
        # libyaml's scanner, as we use it: PyYAML's own refuses a few texts more, such as a tab as the only value
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        wanted = [str(value) for value in yaml.load_all(path.read_text(encoding="utf-8-sig"), loader)]
        assert [str(document.data) for document in documents] == wanted
