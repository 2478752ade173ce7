"""Hunts with rules that build on others: several documents a file, pairs across `--since`, audit records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from baselines.conftest import Command
from baselines.test_hunt_modes import log

BASES = """\
title: Refused
name: refused
id: 5a1f7e0e-0002-4000-8000-000000000001
logsource: {category: ai_usage}
detection: {a: {status_code: 429}, condition: a}
---
title: Answered
name: answered
id: 5a1f7e0e-0002-4000-8000-000000000002
logsource: {category: ai_usage}
detection: {a: {status_code: 200}, condition: a}
---
title: Raised
name: raised
id: 5a1f7e0e-0002-4000-8000-000000000003
logsource: {category: ai_audit}
detection: {a: {action: spend_limit.raised}, condition: a}
"""
RULE = """\
---
title: {name}
name: {name}
id: 5a1f7e0e-0002-4000-8000-0000000000{number}
level: high
correlation: {{type: {type}, rules: [{rules}], group-by: [key_id], timespan: {span}{more}}}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack of one file with plain rules and what builds on them."""
    made = (
        ("pair", "temporal_ordered", "refused, answered", "1h", ""),
        ("hourly", "event_count", "refused", "1h", ", condition: {gte: 1}"),
        ("chain", "event_count", "hourly", "1d", ", condition: {gte: 2}"),
        ("acted", "temporal", "raised, refused", "1h", ", aliases: {key_id: {raised: target_key_id}}"),
    )
    rules = [
        RULE.format(name=name, number=10 + n, type=kind, rules=rules, span=span, more=more)
        for n, (name, kind, rules, span, more) in enumerate(made)
    ]
    (tmp_path / "pack" / "rules").mkdir(parents=True)
    (tmp_path / "pack" / "rules" / "chains.yml").write_text(BASES + "".join(rules), encoding="utf-8")
    return tmp_path / "pack"


def alerts(keytrip: Command, pack: Path, *rows: dict[str, Any], arguments: tuple[str, ...] = ()) -> tuple[Any, str]:
    """Return (rule -> its alerts, what the hunt said besides)."""
    (pack.parent / "tables").mkdir(exist_ok=True)
    names = [word for name in ("pair", "chain", "acted") for word in ("--rule", name)]
    fixed = ("--source", "canonical", "--pack", pack, "--baseline", pack.parent / "tables", "--format", "json")
    done = keytrip("hunt", log(pack.parent, *rows), *fixed, *names, *arguments)
    assert done.code == 0, done.err
    return {alert["rule"]: alert for alert in done.rows}, done.err


def record(time: str, status: int) -> dict[str, Any]:
    """Return a record of April 2026."""
    return {"timestamp": f"2026-04-{time}Z", "key_id": "k", "status_code": status}


def test_a_pair_across_since(keytrip: Command, pack: Path) -> None:
    """A pair whose first event is before `--since` is an alert, as it is without; one that ends before is none."""
    rows = [record("01T23:30:00", 429), record("01T23:40:00", 200), record("02T00:20:00", 200)]
    whole, _ = alerts(keytrip, pack, *rows)
    since, _ = alerts(keytrip, pack, *rows, arguments=("--since", "2026-04-02"))
    assert since["pair"] == whole["pair"]
    times = ("window_start", "window_end", "first_seen", "last_seen")
    assert [since["pair"][name][8:16] for name in times] == ["01T23:30", "02T00:20", "01T23:30", "02T00:20"]
    assert (since["pair"]["events"], since["pair"]["observed"]) == (3, {})
    assert alerts(keytrip, pack, *rows, arguments=("--until", "2026-04-02"))[0] == {}


def test_a_chain_counts_alerts(keytrip: Command, pack: Path) -> None:
    """The alerts of the inner rule are events at their `last_seen`; the inner rule itself stays quiet."""
    found, said = alerts(keytrip, pack, *(record(f"01T{time}:00", 429) for time in ("10:00", "10:20", "11:30")))
    assert set(found) == {"chain"}
    assert found["chain"]["observed"] == {"event_count": 2}
    assert (found["chain"]["first_seen"], found["chain"]["last_seen"]) == (
        "2026-04-01T10:20:00Z",
        "2026-04-01T11:30:00Z",
    )
    assert "skipped acted: no source gives audit records yet" in said
