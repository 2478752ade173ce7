"""A pack changes what is shipped without copying it: layers, `disabled`, `parameters`, and clear words for mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from keytrip.compile.compiled import compile_rule
from keytrip.errors import ContentError
from keytrip.rules.load import Document, alerting, load_rules

Writer = Callable[[str, str], Path]
PLAIN = """\
title: {name}
id: {id}
name: {name}
status: test
description: d
level: low
logsource: {{category: ai_usage}}
detection: {{selection: {{model: {model}}}, condition: selection}}
"""
COUNT = """\
title: {name}
id: {id}
name: {name}
status: test
description: d
level: low
correlation: {{type: event_count, rules: [{base}], timespan: 1d, condition: {{gte: 2}}{more}}}
"""
IDS = [f"0d9f5c4e-6d0b-4b7a-9a57-5a3c0f2f80{n:02}" for n in range(10)]


def plain(name: str, number: int, model: str = "m") -> str:
    """Return a plain rule."""
    return PLAIN.format(name=name, id=IDS[number], model=model)


def counted(name: str, number: int, base: str, more: str = "") -> str:
    """Return a correlation."""
    return COUNT.format(name=name, id=IDS[number], base=base, more=more)


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a file below the test's folder."""

    def at(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return at


def by_name(*packs: Path) -> dict[str, Document]:
    """Return the documents that packs make of ours."""
    found = load_rules(packs)
    assert len({document.name for document in found}) == len(found)
    return {document.name: document for document in found}


def names(*packs: Path) -> set[str]:
    """Return the names of the rules that alert."""
    return {document.name for document in alerting(load_rules(packs))}


def model_of(document: Document) -> str:
    """Return the model that a made rule looks for."""
    return str(document.data["detection"]["selection"]["model"])


def test_the_later_pack_wins(write: Writer, tmp_path: Path) -> None:
    """Of two rules with one id, or one name, that of the later pack is in force; in any spelling of the id."""
    write("a/rules/x.yml", f"{plain('one', 0, 'a')}---\n{plain('two', 1, 'a')}---\n{plain('three', 2, 'a')}")
    write("b/rules/x.yml", f"{plain('one', 3, 'b')}---\n{plain('other', 1, 'b').replace(IDS[1], IDS[1].upper())}")
    first, second = tmp_path / "a", tmp_path / "b"
    found = {
        name: model_of(d) for name, d in by_name(first, second).items() if name in {"one", "two", "three", "other"}
    }
    assert found == {"one": "b", "other": "b", "three": "a"}
    found = {
        name: model_of(d) for name, d in by_name(second, first).items() if name in {"one", "two", "three", "other"}
    }
    assert found == {"one": "a", "two": "a", "three": "a"}


@pytest.mark.parametrize("second", [plain("one", 1), plain("two", 0)])
def test_a_name_or_id_stands_once_in_a_pack(write: Writer, tmp_path: Path, second: str) -> None:
    """Two documents with one name or id, in one file or two, are an error that names both places."""
    write("p/rules/x.yml", f"{plain('one', 0)}---\n{second}")
    with pytest.raises(ContentError, match=r"x\.yml:10: .* is used twice; it is also in .*x\.yml:1"):
        load_rules([tmp_path / "p"])


def test_disabled_takes_patterns(write: Writer, tmp_path: Path) -> None:
    """A pattern switches off all rules that it names, and no other."""
    write("p/pack.yml", "disabled: ['reference_*', key_never_seen]\n")
    assert names() - names(tmp_path / "p") == {n for n in names() if n.startswith("reference_")} | {"key_never_seen"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", {"plain"}),
        (f"---\n{counted('quiet', 1, 'plain')}", set()),
        (f"---\n{counted('quiet', 1, 'plain', ', generate: true')}", {"plain"}),
        (f"---\n{counted('quiet', 1, 'plain')}---\n{counted('user', 2, 'plain')}", {"user"}),
        (f"---\n{counted('inner', 1, 'plain')}---\n{counted('quiet', 2, 'inner')}", set()),
    ],
    ids=["alone", "its only rule is off", "loud", "another rule uses it", "a chain is off"],
)
def test_bases_of_what_is_off_stay_quiet(write: Writer, tmp_path: Path, rules: str, expected: set[str]) -> None:
    """Switching a correlation off does not make its base rules alert for every event."""
    write("p/rules/x.yml", plain("plain", 0) + rules)
    write("p/pack.yml", "disabled: [quiet]\n" if "quiet" in rules else "disabled: []\n")
    assert names(tmp_path / "p") - names() == expected


