"""Rules of OpenSearch's Security Analytics: Sigma YAML in the few words that its parser knows, made from the query.

It compares keyword fields with case and has neither `exists` nor `cased`, so each test of the compiled query becomes
one selection, with case in its regular expression, and the condition says how they are joined.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from keytrip.compile.dialects import lucene_literal
from keytrip.compile.formats import Written
from keytrip.compile.lucene_conditions import slashed
from keytrip.compile.opensearch_conditions import Json
from keytrip.errors import ContentError

_PLAIN = re.compile(r"[\w.:/@-]+", re.ASCII)
_STATUSES = {"stable", "experimental", "test", "deprecated", "unsupported"}
_LONGEST_TITLE = 256


@dataclass
class _Selections:
    """Selections as they are found, and the condition's text over them."""

    found: dict[str, Json] = field(default_factory=dict)

    def named(self, name: str, value: object) -> str:
        selection = f"test_{len(self.found)}"
        self.found[selection] = {name: value}
        return selection


def security_analytics(written: Written) -> str:
    """Return a plain rule as YAML for Security Analytics.

    Raises:
        ContentError: It is a correlation, or Security Analytics has no word for a test of it.
    """
    if written.plan is not None:
        raise ContentError("Security Analytics knows no correlations", hint="the formats default and monitor_rule do")
    selections = _Selections()
    (query,) = json.loads(written.query)["query"]["bool"]["filter"]
    condition = _condition(query, selections)
    rule = written.rule
    status = rule.status.name.lower() if rule.status else "test"
    made = {
        "title": written.title[:_LONGEST_TITLE],
        "id": written.rule_id,
        "status": status if status in _STATUSES else "test",
        "description": written.description,
        "author": str(rule.author or "unknown"),
        **({"date": rule.date.strftime("%Y/%m/%d")} if rule.date else {}),
        "references": [str(reference) for reference in rule.references or ()],
        "tags": [str(tag) for tag in rule.tags or ()],
        "logsource": {"product": "keytrip", "category": rule.logsource.category},
        "detection": {**selections.found, "condition": condition},
        "falsepositives": [str(text) for text in rule.falsepositives or ()],
        "level": written.level,
    }
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=110)


def _condition(query: Json, selections: _Selections) -> str:
    ((kind, body),) = query.items()
    if kind == "bool":
        return _joined(body, selections)
    if kind == "exists":
        return f"not {selections.named(body['field'], None)}"
    if kind not in {"term", "range", "regexp"}:
        what = {"script": "it runs no scripts", "match_none": "a test that nothing meets"}[kind]
        raise ContentError(
            f"Security Analytics has no word for this: {what}", hint="the formats default and monitor_rule do"
        )
    ((name, test),) = body.items()
    return selections.named(*_item(kind, name, test))


def _joined(body: Json, selections: _Selections) -> str:
    for member, word in (("filter", "and"), ("should", "or")):
        if member in body:
            parts = [_condition(part, selections) for part in body[member]]
            return f"({f' {word} '.join(parts)})" if len(parts) > 1 else parts[0]
    parts = [_condition(part, selections) for part in body["must_not"]]
    return f"(not ({' or '.join(parts)}))"


def _item(kind: str, name: str, test: Any) -> tuple[str, object]:
    if kind == "regexp":
        return f"{name}|re", slashed(test["value"])[1:-1]
    if kind == "range":
        ((operator, number),) = test.items()
        return f"{name}|{operator}", number
    value = test["value"]
    if name == "source.ip":
        return f"{name}|cidr", value
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        return f"{name}|re", slashed(lucene_literal(value))[1:-1]
    return name, value
