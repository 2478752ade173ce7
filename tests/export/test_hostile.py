"""Hostile texts in rules, on their way to each destination: they arrive as they are or are refused by name.

A rule has the text as its title, description, author, false positive and in all of its triage. Splunk, Kibana and the
plugins of OpenSearch are stubs, the app package and the folder are real. `KEYTRIP_HOSTILE` says how many texts.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from compile.rules import base, counted, document
from export.splunk.direct import Wire, wired
from hostile import MEGABYTE, hostile_texts
from stubs.kibana import kibana_stub
from stubs.opensearch_plugins import PluginStub, plugin_stub
from stubs.splunk import SplunkStub, User

from keytrip.compile.scheduled import scheduled_for
from keytrip.errors import ContentError
from keytrip.export.connection import Connection
from keytrip.export.credentials import Credential
from keytrip.export.desired import Desired, items_of
from keytrip.export.elastic.client import kibana_send
from keytrip.export.elastic.rules import RULE_KIND, create_rule, read_rules
from keytrip.export.engine import apply, read_plan
from keytrip.export.layout import elastic_index_template
from keytrip.export.manifest import destination_named
from keytrip.export.model import Item, Kind, LiveItem
from keytrip.export.opensearch.client import OpensearchSend
from keytrip.export.opensearch.monitors import create_monitor, read_monitors
from keytrip.export.opensearch.transport import KINDS
from keytrip.export.plan import field_changes
from keytrip.export.splunk_app import open_transport
from keytrip.export.splunk_app.conf import write_conf
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document

# What a title may have (pySigma), less its number.
TITLE = 240
BATCH = 100


@cache
def texts() -> tuple[str, ...]:
    """Return the texts; nobody writes a megabyte into a rule by hand."""
    return tuple(hostile_texts(fit=lambda text: len(text) < MEGABYTE))


def batches() -> Iterator[tuple[str, ...]]:
    """Yield them, as many at once as there are rules in a large pack."""
    return (texts()[start : start + BATCH] for start in range(0, len(texts()), BATCH))


def hostile(number: int, text: str) -> Document:
    """Return a rule with a text in every place that is for people."""
    triage = dict.fromkeys(("meaning", "false_positive"), text)
    steps = {name: [text, text] for name in ("first_questions", "next_steps", "containment")}
    about = {"title": f"{number} {text}"[:TITLE], "description": text, "author": text, "falsepositives": [text]}
    made = counted("value_sum", {"field": "cost_usd", "gt": 5})
    identity = document({"name": f"hostile_{number}"}).data["id"]
    return Document(
        {**made.data, **about, "name": f"hostile_{number}", "id": identity, "triage": {**triage, **steps}}, made.path, 1
    )


def made(destination: str, of: Iterable[str], **options: str) -> list[Item]:
    """Return the items that a destination's manifest makes of rules with these texts."""
    manifest = destination_named(destination)
    rules = [hostile(number, text) for number, text in enumerate(of)]
    found = scheduled_for(manifest.targets, rules, [*rules, base()])
    assert not [one.reason for one in found if not one.facts]
    templates = {table: elastic_index_template(table) for table in vocabulary().tables}
    given = {**manifest.options, **options}
    context = {"snapshot": 1, "window": {}, "version": "0", "options": given, "index_templates": templates}
    return items_of(manifest, context, [one.facts for one in found], [])


def one_query(queries: Iterable[str], comment: str) -> None:
    """Assert that all queries are one, but for the comments and the rules' names."""
    bare = {re.sub(r"hostile_\d+", "", re.sub(comment, "", query, flags=re.DOTALL)) for query in queries}
    assert len(bare) == 1, sorted(bare)[:3]


@pytest.mark.parametrize("security", ["true", "false"])
def test_splunk(security: str) -> None:
    """(Stub.) Saved searches and macros: what is read back is what was written, and the search is the same for all."""
    for batch in batches():
        wanted = made("splunk", batch, enterprise_security=security)
        searches = [item for item in wanted if item.kind == "saved_search"]
        one_query((item.body["search"] for item in searches), "```.*?```")
        assert len(searches) == len(batch)
        stub = SplunkStub(User("engineer", secrets.token_hex(16)))
        apply(wired(Wire(stub)), Desired(tuple(wanted)))
        assert read_plan(wired(Wire(stub)), Desired(tuple(wanted))).empty


def test_splunk_app(tmp_path: Path) -> None:
    """An app package is read back as what it should be; control characters are refused by name."""
    unseen = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
    there = open_transport(Connection(str(tmp_path)), destination_named("splunk_app"))
    for batch in batches():
        wanted = Desired(tuple(made("splunk_app", (text for text in batch if not unseen.search(text)))))
        apply(there, wanted, prune=True)
        assert read_plan(there, wanted, prune=True).empty
    refused = list(filter(unseen.search, texts()))
    for item in made("splunk_app", refused[:5]):
        if item.kind == "saved_search":
            with pytest.raises(ContentError, match="which no conf file holds"):
                apply(there, Desired((item,)))
    for text in refused:
        with pytest.raises(ContentError, match="which no conf file holds"):
            write_conf({"name": {"description": f"x{text}x"}})


def same(items: Iterable[Item], live: Mapping[str, LiveItem], kind: Kind) -> None:
    """Assert that what is there is what was to be there."""
    changed = {item.name: list(field_changes(item, live[item.name], kind)) for item in items}
    assert not {name: [one.field for one in found] for name, found in changed.items() if found}


def test_elastic(tmp_path: Path) -> None:
    """(Stub.) Detection rules of Kibana."""
    for number, batch in enumerate(batches()):
        wanted = [item for item in made("elastic", batch) if item.kind == "detection_rule"]
        one_query((item.body["query"] for item in wanted), r"//[^\n]*\n")
        with kibana_stub(tmp_path / str(number), key=os.urandom(8).hex()) as stub:
            credential = Credential("api_key", secret=stub.key)
            options = {"kibana_url": stub.url}
            send = kibana_send(Connection("https://es", credential, stub.ca_file, options=options))
            for item in wanted:
                create_rule(send, item)
            live = {one.name: one for one in read_rules(send, [item.name for item in wanted], ())}
            same(wanted, live, RULE_KIND)
            send._client.close()


def test_opensearch(tmp_path: Path) -> None:
    """(Stub.) Monitors of the Alerting plugin, whose names are the titles."""
    for batch in batches():
        wanted = [item for item in made("opensearch", batch) if item.kind == "monitor"]
        assert len({item.name for item in wanted}) == len(batch)
        with plugin_stub(tmp_path, PluginStub()) as (url, authority):
            token = Credential("bearer", "", "token", "test")
            send = OpensearchSend(Connection(url, token, ca_file=authority, timeout=60))
            for item in wanted:
                create_monitor(send, item)
            live = {one.name: one for one in read_monitors(send, [item.name for item in wanted])}
            same(wanted, live, KINDS["monitor"])
