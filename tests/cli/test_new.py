"""`keytrip new`: unfilled, `check` names each hole with its line; filled in, it has nothing to say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from keytrip.cli import app
from keytrip.compile.check import check_content
from keytrip.content import HOLE
from keytrip.export.check import check_destinations
from keytrip.hunt.casetest import run_cases
from keytrip.rules.json_schema import SCHEMA
from keytrip.rules.load import load_rules

FILES = {
    "rule": ["rules/key_at_night.yml"],
    "baseline": ["baselines/key_at_night.py"],
    "exporter": ["exporters/key_at_night/manifest.yml", "exporters/key_at_night/README.md.j2"],
    "source": ["src/keytrip/sources/key_at_night.py"],
}
# what a person writes into a hole, by a word of what is asked there; anything else is just a text
WRITTEN = {
    "an ATT&CK id": "attack.t1078.004",
    "an ATLAS id": "atlas.aml-t0012",
    'which records are counted"': "Any Request of Such a Key",
    "such as sum": "sum(request_count)",
}


def fill(text: str) -> str:
    """Return a template's text with its holes filled in by a person."""

    def written(hole: re.Match[str]) -> str:
        return next((said for asked, said in WRITTEN.items() if asked in hole[0] + '"'), f"text {hole.start()}")

    return re.sub(rf"{HOLE}[^\"'\n]*", written, text)


def problems(pack: Path, *paths: Path) -> list[str]:
    """Return what `keytrip check` says of files of a pack."""
    return [str(p) for p in [*check_content((pack,), paths), *check_destinations((pack,), paths)]]


@pytest.fixture(name="pack")
def _pack(tmp_path: Path) -> Path:
    (tmp_path / "pack/src/keytrip/sources").mkdir(parents=True)
    (tmp_path / "pack/rules").mkdir()
    return tmp_path / "pack"


@pytest.mark.parametrize("kind", FILES)
def test_each_hole_is_named_and_a_filled_file_passes(kind: str, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that hold a hole are those that `check` names, and when they are written it is content."""
    assert app.run(["new", kind, "key_at_night", "--pack", str(pack)]) == 0
    paths = [pack / name for name in FILES[kind]]
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [str(path) for path in paths]
    where = paths[0] if len(paths) == 1 else paths[0].parent
    assert shown.err == f"fill in what `keytrip check {where}` names\n"
    said = problems(pack, where)
    assert all("is to be filled in" in text for text in said)
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines()
        holes = {n for n, line in enumerate(lines, start=1) if HOLE in line and not line.startswith("# What")}
        # a folded text is named at its member's line, which is the one before
        holes = {n - 1 if lines[n - 2].endswith(">-") else n for n in holes}
        named = {int(m[1]) for text in said if (m := re.match(rf"{re.escape(str(path))}:(\d+): ", text))}
        assert holes
        assert named == holes
    for path in paths:
        path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert problems(pack, where) == []


def test_a_filled_rule_is_tested_and_known_to_editors(pack: Path) -> None:
    """The cases of a new rule pass, and its first line leads to a schema that accepts it."""
    assert app.run(["new", "rule", "key_at_night", "--pack", str(pack)]) == 0
    path = pack / "rules/key_at_night.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(fill(text), encoding="utf-8")
    results = run_cases([rule for rule in load_rules((pack,)) if rule.path == path], (pack,))
    assert [result.passed for result in results] == [True, True]
    first, _, _ = text.partition("\n")
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert schema.resolve() == (pack / SCHEMA.name).resolve()
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    for document in yaml.load_all(fill(text), yaml.BaseLoader):
        assert {error.validator for error in validator.iter_errors(document)} <= {"type", "anyOf"}


def test_a_checkout_has_its_own_schema(pack: Path) -> None:
    """Where the schema's source is at hand, a rule points there and no copy is made."""
    there = pack / "src/keytrip/rules" / SCHEMA.name
    there.parent.mkdir()
    there.write_text("{}", encoding="utf-8")
    assert app.run(["new", "rule", "key_at_night", "--pack", str(pack)]) == 0
    text = (pack / "rules/key_at_night.yml").read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema=../src/keytrip/rules/{SCHEMA.name}\n")
    assert not (pack / SCHEMA.name).exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rule", "key_new_network"], "is the name of a rule of ours"),
        (["baseline", "key_models"], "is the name of a baseline of ours"),
        (["baseline", "usage"], "is the name of a baseline of ours"),
        (["rule", "Key"], "is no name; lower-case letters"),
        (["rule", "../key"], "is no name"),
        (["rule", "key_\n"], "is no name"),
        (["rule", "k" * 81], "is no name"),
        (["job", "key"], "see `keytrip new --help`"),
    ],
)
def test_what_is_no_new_name_is_refused(
    arguments: list[str], words: str, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that could not be used, or is used, is wrong usage, and nothing is written."""
    before = sorted(pack.rglob("*"))
    assert app.run(["new", *arguments, "--pack", str(pack)]) == 2
    assert words in capsys.readouterr().err
    assert sorted(pack.rglob("*")) == before


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_overwritten(kind: str, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where any of the files is, none is written."""
    there = pack / FILES[kind][-1]
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text("mine\n", encoding="utf-8")
    assert app.run(["new", kind, "key_at_night", "--pack", str(pack)]) == 2
    assert f"{there} is there already" in capsys.readouterr().err
    assert there.read_text(encoding="utf-8") == "mine\n"
    assert [path for path in pack.rglob("*") if path.is_file()] == [there]


def test_a_source_belongs_into_a_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is no checkout has no place for a source."""
    assert app.run(["new", "source", "key_at_night", "--pack", str(tmp_path)]) == 2
    assert "a source is a part of keytrip itself; give its checkout with --pack" in capsys.readouterr().err


SOURCE = '''"""A log."""
from keytrip.sources.base import Source

SOURCE = Source(
    name="log",
    about="a log",
    recognise=lambda record: "time" in record,
    members={"time": "VARCHAR", "n": "BIGINT"},
    fields={"timestamp": '"time"', "key_id": "'a'"},
    lacks={"model": "not logged"},
    lets={"twice": '"n" * 2'},
)
'''


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('name="log"', 'name="other"', 5, "is called 'other'; its file's name, log"),
        ('"BIGINT"', '"INT"', 8, "member 'n' has the type 'INT'; one of: VARCHAR"),
        ('"key_id": "\'a\'"', '"keyid": "\'a\'"', 9, "no field 'keyid' in a record; did you mean key_id?"),
        ('"model": ', '"mode": ', 10, "no field 'mode' in a record; did you mean model?"),
        ('"timestamp": \'"time"\'', '"user": \'"time"\'', 1, "maps no `timestamp`"),
        ("'\"time\"'", "'\"when\"'", 9, "timestamp: Binder Error"),
        ("about=", "abut=", 1, "is no source: TypeError"),
        ("SOURCE = Source(", "SOURCE = dict(", 1, "declares no SOURCE"),
        ("recognise=lambda", "recognise lambda", 7, "is no source: SyntaxError"),
    ],
)
def test_a_faulty_source_is_found(old: str, new: str, line: int, words: str, tmp_path: Path) -> None:
    """What a source's module has wrong is said at the line that names it."""
    path = tmp_path / "log.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert [*check_content((), (path,))] == []
    path.write_text(SOURCE.replace(old, new), encoding="utf-8")
    said = [str(problem) for problem in check_content((), (path,))]
    assert any(text.startswith(f"{path}:{line}: ") and words in text for text in said), said