def test_bases_of_what_is_replaced_stay_quiet(write: Writer, tmp_path: Path) -> None:
    """A rule that replaces another with a base of its own leaves the old base quiet."""
    write("a/rules/x.yml", f"{plain('old', 0)}---\n{counted('rule', 1, 'old')}")
    write("b/rules/x.yml", f"{plain('new', 2)}---\n{counted('rule', 1, 'new')}")
    assert names(tmp_path / "a", tmp_path / "b") - names() == {"rule"}


def test_parameters_set_the_literal_and_the_name(write: Writer, tmp_path: Path) -> None:
    """A pack's number replaces the literal that `at` points to, and is what a baseline expression reads."""
    before, rule = by_name(), "key_cost_robust"
    declared = before[rule].data["parameters"]
    free = next(name for name, parameter in declared.items() if "at" not in parameter)
    write("a/pack.yml", f"parameters: {{{rule}: {{floor: 7.25, {free}: 40}}}}\n")
    write("b/pack.yml", f"parameters: {{{rule}: {{floor: 8.5}}}}\n")
    packs = (tmp_path / "a", tmp_path / "b")
    after = by_name(*packs)
    assert after[rule].data["correlation"]["condition"]["gt"] == 8.5
    assert before[rule].data["correlation"]["condition"]["gt"] == declared["floor"]["default"] != 8.5
    sql = compile_rule(after[rule], list(after.values()), packs).sql
    assert "8.5" in sql
    assert "40" in sql


WRONG = {
    "unknown member": ("enabled: [x]\n", 1, "unknown member 'enabled'"),
    "a rule that is not there": ("disabled:\n  - a_rule\n", 2, "no rule is called 'a_rule'"),
    "a pattern that names none": ("disabled: ['zz*']\n", 1, "no rule is called 'zz*'"),
    "disabled is a text": ("disabled: key_never_seen\n", 1, "`disabled` has not the form"),
    "disabled is no name": ("disabled: [5]\n", 1, "5 is no name of a rule"),
    "parameters of no rule": ("parameters:\n  a_rule:\n    floor: 1\n", 3, "no rule is called 'a_rule'"),
    "an unknown parameter": (
        "parameters:\n  key_never_seen:\n    flor: 1\n",
        3,
        "key_never_seen has no parameter 'flor'; it has: floor",
    ),
    "a text": ("parameters:\n  key_never_seen:\n    floor: many\n", 3, "is no finite number"),
    "a boolean": ("parameters: {key_never_seen: {floor: yes}}\n", 1, "is no finite number"),
    "not finite": ("parameters: {key_never_seen: {floor: .inf}}\n", 1, "is no finite number"),
    "a number for a rule": ("parameters: {key_never_seen: 5}\n", 1, "`parameters.key_never_seen` is no mapping"),
    "a variable of nothing": ("variables:\n  office: []\n", 2, "variable 'office' is no list of texts or numbers"),
    "a variable of booleans": ("variables: {office: [no]}\n", 1, "variable 'office' is no list of texts or numbers"),
    "variables are a list": ("variables: [office]\n", 1, "`variables` has not the form"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_faulty_pack_is_refused_with_its_line(kind: str, write: Writer, tmp_path: Path) -> None:
    """What is wrong in a pack.yml is one error, at the line of the member."""
    text, line, words = WRONG[kind]
    path = write("p/pack.yml", text)
    with pytest.raises(ContentError) as raised:
        load_rules([tmp_path / "p"])
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "at", ["correlation.condition.gt", "correlation.rules.0", "correlation.rules.7", "x.y", "level"]
)
def test_a_parameter_that_points_at_no_number(write: Writer, tmp_path: Path, at: str) -> None:
    """Such a parameter cannot be set: nothing would change, or a text would become a number."""
    more = f"parameters: {{floor: {{at: {at}, default: 2, why: w}}}}\n"
    write("p/rules/x.yml", f"{plain('plain', 0)}---\n{counted('rule', 1, 'plain')}{more}")
    write("p/pack.yml", "parameters: {rule: {floor: 3}}\n")
    with pytest.raises(ContentError, match=f"points at '{at}', where no number is"):
        load_rules([tmp_path / "p"])


def test_a_number_in_a_list_is_set(write: Writer, tmp_path: Path) -> None:
    """`at` may go through lists."""
    rule = plain("plain", 0).replace("model: m", "status_code: [401, 429]")
    more = "parameters: {code: {at: detection.selection.status_code.1, default: 429, why: w}}\n"
    write("p/rules/x.yml", rule + more)
    write("p/pack.yml", "parameters: {plain: {code: 403}}\n")
    assert by_name(tmp_path / "p")["plain"].data["detection"]["selection"]["status_code"] == [401, 403]
