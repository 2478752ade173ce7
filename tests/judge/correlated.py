"""Random correlations of every type over random records: temporal, nested, aliased, over usage and audit records."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Mapped = dict[str, Any]
START = datetime(2026, 4, 1, 23, 59, 30)  # noqa: DTZ001 - naive UTC, with midnight not far
# Few values, so that events meet; what is odd about them is tested for itself elsewhere.
_KEYS = ("a", "a", "a", "A", "\u043a\u043b\u044e\u0447 \"'", "", None)
_IPS = ("10.0.0.1", "10.0.0.1", "10.0.0.2", "2001:db8:1::1", "2001:db8:1::2", "no address", None)
_FIELDS: dict[str, dict[str, Sequence[Any]]] = {
    "ai_usage": {
        "key_id": _KEYS,
        "user": ("a", "a", "v", None),
        "provider": ("openai", "openai", "google", None),
        "source_ip": _IPS,
        "user_agent": ("curl/8", "x y", None),
        "model": ("m-1", "M-2", "\u00fcml\u00e4ut", None),
        "status_code": (200, 429, None),
        "cost_usd": (0.1, 0.2, 7.5, None),
    },
    "ai_audit": {
        "target_key_id": _KEYS,
        "actor_key_id": _KEYS,
        "actor": ("a", "a", "v", None),
        "provider": ("openai", "openai", "google", None),
        "source_ip": _IPS,
        "user_agent": ("curl/8", "x y", None),
        "action": ("made", "raised", None),
    },
}
_TESTED = {"ai_usage": ("model", "status_code", "source_ip"), "ai_audit": ("action", "actor", "source_ip")}
# Names that a correlation may group by -> its field in either table, the same name where there is none.
_SHARED: dict[str, dict[str, Sequence[str]]] = {
    "key_id": {"ai_usage": ("key_id",), "ai_audit": ("target_key_id", "actor_key_id")},
    "who": {"ai_usage": ("user", "key_id"), "ai_audit": ("actor", "actor_key_id")},
    "source_ip": {},
    "source_net": {},
    "provider": {},
    "agent_family": {},
}
_TYPES = ("event_count", "event_count", "value_count", "temporal", "temporal", "temporal_ordered", "temporal_ordered")


@dataclass(frozen=True)
class Correlated:
    """Rules, the last of which alerts, and records by logsource category."""

    documents: tuple[Mapped, ...]
    records: dict[str, list[Mapped]]


@st.composite
def records(draw: st.DrawFn, category: str, span: int) -> Mapped:
    """Draw a record; times lie on halves of the time span, and a microsecond beside."""
    halves = draw(st.integers(0, 9))
    beside = draw(st.sampled_from([0] * 8 + [1, -1]))
    time = START + timedelta(seconds=halves * span / 2, microseconds=beside)
    values = {name: draw(st.sampled_from(values)) for name, values in _FIELDS[category].items()}
    return {"timestamp": time.isoformat(timespec="microseconds") + "Z", **values}


@st.composite
def plain_rules(draw: st.DrawFn, category: str, name: str) -> Mapped:
    """Draw a plain rule."""
    field = draw(st.sampled_from(_TESTED[category]))
    wanted = draw(st.sampled_from(_FIELDS[category][field]))
    condition = draw(st.sampled_from(["a", "not a", "not a", "any", "any"]))
    detection = {"a": {field: wanted}, "any": {"provider|exists": True}, "condition": condition}
    return _document(name, {"logsource": {"category": category}, "detection": detection})


def _document(name: str, more: Mapped) -> Mapped:
    marked = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    return {"title": name.title(), "id": marked, "name": name, "status": "test", "level": "low", **more}


@st.composite
def correlations(draw: st.DrawFn, name: str, bases: Sequence[Mapped], span: int) -> Mapped:
    """Draw a correlation over some of `bases`."""
    kind = draw(st.sampled_from(_TYPES))
    # now and then a rule stands there twice
    chosen = draw(st.lists(st.sampled_from(bases), min_size=1, max_size=3))
    usual = st.sampled_from([[], ["key_id"], ["key_id"], ["who"], ["source_ip"]])
    group_by = draw(usual | st.lists(st.sampled_from(sorted(_SHARED)), max_size=2, unique=True))
    correlation: Mapped = {"type": kind, "rules": [d["name"] for d in chosen], "timespan": f"{span}s"}
    field = draw(st.sampled_from(["source_ip", "who", "source_net"]))
    if kind == "event_count":
        correlation["condition"] = {draw(st.sampled_from(["gte", "lt"])): draw(st.integers(1, 3))}
    elif kind == "value_count":
        correlation["condition"] = {"gte": draw(st.integers(0, 2)), "field": field}
    aliases = {
        alias: {
            d["name"]: draw(st.sampled_from(_SHARED[alias][d["logsource"]["category"]]))
            for d in chosen
            if "logsource" in d
        }
        for alias in (*group_by, *([field] if kind == "value_count" else []))
        if _SHARED.get(alias)
    }
    correlation |= {"group-by": group_by} if group_by else {}
    correlation |= {"aliases": {alias: named for alias, named in aliases.items() if named}} if aliases else {}
    return _document(name, {"correlation": correlation})


@st.composite
def correlated(draw: st.DrawFn) -> Correlated:
    """Draw rules up to three levels deep, and records."""
    span = draw(st.sampled_from([10, 3600, 86400]))
    plain = [draw(plain_rules(category, f"{category}_{n}")) for category in sorted(_FIELDS) for n in range(2)]
    first = [draw(correlations(f"first_{n}", plain, span)) for n in range(2)]
    second = [draw(correlations("second", [*first, *plain], span * draw(st.sampled_from([1, 2]))))]
    last = draw(correlations("last", draw(st.sampled_from([plain, [*first, *plain], [*second, *first]])), span))
    documents = (*plain, *first, *second, last)
    found = {category: draw(st.lists(records(category, span), min_size=1, max_size=14)) for category in sorted(_FIELDS)}
    return Correlated(documents, found)


# Group of an inner correlation -> fields of the one over it that are derived from it, or null.
_DERIVING = (
    (("key_id", "user_agent"), ("key_id", "agent_family")),
    (("key_id", "model"), ("model_family",)),
    (("input_tokens", "output_tokens"), ("total_tokens",)),
    (("output_tokens",), ("total_tokens",)),
    (("key_id", "day"), ("day", "hour_of_day", "hour_of_week")),
    (("source_net",), ("source_net",)),
    (("key_id",), ("source_net",)),
    (("key_id",), ("status_code",)),
    (("user",), ("model", "cost_usd")),
)


def deriving() -> list[Correlated]:
    """Return chains whose outer correlations group by what can be derived from the inner one's group, or cannot."""
    plain = _document(
        "plain", {"logsource": {"category": "ai_usage"}, "detection": {"a": {"key_id": "a"}, "condition": "a"}}
    )
    rows = [
        {"timestamp": f"2026-04-0{1 + n}T0{n}:00:00Z", "key_id": "a", "user": "u", "source_ip": f"10.0.{n}.1", **named}
        for n, named in enumerate(
            (
                {"user_agent": "curl/8 x\ny", "model": "m-2026-01-02", "input_tokens": 7, "output_tokens": 9},
                {"user_agent": "CURL z", "model": "m-latest", "input_tokens": 9, "output_tokens": 7},
                {"user_agent": "x", "model": "m@20260102\n", "output_tokens": 9},
            )
        )
    ]
    found = []
    for inner, outer in _DERIVING:
        counted = {"type": "event_count", "timespan": "1h", "condition": {"gte": 1}}
        rules = (
            plain,
            _document("inner", {"correlation": {**counted, "rules": ["plain"], "group-by": list(inner)}}),
            _document("outer", {"correlation": {**counted, "rules": ["inner"], "group-by": list(outer)}}),
        )
        found.append(Correlated(rules, {"ai_usage": rows, "ai_audit": []}))
    return found
