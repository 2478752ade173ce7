"""apply, rollback, drift and destroy over a destination in memory (tests/stubs/memory.py), killed at every moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stubs.memory import CrashError, Memory, crash_at

from keytrip.errors import ContentError, DataError, SystemRefusedError
from keytrip.export.desired import Desired
from keytrip.export.drift import drift
from keytrip.export.engine import apply, destroy, read_plan, roll_back
from keytrip.export.locking import LEASE, Clock, held, whoami
from keytrip.export.model import Holder, Item, LiveItem, Table
from keytrip.export.plan import Plan
from keytrip.export.tables import table_of

COLUMNS = {"key_id": "VARCHAR", "model": "VARCHAR", "events": "BIGINT"}


def table(name: str, rows: Mapping[tuple[str, str], int]) -> Table:
    """A baseline table: (key, model) -> events."""
    found = [{"key_id": key, "model": model, "events": n} for (key, model), n in sorted(rows.items())]
    return table_of(f"keytrip_{name}", ("key_id", "model"), COLUMNS, lambda: found)


def rule(name: str, query: str = "q", rule_id: str = "", **more: Any) -> Item:
    """A rule and the fields that it is born with."""
    body = {"query": query, "tags": ["b", "a"], "enabled": False, "exceptions": [], "version": 1, **more}
    return Item("rule", name, body, rule_id or f"id-{name}")


def macro(name: str) -> Item:
    """A macro that is the user's to define."""
    return Item("macro", f"{name}_filter", {"definition": "search *", "about": "x"}, f"id-{name}")


ONE = Desired((macro("a"), rule("a"), rule("b")), (table("models", {("k", "m"): 1, ("k", "n"): 2}),), {}, 1)
TWO = Desired(
    (macro("a"), macro("c"), rule("a", "q2"), rule("c")),
    (table("models", {("k", "m"): 5, ("l", "n"): 2, ("l", "o"): 3}), table("nets", {("k", "x"): 1})),
    {},
    2,
)


def actions(plan: Plan) -> dict[str, str]:
    """Name -> action, of what is not unchanged."""
    return {one.name: one.action for one in (*plan.items, *plan.tables) if one.action != "unchanged"}


def holds(server: Memory, desired: Desired) -> None:
    """Assert that a server holds what is desired, no row lost or doubled, and nothing half."""
    for item in desired.items:
        body = server.items[item.kind, item.name]
        left_out = {*server.kinds[item.kind].kept, "version"}
        assert {n: v for n, v in body.items() if n not in left_out} == {
            n: v for n, v in item.body.items() if n not in left_out
        }
    for one in desired.tables:
        assert sorted(server.as_read(one.name).values(), key=str) == sorted(one.rows(), key=str)
    assert server.holder is None


def test_a_second_plan_is_empty() -> None:
    """After an apply there is nothing to do, though the server trims, sorts, and fills in what is its own."""
    server = Memory()
    assert actions(apply(server, ONE)) == dict.fromkeys(("a_filter", "a", "b", "keytrip_models"), "create")
    holds(server, ONE)
    server.items["rule", "a"] |= {"query": " q\n", "tags": ["a", "b"], "interval": "5m"}
    reads = server.reads
    assert read_plan(server, ONE).empty
    assert apply(server, ONE).empty
    assert list(server.records) == [1]
    assert server.reads == reads  # no row was asked for: the record says which generation has which digest


def test_a_lost_record_is_written_anew() -> None:
    """Without a record everything is compared, found as it should be, and recorded; nothing is sent again."""
    server = Memory()
    apply(server, ONE)
    server.records.clear()
    sent = server.sent
    assert apply(server, ONE).empty
    assert server.sent == sent
    assert server.records[1].state == "done"
    assert server.records[1].tables[0].number == 1
    holds(server, ONE)


