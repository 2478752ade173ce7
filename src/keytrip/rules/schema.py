"""What a rule file may hold: Sigma's members and ours as one typed model, so that all faults are found at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from keytrip.records.vocabulary import vocabulary
from keytrip.rules.baseline import with_on
from keytrip.rules.cases import Case

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Numeral = StrictInt | StrictFloat
# As `uuid` prints one: pySigma and every SIEM compare ids as text.
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
# A name becomes a file, a saved search and part of a query.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Triage(_Part):
    """What whoever gets the alert has to know and do."""

    meaning: Text
    false_positive: Text
    first_questions: Texts
    next_steps: Texts
    containment: Texts


class Parameter(_Part):
    """A named number of a rule: its value, the reason for it, and which member holds it (none: an expression does)."""

    default: StrictInt | StrictFloat
    why: Text
    at: Text | None = None


class LogSource(_Part):
    """Which records a rule reads: a canonical table, and perhaps one provider's part of it."""

    category: Text
    product: Text | None = None
    definition: Text | None = None


# Sigma's modifiers that SEMANTICS has; those of parts of a time are refused.
MODIFIERS = [
    "all",
    "base64",
    "base64offset",
    "cased",
    "cidr",
    "contains",
    "dotall",
    "endswith",
    "exists",
    "expand",
    "fieldref",
    "gt",
    "gte",
    "i",
    "ignorecase",
    "lt",
    "lte",
    "m",
    "multiline",
    "neq",
    "re",
    "s",
    "startswith",
    "utf16",
    "utf16be",
    "utf16le",
    "wide",
    "windash",
]


def _selections(*members: str) -> dict[str, Any]:
    """Return the JSON Schema of named selections over the fields of the vocabulary, with `members` beside them."""
    fields = sorted({name for table in vocabulary().tables.values() for name in table.columns})
    names = {"pattern": rf"^({'|'.join(fields)})(\|({'|'.join(MODIFIERS)}))*$"}
    scalar = {"type": ["string", "number", "boolean", "null"]}
    fielded = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": names,
        "additionalProperties": {"anyOf": [scalar, {"type": "array", "items": scalar}]},
    }
    text = {"type": "string", "minLength": 1}
    conditions = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    return {
        "type": "object",
        "required": ["condition", *members],
        "properties": {"condition": conditions, **dict.fromkeys(members, conditions)},
        "additionalProperties": {"anyOf": [fielded, {"type": "array", "items": fielded, "minItems": 1}]},
    }


def _shaped(detection: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a detection whose condition and selections have the types that pySigma takes for granted."""
    condition = detection.get("condition")
    if not _is_text(condition) and not (condition and isinstance(condition, list) and all(map(_is_text, condition))):
        raise ValueError("`condition` is missing, or neither a text nor a list of texts")
    for name, selection in detection.items():
        parts = selection if isinstance(selection, list) else [selection]
        if name not in {"condition", "rules", "timeframe"} and not (parts and all(map(_is_selection, parts))):
            raise ValueError(f"selection `{name}` is neither fields with values nor a list of such")
    return detection


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_selection(part: object) -> bool:
    if not isinstance(part, Mapping):
        return isinstance(part, str)  # words without a field: refused by name when the rule is compiled
    values = [value for given in part.values() for value in (given if isinstance(given, list) else [given])]
    keys = all(isinstance(key, str) and key for key in part)
    return bool(part) and keys and not any(isinstance(value, Mapping | list) for value in values)


Detection = Annotated[Mapping[str, Any], AfterValidator(_shaped), WithJsonSchema(_selections())]
Filter = Annotated[Mapping[str, Any], AfterValidator(_shaped), WithJsonSchema(_selections("rules"))]


class Related(_Part):
    """Another rule that this one came from, replaces, or is like."""

    id: Text
    type: Literal["derived", "obsolete", "merged", "renamed", "similar", "correlation"]


class Condition(_Part):
    """What a correlation's value has to meet: one operator, and for values of a field the field."""

    gt: Numeral | None = None
    gte: Numeral | None = None
    lt: Numeral | None = None
    lte: Numeral | None = None
    eq: Numeral | None = None
    neq: Numeral | None = None
    field: Text | Texts | None = None
    percentile: Numeral | None = None


class Correlation(_Part):
    """Sigma's correlation; its meaning is judged when it is compiled."""

    type: Literal[
        "event_count",
        "value_count",
        "value_sum",
        "value_avg",
        "value_percentile",
        "value_median",
        "temporal",
        "temporal_ordered",
    ]
    rules: Text | Texts | None = None
    group_by: tuple[Text, ...] = Field(default=(), alias="group-by")
    timespan: Annotated[str, StringConstraints(pattern=r"^0*[1-9][0-9]*[smhdw]$")]
    condition: Condition | Text | None = None
    generate: StrictBool = False
    aliases: Mapping[str, Mapping[str, Text]] = {}


class Share(_Part):
    """The share of a group's events that are absent, compared with a number or a parameter by its name."""

    gt: Numeral | Text | None = None
    gte: Numeral | Text | None = None
    lt: Numeral | Text | None = None
    lte: Numeral | Text | None = None
    eq: Numeral | Text | None = None
    neq: Numeral | Text | None = None


class Block(_Part):
    """A comparison with what is usual: of the value (`exceeds`), or of the group itself (`absent`)."""

    table: Name
    on: Texts | None = None
    exceeds: Numeral | Text | None = None
    where: Text | None = None
    missing: Literal["ignore", "fire"] = "ignore"
    absent: Literal[True] | None = None
    requires: Name | None = None
    share: Share | None = None

    @model_validator(mode="before")
    @classmethod
    def _on(cls, data: Any) -> Any:
        return with_on(data)


class RuleFile(_Part):
    """One document of a rule file. What only an alerting rule has to have is optional here."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["detection", "logsource"]}, {"required": ["correlation"]}],
            "dependentRequired": {"baseline": ["correlation"]},
        }
    )

    title: Annotated[Text, StringConstraints(max_length=256)]
    id: Uuid
    name: Name
    status: Literal["stable", "test", "experimental", "deprecated", "unsupported"]
    description: Text
    level: Literal["informational", "low", "medium", "high", "critical"]
    related: tuple[Related, ...] = ()
    taxonomy: Text | None = None
    license: Text | None = None
    author: Text | None = None
    date: dt.date | None = None
    modified: dt.date | None = None
    references: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    logsource: LogSource | None = None
    detection: Detection | None = None
    correlation: Correlation | None = None
    baseline: Block | Annotated[tuple[Block, ...], Field(min_length=1)] | None = None
    parameters: Mapping[Name, Parameter] = {}
    fields: tuple[Text, ...] = ()
    falsepositives: tuple[Text, ...] = ()
    scope: tuple[Text, ...] = ()
    triage: Triage | None = None
    tests: tuple[Case, ...] = ()


class FilterFile(_Part):
    """A document that takes events away from other rules: Sigma's filter."""

    title: Annotated[Text, StringConstraints(max_length=256)]
    id: Uuid | None = None
    logsource: LogSource
    filter: Filter
    name: Name | None = None
    status: Literal["stable", "test", "experimental", "deprecated", "unsupported"] | None = None
    description: Text | None = None
    author: Text | None = None
    date: dt.date | None = None
    modified: dt.date | None = None
    references: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    license: Text | None = None
