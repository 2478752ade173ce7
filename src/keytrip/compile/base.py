"""What the backends share: base rules become conditions, a correlation becomes a plan, a target writes it out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sigma.collection import SigmaCollection
from sigma.conditions import ConditionAND, ConditionNOT, ConditionOR, ConditionValueExpression
from sigma.conversion.base import TextQueryBackend
from sigma.conversion.state import ConversionState
from sigma.exceptions import SigmaConversionError, SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldMappingTransformation, SetStateTransformation
from sigma.rule import SigmaRule
from sigma.types import SigmaNull

from keytrip.compile.formats import Writer, Written, as_it_is, check_schedulable
from keytrip.compile.plan import Narrowing, Plan
from keytrip.compile.references import check_patterns, keep_case
from keytrip.compile.resolve import NARROWING, place_of, plan_of, table_of
from keytrip.compile.schedule import EVERY_EVENT, range_of
from keytrip.compile.stock import convert_parted, stock_backend
from keytrip.errors import ContentError, KeytripError
from keytrip.records.vocabulary import Field, Table, vocabulary

if TYPE_CHECKING:
    from sigma.correlations import SigmaCorrelationRule

STATE = "keytrip_siem"
METHODS: dict[str, str] = {"default": "Tumbling windows, then the baseline"}


def siem_pipeline(siem: str) -> ProcessingPipeline:
    """Return the pipeline that tells the user's pipeline which SIEM it serves (one name for every backend)."""
    return ProcessingPipeline(items=[ProcessingItem(SetStateTransformation(STATE, siem), identifier="keytrip_siem")])


def fields_of(pipeline: ProcessingPipeline, siem: str) -> dict[str, str]:
    """Return canonical name -> field of those of a pipeline's mappings that are for `siem` (their ids say which)."""
    found: dict[str, str] = {}
    for item in pipeline.items:
        transformation = item.transformation
        if isinstance(transformation, FieldMappingTransformation) and f"_{siem}_" in f"_{item.identifier}_":
            found |= {k: v for k, v in transformation.mapping.items() if k and isinstance(v, str)}
    return found


@contextmanager
def sigma_errors(rule: Any) -> Iterator[None]:
    """Turn our errors into pySigma's, with the rule's place, so that sigma-cli reports them like its own."""
    try:
        yield
    except KeytripError as error:
        placed = error if str(error.place) else type(error)(error.message, place=place_of(rule), hint=error.hint)
        raise SigmaConversionError(rule, rule.source, str(placed)) from placed