def test_a_change_is_planned_field_by_field_and_row_by_row() -> None:
    """Only what is ours is compared: the user's own fields stay, and the version rises by one."""
    server = Memory()
    apply(server, ONE)
    server.items["rule", "a"] |= {"enabled": True, "exceptions": ["x"], "version": 4}
    server.items["macro", "a_filter"]["definition"] = "search NOT lab"
    plan = read_plan(server, TWO)
    assert actions(plan) == {
        "c_filter": "create",
        "a": "update",
        "c": "create",
        "b": "kept",
        "keytrip_models": "update",
        "keytrip_nets": "create",
    }
    changed = next(one for one in plan.items if one.name == "a")
    assert [(one.field, one.before, one.after) for one in changed.fields] == [("query", "q", "q2")]
    counts = plan.tables[0].counts
    assert counts is not None
    assert (counts.added, counts.changed, counts.removed) == (2, 1, 1)
    apply(server, TWO)
    holds(server, TWO)
    body = server.items["rule", "a"]
    assert (body["enabled"], body["exceptions"], body["version"]) == (True, ["x"], 5)
    assert server.items["macro", "a_filter"]["definition"] == "search NOT lab"
    assert ("rule", "b") in server.items
    assert actions(apply(server, TWO, prune=True)) == {"b": "delete"}
    assert read_plan(server, TWO, prune=True).empty


def test_what_is_not_ours_is_refused_by_name() -> None:
    """An item or a table of others whose name we want stops the plan; others' items elsewhere are never touched."""
    server = Memory(items={("rule", "a"): {"query": "theirs"}}, foreign={("rule", "a")})
    with pytest.raises(SystemRefusedError, match="rule 'a' is there already and was not made by keytrip"):
        apply(server, ONE)
    assert server.items == {("rule", "a"): {"query": "theirs"}}
    server = Memory(items={("rule", "z"): {"query": "theirs"}}, foreign={("rule", "z")})
    apply(server, ONE)
    apply(server, Desired(()), prune=True)
    destroy(server)
    assert server.items == {("rule", "z"): {"query": "theirs"}}
    assert (server.rows, server.aliases, server.records, server.holder) == ({}, {}, {}, None)


def test_a_kind_that_the_destination_has_not_is_told() -> None:
    """A manifest that names it is wrong, and the words say which kinds there are."""
    with pytest.raises(ContentError, match="no items of kind 'dashboard'; one of: macro, rule"):
        read_plan(Memory(), Desired((Item("dashboard", "a", {}),)))


def test_a_renamed_rule_keeps_what_the_user_set() -> None:
    """The same rule under another name takes over the user's fields and the version, and the old one goes."""
    server = Memory()
    apply(server, Desired((rule("old", rule_id="id-1"),)))
    server.items["rule", "old"] |= {"enabled": True, "version": 3}
    renamed = Desired((rule("new", rule_id="id-1"),))
    plan = apply(server, renamed)
    assert [(one.action, one.name, one.renamed_from) for one in plan.items] == [
        ("create", "new", "old"),
        ("delete", "old", ""),
    ]
    assert list(server.items) == [("rule", "new")]
    assert (server.items["rule", "new"]["enabled"], server.items["rule", "new"]["version"]) == (True, 4)
    assert read_plan(server, renamed).empty


def moments(change: Desired, *, prune: bool) -> int:
    """How many moments an apply of `change` over ONE has."""
    server, seen = Memory(), [0]
    apply(server, ONE)

    def count(_: str) -> None:
        seen[0] += 1

    server.fail = count
    apply(server, change, prune=prune)
    return seen[0]


@pytest.mark.parametrize("prune", [False, True])
def test_killed_at_any_moment_the_next_apply_converges(*, prune: bool) -> None:
    """At each moment readers see the old table whole or the new one whole, and the next apply ends what was begun."""
    old = [list(one.rows()) for one in ONE.tables]
    for step in range(moments(TWO, prune=prune)):
        server = Memory()
        apply(server, ONE)
        server.items["rule", "a"]["enabled"] = True
        server.fail = crash_at(step)
        with pytest.raises(CrashError):
            apply(server, TWO, prune=prune)
        read = sorted(server.as_read("keytrip_models").values(), key=str)
        assert read in [sorted(rows, key=str) for rows in (*old, list(TWO.tables[0].rows()))]
        assert ("rule", "a") in server.items
        server.fail, server.holder = lambda _: None, None
        apply(server, TWO, prune=prune)
        holds(server, TWO)
        assert server.items["rule", "a"]["enabled"] is True
        assert (("rule", "b") in server.items) is not prune
        assert read_plan(server, TWO, prune=prune).empty
        roll_back(server)
        assert server.items["rule", "a"]["enabled"] is True


