"""Sigma's global filters: documents with a `filter`, each of which narrows many plain rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keytrip.errors import ContentError
from keytrip.rules.load import Document, same_id

ANY = "any"
_RESERVED = frozenset({"rules", "condition"})


def filters_of(documents: Iterable[Document]) -> list[Document]:
    """Return the documents that are filters."""
    return [document for document in documents if "filter" in document.data]


def check_filter(document: Document) -> None:
    """Refuse what could not be applied to any rule.

    Raises:
        ContentError: The first member that is missing or has another form.
    """
    found, logsource = document.data["filter"], document.data.get("logsource")
    if not isinstance(logsource, dict) or not logsource:
        raise _wrong(document, "has no `logsource`", "such as {category: ai_usage}")
    if not isinstance(found, dict) or not set(found) - _RESERVED:
        raise _wrong(document, "`filter` has no selection", "a mapping: rules, condition, and named selections")
    if not isinstance(found.get("condition"), str):
        raise _wrong(document, "`filter.condition` is no text", "such as `not selection`")
    rules = found.get("rules")
    listed = rules if isinstance(rules, list) else [rules]
    if not all(isinstance(rule, str) for rule in listed):
        raise _wrong(document, "`filter.rules` is no list of texts", "names or ids of rules, or `any`")


def _wrong(document: Document, problem: str, hint: str) -> ContentError:
    return ContentError(problem, place=document.place, hint=hint)


def named_rules(document: Document) -> list[str] | None:
    """Return the names and ids that a sound filter is for; None: every rule of its logsource."""
    rules = document.data["filter"]["rules"]
    if isinstance(rules, str):
        return None if rules.lower() == ANY else [rules]
    return list(rules) or None


def concerns(document: Document, rule: Document) -> bool:
    """Return whether a sound filter narrows `rule`: a plain one of its logsource that it names."""
    own = rule.data.get("logsource")
    if "detection" not in rule.data or not isinstance(own, dict):
        return False
    wanted: dict[str, Any] = document.data["logsource"]
    if any(wanted.get(name) not in {None, own.get(name)} for name in ("category", "product", "service")):
        return False
    named = named_rules(document)
    return named is None or any(name == rule.name or same_id(name) == same_id(rule.data.get("id")) for name in named)
