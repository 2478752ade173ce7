"""What an alerting rule means, target by target the same: correlations, what they build on, and their baseline blocks.

A `Plan` says nothing of Sigma any more. A target writes it out from the inside: first the events of each base, then the
windows, then the blocks. `keytrip.compile.resolve` makes plans, `keytrip.compile.blocks` their blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from keytrip.records.vocabulary import Field, vocabulary
from keytrip.rules.expression import Expression, columns_of

OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "neq": "<>"}
COUNTING = ("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median")
TEMPORAL = ("temporal", "temporal_ordered")


@dataclass(frozen=True)
class Threshold:
    """A value compared with a number: `operator` is SQL's."""

    operator: str
    number: float


@dataclass(frozen=True)
class Block:
    """One baseline block.

    Attributes:
        table: The baseline table.
        on: Columns to join by.
        prefix: Put before the names of its baseline columns in the result (from the second block on).
        exceeds: The value must be greater; None for membership.
        where: Must hold too.
        fires_without_row: Whether a group without a row fires (`missing: fire`).
        requires: (table, columns) that must hold a row; no columns: nothing is required.
        share: Compared with the share of absent events; None: a single absent group fires.
        keys: Table -> its key columns in order, of `table` and of the required one.
    """

    table: str
    on: tuple[str, ...]
    prefix: str = ""
    exceeds: Expression | None = None
    where: Expression | None = None
    fires_without_row: bool = False
    requires: tuple[str, tuple[str, ...]] | None = None
    share: Threshold | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the expressions name."""
        return tuple(dict.fromkeys((*columns_of(self.exceeds), *columns_of(self.where))))

    @property
    def needs_row(self) -> bool:
        """Whether it must be asked for the row: an `exceeds` that names no column holds without one."""
        return not self.fires_without_row and not columns_of(self.exceeds)

    @property
    def absent(self) -> bool:
        """Whether this is the membership form."""
        return self.exceeds is None


@dataclass(frozen=True)
class Narrowing:
    """What is true of every event that a plain rule matches, for a target that can use it before the exact test.

    Attributes:
        search: What its index can be asked for; empty for nothing.
        present: Canonical fields that every such event has.
    """

    search: str = ""
    present: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Base:
    """One rule that a correlation refers to: which events are its own, and what they call the correlation's fields.

    Attributes:
        name: The rule's name.
        source: The canonical table that a plain rule reads; of a correlation its plan. Each alert of that plan is an
            event, its `timestamp` the alert's `last_seen`, its fields those of `Plan.group_by`; derived fields are
            computed from these again, and every other field is null.
        condition: Which of the source's events the rule matches, in the target's language (what the backend's
            `convert_condition` wrote); empty for a plan, whose alerts all count.
        aliases: Name in the correlation -> field of this base's events; a name that is not there is the field's own.
        narrowing: What the backend's `narrowing` found; nothing for a plan.
    """

    name: str
    source: str | Plan
    condition: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    narrowing: Narrowing = Narrowing()

    def field(self, name: str) -> str:
        """Return what this base's events call a field of the correlation."""
        return self.aliases.get(name, name)

    def type_of(self, name: str) -> Field | None:
        """Return the vocabulary's entry of the field that `name` stands for, or None where there is no such field."""
        return field_of(self.source, self.field(name))


@dataclass(frozen=True)
class Plan:
    """One correlation rule, over records or over other correlations' alerts.

    Its events are those of `bases`; one that several bases match counts once. (Bases of the same source may name the
    group differently: then it counts once in each group that they put it in. Where only a counted field is named
    differently, the first base that matches says which.) An event with null in a group field takes no part.

    Attributes:
        rule: The rule's name.
        rule_id: Its id.
        title: Its title.
        level: Its level.
        type: The correlation type.
        fields: The counted or summed fields (none for event_count and the temporal types).
        percentile: For value_percentile.
        threshold: The static condition; of the temporal types that all rules have an event.
        group_by: Group fields, by the correlation's own names (aliases, where it has some).
        seconds: Width of the tumbling window; of a temporal type the longest way between its first and last event.
        offset: Seconds after the epoch that windows count from; 0 for the temporal types.
        blocks: Baseline blocks, all of which must hold.
        bases: The referenced rules in the order of `rules`, which is that of temporal_ordered.
        version: The day of its last change, as it says itself; may be empty.
    """

    rule: str
    rule_id: str
    title: str
    level: str
    type: str
    fields: tuple[str, ...]
    percentile: int | None
    threshold: Threshold
    group_by: tuple[str, ...]
    seconds: int
    offset: int
    blocks: tuple[Block, ...]
    bases: tuple[Base, ...]
    version: str = ""

    @property
    def temporal(self) -> bool:
        """Whether the window slides: all rules within `seconds`, or for temporal_ordered one after the other."""
        return self.type in TEMPORAL

    @property
    def ordered(self) -> bool:
        """Whether the rules have to follow each other at strictly increasing times."""
        return self.type == "temporal_ordered"

    @property
    def inner(self) -> tuple[Plan, ...]:
        """The correlations that this one builds on, each once."""
        plans = (base.source for base in self.bases if isinstance(base.source, Plan))
        return tuple({plan.key: plan for plan in plans}.values())

    @property
    def mixed(self) -> bool:
        """Whether its events are alerts beside records, or alerts of several correlations."""
        records = any(isinstance(base.source, str) for base in self.bases)
        return len(self.inner) > 1 or (records and bool(self.inner))

    @property
    def all(self) -> Iterator[Plan]:
        """This plan and every one below it."""
        yield self
        for plan in self.inner:
            yield from plan.all

    @property
    def key(self) -> str:
        """What tells the rule from others."""
        return self.rule_id or self.rule

    @property
    def reads(self) -> tuple[str, ...]:
        """Canonical tables that the rules at the bottom read."""
        found = (source.reads if isinstance(source, Plan) else (source,) for source in (b.source for b in self.bases))
        return tuple(dict.fromkeys(table for tables in found for table in tables))

    @property
    def reach(self) -> int | None:
        """How many seconds before an alert's end its earliest record may be; None: any time, since alerts may grow."""
        if self.temporal:
            return None
        below = [plan.reach for plan in self.inner]
        return None if None in below else self.seconds + max((n for n in below if n is not None), default=0)

    @property
    def share_block(self) -> Block | None:
        """The block that asks for a share, if one does."""
        return next((b for b in self.blocks if b.share), None)

    @property
    def tables(self) -> tuple[str, ...]:
        """Baseline tables that the rule itself reads; those of `inner` come besides."""
        required = (b.requires[0] for b in self.blocks if b.requires)
        return tuple(dict.fromkeys([*(b.table for b in self.blocks), *required]))

    @property
    def event_fields(self) -> tuple[str, ...]:
        """Fields of the events that the aggregation reads."""
        shared = self.share_block.on if self.share_block else ()
        return tuple(dict.fromkeys((*self.group_by, *self.fields, *shared)))

    @property
    def cost_sum(self) -> bool:
        """Whether the value is a sum of money, which every engine rounds to nine decimals."""
        money = len(self.fields) == 1 and all(base.field(self.fields[0]) == "cost_usd" for base in self.bases)
        return self.type == "value_sum" and money


def field_of(source: str | Plan, name: str) -> Field | None:
    """Return the vocabulary's entry of a field of a source's events, or None where there is no such field."""
    if isinstance(source, str):
        return vocabulary().tables[source].columns.get(name)
    if name in source.group_by:
        return source.bases[0].type_of(name)
    return next((found for table in source.reads if (found := field_of(table, name))), None)
