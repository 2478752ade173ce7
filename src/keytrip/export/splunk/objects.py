"""Saved searches, macros and lookup definitions by REST."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Item, Kind, LiveItem, Table
from keytrip.export.splunk.client import Client, SplunkRefusedError
from keytrip.export.splunk.kinds import REST_NAMES, is_ours, text_of

PATHS = {"saved_search": ("saved", "searches"), "macro": ("configs", "conf-macros")}
_LOOKUPS = ("data", "transforms", "lookups")
_CONF_NAMES = {rest: conf for conf, rest in REST_NAMES.items()}
_BAD, _TAKEN, _GONE = 400, 409, 404
# An old Splunk, or a user who may not: the search is stored without having been parsed.
_NO_PARSER = frozenset({403, 404, 405})
_NEVER = "1970"
_MACRO_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
# Splunk's editors take no longer name; a slash or a bracket would end a stanza's head or a path.
_SEARCH_NAME = re.compile(r"[^\[\]/\\\x00-\x1f\x7f]{1,99}")


def check_name(kind: str, name: str) -> None:
    """Refuse a name that Splunk would take for something else.

    Raises:
        SystemRefusedError: It is one.
    """
    pattern = _SEARCH_NAME if kind == "saved_search" else _MACRO_NAME
    if not pattern.fullmatch(name) or name != name.strip():
        hint = "rename the rule: letters, digits, _ and -"
        raise SystemRefusedError(f"{name!r} is no name of a {kind.replace('_', ' ')} in Splunk", hint=hint)


def list_objects(client: Client, kind: Kind) -> Iterator[LiveItem]:
    """Yield every object of a kind that is in our app."""
    for entry in client.get(*PATHS[kind.name], query={"count": "0"})["entry"]:
        if entry["acl"]["app"] == client.app:
            yield _live(kind, entry)


def find_object(client: Client, kind: Kind, name: str) -> LiveItem | None:
    """Return an object of our app, or None."""
    try:
        entry = client.get(*PATHS[kind.name], name)["entry"][0]
    except SplunkRefusedError as error:
        if error.status != _GONE:
            raise
        return None
    return _live(kind, entry) if entry["acl"]["app"] == client.app else None


def _live(kind: Kind, entry: Mapping[str, Any]) -> LiveItem:
    content = {_CONF_NAMES.get(name, name): value for name, value in entry["content"].items() if name[:4] != "eai:"}
    # of all that Splunk shows, such as the next run, only what somebody wrote
    text = json.dumps(kind.normal(content), sort_keys=True)
    changed = str(entry.get("updated") or _NEVER)
    return LiveItem(
        kind.name,
        entry["name"],
        content,
        is_ours(kind.name, content),
        {"sha256": hashlib.sha256(text.encode()).hexdigest()},
        changed_at=None if changed.startswith(_NEVER) else changed,
    )


def create_object(client: Client, kind: Kind, item: Item, access: Mapping[str, str]) -> None:
    """Make an object, and say who may read it in a request of its own, as Splunk wants it.

    Raises:
        SystemRefusedError: There is one of that name, and it is not ours.
    """
    check_name(item.kind, item.name)
    try:
        client.post(*PATHS[item.kind], form={"name": item.name, **_form(item.body)})
    except SplunkRefusedError as error:
        if error.status != _TAKEN:
            raise
        live = find_object(client, kind, item.name)
        if live is None or not live.ours:
            raise
        write_object(client, item.kind, item.name, item.body)
    share(client, (*PATHS[item.kind], item.name), access)


def write_object(client: Client, kind: str, name: str, body: Mapping[str, Any]) -> None:
    """Write fields of an object; Splunk refuses its name among them."""
    client.post(*PATHS[kind], name, form=_form(body))


def check_search(client: Client, item: Item) -> None:
    """Have Splunk parse a search: it stores one that it could not run.

    Raises:
        SystemRefusedError: It does not parse, or names a macro that is not there.
    """
    if item.kind != "saved_search" or not client.parses:
        return
    form = {"q": f"search {text_of(item.body.get('search'))}", "parse_only": "true", "enable_lookups": "false"}
    try:
        client.post("search", "v2", "parser", form=form)
    except SplunkRefusedError as error:
        if error.status in _NO_PARSER:
            client.parses = False
        elif error.status == _BAD:
            hint = "mend the rule, or the macros that its search names"
            raise SystemRefusedError(f"{item.name}: Splunk cannot parse it: {error.text}", hint=hint) from error
        else:
            raise


def delete_object(client: Client, kind: str, name: str) -> None:
    """Remove an object; no error when it is gone."""
    client.delete(*PATHS[kind], name)


def share(client: Client, path: tuple[str, ...], access: Mapping[str, str]) -> None:
    """Set who may read and write an object."""
    client.post(*path, "acl", form={"owner": "nobody", **access})


def _form(body: Mapping[str, Any]) -> dict[str, str]:
    return {REST_NAMES.get(name, name): text_of(value) for name, value in body.items()}


def list_lookups(client: Client) -> dict[str, tuple[str, list[str]]]:
    """Return the app's lookup definitions: name -> (collection, or "" where it is of another type; fields)."""
    found = client.get(*_LOOKUPS, query={"count": "0"})["entry"]
    return {e["name"]: _lookup_of(e["content"]) for e in found if e["acl"]["app"] == client.app}


def _lookup_of(content: Mapping[str, Any]) -> tuple[str, list[str]]:
    fields = str(content.get("fields_list") or "").split(",")
    return str(content.get("collection") or ""), [name.strip() for name in fields if name.strip()]


def write_lookup(client: Client, name: str, table: Table, collection: str, access: Mapping[str, str]) -> None:
    """Let a lookup's name lead to a collection, in one request; make it if it is not there."""
    settings = {
        "external_type": "kvstore",
        "collection": collection,
        "fields_list": ", ".join(["_key", *table.columns]),
        "max_matches": "1",
        # `false` would need all texts in lower case, and identities of keys have case
        "case_sensitive_match": "1",
    }
    try:
        client.post(*_LOOKUPS, name, form=settings)
    except SplunkRefusedError as error:
        if error.status != _GONE:
            raise
        _new_lookup(client, name, settings, access)


def _new_lookup(client: Client, name: str, settings: Mapping[str, str], access: Mapping[str, str]) -> None:
    try:
        client.post(*_LOOKUPS, form={"name": name, **settings})
    except SplunkRefusedError as error:
        if error.status != _TAKEN or not client.repeated:
            raise
    share(client, (*_LOOKUPS, name), access)


def drop_lookup(client: Client, name: str) -> None:
    """Remove a lookup definition; no error when it is gone."""
    client.delete(*_LOOKUPS, name)
