"""The `tests:` of a rule: events, baseline rows, and whether the rule fires on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, ValidationError

from keytrip.errors import ContentError
from keytrip.records.vocabulary import vocabulary
from keytrip.rules.load import Document


def _plain(row: Any) -> Any:
    # YAML reads an unquoted time as a datetime; a case means the text
    if not isinstance(row, dict):
        return row
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


# A member of an event that is no field: which records it is one of, where a rule reads several.
CATEGORY = "category"
Row = Annotated[Mapping[str, str | StrictInt | StrictFloat | None], BeforeValidator(_plain)]


class Case(BaseModel):
    """One case of a rule.

    Attributes:
        name: What it shows.
        fires: True: at least one alert; False: none; a number: exactly that many.
        events: Canonical records; members that are left out are null. For a rule that reads several tables an event
            says with `category: ai_audit` which one it belongs to; without it, to usage if the rule reads that, else to
            the table of the rule's first base.
        baseline: Table -> rows; tables that are left out are empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fires: StrictBool | Annotated[StrictInt, Field(ge=0)]
    events: tuple[Row, ...]
    baseline: Mapping[str, tuple[Row, ...]] = {}

    @property
    def hit(self) -> bool:
        """Whether the rule has to fire."""
        return bool(self.fires)

    def met_by(self, alerts: int) -> bool:
        """Return whether that many alerts are what the case expects."""
        return (alerts > 0) is self.fires if isinstance(self.fires, bool) else alerts == self.fires

    @property
    def expectation(self) -> str:
        """What the case expects, in words."""
        if isinstance(self.fires, bool):
            return "an alert" if self.fires else "no alert"
        return f"{self.fires} alert{'' if self.fires == 1 else 's'}"


def cases_of(document: Document) -> tuple[Case, ...]:
    """Return a rule's cases in the file's order; none where it has no `tests`.

    Raises:
        ContentError: `tests` is not a list of cases, or two cases have one name.
    """
    raw = document.data.get("tests") or []
    if not isinstance(raw, list):
        raise ContentError("`tests` is no list", place=document.place, hint="list cases with name, fires and events")
    cases = tuple(_case(document, number, data) for number, data in enumerate(raw, start=1))
    names = [case.name for case in cases]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ContentError(f"two tests are called {twice!r}", place=document.place, hint="name each after its point")
    return cases


def _case(document: Document, number: int, data: Any) -> Case:
    try:
        return Case.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        problem = f"test {number}: {where + ': ' if where else ''}{first['msg']}"
        hint = "a test has name, fires, events and, if the rule needs them, rows of baseline tables"
        raise ContentError(problem, place=document.place, hint=hint) from error


def table_of_event(event: Mapping[str, Any], tables: Sequence[str]) -> str:
    """Return which of a rule's canonical tables an event of a case belongs to.

    Raises:
        ContentError: The rule reads no records of the event's category.
    """
    categories = {vocabulary().tables[table].category: table for table in tables}
    first = "usage" if "usage" in tables else tables[0]
    category = event.get(CATEGORY, vocabulary().tables[first].category)
    if category not in categories:
        hint = "one of: " + ", ".join(categories)
        raise ContentError(f"an event has the category {category!r}, which the rule does not read", hint=hint)
    return categories[category]
