"""Rules of other logsources go to pySigma's own backends, so that they read as users know them; ours are `ai_*`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NoReturn

from sigma.collection import SigmaCollection
from sigma.conversion.base import Backend
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaConversionError
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaRule

from keytrip.compile.resolve import place_of
from keytrip.errors import ContentError

Convert = Callable[[SigmaCollection], Any]

OURS = "ai_"
_ELASTIC, _OPENSEARCH = "sigma.backends.elasticsearch", "sigma.backends.opensearch"
# Our backend -> module and class of pySigma's for the same target.
STOCK: Mapping[str, tuple[str, str]] = {
    "keytrip_splunk": ("sigma.backends.splunk", "SplunkBackend"),
    "keytrip_esql": (_ELASTIC, "ESQLBackend"),
    "keytrip_lucene": (_ELASTIC, "LuceneBackend"),
    "keytrip_eql": (_ELASTIC, "EqlBackend"),
    "keytrip_opensearch": (_OPENSEARCH, "OpensearchLuceneBackend"),
}
# Name of a backend in `allowed_backends` of a stock pipeline -> ours that may use that pipeline too.
_MAY_USE: Mapping[str, tuple[str, ...]] = {
    "splunk": ("keytrip_splunk",),
    "lucene": ("keytrip_lucene", "keytrip_esql"),
    "eql": ("keytrip_eql",),
    "opensearch": ("keytrip_opensearch",),
}
_PIPELINES = ("sigma.pipelines.elasticsearch", "sigma.pipelines.splunk")


def stock_backend(backend: Backend, rule: Any) -> Backend:
    """Return pySigma's own backend for the target of `backend`, with the same pipeline and options.

    Raises:
        SigmaConversionError: There is none.
    """
    identifier = str(getattr(backend, "identifier", ""))
    if identifier not in STOCK:
        hint = "targets for it: " + ", ".join(name.removeprefix("keytrip_") for name in STOCK)
        _refuse(rule, f"{identifier.removeprefix('keytrip_')} reads keytrip's own tables only (ai_*)", hint)
    module, name = STOCK[identifier]
    stock = getattr(import_module(module), name)
    found: Backend = stock(backend.processing_pipeline, backend.collect_errors, **backend.backend_options)
    return found


def _refuse(rule: Any, message: str, hint: str) -> NoReturn:
    placed = ContentError(message, place=place_of(rule), hint=hint)
    raise SigmaConversionError(rule, rule.source, str(placed)) from placed


def is_foreign(rule: Any, above: tuple[Any, ...] = ()) -> bool:
    """Whether a rule reads none of our tables; `above` are the correlations that lead to it.

    Raises:
        SigmaConversionError: A correlation refers to rules of both kinds.
    """
    if isinstance(rule, SigmaCorrelationRule):
        if any(rule is other for other in above):
            return False
        references = rule.referenced_rules or rule.rules or ()
        kinds = {is_foreign(reference.rule, (*above, rule)) for reference in references}
        if len(kinds) > 1:
            _refuse(rule, "refers to rules of ai_* and of other logsources", "write one correlation for each")
        return kinds == {True}
    return isinstance(rule, SigmaRule) and not (rule.logsource.category or "").startswith(OURS)


def convert_parted(rules: SigmaCollection, ours: Convert, theirs: Convert) -> Any:
    """Return what two backends make of a collection, each of the rules that are for it."""
    rules.resolve_rule_references()
    foreign = [rule for rule in rules.rules if is_foreign(rule)]
    if not foreign:
        return ours(rules)
    if len(foreign) == len(rules.rules):
        return theirs(rules)
    own = [rule for rule in rules.rules if rule not in foreign]
    parts = [ours(SigmaCollection([*own])), theirs(SigmaCollection([*foreign]))]
    if all(isinstance(part, list) for part in parts):
        return [query for part in parts for query in part]
    return "\n".join(part if isinstance(part, str) else "\n".join(map(str, part)) for part in parts)


def widened_pipelines() -> dict[str, Callable[[], ProcessingPipeline]]:
    """Return pySigma's pipelines for Splunk and Elastic under their own names, allowed for our targets as well.

    sigma-cli asks a pipeline which targets it is for, and cannot know ours.
    """
    found: dict[str, Callable[[], ProcessingPipeline]] = {}
    for name in _PIPELINES:
        module = import_module(name)
        found |= {key: _widened(made) for key, made in vars(module).get("pipelines", {}).items()}
    return found


def _widened(made: Callable[[], ProcessingPipeline]) -> Callable[[], ProcessingPipeline]:
    def pipeline() -> ProcessingPipeline:
        stock = made()
        also = {ours for name in stock.allowed_backends for ours in _MAY_USE.get(name, ())}
        stock.allowed_backends = frozenset(stock.allowed_backends) | also
        return stock

    return pipeline
