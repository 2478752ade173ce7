"""Tables in Splunk's KV store, against the stub of splunkd."""

from __future__ import annotations

from typing import Any

import pytest
from hostile import hostile_texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stubs.splunk import ALL_CAPABILITIES, SplunkStub, User
from stubs.splunk_kv import KvLimits

from keytrip.errors import DataError, SystemRefusedError
from keytrip.export.model import RowChange, Table
from keytrip.export.rows import row_change
from keytrip.export.splunk.rows import documents
from keytrip.export.splunk.transport import SplunkTransport

from .conftest import Start, transport_of
from .made import COLUMNS, row, rows, table

NAME = "keytrip_key_models"


def _nothing(count: int) -> None:
    """Take progress."""


def _put(transport: SplunkTransport, made: Table, number: int = 1) -> None:
    assert transport.stage(made, number, _nothing) == made.count
    transport.switch([(made, number)])


def _held(stub: SplunkStub, number: int, name: str = NAME) -> list[dict[str, Any]]:
    documents = stub.kv["keytrip", f"{name}_g{number}"].documents.values()
    return [{k: v for k, v in d.items() if k not in {"_key", "_user"}} for d in documents]


def test_a_table_arrives_whole_and_typed(start: Start) -> None:
    """Every row is in the collection, times as seconds since 1970, and the index is over the key."""
    stub = start()
    _put(transport_of(stub), table([row("a", "x", 3, 0.25)]))
    assert _held(stub, 1) == [
        {"key_id": "a", "model": "x", "first_seen": 1775009469.123456, "events": 3, "share": 0.25}
    ]
    collection = stub.kv["keytrip", f"{NAME}_g1"]
    assert collection.accelerated == {"key": {"key_id": 1, "model": 1}}
    assert collection.fields["events"] == "number"
    assert collection.enforce
    assert not collection.replicate
    _put(transport_of(stub, replicate="true"), table(rows(1)), 2)
    assert stub.kv["keytrip", f"{NAME}_g2"].replicate


def test_the_lookup_leads_to_the_generation(start: Start) -> None:
    """Queries name the lookup; one match a row, with case, in the app and for all who may read."""
    stub = start()
    _put(transport_of(stub), table(rows(3)))
    entity = stub.objects["lookups"]["keytrip", NAME]
    assert entity.values["collection"] == f"{NAME}_g1"
    assert entity.values["fields_list"] == "_key, key_id, model, first_seen, events, share"
    assert (entity.values["max_matches"], entity.values["case_sensitive_match"]) == ("1", "1")
    assert (entity.sharing, entity.read) == ("app", "*")


def test_what_was_read_is_what_was_written(start: Start) -> None:
    """The live generation has the number, count and digest that it was written with."""
    stub = start()
    transport, made = transport_of(stub), table(rows(5))
    _put(transport, made)
    live = transport_of(stub).read([], [NAME])
    assert live.tables[NAME].number == 1
    assert (live.tables[NAME].count, live.tables[NAME].digest) == (5, made.digest)
    assert live.generations == {(NAME, 1)}


def test_row_digests_of_the_server_are_ours(start: Start) -> None:
    """The digest of a row as read back is the one that we say beforehand, so that only changes are counted."""
    stub = start()
    transport, made = transport_of(stub), table(rows(30))
    _put(transport, made)
    ours = {transport.row_id(made, r): transport.row_digest(made, r) for r in made.rows()}
    assert dict(transport.row_digests(made, 1)) == ours


