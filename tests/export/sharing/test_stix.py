"""A STIX bundle in a folder: valid, the same for equal indicators, and read back as it was written. No server here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import stix2
from export.sharing.examples import an_agent, hostile, made, one_of_each
from hostile import hostile_texts
from hypothesis import given
from stix2.pattern_visitor import create_pattern_object

from keytrip.errors import ContentError, DataError, SystemRefusedError
from keytrip.export.connection import Connection
from keytrip.export.indicators import Indicator, indicator_items
from keytrip.export.manifest import Manifest
from keytrip.export.model import Deployment, Holder, Item, Table
from keytrip.export.records import Records
from keytrip.export.sharing.stix import BUNDLE, BundleChannel, diagnose, open_transport
from keytrip.export.sharing.stix_objects import Author, pattern_of, value_of
from keytrip.export.sharing.transport import KINDS, Sharing

MANIFEST = Manifest(name="stix", about="A bundle.", transport="stix")


def clock() -> Iterator[datetime]:
    """Yield times an hour apart."""
    return (datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=hours) for hours in count())


def sharing(folder: Path) -> Sharing:
    """Return a transport whose clock goes on by an hour a change."""
    times = clock()
    return Sharing(BundleChannel(folder / BUNDLE, Author("Example"), lambda: next(times)), Records(folder / "records"))


def deployment(number: int, items: tuple[Item, ...] = ()) -> Deployment:
    """Return a finished record."""
    return Deployment(number, "done", "2026-05-01T00:00:00Z", "me@here", "1", items, ())


def told(transport: Sharing, *indicators: Indicator) -> None:
    """Make items, and save a record."""
    live = transport.read((), ()).items
    for item in indicator_items(indicators):
        if (item.kind, item.name) in live:
            transport.update(item, live[item.kind, item.name])
        else:
            transport.create(item)
    transport.save(deployment(1, indicator_items(indicators)))


def bundle(folder: Path) -> dict[str, Any]:
    """Return the bundle that was written."""
    found: dict[str, Any] = json.loads((folder / BUNDLE).read_text(encoding="utf-8"))
    return found


def of_type(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the bundle's objects of a type."""
    return [one for one in bundle(folder)["objects"] if one["type"] == kind]


def test_what_is_told_is_read_back(tmp_path: Path) -> None:
    """Every kind of indicator arrives with all that is said of it, in a bundle that stix2 takes."""
    transport = sharing(tmp_path)
    told(transport, *one_of_each())
    live = transport.read((), ())
    assert {item.name: item.body for item in live.items.values()} == {
        one.name: one.model_dump(mode="json") for one in one_of_each()
    }
    assert live.deployments == (deployment(1, indicator_items(tuple(one_of_each()))),)
    stix2.parse(bundle(tmp_path))


def test_nothing_is_written_anew_that_did_not_change(tmp_path: Path) -> None:
    """Telling the same again leaves every byte, though the clock went on; only what changed has a later `modified`."""
    transport = sharing(tmp_path)
    told(transport, made(), made("ipv6"))
    first = (tmp_path / BUNDLE).read_bytes()
    told(transport, made(), made("ipv6"))
    assert (tmp_path / BUNDLE).read_bytes() == first
    told(transport, made(confidence=90), made("ipv6"))
    times = {one["name"]: (one["created"], one["modified"]) for one in of_type(tmp_path, "indicator")}
    assert times["ipv6 2001:db8::1"] == ("2026-05-01T00:00:00.000Z", "2026-05-01T00:00:00.000Z")
    assert times["ipv4 203.0.113.7"] == ("2026-05-01T00:00:00.000Z", "2026-05-01T02:00:00.000Z")
    assert [one["modified"] for one in of_type(tmp_path, "sighting")] == ["2026-05-01T00:00:00.000Z"] * 2


def test_a_clock_that_goes_back_makes_no_older_version(tmp_path: Path) -> None:
    """`modified` rises, whatever the clock says."""
    times = iter([datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)])
    channel = BundleChannel(tmp_path / BUNDLE, Author("Example"), lambda: next(times))
    told(Sharing(channel, Records(tmp_path)), made())
    told(Sharing(channel, Records(tmp_path)), made(count=9))
    assert {one["modified"] for one in of_type(tmp_path, "sighting")} == {"2026-05-02T00:00:00.001Z"}


def test_what_is_taken_back_is_revoked(tmp_path: Path) -> None:
    """It stays in the bundle as revoked, is no live item, and comes again under another id: revoked is for ever."""
    transport = sharing(tmp_path)
    told(transport, made(), made("domain"))
    transport.delete(transport.read((), ()).items["indicator", "ipv4 203.0.113.7"])
    transport.save(deployment(2))
    assert list(transport.read((), ()).items) == [("indicator", "domain evil.example")]
    asked = transport.read([("indicator", "ipv4 203.0.113.7")], ()).items["indicator", "ipv4 203.0.113.7"]
    assert asked.body["revoked"] is True
    (old,) = [one for one in of_type(tmp_path, "indicator") if one.get("revoked")]
    transport.update(indicator_items((made(),))[0], asked)
    transport.save(deployment(3))
    assert transport.read((), ()).items["indicator", "ipv4 203.0.113.7"].body == made().model_dump(mode="json")
    assert old in of_type(tmp_path, "indicator")
    assert len(of_type(tmp_path, "indicator")) == 3


def test_an_indicator_can_be_told_as_revoked(tmp_path: Path) -> None:
    """A list that says `revoked` gives revoked objects, which a plan with that list finds unchanged."""
    transport = sharing(tmp_path)
    told(transport, made())
    told(transport, made(revoked=True))
    (item,) = transport.read([("indicator", made().name)], ()).items.values()
    assert item.body == made(revoked=True).model_dump(mode="json")


