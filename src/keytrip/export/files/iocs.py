"""A list of indicators as a file of the folder, in the form that `--iocs` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from keytrip.errors import ContentError
from keytrip.export.files.tables import cell
from keytrip.export.indicators import LIST_SEPARATOR, Indicator
from keytrip.export.model import Item


def list_items(indicators: Sequence[Indicator], form: str | None) -> tuple[Item, ...]:
    """Return the file of a list: CSV in a folder of CSV tables or of none, else NDJSON; none for an empty list.

    Raises:
        ContentError: The name of a rule or a source is one that no list within a cell holds.
    """
    if not indicators:
        return ()
    name, write = ("csv", _csv) if form in {None, "csv"} else ("ndjson", _ndjson)
    return (Item("ioc_list", f"iocs/indicators.{name}", {"text": write(indicators)}),)


def _csv(indicators: Sequence[Indicator]) -> str:
    lines = [",".join(map(cell, Indicator.model_fields))]
    lines += [
        ",".join(cell(_plain(one, value)) for value in one.model_dump(mode="json").values()) for one in indicators
    ]
    return "".join(f"{line}\n" for line in lines)


def _ndjson(indicators: Sequence[Indicator]) -> str:
    return "".join(f"{json.dumps(one.model_dump(mode='json'))}\n" for one in indicators)


def _plain(one: Indicator, value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, list):
        return value
    joined = LIST_SEPARATOR.join(value)
    if value and (not joined or joined.split(LIST_SEPARATOR) != value):
        hint = "name it otherwise, or use a destination of your own with `tables: ndjson`"
        raise ContentError(f"{one.name!r}: {value!r} is no list of a CSV cell", hint=hint)
    return joined