@pytest.mark.parametrize("documents", [1, 7, 200, 1000])
def test_batches_keep_to_the_servers_limit(start: Start, documents: int) -> None:
    """The limit of documents is read from limits.conf, so no batch is refused."""
    stub = start(limits=KvLimits(max_documents_per_batch_save=documents))
    count = 450 if documents > 1 else 3
    _put(transport_of(stub), table(rows(count)))
    assert len(_held(stub, 1)) == count
    saves = sum(path.endswith(f"{NAME}_g1/batch_save") for _, path in stub.log)
    assert saves == -(-count // documents)


def test_a_limit_that_nobody_may_read_is_learned_from_the_refusal(start: Start) -> None:
    """Without the capability to read limits.conf, the 400 names the limit, and the batch is sent in parts."""
    user = User("engineer", "token", capabilities=ALL_CAPABILITIES - {"rest_properties_get"})
    stub = start(user=user, limits=KvLimits(max_documents_per_batch_save=200))
    _put(transport_of(stub), table(rows(2500)))
    assert len(_held(stub, 1)) == 2500
    saves = sum(path.endswith(f"{NAME}_g1/batch_save") for _, path in stub.log)
    assert saves == 2500 / 200 + 1.5  # one was refused, and 1,000 rows make five batches


def test_a_limit_of_bytes_is_kept(start: Start) -> None:
    """Rows of many bytes go in smaller batches; one row that is too large alone is refused by name."""
    user = User("engineer", "token", capabilities=frozenset())
    stub = start(user=user, limits=KvLimits(max_size_per_batch_save_mb=0.125))
    _put(transport_of(stub), table([row(f"key_{n}", "m" * 20_000) for n in range(40)]))
    assert len(_held(stub, 1)) == 40
    with pytest.raises(SystemRefusedError, match="bytes is too large"):
        transport_of(stub).stage(table([row("key", "m" * 200_000)]), 2, _nothing)


def test_queries_that_are_cut_lose_no_row(start: Start) -> None:
    """A server that returns 7 rows at most, or few bytes, is asked until it has no more."""
    stub = start(limits=KvLimits(max_rows_per_query=7))
    transport, made = transport_of(stub), table(rows(50))
    _put(transport, made)
    assert len(list(transport.row_digests(made, 1))) == 50
    stub.limits = KvLimits(max_size_per_result_mb=0.001)
    assert len(list(transport.row_digests(made, 1))) == 50


def test_a_new_generation_does_not_touch_the_live_one(start: Start) -> None:
    """Until the switch, the lookup leads to the old rows; afterwards to the new ones, and the old one can go."""
    stub = start()
    transport = transport_of(stub)
    _put(transport, table(rows(5)))
    newer = table(rows(9))
    transport.stage(newer, 2, _nothing)
    assert stub.objects["lookups"]["keytrip", NAME].values["collection"] == f"{NAME}_g1"
    assert len(_held(stub, 1)) == 5
    transport.switch([(newer, 2)])
    transport.drop(NAME, 1)
    transport.drop(NAME, 1)
    live = transport.read([], [NAME])
    assert live.tables[NAME].number == 2
    assert live.generations == {(NAME, 2)}


def test_a_half_generation_is_written_anew(start: Start) -> None:
    """What a dead process left of a generation does not stay in the next one of that number."""
    stub = start()
    transport = transport_of(stub)
    transport.stage(table(rows(5)), 1, _nothing)
    transport.stage(table(rows(3, start=100)), 1, _nothing)
    assert len(_held(stub, 1)) == 3


def test_a_generation_without_its_word_has_no_digest(start: Start) -> None:
    """A collection that was not counted to the end is no generation that a plan may take as equal."""
    stub = start()
    transport = transport_of(stub)
    _put(transport, table(rows(5)))
    stub.kv["keytrip", "keytrip_deployments"].documents.clear()
    assert transport.read([], [NAME]).tables[NAME].digest == ""


def test_a_table_that_someone_emptied_is_seen(start: Start) -> None:
    """Rows are counted when the table is read, so a plan finds that some are gone."""
    stub = start()
    transport = transport_of(stub)
    _put(transport, table(rows(5)))
    stub.kv["keytrip", f"{NAME}_g1"].documents.clear()
    now = transport.read([], [NAME]).tables[NAME]
    assert (now.number, now.count, now.digest) == (1, 0, "")


def test_a_copy_inside_splunk_sends_what_differs(start: Start) -> None:
    """Of 300 rows with 3 changed, 1 new and 1 gone, four are sent; the temporary definitions go again."""
    stub = start()
    transport = transport_of(stub)
    old = rows(300)
    _put(transport, table(old))
    newer = table([*[{**r, "events": 999} for r in old[:3]], *old[3:-1], *rows(1, start=900)])
    stub.documents_sent = 0
    sent: list[int] = []
    assert transport.copy(newer, 2, 1, RowChange((), (), 1, 3), sent.append) == 300
    assert sum(sent) == 4
    expected = {transport.row_id(newer, r): transport.row_digest(newer, r) for r in newer.rows()}
    assert dict(transport.row_digests(newer, 2)) == expected
    assert list(stub.objects["lookups"]) == [("keytrip", NAME)]


def test_a_copy_that_rounds_numbers_is_mended(start: Start) -> None:
    """A search that keeps six digits of a number changes rows; those are sent again."""
    stub = start(digits=6)
    transport, made = transport_of(stub), table(rows(60))
    _put(transport, made)
    assert transport.copy(made, 2, 1, RowChange((), (), 0, 0), _nothing) == 60
    assert dict(transport.row_digests(made, 2)) == dict(transport.row_digests(made, 1))


def test_a_copy_that_spoils_most_rows_is_none(start: Start) -> None:
    """Of 1,200 rows nearly all were rounded: then all are sent."""
    stub = start(digits=2)
    transport, made = transport_of(stub), table(rows(1200))
    _put(transport, made)
    assert transport.copy(made, 2, 1, RowChange((), (), 0, 0), _nothing) is None


def test_a_row_of_someone_else_is_told_and_does_not_go_along(start: Start) -> None:
    """Under whatever key: it is one row too many, and a copy that would have it is none."""
    stub = start()
    transport, made = transport_of(stub), table(rows(5))
    _put(transport, made)
    stub.kv["keytrip", f"{NAME}_g1"].save({"_key": "by hand", "key_id": "x"})
    counts, _ = row_change(made, 1, transport)
    assert (counts.added, counts.changed, counts.removed) == (0, 0, 1)
    assert transport.copy(made, 2, 1, RowChange((), (), 0, 0), _nothing) is None


def test_where_no_search_may_copy_the_answer_is_none(start: Start) -> None:
    """Without the capability, or by the option, the whole table is to be sent instead."""
    stub = start(user=User("engineer", "token", capabilities=frozenset()))
    transport, made = transport_of(stub), table(rows(5))
    _put(transport, made)
    assert transport.copy(made, 2, 1, RowChange((), (), 0, 0), _nothing) is None
    off = transport_of(start(), copy_inside="false")
    assert off.copy(made, 2, 1, RowChange((), (), 0, 0), _nothing) is None


def test_a_lookup_of_someone_else_is_told(start: Start) -> None:
    """A definition of our name that leads elsewhere is not ours, so a plan refuses it by name."""
    stub = start()
    transport = transport_of(stub)
    _put(transport, table(rows(1)))
    stub.objects["lookups"]["keytrip", NAME].values["collection"] = "theirs"
    live = transport.read([], [NAME])
    assert live.tables == {}
    assert not live.items["table", NAME].ours
    assert not transport.read([], []).items
    transport.forget(NAME)
    assert not stub.objects["lookups"]


def test_hostile_texts_arrive_as_they_are(start: Start) -> None:
    """Quotes, pipes, macros, newlines, formulas, a megabyte: in key ids and models, all of it is data."""
    stub = start()
    texts = hostile_texts(fit=lambda text: "\0" not in text)
    made = table([row(text, text, n) for n, text in enumerate(texts)])
    _put(transport_of(stub), made)
    assert sorted(r["key_id"] for r in _held(stub, 1)) == sorted(texts)
    assert all(r["key_id"] == r["model"] for r in _held(stub, 1))
    for text in filter(lambda text: "\0" in text, hostile_texts()):
        with pytest.raises(DataError, match="a NUL"):
            list(documents(made, [row("key", text)]))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), max_size=80, unique=True))
