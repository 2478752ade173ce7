"""The page: what it shows, that it loads nothing, and that no log can put anything into it but text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from demo.pages import PERIOD, Seen, alert, drawings, facts_of, key_facts, page

from keytrip.demo.facts import Member
from keytrip.demo.report import cases_of

SCRIPT = "<script>alert('x')</script>"
TURNED = "abc\u202etxt.exe\u2066\u200f\x1b[31m"
HOSTILE = f"{SCRIPT}{{{{ 7*7 }}}}\"' onload=x {TURNED}"


def hostile_page() -> str:
    """Return a page in which every text that a log decides is hostile."""
    key = key_facts(
        HOSTILE,
        HOSTILE,
        networks=(Member(HOSTILE, 1, 2, known=False),) * 2,
        models=(Member(HOSTILE, 1, 2, known=True),),
    )
    alerts = [
        alert("key_new_network", HOSTILE, group={"key_id": HOSTILE, "source_net": HOSTILE}),
        alert("key_unknown_model", HOSTILE, group={"key_id": HOSTILE, "model_family": HOSTILE}),
        alert("own_rule", HOSTILE, title=HOSTILE, observed={HOSTILE: HOSTILE}, level=HOSTILE),
    ]
    return page(alerts, [key, key_facts("other", HOSTILE)], {HOSTILE: HOSTILE})


def test_no_text_of_a_log_becomes_an_element_or_attribute() -> None:
    """Labels, ids, networks, models, titles and levels with markup in them are text, and stay readable."""
    seen = Seen(hostile_page())
    assert seen.tags["script"] == 0
    assert "onload" not in dict(seen.attributes)
    assert SCRIPT in seen.text
    assert "{{ 7*7 }}" in seen.text
    assert all(svg.tag == "svg" for svg in drawings(hostile_page()))


def test_what_turns_or_hides_text_is_written_out() -> None:
    """No control character and no mark of direction is in the page; each is there as an escape instead."""
    text = hostile_page()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text) == []
    assert r"abc\u202etxt.exe\u2066\u200f\x1b[31m" in Seen(text).text


@pytest.mark.parametrize(
    "text",
    [
        page(),
        page(keys=[key_facts()]),
        page([alert()], [key_facts()]),
        page([alert(key_id=None)]),
        page([alert(key_id="gone")]),
        page([alert()], [key_facts(requests=None, cost=None, hours=(), networks=(), models=())]),
        page([alert()], [key_facts(days=())]),
        hostile_page(),
    ],
    ids=["nothing", "no alert", "one key", "no key", "unknown key", "no past", "no day", "hostile"],
)
def test_the_page_stands_alone(text: str) -> None:
    """Whatever it is made of, the page loads nothing, runs nothing, forbids both, and its drawings are well-formed."""
    seen = Seen(text)
    assert {"script", "link", "img", "iframe", "object", "embed", "base", "form"}.isdisjoint(seen.tags)
    assert all(str(target).startswith("#") for target in seen.all("href"))
    assert not {"src", "srcset", "style", "action", "data"} & {name for name, _ in seen.attributes}
    assert re.search(r"https?://|url\(|@import", text) is None
    assert any("default-src 'none'" in str(content) for content in seen.all("content"))
    assert all(svg.get("role") == "img" or svg.get("aria-hidden") == "true" for svg in drawings(text))
    assert len(seen.all("id")) == len(set(seen.all("id")))


def test_a_drawing_says_what_it_shows() -> None:
    """Every drawing that is not an ornament has a title and a description in words."""
    for svg in drawings(page([alert()], [key_facts(), key_facts("key_b", "ben")])):
        if svg.get("role") == "img":
            assert svg.findtext("title")
            assert svg.findtext("desc")


def test_one_alarmed_key_is_told_in_full() -> None:
    """Its name, id, story, what fired, the habit and the rule are there; a quiet key is only among the others."""
    text = Seen(page([alert()], [key_facts(), key_facts("key_b", "ben")], {"key_a": "It was taken."})).text
    assert "1 of 2 keys broke their habits" in text
    assert "It was taken." in text
    assert re.search(r"300 requests;\s+usual 30.5 a day, at most 35\s+key_request_volume_robust", text)
    assert "1 key as usual" in text.replace("keys as usual", "key as usual")
    assert "203.0.113.0/24 new" in text
    assert "198.18.1.0/24 new" not in text


def test_without_alerts_the_page_says_so() -> None:
    """No alert gives no table and no section, but the sentence that nothing happened, and the keys."""
    seen = Seen(page(keys=[key_facts()]))
    assert "No key did anything that it does not usually do." in seen.text
    assert "0 of 1 keys broke their habits" in seen.text
    assert seen.tags["table"] == 0


def test_alerts_without_a_key_are_one_case() -> None:
    """Alerts on the whole organisation stand together, under a name of their own, and count as no key."""
    seen = Seen(page([alert("org_cost_spike", None), alert("org_spend_threshold_low", None, baseline={})]))
    assert "all keys together" in seen.text
    assert "0 of 0 keys" in seen.text
    assert seen.text.count("org_cost_spike") >= 1


def test_the_gravest_case_comes_first() -> None:
    """Cases are ordered by their gravest alert, then by the number of alerts, then by name; alerts likewise."""
    facts = facts_of(key_facts("a", "anna"), key_facts("b", "ben"), key_facts("c", "cleo"), key_facts("d", "dora"))
    alerts = [
        alert(key_id="d", level="low"),
        alert(key_id="a", level="medium"),
        alert(key_id="c", level="medium"),
        alert("z", "b", level="medium"),
        alert("y", "b", level="critical"),
        alert("x", "c", level="medium"),
    ]
    cases = cases_of(alerts, facts)
    assert [case.name for case in cases] == ["ben", "cleo", "anna", "dora"]
    assert [found.rule for found in cases[0].findings] == ["y", "z"]
    assert cases[0].level == "critical"


def test_many_alerts_of_one_key_are_cut() -> None:
    """Of forty alerts of one key eight are told, and how many more there are."""
    alerts = [
        alert("key_new_network", group={"key_id": "key_a", "source_net": f"203.0.{n}.0/24"}, events=1)
        for n in range(40)
    ]
    text = Seen(page(alerts, [key_facts()])).text
    assert text.count("1 request from 203.0.") == 8
    assert "and 32 more alerts" in text


def test_many_keys_have_a_place_each() -> None:
    """Twenty alarmed keys have a row and a section each, and every link of the table leads to its section."""
    keys = [key_facts(f"key_{n}", f"person {n}") for n in range(20)]
    seen = Seen(page([alert(key_id=key.key_id) for key in keys], keys))
    targets = [str(href)[1:] for href in seen.all("href")]
    assert seen.tags["section"] == len(targets) == 20
    assert set(targets) <= set(seen.all("id"))


def test_a_key_without_a_name_is_called_by_its_id() -> None:
    """The start of its id stands for the name, the whole id below it."""
    key = key_facts("f" * 64, "")
    text = Seen(page([alert(key_id=key.key_id)], [key])).text
    assert "ffffffffffff…" in text
    assert "f" * 64 in text


def test_members_beyond_six_are_counted() -> None:
    """Of nine networks six are shown, and how many more there are."""
    networks = tuple(Member(f"198.18.{n}.0/24", 5, 5, known=True) for n in range(9))
    text = Seen(page([alert()], [key_facts(networks=networks)])).text
    assert "198.18.5.0/24" in text
    assert "198.18.6.0/24" not in text
    assert "and 3 more" in text


def test_keys_beyond_the_limit_are_counted() -> None:
    """Of 130 quiet keys 120 are drawn, and how many more there are."""
    keys = [replace(key_facts(), key_id=f"key_{n}") for n in range(130)]
    text = page(keys=keys)
    assert len(drawings(text)) == 120
    assert "and 10 more" in Seen(text).text


def test_the_page_is_the_same_each_time() -> None:
    """The same facts give the same bytes: no clock, no order of a set."""
    made: list[Any] = [page([alert()], [key_facts(), key_facts("key_b", "ben")]) for _ in range(2)]
    assert made[0] == made[1]
    assert str(PERIOD.day.year) in made[0]
