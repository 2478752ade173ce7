"""A plan as a file: what somebody looked at and agreed to, and refusal when the world is another one by then.

It holds no secret and no proxy: who applies it says these anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keytrip import __version__
from keytrip.errors import DataError, Place, SystemRefusedError
from keytrip.export.plan import Plan

_FORMAT = 1


@dataclass(frozen=True)
class Agreed:
    """What a plan file says.

    Attributes:
        destination: The destination's name.
        arguments: What else the plan was made with (URL, options, store, packs, selection, prune), as JSON values.
        world, wanted: The plan's fingerprints.
    """

    destination: str
    arguments: Mapping[str, Any]
    world: str
    wanted: str

    def check(self, plan: Plan) -> None:
        """Compare with the plan that is about to be done.

        Raises:
            SystemRefusedError: The destination changed since.
            DataError: What it should hold changed since.
        """
        if plan.world != self.world:
            problem = f"{self.destination} changed since the plan was made"
            raise SystemRefusedError(problem, hint="make a new plan and look at it again")
        if plan.wanted != self.wanted:
            problem = "rules, templates or the snapshot changed since the plan was made"
            raise DataError(problem, hint="make a new plan and look at it again")


def write_plan(
    path: Path, plan: Plan, rows: list[dict[str, Any]], destination: str, arguments: Mapping[str, Any]
) -> None:
    """Write a plan; `rows` are what `--format json` shows of it.

    Raises:
        OSError: The file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "version": __version__,
        "destination": destination,
        "arguments": dict(arguments),
        "world": plan.world,
        "wanted": plan.wanted,
        "changes": rows,
    }
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def read_agreed(path: Path) -> Agreed:
    """Return what a plan file says.

    Raises:
        DataError: It is none.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        texts = [data[name] for name in ("destination", "world", "wanted")]
        arguments = data["arguments"]
        form = data["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("is no plan", place=Place(str(path)), hint="`keytrip plan --out` writes one") from error
    if form != _FORMAT or not isinstance(arguments, dict) or not all(isinstance(text, str) for text in texts):
        raise DataError("is a plan of another keytrip", place=Place(str(path)), hint="make a new one")
    return Agreed(texts[0], arguments, texts[1], texts[2])
