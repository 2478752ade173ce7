"""Lists of indicators are read whole and in one form, or refused with the line that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from export.sharing.examples import made, one_of_each, texts
from hypothesis import given
from pydantic import ValidationError

from keytrip.errors import DataError
from keytrip.export.indicators import indicator_items, read_indicators

HEADER = "kind,value,first_seen,last_seen,count,confidence,tlp,description,rules,sources,revoked\n"
ROW = "ipv4,203.0.113.7,2026-04-01T00:00:00Z,2026-04-02T00:00:00+02:00,3,,,,a;b,litellm,\n"


def test_both_forms_read_alike(tmp_path: Path) -> None:
    """A list in NDJSON and the same list in CSV give the same indicators; empty cells take the defaults."""
    (tmp_path / "iocs.csv").write_text("\ufeff" + HEADER + ROW, encoding="utf-8")
    row = {"kind": "ipv4", "value": "203.0.113.7", "count": 3, "rules": ["a", "b"], "sources": ["litellm"]}
    times = {"first_seen": "2026-04-01T00:00:00Z", "last_seen": "2026-04-01T22:00:00Z"}
    (tmp_path / "iocs.ndjson").write_text("\n" + json.dumps(row | times) + "\n", encoding="utf-8")
    (read,) = read_indicators(tmp_path / "iocs.csv")
    assert (read,) == read_indicators(tmp_path / "iocs.ndjson")
    assert (read.tlp, read.confidence, read.rules) == ("amber", 50, ("a", "b"))


@pytest.mark.parametrize(
    ("kind", "written", "form"),
    [
        ("ipv6", "2001:DB8:0::1", "2001:db8::1"),
        ("domain", "Evil.Example.", "evil.example"),
        ("key_id_sha256", "AB" * 32, "ab" * 32),
        ("cidr", "2001:DB8::/32", "2001:db8::/32"),
    ],
)
def test_a_value_has_one_form(kind: str, written: str, form: str) -> None:
    """Spellings of one value are one indicator."""
    assert made(kind, written).value == form


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("ipv4,203.0.113.256,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "does not appear to be an IPv4"),
        ("ipv4,2001:db8::1,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "no IPv4"),
        ("ipv6,fe80::1%eth0,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "no IPv6"),
        ("cidr,203.0.113.7/24,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "host bits"),
        ("cidr,203.0.113.7,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "no network"),
        ("domain,münchen.example,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "no domain"),
        ("url,//x,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "no URL"),
        ("key_id_sha256,abc,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "64 hex"),
        ("user_agent,a\x00b,2026-04-01T00:00:00Z,2026-04-02T00:00:00Z,,,,,,,\n", "U\\+0000"),
        ("ipv4,203.0.113.8,2026-04-02T00:00:00Z,2026-04-01T00:00:00Z,,,,,,,\n", "before first_seen"),
        ("ipv4,203.0.113.8,2026-04-02T00:00:00,2026-04-03T00:00:00Z,,,,,,,\n", "first_seen: .*timezone"),
        ("ipv4,203.0.113.8,2026-04-02T00:00:00Z,2026-04-03T00:00:00Z,0,,,,,,\n", "count: .*greater"),
        ("mac,00:00,2026-04-02T00:00:00Z,2026-04-03T00:00:00Z,,,,,,,\n", "kind: "),
        ("ipv4,203.0.113.8,2026-04-02T00:00:00Z,2026-04-03T00:00:00Z,,,,,,,,more\n", "more cells"),
        (ROW, "there twice; it is in line 2"),
    ],
)
def test_a_bad_row_refuses_the_file(tmp_path: Path, row: str, problem: str) -> None:
    """The error names the file and the line."""
    path = tmp_path / "iocs.csv"
    path.write_text(HEADER + ROW + row, encoding="utf-8")
    with pytest.raises(DataError, match=problem) as caught:
        read_indicators(path)
    assert str(caught.value).startswith(f"{path}:3: ")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("iocs.ndjson", b"[1]\n", ":1: is no object"),
        ("iocs.ndjson", b"{\n", ":1: is no JSON"),
        ("iocs.ndjson", b"\xff\n", "cannot be read"),
        ("iocs.csv", b'kind,value\n"a', "cannot be read"),
        ("iocs.txt", b"", "no list of indicators"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """What cannot be read is refused by name, with what to give instead."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_indicators(tmp_path / name)
    with pytest.raises(DataError, match="No such file"):
        read_indicators(tmp_path / "none.csv")


def test_the_example_of_the_docs_is_a_list() -> None:
    """The file is what the page shows, and can be read."""
    root = Path(__file__).parents[3]
    assert len(read_indicators(root / "docs/examples/iocs.csv")) == 2
    page = (root / "docs/exporters_sharing.md").read_text(encoding="utf-8")
    assert (root / "docs/examples/iocs.csv").read_text(encoding="utf-8") in page


@given(texts)
def test_any_user_agent_is_kept_as_it_is(text: str) -> None:
    """A user agent has no other form than itself."""
    assert made("user_agent", text).value == text


def test_a_value_in_another_form_is_no_indicator() -> None:
    """The model itself takes the one form alone, so that equal values are equal."""
    with pytest.raises(ValidationError, match="2001:db8::1"):
        type(made()).model_validate({**made("ipv6").model_dump(), "value": "2001:DB8::1"})


def test_each_indicator_is_an_item() -> None:
    """Items are named by kind and value, and hold JSON alone."""
    items = indicator_items(tuple(one_of_each()))
    assert items[0].name == "ipv4 203.0.113.7"
    assert json.loads(json.dumps(items[0].body)) == items[0].body
