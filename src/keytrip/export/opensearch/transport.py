"""OpenSearch as a transport: tables in indices, monitors of the Alerting plugin, rules of Security Analytics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from keytrip.errors import ContentError
from keytrip.export.indices import generations, records
from keytrip.export.indices.templates import TEMPLATE, TEMPLATE_KIND, delete_template, put_template, read_templates
from keytrip.export.indices.transport import IndexTransport
from keytrip.export.model import (
    Item,
    Kind,
    Live,
    LiveItem,
)
from keytrip.export.opensearch.analytics import KINDS as ANALYTICS_KINDS
from keytrip.export.opensearch.analytics import Analytics
from keytrip.export.opensearch.monitors import (
    MONITOR,
    MONITOR_KIND,
    create_monitor,
    delete_monitor,
    read_monitors,
    update_monitor,
)
from keytrip.export.wire import Send

KINDS = {kind.name: kind for kind in (TEMPLATE_KIND, MONITOR_KIND, *ANALYTICS_KINDS)}


@dataclass
class Opensearch(IndexTransport):
    """One cluster.

    Attributes:
        once: Reaches it without retries, for what makes an object under an id of the server's choice.
        analytics: Security Analytics; None where the destination does not use it.
        kinds: Of items.
    """

    once: Send
    analytics: Analytics | None = None
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)

    def read(self, items: Iterable[tuple[str, str]], tables: Iterable[str]) -> Live:
        """Return what is there."""
        asked = list(items)
        found = chain(
            read_templates(self.indices.send, [name for kind, name in asked if kind == TEMPLATE]),
            read_monitors(self.indices.send, [name for kind, name in asked if kind == MONITOR]),
            self.analytics.read(asked) if self.analytics else (),
        )
        live, there, others = generations.read_generations(self.indices, tables)
        foreign = (LiveItem("table", name, {}, ours=False) for name in sorted(others))
        deployments = records.read_deployments(self.indices.send)
        return Live({(one.kind, one.name): one for one in chain(found, foreign)}, live, there, deployments)

    def create(self, item: Item) -> None:
        """Make an item."""
        if item.kind == TEMPLATE:
            put_template(self.indices.send, item)
        elif item.kind == MONITOR:
            create_monitor(self.once, item)
        else:
            self._analytics(item.kind).create(item)

    def update(self, item: Item, live: LiveItem) -> None:
        """Write over a live item."""
        if item.kind == TEMPLATE:
            put_template(self.indices.send, item)
        elif item.kind == MONITOR:
            update_monitor(self.indices.send, item, live)
        else:
            self._analytics(item.kind).update(item, live)

    def delete(self, live: LiveItem) -> None:
        """Remove an item."""
        if live.kind == TEMPLATE:
            delete_template(self.indices.send, live)
        elif live.kind == MONITOR:
            delete_monitor(self.indices.send, live)
        else:
            self._analytics(live.kind).delete(live)

    def _analytics(self, kind: str) -> Analytics:
        """Return the plugin.

        Raises:
            ContentError: The destination does not use it, or does not know the kind.
        """
        if self.analytics is None or kind not in self.kinds:
            raise ContentError(f"a destination of OpenSearch has no {kind}", hint="use " + ", ".join(self.kinds))
        return self.analytics
