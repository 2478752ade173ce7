"""Compares what the package says with what the judge says: equal, but for the last digits of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_NEAR = 1e-9


def near(a: Any, b: Any) -> bool:
    """Whether two values are equal, numbers within 1e-9."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_NEAR, abs_tol=_NEAR)
    return bool(a == b)


def difference(ours: Mapping[Any, Any], judged: Mapping[Any, Any]) -> list[str]:
    """Return one line for each key on which two tables differ; nothing: they are equal."""
    lines = [f"{key}: only the judge has {judged[key]}" for key in sorted(set(judged) - set(ours), key=repr)]
    lines += [f"{key}: only keytrip has {ours[key]}" for key in sorted(set(ours) - set(judged), key=repr)]
    for key in sorted(set(ours) & set(judged), key=repr):
        names = sorted(set(ours[key]) | set(judged[key]))
        apart = [name for name in names if not near(ours[key].get(name), judged[key].get(name))]
        lines += [f"{key}: {n}: keytrip {ours[key].get(n)!r}, judge {judged[key].get(n)!r}" for n in apart]
    return lines


def table_differences(ours: Mapping[str, Mapping[Any, Any]], judged: Mapping[str, Mapping[Any, Any]]) -> list[str]:
    """Return one line for each difference between two sets of tables."""
    assert set(ours) == set(judged)
    return [f"{table} {line}" for table in sorted(ours) for line in difference(ours[table], judged[table])]


def moment(text: str) -> datetime:
    """Return a time of an alert, naive."""
    return datetime.fromisoformat(text.removesuffix("Z"))


def _key(alert: Mapping[str, Any]) -> tuple[Any, ...]:
    return (alert["rule"], tuple(sorted(alert["group"].items())), alert["window_start"])


def _flat(alert: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: alert[name] for name in ("level", "window_end", "events", "first_seen", "last_seen")}
    return {**kept, **_named("observed", alert), **_named("baseline", alert)}


def _named(part: str, alert: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for name, value in alert[part].items()}


def alert_differences(ours: Iterable[Mapping[str, Any]], judged: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for each difference between alerts as JSON has them and the judge's."""
    times = ("window_start", "window_end", "first_seen", "last_seen")
    parsed = [{**alert, **{name: moment(alert[name]) for name in times}} for alert in ours]
    return row_differences(parsed, judged)


def row_differences(ours: Iterable[Mapping[str, Any]], judged: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the same of alerts whose times are naive datetimes."""
    return difference(_counted(ours), _counted(judged))


def _counted(alerts: Iterable[Mapping[str, Any]]) -> dict[Any, Any]:
    """Plain rules may say the same of several events: these are numbered."""
    found: dict[Any, Any] = {}
    for alert in sorted(alerts, key=lambda a: repr(sorted(_flat(a).items(), key=repr))):
        key, number = _key(alert), 0
        while (*key, number) in found:
            number += 1
        found[(*key, number)] = _flat(alert)
    return found
