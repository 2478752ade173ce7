"""What a rule file may hold: Sigma's members and ours as one typed model, so that all faults are found at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StringConstraints

from keytrip.rules.cases import Case

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
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


class Correlation(_Part):
    """Sigma's correlation; its meaning is judged when it is compiled."""

    type: Text
    rules: Text | Texts
    group_by: tuple[Text, ...] = Field(default=(), alias="group-by")
    timespan: Text
    condition: Mapping[str, Any] | Text = {}
    generate: StrictBool = False
    aliases: Mapping[str, Any] = {}


class RuleFile(_Part):
    """One document of a rule file. What only an alerting rule has to have is optional here."""

    title: Annotated[Text, StringConstraints(max_length=256)]
    id: Uuid
    name: Name
    status: Literal["stable", "test", "experimental", "deprecated", "unsupported"]
    description: Text
    level: Literal["informational", "low", "medium", "high", "critical"]
    related: tuple[Mapping[str, str], ...] = ()
    taxonomy: Text | None = None
    license: Text | None = None
    author: Text | None = None
    date: dt.date | None = None
    modified: dt.date | None = None
    references: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    logsource: LogSource | None = None
    detection: Mapping[str, Any] | None = None
    correlation: Correlation | None = None
    # `on` is a boolean to YAML 1.1, so a block may have a key that is no text
    baseline: Mapping[Any, Any] | tuple[Mapping[Any, Any], ...] | None = None
    parameters: Mapping[Name, Parameter] = {}
    fields: tuple[Text, ...] = ()
    falsepositives: tuple[Text, ...] = ()
    scope: tuple[Text, ...] = ()
    triage: Triage | None = None
    tests: tuple[Case, ...] = ()


class FilterFile(_Part):
    """A filter: a document that narrows the rules that it names, or all of its logsource."""

    title: Annotated[Text, StringConstraints(max_length=256)]
    id: Uuid | None = None
    name: Name | None = None
    status: Literal["stable", "test", "experimental", "deprecated", "unsupported"] | None = None
    description: Text | None = None
    author: Text | None = None
    date: dt.date | None = None
    modified: dt.date | None = None
    references: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    logsource: LogSource
    filter: Mapping[str, Any]
