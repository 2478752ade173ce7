"""The demo's logs: the same bytes each time, one company's ordinary month, and four thefts that stand out of it."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from demo.month import Month
from genai_prices import Usage, calc_price

from keytrip.demo import world
from keytrip.demo.company import company
from keytrip.demo.profiles import Model
from keytrip.demo.thefts import Theft
from keytrip.demo.traffic import LAST_DAY, write_logs
from keytrip.errors import SystemRefusedError

pytestmark = pytest.mark.xdist_group("month")
# What the default call writes. It changes with every change of the company or its thieves, and with nothing else.
DIGEST = "1e5717db9b4a9a17a2dc47e23896ac2846ca47f3fe1d76ae3b9b4cf3e3b8280b"

STANDS_OUT = {
    "resale": {"requests", "tokens", "cost", "network", "hours"},
    "premium_model": {"cost", "model", "price"},
    "off_hours": {"network", "hours"},
    "long_prompts": {"tokens", "cost"},
}
Record = dict[str, Any]


@dataclass
class Day:
    """What one key did on one day."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    price: float = 0.0


@dataclass
class Key:
    """What one key did in the month: days by date, its habits before the last day, and the records of that."""

    days: dict[date, Day] = field(default_factory=lambda: defaultdict(Day))
    models: set[str] = field(default_factory=set)
    raw_models: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    hours: set[int] = field(default_factory=set)
    last: list[Record] = field(default_factory=list)


@dataclass(frozen=True)
class Logs:
    """The files of one run, what was stolen, all records, and the records key by key."""

    folder: Path
    stolen: list[Theft]
    records: list[Record]
    keys: dict[str, Key]


def records(folder: Path) -> Iterator[Record]:
    """Yield every record, in the order of the files and their lines."""
    for path in sorted(folder.iterdir()):
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def digest(folder: Path) -> str:
    """Return the SHA-256 of all files, one after the other."""
    return sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


def moment(record: Record) -> datetime:
    """Return when the call was made (UTC)."""
    return datetime.fromtimestamp(record["startTime"], UTC)


def family(record: Record) -> str:
    """Return the model without provider and date."""
    return re.sub(r"-(\d{4}-\d\d-\d\d|\d{8})$", "", record["model"].partition("/")[2])


def network(record: Record) -> str:
    """Return the /24 or /48 that the call came from."""
    address = record["requester_ip_address"]
    return str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))


def hour_of_week(record: Record) -> int:
    """Return 0 to 167; Monday 00:00 UTC is 0."""
    return moment(record).weekday() * 24 + moment(record).hour


def models() -> dict[str, Model]:
    """Return the models of the company and its thieves, by the name in a record."""
    return {f"{model.provider}/{model.name}": model for model in vars(world).values() if isinstance(model, Model)}


def by_key(all_records: Iterable[Record]) -> dict[str, Key]:
    """Return what each key did, and how it used to, by key id."""
    keys: dict[str, Key] = defaultdict(Key)
    prices = {name: model.output_price for name, model in models().items()}
    for record in all_records:
        key = keys[record["metadata"]["user_api_key_hash"]]
        day = key.days[moment(record).date()]
        day.requests += 1
        day.tokens += record["total_tokens"]
        day.cost += record["response_cost"]
        day.price = max(day.price, prices[record["model"]])
        if moment(record).date() == LAST_DAY:
            key.last.append(record)
            continue
        key.models.add(family(record))
        key.raw_models.add(record["model"])
        key.networks.add(network(record))
        key.addresses.add(record["requester_ip_address"])
        key.agents.add(record["user_agent"])
        key.hours.add(hour_of_week(record))
    return dict(keys)


def far_above(key: Key, measure: str) -> bool:
    """Return whether the last day's measure is beyond median + 6 MAD of the days before."""
    past = [getattr(day, measure) for when, day in key.days.items() if when < LAST_DAY]
    usual = median(past)
    spread = median(abs(value - usual) for value in past)
    return bool(getattr(key.days[LAST_DAY], measure) > usual + 6 * spread)


