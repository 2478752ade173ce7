"""A small pack of content that `keytrip check` has nothing to say of, for tests to break."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keytrip.compile.check import check_content
from keytrip.compile.problems import Problem
from keytrip.export.check import check_destinations

RULE = """\
title: More Requests Than Usual
id: 0b9a9a39-6f0c-4c07-9b7e-0d4a2b7c5e11
name: more_requests
status: test
description: More requests in a day than the key's mean and a few deviations.
author: somebody
date: 2026-11-24
references:
  - https://example.org/one
tags:
  - attack.t1078.004
  - atlas.aml-t0012
correlation:
  type: value_sum
  rules:
    - more_requests_events
  group-by:
    - key_id
  timespan: 1d
  condition:
    field: request_count
    gt: 50
baseline:
  table: key_requests_daily
  exceeds: mean + factor * stddev
parameters:
  floor:
    at: correlation.condition.gt
    default: 50
    why: a person makes that many
  factor:
    default: 3
    why: three deviations
falsepositives:
  - A load test
level: high
triage:
  meaning: More requests than usual.
  false_positive: The owner says so.
  first_questions:
    - Who asks?
  next_steps:
    - Look at the day
  containment:
    - Rotate the key
tests:
  - name: far more
    fires: true
    events:
      - {timestamp: "2026-11-02T10:00:00Z", key_id: key_a, request_count: 131}
    baseline:
      key_requests_daily:
        - {key_id: key_a, mean: 100, stddev: 10, days: 20}
  - name: exactly the bound
    fires: false
    events:
      - {timestamp: "2026-11-02T10:00:00Z", key_id: key_a, request_count: 130}
    baseline:
      key_requests_daily:
        - {key_id: key_a, mean: 100, stddev: 10, days: 20}
---
title: Any Request of a Key
id: 5f3a7a3e-3a56-4b57-8d0e-1f2a3b4c5d6e
name: more_requests_events
status: test
description: Every record of a key.
logsource:
  category: ai_usage
detection:
  selection:
    key_id|exists: true
  condition: selection
level: informational
"""
JOB = '''\
"""Requests by key."""

from keytrip.baselines import DailyStatistic

JOB = DailyStatistic(key=("key_id",), measure="sum(request_count)")
'''
MANIFEST = """\
name: here
about: Tables for somebody.
transport: files
tables: csv
targets: [splunk]
templates:
  - {template: README.md.j2, path: README.md}
"""
PIPELINE = """\
name: mine
priority: 50
transformations:
  - id: mine_splunk_fields
    type: field_name_mapping
    mapping:
      key_id: apiKey
"""
Writer = Callable[[str, str], Path]


def writer(folder: Path) -> Writer:
    """Return what writes a file of the pack `folder`, and returns its path."""

    def at(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return at


def found(pack: Path) -> list[Problem]:
    """Return the problems of a pack and of nothing else."""
    return [*check_content((), (pack,)), *check_destinations((), (pack,))]


def line_of(text: str, part: str) -> int:
    """Return the number of the first line that holds `part`."""
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)
