"""The JSON Schema of rule files, for editors: written from the models that `keytrip check` judges by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).with_name("rule.schema.json")


def rule_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of one document of a rule file: a rule, or a filter."""
    from pydantic.json_schema import models_json_schema

    from keytrip.rules.schema import FilterFile, RuleFile

    _, schema = models_json_schema([(RuleFile, "validation"), (FilterFile, "validation")])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:keytrip:rule",
        "title": "A rule of keytrip: Sigma, with baseline, parameters, triage and tests",
        "type": "object",
        "if": {"required": ["filter"]},
        "then": {"$ref": "#/$defs/FilterFile"},
        "else": {"$ref": "#/$defs/RuleFile"},
        "$defs": schema["$defs"],
    }


def schema_text() -> str:
    """Return the schema as its file has it."""
    return json.dumps(rule_schema(), indent=1, sort_keys=True) + "\n"
