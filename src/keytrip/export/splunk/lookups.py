"""Lookups that Splunk fills by its own searches: a KV collection with a lookup definition of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keytrip.export.model import Body, Item, Kind, LiveItem, Table
from keytrip.export.splunk import kv, objects
from keytrip.export.splunk.client import Client
from keytrip.export.splunk.rows import collection_settings

# Baseline tables lead to collections of other names, so that one of ours which leads to its own is one of these.
_SUFFIX = "_by_day"


def _normal(body: Body) -> Body:
    """Return the fields that a lookup has; the live one knows no types."""
    return {"fields": sorted({"_key", *body["columns"]})}


# before the searches that fill it and read it
KIND = Kind("lookup", -2, normal=_normal)


def read_lookups(fields: Mapping[str, tuple[str, list[str]]], wanted: set[str]) -> Iterator[LiveItem]:
    """Yield our lookups, and others' of the names that we want.

    Args:
        fields: Lookup definition of the app -> its collection and its fields.
        wanted: Names.
    """
    for name, (collection, columns) in sorted(fields.items()):
        ours = collection == name and name.startswith("keytrip_") and name.endswith(_SUFFIX)
        if ours or name in wanted:
            yield LiveItem(KIND.name, name, {"columns": dict.fromkeys(columns, "")}, ours)


def write_lookup(client: Client, item: Item, access: Mapping[str, str], *, anew: bool) -> None:
    """Make a lookup; with other fields it begins empty."""
    columns = dict(item.body["columns"])
    table = Table(item.name, tuple(item.body["key"]), columns, 0, "", lambda: iter(()))
    make = kv.make_collection if anew else kv.ensure_collection
    make(client, item.name, collection_settings(table))
    objects.write_lookup(client, item.name, table, item.name, access)


def drop_lookup(client: Client, name: str) -> None:
    """Remove a lookup with all that is in it; no error when it is gone."""
    objects.drop_lookup(client, name)
    kv.drop_collection(client, name)
