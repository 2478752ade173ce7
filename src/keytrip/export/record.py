"""The deployment record and the holder of a lock as text: what a destination keeps of us."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from keytrip.errors import DataError
from keytrip.export.model import Deployment, Generation, Holder, Item


def deployment_text(deployment: Deployment) -> str:
    """Return a record as JSON."""
    return json.dumps(asdict(deployment), sort_keys=True)


def deployment_of(text: str) -> Deployment:
    """Return the record that a text holds.

    Raises:
        DataError: It holds none.
    """
    data = _mapping(text, "deployment record")
    try:
        items = tuple(Item(**item) for item in data.pop("items"))
        tables = tuple(Generation(**{**one, "key": tuple(one.get("key", ()))}) for one in data.pop("tables"))
        return Deployment(**data, items=items, tables=tables)
    except (KeyError, TypeError) as error:
        raise DataError("the deployment record is none of ours", hint=_HINT) from error


def holder_text(holder: Holder) -> str:
    """Return who holds a lock as JSON."""
    return json.dumps(asdict(holder), sort_keys=True)


def holder_of(text: str) -> Holder:
    """Return the holder that a text names.

    Raises:
        DataError: It names none.
    """
    try:
        return Holder(**_mapping(text, "lock"))
    except TypeError as error:
        raise DataError("the lock is none of ours", hint=_HINT) from error


_HINT = "a newer keytrip may have written it, or someone edited it"


def _mapping(text: str, what: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f"the {what} is no JSON", hint=_HINT) from error
    if not isinstance(data, Mapping):
        raise DataError(f"the {what} is no JSON object", hint=_HINT)
    return dict(data)
