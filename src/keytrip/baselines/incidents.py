"""`incidents.yml`: days that a baseline leaves out, by key, because somebody else used the key on them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from keytrip.errors import DataError, Place

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: object) -> object:
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("is no day")
    return value


Day = Annotated[date, BeforeValidator(_day)]


class Incident(BaseModel):
    """Days of one key (or `*` for all), both ends inclusive."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    key_id: str
    first: Day = Field(alias="from")
    last: Day = Field(alias="to")
    why: str = ""


class Incidents(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    incidents: tuple[Incident, ...] = ()


def read_incidents(path: Path) -> tuple[Incident, ...]:
    """Return the incidents of a file. All in it is text, never guessed at: `0042` is a key id.

    Raises:
        DataError: It is not what INTERFACE says.
    """
    import yaml

    try:
        data = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506 - makes texts only
        found = Incidents.model_validate(data or {}).incidents
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", place=Place(str(path))) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError("is no YAML", place=Place(str(path))) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        hint = "incidents: [{key_id, from, to, why}], days as 2026-04-01"
        raise DataError(f"{where}: {first['msg']}", place=Place(str(path)), hint=hint) from error
    for incident in found:
        if incident.last < incident.first:
            raise DataError(f"{incident.key_id}: `to` is before `from`", place=Place(str(path)))
    return found


def keep_sql(incidents: Sequence[Incident]) -> tuple[str, list[object]]:
    """Return (SQL, parameters) that is true for a partial's rows that no incident covers."""
    parts, parameters = [], list[object]()
    for incident in incidents:
        days = "coalesce(kt_at between ? and ?, false)"
        if incident.key_id == "*":
            parts.append(f"not ({days})")
            parameters += [incident.first, incident.last]
        else:
            parts.append(f"not (key_id is not distinct from ? and {days})")
            parameters += [incident.key_id, incident.first, incident.last]
    return " and ".join(parts) or "true", parameters
