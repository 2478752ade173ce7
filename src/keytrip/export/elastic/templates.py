"""Index templates of the records' data streams: with them a rule's fields exist before the first record comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keytrip.export.indices.documents import MARK
from keytrip.export.model import Body, Item, Kind, LiveItem
from keytrip.export.wire import Send, checked

TEMPLATE = "index_template"
_MISSING, _BAD = 404, 400
_DEFAULTS: dict[str, Any] = {"composed_of": [], "ignore_missing_component_templates": [], "template": {}}


def normal_template(body: Body) -> Body:
    """Return a template without what the server fills in, its flags as texts."""
    found = {name: value for name, value in body.items() if _DEFAULTS.get(name) != value}
    if "data_stream" in found:
        found["data_stream"] = {name: value for name, value in found["data_stream"].items() if value}
    return {name: _texts(value) for name, value in found.items()}


# before the tables: what rules read has to be there before the rules are
TEMPLATE_KIND = Kind(TEMPLATE, -10, normal=normal_template)


def read_templates(send: Send, names: Iterable[str]) -> Iterator[LiveItem]:
    """Yield every template of the names `keytrip-*`, and every other one of `names`."""
    for pattern in ("keytrip-*", *sorted(name for name in names if not name.startswith("keytrip-"))):
        answer = send("GET", f"/_index_template/{pattern}")
        if answer.status == _MISSING:
            continue
        for found in checked(answer, "reading the index templates")["index_templates"]:
            body = found["index_template"]
            yield LiveItem(TEMPLATE, found["name"], body, (body.get("_meta") or {}).get("managed_by") == "keytrip")


def put_template(send: Send, item: Item) -> None:
    """Make a template, or write over ours."""
    body = {**item.body, "_meta": {**item.body.get("_meta", {}), **MARK}}
    checked(send("PUT", f"/_index_template/{item.name}", body), f"writing index template {item.name}")


def delete_template(send: Send, live: LiveItem) -> None:
    """Remove a template; one that a data stream uses stays, as the records in it do: they are the user's."""
    answer = send("DELETE", f"/_index_template/{live.name}")
    if answer.status == _MISSING or (answer.status == _BAD and "in use by" in answer.reason):
        return
    checked(answer, f"removing index template {live.name}")


def _texts(value: Any) -> Any:
    """Return a value with its booleans and numbers as the texts that the server answers for settings."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return {name: _texts(inner) for name, inner in value.items()}
    return [_texts(inner) for inner in value] if isinstance(value, list) else value
