"""Saved searches and macros in Splunk, against the stub of splunkd."""

from __future__ import annotations

import pytest
from stubs.https import Answer
from stubs.splunk import User

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Item, LiveItem
from keytrip.export.splunk.kinds import kinds_for

from .conftest import Start, transport_of
from .made import deployment, macro, search

KINDS = kinds_for(enterprise_security=True)


def _same(item: Item, live: LiveItem) -> bool:
    normal = KINDS[item.kind].normal
    kept = KINDS[item.kind].kept
    ours, theirs = normal(item.body), normal(live.body)
    return all(ours[name] == theirs[name] for name in ours if name not in kept)


def test_what_was_created_is_read_back_without_a_change(start: Start) -> None:
    """Defaults that the server fills in, booleans as 1, numbers as JSON numbers: none of it is a change."""
    transport = transport_of(start(), enterprise_security="true")
    security = {
        "action__notable": "1",
        "action__risk__param___risk": '[{"risk_score": 50, "risk_object_field": "key_id"}]',
    }
    items = [macro(), search(**security)]
    for item in items:
        transport.create(item)
    live = transport.read([(i.kind, i.name) for i in items], []).items
    assert len(live) == 2
    for item in items:
        assert live[item.kind, item.name].ours
        assert _same(item, live[item.kind, item.name])


def test_names_of_the_api_are_those_of_the_conf_file(start: Start) -> None:
    """`enableSched` is `is_scheduled` in the API, and back; so with what the alert counts."""
    stub = start()
    transport = transport_of(stub)
    transport.create(search())
    held = stub.objects["searches"]["keytrip", search().name]
    assert held.values["is_scheduled"] == "1"
    assert held.values["alert_comparator"] == "greater than"
    (live,) = transport.read([], []).items.values()
    assert live.body["enableSched"] is True
    assert (held.sharing, held.owner) == ("app", "nobody")


def test_access_is_set_as_the_options_say(start: Start) -> None:
    """Sharing and roles come in a request of their own after the object is made."""
    stub = start()
    transport = transport_of(stub, sharing="global", read_roles="soc,admin", write_roles="detection")
    transport.create(search())
    held = stub.objects["searches"]["keytrip", search().name]
    assert (held.sharing, held.read, held.write) == ("global", "soc,admin", "detection")


def test_an_object_of_someone_else_is_not_ours(start: Start) -> None:
    """Without our mark it is told as someone else's, and creating over it is refused."""
    stub = start()
    transport = transport_of(stub)
    transport.create(search())
    held = stub.objects["searches"]["keytrip", search().name]
    del held.values["action.keytrip.version"]
    live = transport.read([("saved_search", search().name)], []).items["saved_search", search().name]
    assert not live.ours
    assert transport.read([], []).items == {}
    with pytest.raises(SystemRefusedError, match="already exists"):
        transport.create(search())


def test_a_create_whose_answer_was_lost_is_no_error(start: Start) -> None:
    """The request is sent again, the server says that it is there, it is ours: so it is written once more."""
    stub = start()
    stub.faults.empty_every = 2
    transport_of(stub).create(macro())
    transport_of(stub).create(search())
    assert stub.objects["searches"]["keytrip", search().name].sharing == "app"


def test_more_than_a_page_of_objects_is_read(start: Start) -> None:
    """Splunk returns 30 objects unless it is asked for all."""
    transport = transport_of(start())
    for number in range(40):
        transport.create(macro(f"rule_{number}_filter"))
    assert len(transport.read([], []).items) == 40


def test_the_users_settings_stay(start: Start) -> None:
    """Switched on, on another schedule, with an own mail action: an update of the search leaves all of it."""
    stub = start()
    transport = transport_of(stub)
    transport.create(search())
    transport.save(deployment(1, search()))
    transport.save(deployment(2, search(dispatch__earliest_time="-9h"), state="applying"))
    held = stub.objects["searches"]["keytrip", search().name]
    held.values |= {"disabled": "0", "cron_schedule": "7 * * * *", "action.email": "1", "action.email.to": "soc@x"}
    changed = search(search="index=keytrip", dispatch__earliest_time="-3h", action__keytrip__version=2)
    live = transport.read([], []).items["saved_search", search().name]
    transport.update(changed, live)
    assert held.values["disabled"] == "0"
    assert held.values["cron_schedule"] == "7 * * * *"
    assert held.values["action.email.to"] == "soc@x"
    assert held.values["search"] == "index=keytrip"
    assert held.values["dispatch.earliest_time"] == "-3h", "nobody had edited it, so it follows the rule"
    assert held.values["action.keytrip.version"] == "2"


def test_the_users_filter_stays(start: Start) -> None:
    """A macro's definition is the user's after it was made."""
    stub = start()
    transport = transport_of(stub)
    transport.create(macro())
    transport.save(deployment(1, macro()))
    stub.objects["macros"]["keytrip", macro().name].values["definition"] = 'where key_id != "batch"'
    live = transport.read([], []).items["macro", macro().name]
    assert _same(macro(), live)
    transport.update(macro(), live)
    assert stub.objects["macros"]["keytrip", macro().name].values["definition"] == 'where key_id != "batch"'