@pytest.mark.parametrize("renamed", [False, True])
def test_killed_at_any_moment_a_rollback_or_a_rename_is_finished(*, renamed: bool) -> None:
    """After a crash in it, apply finds its way from wherever it stopped."""
    after = Desired((macro("a"), rule("z", rule_id="id-a"), rule("b")), ONE.tables, {}, 1) if renamed else TWO
    for step in range(200):
        server = Memory()
        apply(server, ONE)
        if not renamed:
            apply(server, TWO)
        server.fail = crash_at(step)
        try:
            apply(server, after) if renamed else roll_back(server)
        except CrashError:
            server.fail, server.holder = lambda _: None, None
            apply(server, after)
            holds(server, after)
            assert (("rule", "a") in server.items) is not renamed
            assert read_plan(server, after).empty
            continue
        return
    pytest.fail("it never ended")


def test_generations_stay_for_one_rollback() -> None:
    """The generation before the live one stays, older and half-written ones go."""
    server = Memory()
    for number in range(1, 5):
        apply(server, Desired((), (table("models", {("k", "m"): number}),), {}, number))
    server.rows["keytrip_models", 9] = {}
    assert sorted(server.rows) == [("keytrip_models", 3), ("keytrip_models", 4), ("keytrip_models", 9)]
    apply(server, Desired((), (table("models", {("k", "m"): 4}),), {}, 4))
    assert sorted(server.rows) == [("keytrip_models", 3), ("keytrip_models", 4)]
    roll_back(server)
    assert [row["events"] for row in server.as_read("keytrip_models").values()] == [3]
    roll_back(server)
    assert [row["events"] for row in server.as_read("keytrip_models").values()] == [4]


def test_rollback_puts_rules_and_rows_back() -> None:
    """What the last apply made goes, what it changed is as before, and the user's fields stay."""
    server = Memory()
    apply(server, ONE)
    with pytest.raises(DataError, match="no deployment before the last"):
        roll_back(server)
    apply(server, TWO, prune=True)
    server.items["rule", "a"]["enabled"] = True
    roll_back(server)
    holds(server, ONE)
    assert ("rule", "c") not in server.items
    assert "keytrip_nets" not in server.aliases
    assert server.items["rule", "a"]["enabled"] is True
    assert server.items["rule", "a"]["version"] == 3  # versions never fall
    assert server.records[3].state == "done"
    assert read_plan(server, ONE).empty


def test_a_kept_table_comes_back_with_its_columns() -> None:
    """What a record said of a table that nobody wants is what the next record says."""
    server = Memory()
    apply(server, ONE)
    apply(server, Desired(()))
    assert list(server.records) == [1]  # nothing goes and nothing comes
    apply(server, Desired((rule("z"),)))
    assert server.records[2].tables == server.records[1].tables
    assert server.records[2].tables[0].columns == COLUMNS
    apply(server, Desired(()), prune=True)
    assert server.aliases == {}
    roll_back(server)
    holds(server, Desired((rule("a"), rule("z")), ONE.tables))


def test_a_rule_that_a_rollback_makes_anew_is_as_it_was() -> None:
    """What the user had set by the last apply that knew the rule comes back with it, and its version does not fall."""
    server = Memory()
    apply(server, ONE)
    server.items["rule", "b"] |= {"enabled": True, "exceptions": ["x"]}
    apply(server, Desired((*ONE.items[:2], rule("b", "q2")), ONE.tables))
    apply(server, Desired((*ONE.items[:2], rule("b", "q2"), rule("c")), ONE.tables))
    apply(server, Desired((rule("c"),), ONE.tables), prune=True)
    roll_back(server)
    body = server.items["rule", "b"]
    assert (body["query"], body["enabled"], body["exceptions"], body["version"]) == ("q2", True, ["x"], 2)


def test_rollback_says_when_rows_are_gone() -> None:
    """Without its generation a table cannot be put back, and nothing is changed then."""
    server = Memory()
    apply(server, ONE)
    apply(server, TWO)
    del server.rows["keytrip_models", 1]
    with pytest.raises(DataError, match="generation of keytrip_models in deployment 1 is gone"):
        roll_back(server)
    holds(server, TWO)


def test_a_generation_that_is_not_whole_is_never_switched() -> None:
    """The server's own count decides; readers keep the old rows."""
    server = Memory()
    apply(server, ONE)
    server.loses = 1
    with pytest.raises(SystemRefusedError, match="keytrip_models: 3 rows were sent and 2 are there"):
        apply(server, TWO)
    assert server.aliases == {"keytrip_models": 1}
    server.loses = 0
    apply(server, TWO)
    holds(server, TWO)


