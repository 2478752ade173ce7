"""One search for several counting rules over the same events: one pass, one schedule, a row for each rule's alert.

Rules are put together that read one table under its own names, group by the same fields and have the same windows.
Each distinct condition has its own counts and times in one `stats`, each rule its own test of them; `mvexpand` then
makes a row of each rule that is met, when only groups with an alert are left. Each table is looked up once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from keytrip.compile.plan import Block, Plan
from keytrip.compile.schedule import range_of
from keytrip.compile.splunk_blocks import Looked, looked_up, lookup
from keytrip.compile.splunk_conditions import parenthesised, quote_spl
from keytrip.compile.splunk_events import any_base, any_of, day_steps, picked, window_text
from keytrip.compile.splunk_expressions import spl_all, spl_threshold
from keytrip.compile.splunk_groups import RANKED, combination
from keytrip.compile.views import Column, views_of

_NULL = "null()"


def alone_because(plan: Plan | None) -> str:
    """Return why a rule needs a search of its own, or an empty string; None stands for a plain rule."""
    if plan is None:
        return "a plain rule returns its events"
    if plan.temporal or plan.inner:
        return "temporal correlations and chains make rows of their own"
    if len(plan.reads) > 1 or len(views_of(plan)) > 1:
        return "it reads several tables, or has aliases"
    if plan.type in RANKED:
        return f"{plan.type} ranks the events of one rule"
    return "a share counts members for one rule" if plan.share_block is not None else ""


def batches_of(plans: Sequence[Plan]) -> list[list[Plan]]:
    """Return the plans that one search can hold, each list in order; one that has no other beside it stands alone."""
    found: dict[tuple[object, ...], list[Plan]] = {}
    for plan in plans:
        found.setdefault((plan.reads, plan.group_by, plan.seconds, plan.offset), []).append(plan)
    return list(found.values())


def batch_name(plans: Sequence[Plan]) -> str:
    """Return the name of a search: what its rules have in common."""
    first = plans[0]
    window = range_of(first, sliding=True).rpartition(" ")[2]
    return "_".join(["combined", *first.reads, window, *first.group_by])


@dataclass(frozen=True)
class _Rule:
    """A rule's part in the search: the number of its condition, and of its aggregate if it has one."""

    number: int
    plan: Plan
    condition: int
    value: str

    @property
    def mark(self) -> str:
        """The condition that a row is this rule's."""
        return f'(kt_rule = "r{self.number:02}")'

    @property
    def met(self) -> str:
        """The condition that a group meets the rule's threshold."""
        present = [] if self.plan.type == "event_count" else [f"(isnotnull({self.value}))"]
        return spl_all([f"(kt_n{self.condition} > 0)", *present, spl_threshold(self.value, self.plan.threshold)])


def combined_steps(plans: Sequence[Plan], column: Column) -> list[str]:
    """Return the steps from events to one row for each rule and alert, shaped as the result.

    Args:
        plans: A batch of `batches_of`.
        column: Gives the text of a canonical field.
    """
    return list(_Combined(tuple(plans), column).steps())


