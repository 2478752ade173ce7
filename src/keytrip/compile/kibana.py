"""Detection rules for Kibana's import: one JSON object a line, disabled, with a schedule that cuts no window."""

from __future__ import annotations

import json
from typing import Any

from keytrip.compile.attack import threats_of
from keytrip.compile.formats import Schedule, Writer, Written, schedule_of
from keytrip.errors import ContentError

_RISKS = {"informational": 10, "low": 21, "medium": 47, "high": 73, "critical": 99}
# What the alerting framework takes at most; its default of 100 would drop alerts.
_MOST_ALERTS = 1000


def detection_rule(kind: str, language: str) -> Writer:
    """Return the writer of Kibana rules of a type and a language: `esql`, `eql`, or `query` in `lucene`.

    It raises ContentError for temporal rules: the query has to cover exactly their timespan, in every run anew.
    """

    def write(written: Written) -> str:
        if written.plan is not None and written.plan.temporal:
            problem = "Kibana would alert for a temporal rule again in every run that reads its events"
            raise ContentError(problem, hint="the format savedsearches of splunk reports each alert once")
        schedule = schedule_of(written.plan)
        rule = {
            "rule_id": written.rule_id,
            "name": written.title,
            "description": written.description,
            "type": kind,
            "language": language,
            "query": _query(written, schedule),
            # an ES|QL query names its own data streams
            **({} if kind == "esql" else {"index": [f"logs-keytrip.{written.table}-*"]}),
            "risk_score": _RISKS[written.level],
            "severity": "low" if written.level == "informational" else written.level,
            "interval": f"{schedule.interval}s",
            "from": f"now-{schedule.reach}s",
            "to": "now",
            "max_signals": _MOST_ALERTS,
            "enabled": False,
            **_about(written.rule),
            "version": 1,
        }
        return json.dumps(rule, ensure_ascii=False)

    return write


def _query(written: Written, schedule: Schedule) -> str:
    query = written.query.strip()
    if written.plan is None:
        return query
    return f"{query}\n| WHERE window_end > TO_DATETIME(TO_LONG(NOW()) - {schedule.grace * 1000})"


def _about(rule: Any) -> dict[str, Any]:
    """Return what people read of a rule."""
    tags = [str(tag) for tag in rule.tags or ()]
    return {
        "author": [str(rule.author)] if rule.author else [],
        "license": str(rule.license or ""),
        "references": [str(reference) for reference in rule.references or ()],
        "false_positives": [str(text) for text in rule.falsepositives or ()],
        "tags": tags,
        "threat": threats_of(tags),
    }