def test_only_changed_rows_are_sent_where_the_server_copies() -> None:
    """A refresh that changes 1 % of the rows sends 1 %; one that changes most of them sends all."""
    rows = {(f"k{n:04}", "m"): n for n in range(3000)}
    server = Memory(copies=True)
    apply(server, Desired((), (table("models", rows),)))
    few = {**rows, **{(f"k{n:04}", "m"): -n for n in range(1, 31)}}
    few.pop(("k2000", "m"))
    server.sent = 0
    apply(server, Desired((), (table("models", few),)))
    assert server.sent == 30
    holds(server, Desired((), (table("models", few),)))
    server.sent = 0
    apply(server, Desired((), (table("models", {key: n + 1 for key, n in rows.items()}),)))
    assert server.sent == 3000


def test_drift_says_what_someone_changed_and_who() -> None:
    """Items and rows against the record; the user's own fields are no drift."""
    server = Memory()
    with pytest.raises(DataError, match="nothing was applied"):
        drift(server, {})
    apply(server, ONE)
    tables = {one.name: one for one in ONE.tables}
    server.items["rule", "a"]["enabled"] = True
    assert drift(server, tables) == []
    server.items["rule", "a"]["query"] = "theirs"
    del server.items["rule", "b"]
    server.items["rule", "z"] = {"query": "copied, with our mark"}
    rows = server.rows["keytrip_models", 1]
    rows["0" * 32] = {"key_id": "x", "model": "y", "events": 1}
    first = next(iter(rows))
    rows[first] = {**rows[first], "events": 99}
    found = {one.name: one for one in drift(server, tables)}
    assert [(name, one.what) for name, one in found.items()] == [
        ("a", "changed"),
        ("b", "gone"),
        ("z", "added"),
        ("keytrip_models", "changed"),
    ]
    field = found["a"].fields[0]
    assert (field.field, field.before, field.after) == ("query", "q", "theirs")
    assert (found["a"].by, found["a"].at) == ("anna", "2026-11-24T00:00:00Z")
    counts = found["keytrip_models"].counts
    assert counts is not None
    assert (counts.added, counts.changed, counts.removed) == (1, 1, 0)
    server.aliases["keytrip_models"] = 3
    server.rows["keytrip_models", 3], server.digests["keytrip_models", 3] = {}, (0, "")
    assert drift(server, tables)[-1].what == "switched"
    del server.aliases["keytrip_models"]
    assert drift(server, tables)[-1].what == "gone"


def test_drift_without_the_snapshot_counts_rows() -> None:
    """Where the rows that were applied are not at hand, the count is compared, and that is said."""
    server = Memory()
    apply(server, ONE)
    assert [one.what for one in drift(server, {})] == ["unread"]
    server.digests["keytrip_models", 1] = (7, "")
    found = drift(server, {})[0]
    assert (found.what, found.fields[0].before, found.fields[0].after) == ("changed", 2, 7)


BODIES = st.fixed_dictionaries({"query": st.text(max_size=3), "tags": st.lists(st.text(max_size=2), max_size=3)})
ITEMS = st.dictionaries(st.sampled_from("abcd"), BODIES, max_size=4)
ROWS = st.dictionaries(st.tuples(st.sampled_from("kl"), st.text(max_size=2)), st.integers(0, 3), max_size=5)
CONTENT = st.tuples(ITEMS, st.dictionaries(st.sampled_from(["models", "nets"]), ROWS))


def content(found: tuple[dict[str, Any], dict[str, Any]]) -> Desired:
    """What a destination should hold, of random content."""
    items = tuple(rule(name, **body) for name, body in sorted(found[0].items()))
    return Desired(items, tuple(table(name, rows) for name, rows in sorted(found[1].items())))


@given(steps=st.lists(st.tuples(CONTENT, st.booleans()), max_size=5), step=st.integers(0, 30))
def test_whatever_changes_the_second_plan_is_empty(
    steps: list[tuple[tuple[dict[str, Any], dict[str, Any]], bool]], step: int
) -> None:
    """After any run of contents, each cut off somewhere and begun again, there is nothing left to do."""
    server = Memory()
    for found, prune in steps:
        desired = content(found)
        server.fail = crash_at(step)
        try:
            apply(server, desired, prune=prune)
        except CrashError:
            server.fail, server.holder = lambda _: None, None
            apply(server, desired, prune=prune)
        server.fail = lambda _: None
        assert read_plan(server, desired, prune=prune).empty
        holds_normal(server, desired)