@dataclass(frozen=True)
class _Combined:
    plans: tuple[Plan, ...]
    column: Column

    @cached_property
    def conditions(self) -> list[str]:
        """The distinct conditions."""
        return list(dict.fromkeys(any_base(plan.bases) for plan in self.plans))

    @cached_property
    def aggregates(self) -> dict[str, str]:
        """Text of an aggregate -> name."""
        found = dict.fromkeys(text for plan in self.plans if (text := self._aggregate(plan)))
        return {text: f"kt_v{number}" for number, text in enumerate(found)}

    @cached_property
    def rules(self) -> list[_Rule]:
        """Each plan's part."""
        return [_Rule(n, plan, self._condition(plan), self._value(plan)) for n, plan in enumerate(self.plans)]

    def _condition(self, plan: Plan) -> int:
        return self.conditions.index(any_base(plan.bases))

    def _of(self, plan: Plan, text: str) -> str:
        """Return a value of an event, null where the event is none of the plan's."""
        return f"if({self.conditions[self._condition(plan)]}, {text}, {_NULL})"

    def _aggregate(self, plan: Plan) -> str:
        function = {"value_sum": "sum", "value_avg": "avg", "value_count": "dc"}.get(plan.type)
        return f"{function}({self._input(plan)})" if function else ""

    def _input(self, plan: Plan) -> str:
        return self.inputs[self._of(plan, self._counted(plan))]

    @cached_property
    def inputs(self) -> dict[str, str]:
        """Text of a value that is counted -> name."""
        texts = dict.fromkeys(self._of(plan, self._counted(plan)) for plan in self.plans if plan.fields)
        return {text: f"kt_x{number}" for number, text in enumerate(texts)}

    def _counted(self, plan: Plan) -> str:
        fields = [self.column(name) for name in plan.fields]
        return fields[0] if len(fields) == 1 else combination(fields)

    def _value(self, plan: Plan) -> str:
        aggregate = self._aggregate(plan)
        value = self.aggregates[aggregate] if aggregate else f"kt_n{self._condition(plan)}"
        return f"round({value}, 9)" if plan.cost_sum else value

    def steps(self) -> Iterator[str]:
        """Yield the steps."""
        first = self.plans[0]
        groups = {name: self.column(name) for name in first.group_by}
        yield from day_steps("".join([*self.conditions, *groups.values(), *self.inputs]))
        present = [f"(isnotnull({text}))" for text in groups.values()]
        yield f"where {spl_all([*present, parenthesised(any_of(self.conditions))])}"
        times = [f"kt_t{number} = if({test}, _time, {_NULL})" for number, test in enumerate(self.conditions)]
        inputs = (f"{name} = {text}" for text, name in self.inputs.items())
        renamed = (f"{name} = {text}" for name, text in groups.items() if name != text)
        yield f"eval {', '.join([f'window_start = {window_text(first)}', *times, *inputs, *renamed])}"
        yield f"stats {' '.join(self._stats())} by {' '.join([*first.group_by, 'window_start'])}"
        marks = (f'if({rule.met}, "r{rule.number:02}", {_NULL})' for rule in self.rules)
        yield f"eval kt_rule = mvappend({', '.join(marks)})"
        yield "where (isnotnull(kt_rule))"
        yield "mvexpand kt_rule"
        names = {"events": "kt_n", "first_seen": "kt_a", "last_seen": "kt_z"}
        columns = [f"value = exact({self._picked([rule.value for rule in self.rules])})"]
        columns += [f"{n} = {self._picked([f'{kt}{r.condition}' for r in self.rules])}" for n, kt in names.items()]
        yield f"eval {', '.join(columns)}"
        yield from self._blocks()
        yield from self._shape()

    def _stats(self) -> Iterator[str]:
        for number in range(len(self.conditions)):
            yield " ".join(
                f"{f}(kt_t{number}) as kt_{n}{number}" for f, n in (("count", "n"), ("min", "a"), ("max", "z"))
            )
        yield from (f"{text} as {name}" for text, name in self.aggregates.items())

    def _picked(self, texts: Sequence[str]) -> str:
        # a row is of one rule, so the order is free, and what most rules have is said once, at the end
        choices = sorted(zip(self.rules, texts, strict=True), key=lambda choice: texts.count(choice[1]))
        return picked([(rule.mark, text) for rule, text in choices])

    @cached_property
    def keys(self) -> dict[tuple[str, tuple[str, ...]], int]:
        """(table, columns) that blocks look up -> number."""
        blocks = [block for plan in self.plans for block in plan.blocks]
        asked = [key for b in blocks for key in ((b.table, b.on), *([b.requires] if b.requires else []))]
        return {key: number for number, key in enumerate(dict.fromkeys(asked))}

    def _own(self, block: Block) -> Block:
        """Return a block whose columns are numbered by its table and key, so that rules can share a lookup."""
        return replace(block, prefix=f"kt_{self.keys[block.table, block.on]}_")

    def _looks(self, block: Block) -> list[Looked]:
        """Return what a block asks of its tables."""
        required = self.keys[block.requires] if block.requires else ""
        return looked_up(self._own(block), f"kt_found_{self.keys[block.table, block.on]}", f"kt_found_{required}")

    def _column(self, plan: Plan, name: str) -> str:
        """Return what holds a baseline column of the result for a plan, or null."""
        own = {f"{b.prefix}{c}": f"baseline_{self._own(b).prefix}{c}" for b in plan.blocks for c in b.columns}
        return own.get(name, _NULL)

    def _blocks(self) -> Iterator[str]:
        """Yield the lookups, one for each table and key, and the test of every rule."""
        asked = [[look for block in rule.plan.blocks for look in self._looks(block)] for rule in self.rules]
        outputs: dict[tuple[str, tuple[str, ...]], dict[tuple[str, str], None]] = {}
        for look in (look for looks in asked for look in looks):
            outputs.setdefault((look.table, look.on), {}).update(dict.fromkeys(look.output))
        for (table, on), output in outputs.items():
            yield lookup(table, on, list(output))
        if outputs:
            each = zip(self.rules, asked, strict=True)
            yield f"where {any_of([spl_all([rule.mark, *(look.test for look in looks)]) for rule, looks in each])}"

    def _shape(self) -> Iterator[str]:
        first = self.plans[0]
        baseline = dict.fromkeys(f"{b.prefix}{c}" for plan in self.plans for b in plan.blocks for c in b.columns)
        found = {
            f"baseline_{name}": self._picked([self._column(rule.plan, name) for rule in self.rules])
            for name in baseline
        }
        found["rule"] = self._picked([quote_spl(rule.plan.rule) for rule in self.rules])
        found["level"] = self._picked([quote_spl(rule.plan.level) for rule in self.rules])
        made = [f"window_end = (window_start + {first.seconds})", *(f"{name} = {text}" for name, text in found.items())]
        yield f"eval {', '.join(made)}"
        columns = ["window_start", "window_end", "value", "events", "first_seen", "last_seen"]
        yield f"table {' '.join([*first.group_by, *columns, *found])}"