def test_objects_of_others_stay(tmp_path: Path) -> None:
    """A bundle may hold objects of other authors; they are neither ours nor lost."""
    other = stix2.Indicator(
        pattern="[ipv4-addr:value = '198.51.100.1']", pattern_type="stix", valid_from="2026-01-01T00:00:00Z"
    )
    (tmp_path / BUNDLE).write_text(stix2.Bundle(other).serialize(), encoding="utf-8")
    transport = sharing(tmp_path)
    assert transport.read((), ()).items == {}
    told(transport, made())
    assert json.loads(other.serialize()) in bundle(tmp_path)["objects"]


def test_an_edit_by_hand_is_drift(tmp_path: Path) -> None:
    """A pattern or a time that someone changed shows as such, and is no error."""
    transport = sharing(tmp_path)
    told(transport, made(), made("domain"))
    path = tmp_path / BUNDLE
    text = path.read_text(encoding="utf-8")
    text = text.replace("[ipv4-addr:value = '203.0.113.7']", "[x:y = 'z' AND x:y = 'w']").replace(
        '"count": 3', '"count": 4', 1
    )
    path.write_text(text, encoding="utf-8")
    names = {item.name for item in transport.read((), ()).items.values()}
    assert names == {"domain evil.example", "pattern [x:y = 'z' AND x:y = 'w']"}
    transport.delete(transport.read((), ()).items["indicator", "pattern [x:y = 'z' AND x:y = 'w']"])
    transport.save(deployment(2))
    assert len(transport.read((), ()).items) == 1


def test_hostile_lists_arrive(tmp_path: Path) -> None:
    """A bundle of hostile user agents is read back as it was told, and each pattern says one thing."""
    agents = [made("user_agent", text, description=text) for text in hostile_texts(fit=an_agent)]
    told(sharing(tmp_path), *agents)
    live = sharing(tmp_path).read((), ()).items
    assert {one.name: one.body for one in live.values()} == {one.name: one.model_dump(mode="json") for one in agents}
    for one in agents:
        parsed = create_pattern_object(pattern_of(one))
        assert parsed.operand.rhs.value == one.value.replace("\\", "\\\\").replace("'", "\\'")


@given(hostile)
def test_a_hostile_value_stays_a_value(text: str) -> None:
    """A pattern holds the whole text as one literal: stix2's own parser reads it back, and so do we."""
    pattern = pattern_of(made("user_agent", text))
    assert value_of(pattern) == ("user_agent", text)
    parsed = create_pattern_object(pattern)
    assert parsed.operand.rhs.value == text.replace("\\", "\\\\").replace("'", "\\'")
    assert type(parsed.operand).__name__ == "EqualityComparisonExpression"


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    """A file in the bundle's place that is none is never overwritten."""
    (tmp_path / BUNDLE).write_text('{"objects": [{"id": 1}]}', encoding="utf-8")
    with pytest.raises(DataError, match="no STIX bundle"):
        sharing(tmp_path).read((), ())
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match="file"):
        told(sharing(tmp_path / "file" / "below"), made())


def test_it_takes_indicators_alone(tmp_path: Path) -> None:
    """A table, or an item that is no indicator, is refused by name."""
    transport = sharing(tmp_path)
    table = Table("keytrip_keys", ("key_id",), {"key_id": "VARCHAR"}, 0, "", lambda: iter(()))
    with pytest.raises(ContentError, match="keytrip_keys: this destination takes indicators"):
        transport.stage(table, 1, lambda _: None)
    with pytest.raises(ContentError, match="'x' is no indicator"):
        transport.create(Item("indicator", "x", {"kind": "ipv4"}))


def test_destroy_revokes_and_forgets(tmp_path: Path) -> None:
    """After it, nothing is told any more, and the records are gone."""
    transport = sharing(tmp_path)
    told(transport, made())
    for item in transport.read((), ()).items.values():
        transport.delete(item)
    transport.wipe()
    assert transport.read((), ()) == type(transport.read((), ()))({}, {}, frozenset(), ())
    assert not (tmp_path / "records").exists()


def test_one_holds_the_lock(tmp_path: Path) -> None:
    """A second holder is told who holds it, and takes it over only when it says that one is dead."""
    records = Records(tmp_path / "records")
    one, two = Holder("t1", "a@x", 1, 0), Holder("t2", "b@y", 2, 0)
    assert records.lock(one) is None
    assert records.lock(two) == one
    assert records.beat(Holder("t1", "a@x", 1, 1))
    assert records.lock(two, dead=one) == Holder("t1", "a@x", 1, 1)
    assert records.lock(two, dead=Holder("t1", "a@x", 1, 1)) is None
    assert not records.beat(one)
    records.unlock(one)
    assert records.lock(one) == two
    records.unlock(two)
    assert records.lock(one) is None


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    """A record of another form is named, not passed over."""
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/1.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="deployment record is none of ours"):
        Records(tmp_path).deployments()


def test_the_folder_of_a_connection_is_used(tmp_path: Path) -> None:
    """The transport writes below the address, under the identity that the option says."""
    connection = Connection(str(tmp_path), options={"identity": "Example"})
    told(open_transport(connection, MANIFEST), made())
    assert of_type(tmp_path, "identity")[0]["name"] == "Example"
    assert [finding.found for finding in diagnose(connection, MANIFEST)] == [f"1 indicators in {tmp_path / BUNDLE}"]


def test_a_body_has_one_form() -> None:
    """Bodies that mean the same are the same to a plan."""
    body = made().model_dump(mode="json")
    assert KINDS["indicator"].normal({**body, "first_seen": "2026-04-01T04:11:09.123+02:00"}) == body
