"""Item templates: whatever a text holds, it stays one value, where its expression stands. No server is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keytrip.errors import ContentError, Place
from keytrip.export.render import holds, item_environment, render_item, render_name

HOSTILE = st.one_of(
    st.text(),
    st.sampled_from(
        ['"', "'", "\\", "\n", "\r\n", "{{ 7 * 7 }}", "{% raw %}", "}}", ": ", " #", "- ", "&a", "*a", "!!x"]
    ),
    st.sampled_from(
        ["\x00", "\x85", "\u2028", "\ufeff", "\ud800", "\U0001f600", "<<", "null", "1e5", "0x1F", "yes", "%x"]
    ),
)
TEXTS = st.lists(HOSTILE, max_size=4).map("".join)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
TEMPLATE = """
# {{ a }}
plain: {{ a }}
list: [{{ a }}, 1, {{ b }}]
nested:
  - inner: {{ b }}
joined: {{ "x" ~ c ~ "y" }}
{% for text in [c, c] -%}
{% if loop.first %}{{ "k" ~ text }}: {{ loop.index }}{% endif %}
{% endfor %}
last: true
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A destination's folder with a template."""
    folder = tmp_path_factory.mktemp("exporter")
    (folder / "item.yml.j2").write_text(TEMPLATE, encoding="utf-8")
    return folder


@given(a=VALUES, b=VALUES, c=TEXTS)
def test_no_text_leaves_its_place(folder: Path, a: Any, b: Any, c: str) -> None:
    """Values arrive as they are, and the rest of the template is what it is without them."""
    body = render_item(item_environment(folder), "item.yml.j2", {"a": a, "b": b, "c": c})
    expected = {"plain": a, "list": [a, 1, b], "nested": [{"inner": b}], "joined": f"x{c}y", "last": True}
    assert body == {**expected, f"k{c}": 1}


def test_members_of_the_template_stand_over_merged_ones(folder: Path) -> None:
    """`<<` takes over the settings that a rule comes with, and what the template says itself counts."""
    (folder / "merged.yml.j2").write_text("<<: {{ settings }}\nquery: {{ own }}\n", encoding="utf-8")
    context = {"settings": {"query": "theirs", "other": "<<: x"}, "own": "ours"}
    assert render_item(item_environment(folder), "merged.yml.j2", context) == {"query": "ours", "other": "<<: x"}


FAULTS = {
    "within a text": ("name: keytrip - {{ a }}\n", "stands within a text"),
    "in quotes": ('name: "{{ a }}"\n', "makes no YAML"),
    "not there": ("name: {{ nothing }}\n", "'nothing' is undefined"),
    "no member": ("name: {{ a.b.c }}\n", "no attribute 'b'"),
    "no Jinja": ("x: 1\n{% for %}\n", "Expected"),
    "no mapping": ("- {{ a }}\n", "makes no mapping"),
    "no value of JSON": ("name: {{ place }}\n", "a Place is no value"),
    "a number as a name": ("1: {{ a }}\n", "makes no mapping"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_template_is_told_with_its_file(fault: str, folder: Path) -> None:
    """A template that makes no item is named, with what is wrong."""
    text, words = FAULTS[fault]
    (folder / "faulty.yml.j2").write_text(text, encoding="utf-8")
    with pytest.raises(ContentError, match=words) as told:
        render_item(item_environment(folder), "faulty.yml.j2", {"a": "x", "place": Place()})
    assert told.value.place.path == str(folder / "faulty.yml.j2")


def test_names_and_conditions_are_expressions(folder: Path) -> None:
    """A manifest's expressions give texts and truths, and what is none is told."""
    environment, place = item_environment(folder), Place("manifest.yml")
    assert (
        render_name(environment, "'keytrip - ' ~ rule.name", {"rule": {"name": "a\n{{ b }}"}}, place)[10:]
        == "a\n{{ b }}"
    )
    assert holds(environment, "rule.level == 'high'", {"rule": {"level": "high"}}, place)
    assert not holds(environment, "rule.tags", {"rule": {"tags": []}}, place)
    for wrong in ("1 +", "nothing", "rule.nothing", "1", "''", "1 + 'a'"):
        with pytest.raises(ContentError) as told:
            render_name(environment, wrong, {"rule": {}}, place)
        assert told.value.place == place
