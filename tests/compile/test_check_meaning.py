"""`keytrip check`: what cannot hold, cannot fail, does not exist or is read as something else, at its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from compile.small_pack import RULE, Writer, found, line_of, writer
from hypothesis import given
from hypothesis import strategies as st

from keytrip.compile.check_cases import differences
from keytrip.compile.check_reach import _impossible
from keytrip.errors import ContentError
from keytrip.rules.cases import Case
from keytrip.rules.frameworks import NAMESPACES, framework
from keytrip.rules.load import LARGEST, load_rules, read_documents

_DETECTION = "    key_id|exists: true\n  condition: selection"
_TESTS = RULE[RULE.index("tests:") : RULE.index("---")]

# what is changed in RULE, into what, what must be said, which part of the new text is in the line that is named
CHANGES: Mapping[str, tuple[str, str, str, str]] = {
    "an ATT&CK id that is not there": (
        "attack.t1078.004",
        "attack.t1078.009",
        "tag 'attack.t1078.009' is not in ATT&CK 18.1; did you mean attack.t1078.00",
        "attack.t1078.009",
    ),
    "an ATT&CK tactic that is not there": (
        "attack.t1078.004",
        "attack.inital-access",
        "is not in ATT&CK 18.1; did you mean attack.initial-access?",
        "attack.inital-access",
    ),
    "an ATT&CK id that was withdrawn": (
        "attack.t1078.004",
        "attack.t1066",
        "tag 'attack.t1066' names what ATT&CK 18.1 has withdrawn",
        "attack.t1066",
    ),
    "an ATLAS id that is not there": (
        "atlas.aml-t0012",
        "atlas.aml-t0999",
        "tag 'atlas.aml-t0999' is not in ATLAS 5.6.0",
        "atlas.aml-t0999",
    ),
    "an ATLAS tactic that is not there": (
        "atlas.aml-t0012",
        "atlas.zzz",
        "tag 'atlas.zzz' is not in ATLAS 5.6.0; such as atlas.aml-t0012",
        "atlas.zzz",
    ),
    "no licence of that name": (
        "author: somebody",
        "author: somebody\nlicense: my own",
        "license 'my own' is no SPDX expression; such as",
        "license: my own",
    ),
    "a derived rule without a licence": (
        "author: somebody",
        "related:\n  - {id: 0b9a9a39-6f0c-4c07-9b7e-0d4a2b7c5e12, type: derived}",
        "is derived from another rule and names no licence",
        "related:",
    ),
    "a condition that never holds": (
        _DETECTION,
        "    key_id|exists: true\n  condition: selection and not selection",
        "the condition can never hold",
        "condition: selection and not",
    ),
    "a condition that always holds": (
        _DETECTION,
        "    key_id|exists: true\n  condition:\n    - selection\n    - not selection",
        "the condition always holds, whatever the event",
        "condition:\n    - selection",
    ),
    "a selection without effect": (
        _DETECTION,
        "    key_id|exists: true\n  other:\n    model: a\n  condition: selection or (selection and other)",
        "selection `other` makes no difference to the condition",
        "  other:",
    ),
    "a selection without effect, by a pattern": (
        _DETECTION,
        "    key_id|exists: true\n  or_two:\n    model: b\n  condition: selection or (selection and 1 of or_*)",
        "selection `or_two` makes no difference",
        "  or_two:",
    ),
    "bounds that exclude each other": (
        "    key_id|exists: true\n",
        "    status_code|gte: 500\n    status_code|lt: 500\n",
        "status_code can never be all that `status_code|gte`, `status_code|lt` ask",
        "status_code|lt: 500",
    ),
    "an hour that no day has": (
        "    key_id|exists: true\n",
        "    - hour_of_day|gte: 24\n",
        "hour_of_day can never be all that",
        "hour_of_day|gte",
    ),
    "absent and present": (
        "    key_id|exists: true\n",
        "    model: null\n    model|startswith: gpt\n",
        "model is to be absent, and `model|startswith` to hold",
        "model|startswith",
    ),
    "a share beyond one": (
        "  exceeds: mean + factor * stddev\n",
        "  on: [key_id]\n  absent: true\n  share: {gt: 1}\n",
        "no share meets this: it is a part of 1",
        "share: {gt: 1}",
    ),
    "a where that never holds": (
        "  exceeds: mean + factor * stddev\n",
        "  exceeds: mean + factor * stddev\n  where: 30 <= days and days < 7\n",
        "`where` can never hold: no days meets all that it asks",
        "where: 30",
    ),
    "a near miss that is another story": (
        "request_count: 130}\n    baseline:\n      key_requests_daily:\n        - {key_id: key_a, mean: 100",
        "request_count: 130}\n    baseline:\n      key_requests_daily:\n        - {key_id: key_a, mean: 500",
        "test 'exactly the bound' differs from 'far more' in 2 facts (request_count, key_requests_daily.mean)",
        "name: exactly the bound",
    ),
    "a near miss that is the hit": (
        "request_count: 130}",
        "request_count: 131}",
        "test 'exactly the bound' expects the contrary of 'far more' on the same facts",
        "name: exactly the bound",
    ),
    "a word that is a boolean": (
        "author: somebody",
        "author: no",
        '`no` is read as false; write false, or "no" for the text',
        "author: no",
    ),
    "a boolean as a key": (
        "  condition: selection",
        "  yes:\n    model: a\n  condition: selection",
        "`yes` is read as true",
        "  yes:",
    ),
    "an octal number": (
        "    gt: 50\n",
        "    gt: 050\n",
        "`050` is read as the octal number 40",
        "gt: 050",
    ),
    "a number to the base of 60": (
        "    gt: 50\n",
        "    gt: 1:30\n",
        "`1:30` is read as a number to the base",
        "gt: 1:30",
    ),
    "a text that is read as another number": (
        _DETECTION,
        "    key_id: [a, 1.10]\n  condition: selection",
        '`1.10` is read as 1.1; "1.10" for the text',
        "1.10",
    ),
    "a text that is read as a hexadecimal number": (
        _DETECTION,
        "    key_id|startswith: 0x1F\n  condition: selection",
        '`0x1F` is read as 31; "0x1F" for the text',
        "0x1F",
    ),
    "a number that is a text": (
        "    gt: 50\n",
        "    gt: 1e3\n",
        "`1e3` is read as a text; write the number out",
        "gt: 1e3",
    ),
    "a date that no month has": (
        "date: 2026-11-24",
        "date: 2026-13-24",
        "is no YAML: '2026-13-24' is no timestamp; quote it",
        "date: 2026-13-24",
    ),
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
    said = [problem for problem in found(tmp_path) if words in str(problem)]
    assert len(said) == 1, found(tmp_path)
    assert said[0].place.path == str(path)
    assert said[0].place.line == (text[: text.index(where)].count("\n") + 1 if where else None)


@pytest.mark.parametrize("test", ["key_id: 1.0", "key_id: 5", "list_price|gt: 0.10", 'key_id: "1.10"'])
def test_a_number_with_its_own_digits_is_left_alone(test: str, write: Writer, tmp_path: Path) -> None:
    """A text field is compared with the digits that are written, a number field with the number."""
    write("rules/more_requests.yml", RULE.replace(_DETECTION, f"    {test}\n  condition: selection", 1))
    assert not [p for p in found(tmp_path) if "is read as" in p.message]


@pytest.mark.parametrize("asked", ["lt: 1", "lte: 0", "eq: 0"])
def test_a_count_that_no_window_has_is_found(asked: str, write: Writer, tmp_path: Path) -> None:
    """A window without events gives no alert, so a count below one is never seen."""
    text = RULE.replace("  type: value_sum\n", "  type: event_count\n").replace(
        "    field: request_count\n    gt: 50\n", f"    {asked}\n"
    )
    write("rules/more_requests.yml", text)
    said = [p for p in found(tmp_path) if "no event_count meets the condition" in p.message]
    assert [p.place.line for p in said] == [line_of(text, "  condition:\n".strip("\n"))]


@pytest.mark.parametrize(
    "condition",
    [
        "selection and not other",
        "selection or other",
        "1 of them",
        "all of them",
        "selection and 1 of oth*",
        "not (selection and other)",
        ["selection", "other"],
        "any of them",
    ],
)
def test_conditions_that_can_go_both_ways_are_left_alone(
    condition: str | list[str], write: Writer, tmp_path: Path
) -> None:
    """A condition in which every selection counts has nothing wrong with it."""
    text = yaml.safe_dump(condition, default_flow_style=True).removesuffix("...\n").strip()
    new = f"    key_id|exists: true\n  other:\n    model: a\n  condition: {text}"
    write("rules/more_requests.yml", RULE.replace(_DETECTION, new))
    assert [p for p in found(tmp_path) if p.kind == "reach"] == []


def test_quoted_values_are_what_they_look_like(write: Writer, tmp_path: Path) -> None:
    """What is quoted is no trap, nor is the `on` of a baseline block."""
    text = RULE.replace("author: somebody", 'author: "no"').replace("  - A load test", '  - "010"\n  - "1:30"')
    write("rules/more_requests.yml", text.replace("  exceeds:", "  on: [key_id]\n  exceeds:"))
    assert found(tmp_path) == []


def test_a_tab_is_told(write: Writer, tmp_path: Path) -> None:
    """A line that a tab indents is named, with what to write instead."""
    path = write("rules/more_requests.yml", "title: a\ncorrelation:\n\ttype: event_count\n")
    (said,) = found(tmp_path)
    assert str(said).startswith(f"{path}:3: is no YAML: ")
    assert said.hint == "indent with spaces, not with tabs"


def test_a_bomb_of_aliases_is_refused_unread(tmp_path: Path) -> None:
    """Ten lines that would make ten thousand million values are refused at their line, by every command."""
    lines = ["# a bomb", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path = tmp_path / "rules" / "bomb.yml"
    path.parent.mkdir()
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ContentError, match=f"more than {LARGEST:,} values") as caught:
        read_documents(path)
    assert caught.value.place.line == 2
    assert [str(problem).startswith(f"{path}:2: has more than") for problem in found(tmp_path)] == [True]


def test_aliases_in_measure_are_read(tmp_path: Path) -> None:
    """An alias that is used a few times is what it stands for."""
    path = tmp_path / "rule.yml"
    path.write_text("a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, y: 2}\n", encoding="utf-8")
    (document,) = read_documents(path)
    assert document.data == {"a": {"x": 1}, "b": [{"x": 1}, {"x": 1}], "c": {"x": 1, "y": 2}}


def test_every_problem_has_a_kind(write: Writer, tmp_path: Path) -> None:
    """Kinds tell problems apart where a person sorts them."""
    write("rules/a.yml", RULE.replace("level: high", "level: urgent").replace("attack.t1078.004", "attack.t9999"))
    write("rules/b.yml", RULE.replace("mean + factor", "average + factor"))
    write("rules/c.yml", "a: [\n")
    write("rules/d.yaml", "a: 1\n")
    write("baselines/e.py", "x = 1\n")
    write("pack.yml", "disabled: [zzz]\n")
    write("pipelines/f.yml", "name: f\ntransformations: 5\n")
    write("exporters/g/manifest.yml", "name: h\n")
    kinds = {problem.kind for problem in found(tmp_path)}
    assert {"schema", "duplicate", "yaml", "file", "job", "pack", "pipeline", "destination"} <= kinds


def _case(**changes: object) -> Case:
    events = [{"timestamp": "2026-11-02T10:00:00Z", "key_id": "k", "request_count": n} for n in (1, 2)]
    rows = {"keys": [{"key_id": "k", "days": 3}]}
    return Case.model_validate({"name": "n", "fires": True, "events": events, "baseline": rows, **changes})


def test_facts_are_counted_once() -> None:
    """A column that changes in every row is one fact, as is a row more or none of them."""
    base = _case()
    assert differences(base, base) == ()
    other = [{**dict(event), "key_id": "other"} for event in base.events]
    assert differences(base, _case(events=other)) == ("key_id",)
    assert differences(base, _case(events=[dict(base.events[0])])) == ("the number of events",)
    assert differences(base, _case(baseline={})) == ("the rows of keys",)
    more = [{"key_id": "k", "days": 4}, {"key_id": "m", "days": 3}]
    assert differences(base, _case(baseline={"keys": more})) == ("keys.days", "keys.the number of rows")


@given(
    st.lists(st.tuples(st.sampled_from(["gt", "gte", "lt", "lte", "eq"]), st.integers(-3, 3).map(float)), max_size=5)
)
def test_bounds_are_impossible_only_where_no_number_meets_them(tests: list[tuple[str, float]]) -> None:
    """Halves and whole numbers between -4 and 4 decide it for bounds that are whole numbers."""
    meets = {
        "gt": float.__gt__,
        "gte": float.__ge__,
        "lt": float.__lt__,
        "lte": float.__le__,
        "eq": float.__eq__,
    }
    numbers = [n / 2 for n in range(-8, 9)]
    assert _impossible(tests) == (not any(all(meets[op](n, bound) for op, bound in tests) for n in numbers))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_lists_of_ids_are_whole(namespace: str) -> None:
    """Each technique of the list has its form, sub-techniques have their technique, and nothing is also withdrawn."""
    known = framework(namespace)
    assert known.version in str(known)
    assert not known.ids & known.retired
    subs = {name for name in known.ids if "." in name}
    assert {name.partition(".")[0] for name in subs} <= known.ids
    assert len(known.ids) > 150
    tags = {tag.partition(".")[2] for rule in load_rules() for tag in rule.tags if tag.startswith(f"{namespace}.")}
    assert tags <= known.ids