def holds_normal(server: Memory, desired: Desired) -> None:
    """Assert that all rows and items are there, in the server's own form."""
    for item in desired.items:
        normal = server.kinds[item.kind].normal
        assert normal(server.items[item.kind, item.name])["query"] == normal(item.body)["query"]
    for one in desired.tables:
        assert sorted(server.as_read(one.name).values(), key=str) == sorted(one.rows(), key=str)


# -- the lock ----------------------------------------------------------------------------------------------------------


class Ticking:
    """A clock that only sleep moves."""

    def __init__(self, server: Memory, *, alive: bool = False) -> None:
        self.time, self.server, self.alive = 0.0, server, alive

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which the holder may show that it lives."""
        self.time += seconds
        if self.alive and self.server.holder is not None:
            old = self.server.holder
            self.server.holder = Holder(old.token, old.by, old.pid, old.beat + 1)

    @property
    def clock(self) -> Clock:
        """The clock that locking gets."""
        return Clock(lambda: self.time, self.sleep)


def test_of_two_applies_one_says_who_holds_the_lock() -> None:
    """The second one stops, or waits as long as it is told to, and nothing is written."""
    server = Memory(holder=Holder("t", "anna@elsewhere", 7, 3))
    with pytest.raises(SystemRefusedError, match=r"held by anna@elsewhere \(process 7\)"):
        apply(server, ONE)
    assert server.items == {}
    heard: list[str] = []
    with (
        pytest.raises(SystemRefusedError, match="anna@elsewhere"),
        held(server, 500, heard.append, Ticking(server, alive=True).clock),
    ):
        pytest.fail("it was held")
    assert heard == ["waiting for anna@elsewhere (process 7)"]


def test_a_lock_that_shows_no_life_is_taken_over() -> None:
    """A beat that stands still for a lease was left by a dead process, whatever its clock says."""
    server = Memory(holder=Holder("t", "anna@elsewhere", 7, 3))
    ticking = Ticking(server)
    with held(server, LEASE + 5, lambda _: None, ticking.clock) as lock:
        assert server.holder == lock.holder
        assert ticking.time >= LEASE
    assert server.holder is None


def test_a_dead_process_of_this_machine_is_passed_over_at_once() -> None:
    """Nobody waits for a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    server = Memory(holder=Holder("t", whoami(), child.pid, 3))
    apply(server, ONE)
    holds(server, ONE)
    server.holder = Holder("t", whoami(), os.getpid(), 3)
    with pytest.raises(SystemRefusedError, match="held by"):
        apply(server, TWO)


def test_a_lock_that_was_taken_over_stops_the_run() -> None:
    """Before it switches anything a run makes sure that it still holds the lock."""
    server = Memory()
    apply(server, ONE)

    def steal(what: str) -> None:
        if what == "after row":
            server.holder = Holder("other", "anna@elsewhere", 7, 0)

    server.fail = steal
    with pytest.raises(SystemRefusedError, match="another keytrip took the lock over"):
        apply(server, TWO)
    assert server.aliases == {"keytrip_models": 1}
    assert server.holder is not None
    assert server.holder.token == "other"  # noqa: S105 - no password


def test_a_long_run_shows_that_it_lives() -> None:
    """The beat rises while rows are sent."""
    server = Memory()
    ticking = Ticking(server)
    with held(server, 0, lambda _: None, ticking.clock) as lock:
        for _ in range(5):
            ticking.sleep(9)
            lock.keep()
        assert lock.holder.beat == 2
        assert server.holder == lock.holder


def test_an_update_is_of_what_was_read() -> None:
    """The engine hands the live item to the transport, so that a change in between can be refused."""
    server, seen = Memory(), []
    apply(server, ONE)
    server.update = lambda item, live: seen.append((item.name, live))  # type: ignore[method-assign]
    apply(server, TWO)
    assert [(name, type(live)) for name, live in seen] == [("a", LiveItem)]
    assert seen[0][1].body["query"] == "q"
