"""Splunk as a destination: KV store collections in generations, lookup definitions that lead to them, and items."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from keytrip.errors import SystemRefusedError
from keytrip.export.model import (
    Deployment,
    Generation,
    Holder,
    Item,
    Kind,
    Live,
    LiveItem,
    Progress,
    Row,
    RowChange,
    Table,
)
from keytrip.export.rows import row_change
from keytrip.export.splunk import indicators, kv, objects, records
from keytrip.export.splunk import lookups as lookups_of
from keytrip.export.splunk.client import Client, SplunkRefusedError
from keytrip.export.splunk.kinds import kinds_for, untouched
from keytrip.export.splunk.rows import collection_settings, documents, row_digest, row_document
from keytrip.export.tables import row_identity

_OURS = re.compile(r"[0-9a-f]{32}")
_COLLECTION = re.compile(r"(keytrip_.+)_g([1-9][0-9]*)")


def collection_name(table: str, number: int) -> str:
    """Return the collection of a table's generation."""
    return f"{table}_g{number}"


class SplunkTransport:
    """Reads and writes one app of one Splunk (`keytrip.export.model.Transport`)."""

    def __init__(self, client: Client, options: Mapping[str, str]) -> None:
        made = kinds_for(enterprise_security=is_on(options.get("enterprise_security", "")))
        self.kinds: Mapping[str, Kind] = {one.name: one for one in (indicators.KIND, lookups_of.KIND)} | made
        self._client = client
        self._access = {
            "sharing": options.get("sharing") or "app",
            "perms.read": options.get("read_roles") or "*",
            "perms.write": options.get("write_roles") or "admin",
        }
        self._copies = is_on(options.get("copy_inside", "true"))
        self._replicate = is_on(options.get("replicate", ""))
        self._limits: kv.Limits | None = None

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what is there."""
        client, wanted = self._client, set(items)
        for kind, name in wanted:
            objects.check_name(kind, name)
        collections = kv.list_collections(client)
        known = records.COLLECTION in collections
        deployments = records.read_deployments(client) if known else ()
        generations = dict(filter(None, map(_generation, collections)))
        whole = records.read_generations(client) if known else {}
        fields = objects.list_lookups(client)
        lookups = {name: collection for name, (collection, _) in fields.items()}
        live = {name: self._seen(one) for name, one in _live_tables(lookups, generations, whole).items()}
        theirs = [name for name in tables if name in lookups and name not in live]
        strangers = {("table", n): LiveItem("table", n, {"collection": lookups[n]}, ours=False) for n in theirs}
        own = lookups_of.read_lookups(fields, {name for kind, name in wanted if kind == lookups_of.KIND.name})
        filled = {(one.kind, one.name): one for one in own}
        return Live(
            items={**dict(self._items(wanted)), **strangers, **self._list(collections, lookups), **filled},
            tables=live,
            generations=frozenset(generations.values()),
            deployments=deployments,
        )

    def _seen(self, generation: Generation) -> Generation:
        """Return a live generation with the rows that are there now, so that a table which someone emptied is seen."""
        count = kv.count_all(self._client, collection_name(generation.table, generation.number))
        digest = generation.digest if count == generation.count else ""
        return replace(generation, count=count, digest=digest)

    def _list(self, collections: list[str], lookups: Mapping[str, str]) -> dict[tuple[str, str], LiveItem]:
        found = indicators.read_list(self._client, collections, lookups)
        return {(found.kind, found.name): found} if found else {}

    def _items(self, wanted: set[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], LiveItem]]:
        for name in objects.PATHS:
            kind = self.kinds[name]
            for live in objects.list_objects(self._client, kind):
                identity = (name, live.name)
                if live.ours or identity in wanted:
                    yield identity, live

    def create(self, item: Item) -> None:
        """Make an item; a search that Splunk cannot parse is refused before."""
        if item.kind == indicators.KIND.name:
            indicators.write_list(self._client, item, self._access)
            return
        if item.kind == lookups_of.KIND.name:
            lookups_of.write_lookup(self._client, item, self._access, anew=False)
            return
        objects.check_search(self._client, item)
        objects.create_object(self._client, self.kinds[item.kind], item, self._access)

    def update(self, item: Item, live: LiveItem) -> None:
        """Write the fields of `item`; those that are the user's only where the user left them as we wrote them."""
        kind = self.kinds[item.kind]
        if kind is indicators.KIND:
            indicators.write_list(self._client, item, self._access)
            return
        if kind is lookups_of.KIND:
            lookups_of.write_lookup(self._client, item, self._access, anew=True)
            return
        now = objects.find_object(self._client, kind, item.name)
        if now is None or now.lock != live.lock:
            hint = "make the plan anew"
            raise SystemRefusedError(f"{item.name}: someone changed it since it was read", hint=hint)
        objects.check_search(self._client, item)
        fields = {name: value for name, value in item.body.items() if name not in kind.kept}
        fields |= untouched(kind, now.body, item.body)
        objects.write_object(self._client, item.kind, item.name, fields)

    def delete(self, live: LiveItem) -> None:
        """Remove an item of ours."""
        if live.kind == indicators.KIND.name:
            indicators.drop_list(self._client)
            return
        if live.kind == lookups_of.KIND.name:
            lookups_of.drop_lookup(self._client, live.name)
            return
        objects.delete_object(self._client, live.kind, live.name)

    def row_id(self, table: Table, row: Row) -> str:
        """Return a row's `_key`."""
        return row_identity(table.key, row)

    def row_digests(self, table: Table, generation: int) -> Iterator[tuple[str, str]]:
        """Yield (`_key`, digest) of every row of a generation."""
        for page in kv.pages(self._client, collection_name(table.name, generation)):
            for document in page:
                yield _identity(document["_key"]), row_digest(document)

    def row_digest(self, table: Table, row: Row) -> str:
        """Return the digest of a row as the KV store will hold it."""
        return row_digest(row_document(table, row))

    def stage(self, table: Table, number: int, progress: Progress) -> int:
        """Write a generation whole; return how many rows are in it."""
        name = self._empty(table, number)
        self._save(name, documents(table, table.rows()), progress)
        return self._counted(table, number)

    def copy(self, table: Table, number: int, source: int, change: RowChange, progress: Progress) -> int | None:
        """Copy a generation by a search, then send what differs.

        A search turns numbers into text and back, perhaps with fewer digits, and may be cut short. So the copy is read
        and compared; rows that suffered are sent, and a copy of which too many did is none.
        """
        del change  # it compares with the source
        if not self._copies:
            return None
        name = self._empty(table, number)
        if not self._search_copy(table, source, number):
            return None
        counts, differs = row_change(table, number, self)
        if differs is None and counts:
            return None
        if differs is not None:
            self._save(name, documents(table, (row for _, row in differs.put)), progress)
            kv.delete_keys(self._client, name, differs.gone)
        count = self._counted(table, number)
        # a row that someone put there by hand, under a key of his own, went along
        return count if count == table.count else None

    def _search_copy(self, table: Table, source: int, number: int) -> bool:
        """Copy by a search, over lookup definitions of the two collections; whether it could be."""
        ends = [collection_name(table.name, n) for n in (source, number)]
        try:
            for end in ends:
                objects.write_lookup(self._client, end, table, end, self._access)
            search = f"| inputlookup {ends[0]} | outputlookup key_field=_key {ends[1]}"
            form = {"search": search, "exec_mode": "oneshot", "count": "0"}
            reply = self._client.post("search", "jobs", form=form)
        except SplunkRefusedError as error:
            if error.status in {400, 403, 404}:
                return False
            raise
        finally:
            for end in ends:
                objects.drop_lookup(self._client, end)
        return not any(m.get("type") in {"ERROR", "FATAL"} for m in reply.get("messages", ()))

    def _empty(self, table: Table, number: int) -> str:
        name = collection_name(table.name, number)
        records.ensure_records(self._client)
        records.forget_generation(self._client, table.name, number)
        kv.make_collection(self._client, name, collection_settings(table, replicate=self._replicate))
        return name

    def _save(self, name: str, texts: Iterable[bytes], progress: Progress) -> None:
        if self._limits is None:
            self._limits = kv.read_limits(self._client)
        self._limits = kv.save_all(self._client, name, texts, self._limits, progress)

    def _counted(self, table: Table, number: int) -> int:
        count = kv.count_all(self._client, collection_name(table.name, number))
        if count == table.count:
            generation = Generation(table.name, number, count, table.digest)
            records.remember_generation(self._client, generation)
        return count

    def switch(self, generations: Sequence[tuple[Table, int]]) -> None:
        """Let each lookup lead to a generation: one request a lookup, so each at once."""
        for table, number in generations:
            name = collection_name(table.name, number)
            objects.write_lookup(self._client, table.name, table, name, self._access)

    def drop(self, table: str, number: int) -> None:
        """Remove a generation."""
        records.forget_generation(self._client, table, number)
        kv.drop_collection(self._client, collection_name(table, number))

    def forget(self, table: str) -> None:
        """Remove a lookup definition."""
        objects.drop_lookup(self._client, table)

    def save(self, deployment: Deployment) -> None:
        """Write a deployment record; with a finished one go the definitions that a copy which was killed left."""
        records.ensure_records(self._client)
        if deployment.state == "done":
            for name in filter(_COLLECTION.fullmatch, objects.list_lookups(self._client)):
                objects.drop_lookup(self._client, name)
        records.save_deployment(self._client, deployment)

    def wipe(self) -> None:
        """Remove the records and the lock."""
        records.wipe_records(self._client)

    def lock(self, holder: Holder, dead: Holder | None = None) -> Holder | None:
        """Take the lock; return who holds it instead."""
        return records.take_lock(self._client, holder, dead)

    def beat(self, holder: Holder) -> bool:
        """Write the holder's beat."""
        return records.beat_lock(self._client, holder)

    def unlock(self, holder: Holder) -> None:
        """Let go of the lock."""
        records.release_lock(self._client, holder)


def is_on(text: str) -> bool:
    """Whether an option says yes."""
    return text.lower() in {"1", "true", "yes", "on"}


def _identity(key: str) -> str:
    """Return a key of ours, or of another's row something of the same form that none of ours has."""
    return key if _OURS.fullmatch(key) else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _generation(collection: str) -> tuple[str, tuple[str, int]] | None:
    match = _COLLECTION.fullmatch(collection)
    return (collection, (match[1], int(match[2]))) if match else None


def _live_tables(
    lookups: Mapping[str, str],
    generations: Mapping[str, tuple[str, int]],
    whole: Mapping[tuple[str, int], Generation],
) -> dict[str, Generation]:
    """Return the generation that each lookup of ours leads to."""
    found = {}
    for name, collection in lookups.items():
        generation = generations.get(collection)
        if generation is not None and generation[0] == name:
            found[name] = whole.get(generation, Generation(*generation, 0, ""))
    return found