def stands_out(key: Key) -> set[str]:
    """Return how the key's last day differs from its past, by the measures of the rules, without their floors."""
    if not key.last:
        return set()
    found = {measure for measure in ("requests", "tokens", "cost") if far_above(key, measure)}
    usual_price = median(day.price for when, day in key.days.items() if when < LAST_DAY)
    new_hours = sum(hour_of_week(record) not in key.hours for record in key.last) / len(key.last)
    facts = {
        "price": usual_price > 0 and key.days[LAST_DAY].price >= 5 * usual_price,
        "model": any(family(record) not in key.models for record in key.last),
        "network": any(network(record) not in key.networks for record in key.last),
        "hours": new_hours >= 0.4,
    }
    return found | {name for name, true in facts.items() if true}


@pytest.fixture(scope="module")
def logs(month: Month) -> Logs:
    """Return the logs that the default call writes, key by key."""
    every = list(records(month.folder))
    return Logs(month.folder, month.stolen, every, by_key(every))


def test_the_bytes_are_the_same_each_time_and_everywhere(logs: Logs) -> None:
    """Every run gives the bytes that every Python and system gives."""
    assert digest(logs.folder) == DIGEST


def test_there_is_a_month_of_60_keys(logs: Logs) -> None:
    """31 files, one a day, hold 60 keys and between 60,000 and 90,000 records, no two of one id."""
    names = sorted(path.name for path in logs.folder.iterdir())
    ids = [record["id"] for record in logs.records]
    assert (len(names), names[0], names[-1]) == (31, "litellm-2026-10-20.ndjson", "litellm-2026-11-19.ndjson")
    assert len(logs.keys) == len(company()) == 60
    assert 60_000 <= len(ids) == len(set(ids)) <= 90_000


def test_a_file_holds_its_utc_day_in_order(logs: Logs) -> None:
    """Every record lies on the UTC day that its file is named after, and none before the one above it."""
    for path in logs.folder.iterdir():
        lines = path.read_bytes().split(b"\n")
        times = [moment(json.loads(line)) for line in lines[:-1]]
        assert times == sorted(times)
        assert {f"litellm-{time.date()}.ndjson" for time in times} == {path.name}
        assert lines[-1] == b""


def test_a_record_is_a_litellm_payload(logs: Logs) -> None:
    """Every record has the members that LiteLLM's StandardLoggingPayload has for it, and no message bodies."""
    metadata = {"key_hash", "key_alias", "key_team_id", "key_user_id", "key_request_route"}
    for record in logs.records:
        assert {f"user_api_{name}" for name in metadata} < set(record["metadata"])
        assert record["metadata"]["requester_ip_address"] == record["requester_ip_address"]
        assert record["metadata"]["user_agent"] == record["user_agent"]
        assert record["metadata"]["usage_object"]["total_tokens"] == record["total_tokens"]
        assert record["total_tokens"] == record["prompt_tokens"] + record["completion_tokens"]
        assert record["endTime"] > record["startTime"]
        assert record["call_type"] in {"acompletion", "aembedding"}
        assert record.keys().isdisjoint({"messages", "response"})


def test_failures_are_few_and_cost_nothing(logs: Logs) -> None:
    """Less than one call in a hundred fails, as 429 or 500 in a string, without tokens or cost."""
    failed = [record for record in logs.records if record["status"] == "failure"]
    assert {record["error_information"]["error_code"] for record in failed} == {"429", "500"}
    assert {record["total_tokens"] + record["response_cost"] for record in failed} == {0}
    assert 0 < len(failed) < 0.01 * sum(day.requests for key in logs.keys.values() for day in key.days.values())