def test_any_text_arrives_as_it_is(start: Start, texts: list[str]) -> None:
    """Whatever Unicode text a key id is, the row has it, under a key of its own."""
    stub = SplunkStubs.of(start)
    made = table([row(text, text) for text in texts])
    _put(transport_of(stub), made)
    assert sorted(r["model"] for r in _held(stub, 1)) == sorted(texts)


class SplunkStubs:
    """One stub for all examples of a property."""

    running: tuple[object, SplunkStub] | None = None

    @classmethod
    def of(cls, start: Start) -> SplunkStub:
        """Return the stub of this test."""
        if cls.running is None or cls.running[0] is not start:
            cls.running = (start, start())
        return cls.running[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "a\0b"}, "a NUL"),
        ({"model": "\ud800"}, "surrogate"),
        ({"events": 2**53 + 1}, "no double holds"),
        ({"share": float("nan")}, "JSON has not"),
        ({"share": float("inf")}, "JSON has not"),
    ],
)
def test_what_the_store_would_change_is_refused_by_name(start: Start, change: dict[str, Any], said: str) -> None:
    """A NUL, half a character, a number that no double holds: refused with table, key and column."""
    made = Table("keytrip_t", ("key_id",), COLUMNS, 1, "", lambda: iter([{**row("key_1"), **change}]))
    with pytest.raises(DataError, match=said) as error:
        transport_of(start()).stage(made, 1, _nothing)
    assert "keytrip_t" in str(error.value)
    assert "key_1" in str(error.value)
