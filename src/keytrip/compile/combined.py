"""Rules compiled to as few searches as can be: those over the same events share one, the others have their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from keytrip.compile.splunk_combined import alone_because, batch_name, batches_of
from keytrip.compile.targets import Compiled, backend_of, compile_one

if TYPE_CHECKING:
    from keytrip.compile.plan import Plan
    from keytrip.rules.load import Document

# The only target with searches for several rules.
TARGET = "splunk"
_NO_OTHER = "no other rule has its table, group and window"


def compile_combined(
    chosen: Sequence[Document], documents: Sequence[Document], packs: tuple[Path, ...] = ()
) -> list[Compiled]:
    """Return each chosen rule compiled for Splunk, in order; rules that share a search have the same text and file."""
    backend = backend_of(TARGET)
    backend.packs = packs
    found: list[Compiled] = []
    plans: dict[int, Plan] = {}
    for number, document in enumerate(chosen):
        one = compile_one(TARGET, document, documents, backend)
        reason = alone_because(backend.plan) if one.text else ""
        found.append(replace(one, alone=reason))
        if one.text and not reason:
            plans[number] = backend.plan
    numbers = {id(plan): number for number, plan in plans.items()}
    for batch in batches_of(list(plans.values())):
        text = f"{backend.combined(batch)}\n" if len(batch) > 1 else ""
        for plan in batch:
            number = numbers[id(plan)]
            one = found[number]
            shared = replace(one, text=text, shared=batch_name(batch))
            found[number] = shared if text else replace(one, alone=_NO_OTHER)
    return found
