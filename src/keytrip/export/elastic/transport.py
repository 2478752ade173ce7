"""Elasticsearch and Kibana as a transport: tables in lookup indices, rules in the detection engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from keytrip.errors import ContentError
from keytrip.export.elastic.indicators import (
    INDICATOR_KIND,
    INDICATORS,
    delete_indicators,
    put_indicators,
    read_indicators,
)
from keytrip.export.elastic.rules import RULE, RULE_KIND, create_rule, delete_rule, read_rules, update_rule
from keytrip.export.elastic.value_lists import (
    VALUE_LIST,
    VALUE_LIST_KIND,
    create_list,
    delete_list,
    read_lists,
    update_list,
)
from keytrip.export.indices import generations, records
from keytrip.export.indices.templates import (
    TEMPLATE,
    TEMPLATE_KIND,
    delete_template,
    put_template,
    read_templates,
)
from keytrip.export.indices.transport import IndexTransport
from keytrip.export.model import (
    Deployment,
    Item,
    Kind,
    Live,
    LiveItem,
)
from keytrip.export.wire import Send

KINDS = {kind.name: kind for kind in (RULE_KIND, TEMPLATE_KIND, INDICATOR_KIND, VALUE_LIST_KIND)}


@dataclass(frozen=True)
class Calls:
    """What Kibana is asked for the items of one kind."""

    read: Callable[[Send, Iterable[str], Sequence[Deployment]], Iterator[LiveItem]]
    create: Callable[[Send, Item], None]
    update: Callable[[Send, Item, LiveItem], None]
    delete: Callable[[Send, LiveItem], None]


# Kind -> how Kibana is asked for it; the others are the cluster's.
IN_KIBANA = {
    RULE: Calls(read_rules, create_rule, update_rule, delete_rule),
    VALUE_LIST: Calls(read_lists, create_list, update_list, delete_list),
}


@dataclass
class Elastic(IndexTransport):
    """One cluster, and a space of its Kibana.

    Attributes:
        kibana: Reaches Kibana; None for a destination without rules.
        kinds: Of items.
    """

    kibana: Send | None = None
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what is there."""
        deployments = records.read_deployments(self.indices.send)
        asked = list(items)
        found = chain(
            read_templates(self.indices.send, [name for kind, name in asked if kind == TEMPLATE]),
            read_indicators(self.indices, [name for kind, name in asked if kind == INDICATORS]),
            self._of_kibana(asked, deployments),
        )
        live, there, others = generations.read_generations(self.indices, tables)
        foreign = (LiveItem("table", name, {}, ours=False) for name in sorted(others))
        return Live({(one.kind, one.name): one for one in chain(found, foreign)}, live, there, deployments)

    def create(self, item: Item) -> None:
        """Make an item."""
        if item.kind == TEMPLATE:
            put_template(self.indices.send, item)
        elif item.kind == INDICATORS:
            put_indicators(self.indices, item)
        else:
            kibana, calls = self._reached(item.kind)
            calls.create(kibana, item)

    def update(self, item: Item, live: LiveItem) -> None:
        """Write over a live item."""
        if item.kind == TEMPLATE:
            put_template(self.indices.send, item)
        elif item.kind == INDICATORS:
            put_indicators(self.indices, item, live)
        else:
            kibana, calls = self._reached(item.kind)
            calls.update(kibana, item, live)

    def delete(self, live: LiveItem) -> None:
        """Remove an item."""
        if live.kind == TEMPLATE:
            delete_template(self.indices.send, live)
        elif live.kind == INDICATORS:
            delete_indicators(self.indices, live)
        else:
            kibana, calls = self._reached(live.kind)
            calls.delete(kibana, live)

    def _of_kibana(self, asked: Sequence[tuple[str, str]], deployments: Sequence[Deployment]) -> Iterator[LiveItem]:
        if self.kibana is not None:
            for kind, calls in IN_KIBANA.items():
                yield from calls.read(self.kibana, [name for one, name in asked if one == kind], deployments)

    def _reached(self, kind: str) -> tuple[Send, Calls]:
        """Return what reaches Kibana, and how it is asked.

        Raises:
            ContentError: The destination has none, or does not know the kind.
        """
        if self.kibana is None or kind not in IN_KIBANA:
            raise ContentError(f"a destination of Elastic has no {kind}", hint="use " + ", ".join(self.kinds))
        return self.kibana, IN_KIBANA[kind]
