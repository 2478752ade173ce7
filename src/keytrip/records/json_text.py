"""JSON as every part writes it."""

from __future__ import annotations

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """Return one value as compact JSON; what JSON has no type for is written as its text.

    orjson refuses whole numbers beyond 64 bits, which sums of counts can reach; JSON does not.
    """
    try:
        return orjson.dumps(value, default=str)
    except TypeError:
        return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")).encode()
