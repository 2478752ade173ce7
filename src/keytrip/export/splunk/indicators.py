"""The list of indicators in Splunk: one KV collection with a lookup definition of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from keytrip.export.model import Body, Item, Kind, LiveItem, Table
from keytrip.export.splunk import kv, objects
from keytrip.export.splunk.client import Client
from keytrip.export.tables import row_identity

NAME = "keytrip_indicators"
_KEY = ("kind", "value")
_COLUMNS = {
    "kind": "string", "value": "string", "first_seen": "string", "last_seen": "string", "count": "number",
    "confidence": "number", "tlp": "string", "description": "string", "rules": "string", "sources": "string",
}  # fmt: skip
_TABLE = Table(NAME, _KEY, _COLUMNS, 0, "", lambda: iter(()))


def _normal(body: Body) -> Body:
    """Return the indicators that count, by their keys; the revoked ones do not."""
    rows = (_document(one) for one in body.get("indicators") or () if not one.get("revoked"))
    return {"indicators": {document.pop("_key"): document for document in rows}}


KIND = Kind("indicator_list", -1, normal=_normal)


def _document(indicator: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: indicator[name] for name in _COLUMNS if indicator.get(name) is not None}
    lists = {name: ";".join(value) for name, value in values.items() if isinstance(value, list | tuple)}
    return {**values, **lists, "_key": row_identity(_KEY, indicator)}


def read_list(client: Client, collections: list[str], lookups: Mapping[str, str]) -> LiveItem | None:
    """Return the list that is there; a lookup of that name which leads elsewhere is someone else's."""
    if lookups.get(NAME, NAME) != NAME:
        return LiveItem(KIND.name, NAME, {}, ours=False)
    if NAME not in collections:
        return None
    found = [document for page in kv.pages(client, NAME) for document in page]
    # without its definition, nothing reads it: it is there to be written anew
    return LiveItem(KIND.name, NAME, {"indicators": found if NAME in lookups else []})


def write_list(client: Client, item: Item, access: Mapping[str, str]) -> None:
    """Write a list over what is there: first what is new, then what is gone goes, so that it is never empty."""
    fields = {f"field.{name}": kind for name, kind in _COLUMNS.items()}
    index = {"accelerated_fields.value": orjson.dumps({"value": 1, "kind": 1}).decode()}
    kv.ensure_collection(client, NAME, {**fields, **index, "enforceTypes": "true", "replicate": "false"})
    wanted = _normal(item.body)["indicators"]
    texts = (orjson.dumps({**document, "_key": key}) for key, document in wanted.items())
    kv.save_all(client, NAME, texts, kv.read_limits(client))
    there = [document["_key"] for page in kv.pages(client, NAME, "_key") for document in page]
    kv.delete_keys(client, NAME, [key for key in there if key not in wanted])
    objects.write_lookup(client, NAME, _TABLE, NAME, access)


def drop_list(client: Client) -> None:
    """Remove the list; no error when it is gone."""
    objects.drop_lookup(client, NAME)
    kv.drop_collection(client, NAME)