def test_costs_are_tokens_times_list_price(logs: Logs) -> None:
    """A call's cost is what genai-prices asks for its tokens on that day."""
    seen: dict[str, Record] = {}
    for record in logs.records:
        if record["status"] == "success":
            seen[record["model"]] = record
    assert set(seen) == set(models())
    for record in seen.values():
        details = record["metadata"]["usage_object"]["prompt_tokens_details"] or {"cached_tokens": 0}
        usage = Usage(
            input_tokens=record["prompt_tokens"],
            cache_read_tokens=details["cached_tokens"],
            output_tokens=record["completion_tokens"],
        )
        provider, _, name = record["model"].partition("/")
        maker = {"gemini": "google"}.get(provider, provider)
        price = calc_price(usage, name, provider_id=maker, genai_request_timestamp=moment(record))
        assert record["response_cost"] == pytest.approx(float(price.total_price), abs=1e-9), record["model"]


@pytest.mark.parametrize("kind", sorted(STANDS_OUT))
def test_a_theft_stands_out_by_its_own_facts(logs: Logs, kind: str) -> None:
    """The stolen key's last day differs from its past by the facts of that kind of theft, and by no other."""
    (theft,) = (theft for theft in logs.stolen if theft.kind == kind)
    assert stands_out(logs.keys[theft.key_id]) == STANDS_OUT[kind]
    assert {record["metadata"]["user_api_key_alias"] for record in logs.keys[theft.key_id].last} == {theft.alias}


def test_four_keys_are_stolen_and_no_other_stands_out(logs: Logs) -> None:
    """There are four thefts of four keys, and the last day of every other key is an ordinary one."""
    stolen = {theft.key_id for theft in logs.stolen}
    assert {theft.kind for theft in logs.stolen} == set(STANDS_OUT)
    assert {key_id for key_id, key in logs.keys.items() if stands_out(key)} == stolen
    assert len(stolen) == 4


def test_every_key_of_the_last_day_has_a_past(logs: Logs) -> None:
    """No key begins on the last day, though one began in the middle of the month and another ended there."""
    begin = [min(key.days) for key in logs.keys.values()]
    end = [max(key.days) for key in logs.keys.values()]
    assert date(2026, 11, 7) in begin
    assert date(2026, 11, 6) in end
    assert max(begin) <= date(2026, 11, 10)


def test_the_company_spends_as_usual(logs: Logs) -> None:
    """On no day, thefts included, does the company spend 75 USD, nor a provider's last day cost 1.5 times the usual."""
    spent: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for record in logs.records:
        spent[record["custom_llm_provider"]][moment(record).date()] += record["response_cost"]
    for days in spent.values():
        past = [cost for when, cost in days.items() if when < LAST_DAY]
        assert days[LAST_DAY] < 1.5 * min(mean(past), median(past))
    assert max(sum(days[when] for days in spent.values()) for when in spent["openai"]) < 75


def test_ordinary_news_of_the_last_day_is_there(logs: Logs) -> None:
    """The traps are set: on the last day, keys not stolen bring new snapshots, client versions and addresses."""
    stolen = {theft.key_id for theft in logs.stolen}
    honest = [key for key_id, key in logs.keys.items() if key_id not in stolen]
    assert sum(any(r["model"] not in key.raw_models for r in key.last) for key in honest) >= 4
    assert sum(any(r["user_agent"] not in key.agents for r in key.last) for key in honest) >= 2
    assert sum(any(r["requester_ip_address"] not in key.addresses for r in key.last) for key in honest) >= 10


def test_offices_rest_at_weekends_and_services_do_not(logs: Logs) -> None:
    """A person's key does less than a tenth on a Sunday of what it does on a Wednesday, a service's over half."""
    ids = {profile.alias: profile.key_id for profile in company()}
    wednesday, sunday = date(2026, 11, 11), date(2026, 11, 15)
    person, service = (logs.keys[ids[alias]].days for alias in ("lena.vogt", "support-chat"))
    assert person[sunday].requests < 0.1 * person[wednesday].requests
    assert service[sunday].requests > 0.5 * service[wednesday].requests


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where a file is in the way, the error says which folder, and to name another."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(SystemRefusedError, match=r"taken: cannot write the demo's logs .*; name another folder"):
        write_logs(tmp_path / "taken")