def test_a_parameter_follows_the_rule_until_somebody_changes_it(start: Start) -> None:
    """A pack's number arrives where nobody set another; a user's stays, and the macro says the default."""

    def parameter(number: str) -> Item:
        text = f"Managed by keytrip. key_cost - Rule: floor, {number} unless you say otherwise. Why."
        return Item("macro", "key_cost_floor", {"definition": number, "description": text, "iseval": "0"})

    stub = start()
    transport = transport_of(stub)
    transport.create(parameter("5"))
    transport.save(deployment(1, parameter("5")))
    held = stub.objects["macros"]["keytrip", "key_cost_floor"].values
    live = transport.read([], []).items["macro", "key_cost_floor"]
    assert _same(parameter("5"), live)
    assert not _same(parameter("7.5"), live)
    transport.update(parameter("7.5"), live)
    assert held["definition"] == "7.5"
    held["definition"] = "100"
    transport.update(parameter("9"), transport.read([], []).items["macro", "key_cost_floor"])
    assert held["definition"] == "100"
    assert ", 9 unless" in held["description"]


def test_an_update_over_a_change_in_between_is_refused(start: Start) -> None:
    """What changed after it was read is not written over."""
    stub = start()
    transport = transport_of(stub)
    transport.create(search())
    live = transport.read([], []).items["saved_search", search().name]
    stub.objects["searches"]["keytrip", search().name].values["description"] = "mine"
    with pytest.raises(SystemRefusedError, match="someone changed it"):
        transport.update(search(description="new"), live)
    transport.delete(live)
    transport.delete(live)
    with pytest.raises(SystemRefusedError, match="someone changed it"):
        transport.update(search(description="new"), live)


@pytest.mark.parametrize("name", ["a/b", "a]b", "x" * 100, "a\nb", " a", ""])
def test_names_that_mean_something_else_are_refused(start: Start, name: str) -> None:
    """By name, and before anything is written."""
    stub = start()
    with pytest.raises(SystemRefusedError, match="is no name"):
        transport_of(stub).read([("saved_search", name)], [])
    with pytest.raises(SystemRefusedError, match="is no name"):
        transport_of(stub).create(macro(name + "`"))
    assert not stub.objects.get("macros")


def test_without_enterprise_security_its_actions_are_the_users(start: Start) -> None:
    """A notable that a user added is no difference, and an edited one of ours is."""
    body = {**search().body, "action.notable.param.severity": "high"}
    plain = kinds_for(enterprise_security=False)["saved_search"].normal
    assert plain(body) == plain(search().body)
    assert KINDS["saved_search"].normal(body) != KINDS["saved_search"].normal(search().body)


def test_line_ends_and_key_order_are_no_change() -> None:
    """Splunk Web ends lines its own way; JSON is compared as JSON."""
    normal = KINDS["saved_search"].normal
    one = search(search="a  \r\n| b", action__notable__param__drilldown_searches='[{"a": 1, "b": 2}]').body
    two = search(search="a\n| b\n", action__notable__param__drilldown_searches='[{"b":2,"a":1}]').body
    assert normal(one) == normal(two)
    assert normal(search(action__correlationsearch__annotations="no JSON").body)


def test_a_search_that_splunk_cannot_parse_is_refused(start: Start) -> None:
    """Splunk would store it. With the macro that it names it is fine; so it is where no parser may be asked."""
    stub = start()
    transport = transport_of(stub)
    bad = search(search="index=keytrip\n| `key_unknown_model_filter`")
    with pytest.raises(SystemRefusedError, match=r"cannot parse it: .*cannot be found"):
        transport.create(bad)
    transport.create(macro())
    transport.create(bad)
    live = transport.read([], []).items["saved_search", bad.name]
    with pytest.raises(SystemRefusedError, match="Unbalanced"):
        transport.update(search(search='index="keytrip'), live)
    allowed = start(user=User("engineer", "token", capabilities=frozenset()))
    transport_of(allowed).create(bad)
    assert allowed.objects["searches"]


def test_a_server_that_does_not_answer_stops_the_check_too(start: Start) -> None:
    """Nothing is stored that could not be looked at."""
    stub = start()
    stub.faults.storm += [Answer(503)] * 6
    with pytest.raises(SystemRefusedError, match="503"):
        transport_of(stub).create(search())
    assert not stub.objects


def test_enterprise_security_can_come_later(start: Start) -> None:
    """Its actions are switched on by the update that brings them, unless the user did something with them before."""
    stub = start()
    transport_of(stub).create(search())
    transport_of(stub).save(deployment(1, search()))
    held = stub.objects["searches"]["keytrip", search().name]
    held.values |= {"action.notable": "0", "action.risk": "1"}
    later = search(action__notable="1", action__risk="0", action__notable__param__severity="high")
    transport = transport_of(stub, enterprise_security="true")
    transport.update(later, transport.read([], []).items["saved_search", search().name])
    assert (held.values["action.notable"], held.values["action.risk"]) == ("1", "1")