class KeytripBackend(TextQueryBackend):
    """A pySigma backend that keeps SEMANTICS for `ai_*` logsources.

    A target gives constants and leaf methods for conditions, and two methods for queries: `correlate` and `plain`.
    """

    identifier: ClassVar[str] = ""
    siem: ClassVar[str] = ""
    correlation_methods: ClassVar[dict[str, str] | None] = METHODS
    group_expression: ClassVar[str | None] = "({expr})"
    token_separator: str = " "  # noqa: S105 - no password, as the next three
    or_token: ClassVar[str] = "or"  # noqa: S105
    and_token: ClassVar[str] = "and"  # noqa: S105
    not_token: ClassVar[str] = "not"  # noqa: S105
    precedence: ClassVar[Any] = (ConditionNOT, ConditionAND, ConditionOR)
    convert_or_as_in: ClassVar[bool] = False
    convert_and_as_in: ClassVar[bool] = False
    # output format -> what writes a rule of ours in it; pySigma's own formats hold for other logsources
    writers: ClassVar[Mapping[str, Writer]] = {"default": as_it_is}
    # our format -> pySigma's that comes closest, for rules of other logsources
    stock_formats: ClassVar[Mapping[str, str]] = {}
    # options of the backend (`sigma convert -O`), each with what it does
    options: ClassVar[Mapping[str, str]] = {}
    packs: tuple[Path, ...] = ()
    # what the last query deviates in from SEMANTICS, in the words of its header
    deviations: tuple[str, ...] = ()
    # what the last query's correlation means; None for a plain rule
    plan: Plan | None = None
    # the time range that a schedule has to give the last query
    range: str = EVERY_EVENT
    # whether temporal correlations have a sliding window
    sliding: ClassVar[bool] = True
    _table: str = "usage"

    @abstractmethod
    def correlate(self, plan: Plan) -> str:
        """Return the query of a correlation.

        Raises:
            ContentError: The target cannot say it.
        """

    @abstractmethod
    def plain(self, rule: SigmaRule, table: str, condition: str) -> str:
        """Return the query of a plain rule."""

    @abstractmethod
    def exactly(self, field: str, text: str) -> str:
        """Return the condition that the canonical `field` is exactly `text`."""

    def convert(
        self,
        rule_collection: SigmaCollection,
        output_format: str | None = None,
        correlation_method: str | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> Any:
        """Convert a collection: rules of `ai_*` logsources here, others with pySigma's own backend.

        Raises:
            SigmaConversionError: As `convert_rule`, or the target has no stock backend.
        """
        chosen = output_format or self.default_format
        self.deviations = ()
        ours = super().convert

        def theirs(rules: SigmaCollection) -> Any:
            stock = stock_backend(self, rules.rules[-1])
            method = None if correlation_method == self.default_correlation_method else correlation_method
            found = stock.convert(rules, self.stock_formats.get(chosen, chosen), method, callback)
            self.errors += stock.errors
            return found

        return convert_parted(rule_collection, lambda own: ours(own, chosen, correlation_method, callback), theirs)

    def finalize(self, queries: list[Any], output_format: str) -> Any:  # noqa: ARG002 - pySigma's signature
        """Leave queries as they are written, but for what the user's pipeline adds."""
        return self.last_processing_pipeline.finalize(queries)

    def convert_rule(
        self, rule: SigmaRule, output_format: str | None = None, callback: Callable[..., Any] | None = None
    ) -> list[Any]:
        """Convert a plain rule; of one that only a correlation uses, keep the condition.

        Raises:
            SigmaConversionError: The rule asks for what SEMANTICS does not have, or this target cannot say.
        """
        with self.collecting(rule):
            return self._convert_rule(rule, output_format, callback)
        return []

    @contextmanager
    def collecting(self, rule: Any) -> Iterator[None]:
        """Keep errors where the caller asked for that (`sigma convert --skip-unsupported`)."""
        try:
            with sigma_errors(rule):
                yield
        except SigmaError as error:
            if not self.collect_errors:
                raise
            self.errors.append((rule, error))

    def _written(self, rule: Any, output_format: str | None, query: str, plan: Plan | None = None) -> Any:
        chosen = output_format or self.default_format
        if chosen not in self.writers:
            hint = f"for it: {', '.join(self.writers)}"
            raise ContentError(f"the format {chosen} is for rules of other logsources than ai_*", hint=hint)
        if plan is not None and chosen != self.default_format:
            check_schedulable(plan)
        return self.writers[chosen](Written(rule, query, self._table, plan, self.deviations))

    def _convert_rule(
        self, rule: SigmaRule, output_format: str | None, callback: Callable[..., Any] | None
    ) -> list[Any]:
        if getattr(self, "last_processing_pipeline", None) is None:
            self.init_processing_pipeline(output_format)
        self.last_processing_pipeline.apply(rule)
        self._table = table_of(rule)
        check_patterns(rule.detection)
        keep_case(rule.detection.detections.values())
        parsed = [condition.parsed for condition in rule.detection.parsed_condition]
        condition = self._condition(rule, parsed)
        rule.set_conversion_result([condition])
        rule.custom_attributes[NARROWING] = self.narrowing(rule, parsed)
        if not rule._output:  # noqa: SLF001 - pySigma has no other word for it
            return []
        query: Any = self._written(rule, output_format, self.plain(rule, self._table, condition))
        self.range, self.plan = EVERY_EVENT, None
        if callback is not None:
            query = callback(rule, output_format, 0, None, query)
        return [] if query is None else [query]

    def narrowing(self, rule: SigmaRule, parsed: Sequence[Any]) -> Narrowing:  # noqa: ARG002 - for targets that have one
        """Return what is true of every event that `rule` matches, for what can be asked before the exact test.

        Args:
            rule: A plain rule.
            parsed: Its conditions, as pySigma parsed them; one of them has to hold.
        """
        return Narrowing()

    def _condition(self, rule: SigmaRule, parsed: Sequence[Any]) -> str:
        parts = []
        for each in parsed:
            converted = self.convert_condition(each, ConversionState())
            if not isinstance(converted, str):
                raise ContentError("its condition cannot be converted", place=place_of(rule))
            parts.append(converted)
        condition = self.any_of(parts)
        if rule.logsource.product:
            condition = self.narrowed(self.exactly("provider", rule.logsource.product), condition)
        return condition

    def narrowed(self, first: str, condition: str) -> str:
        """Return the text that both hold."""
        return f"{first} {self.and_token} ({condition})"

    def any_of(self, conditions: list[str]) -> str:
        """Return the text that one of the conditions holds."""
        if len(conditions) == 1:
            return conditions[0]
        return f" {self.or_token} ".join(f"({c})" for c in dict.fromkeys(conditions))

    def convert_correlation_rule(
        self,
        rule: SigmaCorrelationRule,
        output_format: str | None = None,
        method: str | None = None,  # noqa: ARG002 - pySigma's signature
        callback: Callable[..., Any] | None = None,
    ) -> list[Any]:
        """Convert a correlation: the referenced rules' conditions, then the plan.

        Raises:
            SigmaConversionError: As `convert_rule`.
        """
        with self.collecting(rule):
            return self._convert_correlation(rule, output_format, callback)
        return []

    def _convert_correlation(
        self, rule: SigmaCorrelationRule, output_format: str | None, callback: Callable[..., Any] | None
    ) -> list[Any]:
        plan = plan_of(rule, self.packs)
        self._table = plan.reads[0]
        query: Any = self._written(rule, output_format, self.correlate(plan), plan)
        self.range, self.plan = range_of(plan, sliding=self.sliding), plan
        if callback is not None:
            query = callback(rule, output_format, 0, None, query)
        queries = [] if query is None else [query]
        rule.set_conversion_result(queries)
        return queries if rule._output else []  # noqa: SLF001 - as above

    def inner_of(self, plan: Plan) -> Plan | None:
        """Return the correlation whose alerts are a plan's events, or None if its events are records.

        Raises:
            ContentError: They are both, or alerts of several correlations, which a target without unions cannot say.
        """
        inner = plan.inner
        if not inner:
            return None
        if plan.mixed:
            names = ", ".join(dict.fromkeys(base.name for base in plan.bases))
            raise ContentError(
                f"{self.identifier.removeprefix('keytrip_')} cannot put alerts beside other events: {names}",
                hint="duckdb and spark can, as can one correlation over the alerts of one",
            )
        return inner[0]

    def records_of(self, plan: Plan) -> tuple[str, str]:
        """Return (canonical table, condition) of a counting correlation's events, for a target that knows no other.

        Raises:
            ContentError: The correlation is temporal, builds on others, has aliases or reads several tables.
        """
        first = plan.bases[0].source
        if plan.temporal:
            problem = f"{plan.type} correlations"
        elif plan.inner or not isinstance(first, str):
            problem = "correlations over correlations"
        elif any(base.aliases for base in plan.bases):
            problem = "aliases"
        elif len(plan.reads) > 1:
            problem = "correlations over several tables"
        else:
            return first, self.any_of([base.condition for base in plan.bases])
        raise ContentError(f"{problem} are not compiled for this target yet", hint="esql, splunk, duckdb and spark can")

    def convert_condition_val(self, cond: ConditionValueExpression, state: ConversionState) -> Any:  # noqa: ARG002
        """Refuse keywords: a record has no text of its own to search."""
        word = "null" if isinstance(cond.value, SigmaNull) else f"keyword {cond.value}"
        raise ContentError(f"{word} has no field to search", hint="name a field")

    # -- fields ----------------------------------------------------------------------------------------------------

    def field_map(self) -> dict[str, str]:
        """Return canonical name -> the SIEM's field, as this run's pipeline maps it."""
        return fields_of(self.last_processing_pipeline, self.siem)

    def siem_field(self, name: str) -> str:
        """Return the SIEM's field of a canonical one."""
        return self.field_map().get(name, name)

    def canonical_field(self, name: str) -> tuple[str, Field]:
        """Return (canonical name, field) of a field in a condition, whichever of the two names it has.

        Raises:
            ContentError: The canonical table has no such field.
        """
        canonical = {v: k for k, v in self.field_map().items()}.get(name, name)
        columns = table_named(self._table).columns
        if canonical not in columns:
            raise ContentError(f"no field {canonical!r} in {self._table} records", hint="docs/fields.md lists them")
        return canonical, columns[canonical]


def table_named(name: str) -> Table:
    """Return the canonical table."""
    return vocabulary().tables[name]
