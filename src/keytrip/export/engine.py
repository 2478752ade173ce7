"""The order of work in a destination: every step may be the last before a crash, and the next apply goes on from there.

Lock, record `applying`, what tables need, new generations beside the old, a count, the switch, what needs the tables,
deletes, record `done`, old generations away. Nobody who reads meanwhile finds a table missing, empty or half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from keytrip import __version__
from keytrip.errors import DataError, SystemRefusedError
from keytrip.export.desired import Desired
from keytrip.export.locking import Lock, held, whoami
from keytrip.export.model import Deployment, Generation, Item, Kind, Live, RowChange, Table, Transport
from keytrip.export.plan import ItemChange, Plan, TableChange, last_done, plan_for
from keytrip.export.rows import RowCounts, row_change

_WRITTEN = {"create", "update"}


@dataclass(frozen=True)
class Told:
    """How a run speaks to whoever started it.

    Attributes:
        total: Takes how many steps there will be: an item is one, a row is one.
        step: Takes how many are done.
        note: Takes a line of text.
    """

    total: Callable[[int], None] = lambda _: None
    step: Callable[[int], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None


def read_plan(transport: Transport, desired: Desired, *, prune: bool = False) -> Plan:
    """Return what `apply` would do; the destination is only read.

    Raises:
        SystemRefusedError: The destination refuses, or others' things have the names that we want.
    """
    return _planned(transport, desired, _read(transport, desired), prune=prune)


def apply(
    transport: Transport,
    desired: Desired,
    *,
    prune: bool = False,
    wait: float = 0,
    agreed: Callable[[Plan], None] | None = None,
    told: Told | None = None,
) -> Plan:
    """Make a destination hold what it should; return what was done.

    Args:
        transport: The destination.
        desired: What it should hold.
        prune: Whether items and tables of ours go that are not wanted any more.
        wait: Seconds to wait for another holder of the lock.
        agreed: Raises if the plan, made under the lock, is not the one that somebody agreed to.
        told: Who listens.

    Raises:
        SystemRefusedError: The destination refuses, another run holds it, or a generation was not written whole.
    """
    told = told or Told()
    with held(transport, wait, told.note) as lock:
        live = _read(transport, desired)
        plan = _planned(transport, desired, live, prune=prune)
        if agreed is not None:
            agreed(plan)
        kept = [one for one in _recorded_items(live) if (one.kind, one.name) in _kept(plan)]
        items = (*desired.items, *kept)
        if plan.empty and _settled(live, items):
            _drop(transport, live, lock, _marks(live.tables.values()), back=2)
            return plan
        _run(_Run(transport, plan, live, items, desired.snapshot, lock, told))
        return plan


def roll_back(transport: Transport, *, wait: float = 0, told: Told | None = None) -> Plan:
    """Put the deployment before the last one back, items and generations; return what was done.

    After an apply that was cut off, it is the last finished one.

    Raises:
        DataError: There is none before, or its generations are gone.
        SystemRefusedError: As for `apply`.
    """
    told = told or Told()
    with held(transport, wait, told.note) as lock:
        live = transport.read((), ())
        target = _before(live)
        here = {one.table for one in target.tables if (one.table, one.number) in live.generations}
        lacking = sorted({one.table for one in target.tables} - here)
        if lacking:
            problem = f"the generation of {lacking[0]} in deployment {target.number} is gone"
            raise DataError(problem, hint="`keytrip baseline use N` and `keytrip apply` bring its rows back")
        live = transport.read([(one.kind, one.name) for one in target.items], [one.table for one in target.tables])
        tables = tuple(_table_of(one) for one in target.tables)
        desired = Desired(target.items, tables, {}, target.snapshot)
        plan = plan_for(desired, live, transport.kinds, _not_compared, prune=True)
        plan = _switching(plan, target, live)
        _run(_Run(transport, plan, live, target.items, target.snapshot, lock, told))
        return plan


def destroy(transport: Transport, *, wait: float = 0, told: Told | None = None) -> Plan:
    """Remove everything of ours; return what was removed.

    Raises:
        SystemRefusedError: As for `apply`.
    """
    told = told or Told()
    with held(transport, wait, told.note) as lock:
        live = transport.read((), ())
        plan = _planned(transport, Desired(()), live, prune=True)
        told.total(len(plan.items) + len(live.generations))
        _delete(plan.items, transport, lock, told)
        for change in plan.tables:
            lock.keep()
            transport.forget(change.name)
        for table, number in sorted(live.generations):
            lock.keep()
            transport.drop(table, number)
            told.step(1)
        lock.renew()
        transport.wipe()
        return plan


@dataclass(frozen=True)
class _Run:
    """One run: what is done, and the deployment that comes of it."""

    transport: Transport
    plan: Plan
    live: Live
    items: tuple[Item, ...]
    snapshot: int | None
    lock: Lock
    told: Told


def _run(run: _Run) -> None:
    transport, plan, lock = run.transport, run.plan, run.lock
    written = [change for change in plan.items if change.action in _WRITTEN]
    rows = sum(one.table.count for one in plan.tables if one.action in _WRITTEN and one.table and not one.generation)
    run.told.total(len(written) + rows)
    numbers = _numbers(plan, run.live)
    record = _record(run, numbers)
    _drop(transport, run.live, lock, {*_marks(run.live.tables.values()), *_marks(record.tables)})
    lock.renew()
    transport.save(record)
    early = [change for change in written if transport.kinds[change.kind].rank < 0]
    _write(early, run)
    switched = [_staged(change, numbers[change.name], run) for change in plan.tables if change.action in _WRITTEN]
    lock.renew()
    if switched:
        transport.switch(switched)
    _write([change for change in written if change not in early], run)
    _delete(plan.items, transport, lock, run.told)
    for change in plan.tables:
        if change.action == "delete":
            transport.forget(change.name)
    lock.renew()
    transport.save(replace(record, state="done"))
    _drop(transport, run.live, lock, _marks(record.tables))


def _numbers(plan: Plan, live: Live) -> dict[str, int]:
    """Return the generation of each table: the live one, an older one, or the number after all that are there."""
    taken: dict[str, int] = {}
    for table, number in live.generations:
        taken[table] = max(number, taken.get(table, 0))
    found = {}
    for change in plan.tables:
        if change.action in {"unchanged", "kept"} and change.live is not None:
            found[change.name] = change.live.number
        elif change.action in _WRITTEN:
            found[change.name] = change.generation or taken.get(change.name, 0) + 1
    return found


def _record(run: _Run, numbers: dict[str, int]) -> Deployment:
    records = run.live.deployments
    known = {one.table: one for record in reversed(records) for one in record.tables}
    tables = tuple(
        _generation(change, numbers[change.name], known.get(change.name))
        for change in run.plan.tables
        if change.name in numbers
    )
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    number = 1 + max((one.number for one in records), default=0)
    changes = {(change.kind, change.name): change for change in run.plan.items}
    items = tuple(_recorded(item, changes.get((item.kind, item.name)), run.transport.kinds) for item in run.items)
    return Deployment(number, "applying", now, whoami(), __version__, items, tables, run.snapshot)


def _recorded(item: Item, change: ItemChange | None, kinds: Mapping[str, Kind]) -> Item:
    """Return an item as it is written: with what users set, for a rollback that makes it anew."""
    if change is None or change.live is None:
        return change.item if change is not None and change.item is not None else item
    kind, live = kinds[item.kind], change.live.body
    written = change.item or item
    names = kind.kept if change.item is not None or kind.version is None else {*kind.kept, kind.version}
    return replace(written, body={**written.body, **{name: live[name] for name in names if name in live}})


def _generation(change: TableChange, number: int, known: Generation | None) -> Generation:
    """Return what the record says of a table; of one that is only kept, what it said before."""
    table, live = change.table, change.live
    if table is not None:
        return Generation(table.name, number, table.count, table.digest, table.key, dict(table.columns))
    if known is not None and known.number == number:
        return known
    return live or Generation(change.name, number, 0, "")


def _staged(change: TableChange, number: int, run: _Run) -> tuple[Table, int]:
    """Write a new generation of a table whole, and have the server count it.

    Raises:
        SystemRefusedError: It counts another number of rows than were sent.
    """
    table = change.table or _table_of(Generation(change.name, number, 0, ""))
    if change.generation:
        return table, number

    def progress(rows: int) -> None:
        run.told.step(rows)
        run.lock.keep()

    counted = None
    if change.rows is not None and change.live is not None:
        counted = run.transport.copy(table, number, change.live.number, change.rows, progress)
    if counted is None:
        counted = run.transport.stage(table, number, progress)
    if counted != table.count:
        problem = f"{table.name}: {table.count} rows were sent and {counted} are there"
        raise SystemRefusedError(problem, hint="nothing was switched; look at the server's log, then apply again")
    return table, number


def _write(changes: Iterable[ItemChange], run: _Run) -> None:
    kinds = run.transport.kinds
    for change in sorted(changes, key=lambda change: kinds[change.kind].rank):
        run.lock.keep()
        if change.item is not None and change.live is not None:
            run.transport.update(change.item, change.live)
        elif change.item is not None:
            run.transport.create(change.item)
        run.told.step(1)


def _delete(changes: Sequence[ItemChange], transport: Transport, lock: Lock, told: Told) -> None:
    doomed = [change.live for change in changes if change.action == "delete" and change.live is not None]
    for live in sorted(doomed, key=lambda live: -transport.kinds[live.kind].rank):
        lock.keep()
        transport.delete(live)
        told.step(1)


def _drop(transport: Transport, live: Live, lock: Lock, current: Iterable[tuple[str, int]], back: int = 1) -> None:
    """Remove generations that neither queries need nor a rollback to one of the last `back` finished deployments."""
    done = [one for one in live.deployments if one.state == "done"]
    kept = {*current, *((one.table, one.number) for record in done[:back] for one in record.tables)}
    for table, number in sorted(live.generations - kept):
        lock.keep()
        transport.drop(table, number)


def _marks(tables: Iterable[Generation]) -> set[tuple[str, int]]:
    return {(one.table, one.number) for one in tables}


def _read(transport: Transport, desired: Desired) -> Live:
    return transport.read([(item.kind, item.name) for item in desired.items], [table.name for table in desired.tables])


def _planned(transport: Transport, desired: Desired, live: Live, *, prune: bool) -> Plan:
    def differ(table: Table, generation: int) -> tuple[RowCounts, RowChange | None]:
        return row_change(table, generation, transport)

    return plan_for(desired, live, transport.kinds, differ, prune=prune)


def _not_compared(_table: Table, _generation: int) -> tuple[RowCounts, RowChange | None]:
    return RowCounts(0, 0, 0), None


def _kept(plan: Plan) -> set[tuple[str, str]]:
    return {(change.kind, change.name) for change in plan.items if change.action == "kept"}


def _recorded_items(live: Live) -> tuple[Item, ...]:
    record = last_done(live)
    return record.items if record else ()


def _settled(live: Live, items: Sequence[Item]) -> bool:
    """Whether the last record says what is there, and nothing half-done is left."""
    if not live.deployments or live.deployments[0].state != "done":
        return False
    names = {(one.kind, one.name, one.rule_id) for one in live.deployments[0].items}
    tables = _marks(live.deployments[0].tables)
    return names == {(one.kind, one.name, one.rule_id) for one in items} and tables == _marks(live.tables.values())


def _before(live: Live) -> Deployment:
    """Return the deployment that a rollback goes back to.

    Raises:
        DataError: There is none.
    """
    done = [one for one in live.deployments if one.state == "done"]
    finished = bool(live.deployments) and live.deployments[0].state == "done"
    found = done[1:2] if finished else done[:1]
    if not found:
        raise DataError("there is no deployment before the last one", hint="`keytrip destroy` removes what is there")
    return found[0]


def _table_of(one: Generation) -> Table:
    return Table(one.table, one.key, one.columns, one.count, one.digest, lambda: iter(()))


def _switching(plan: Plan, target: Deployment, live: Live) -> Plan:
    """Return a plan that switches tables to recorded generations instead of writing them."""
    numbers = {one.table: one.number for one in target.tables}
    tables = []
    for change in plan.tables:
        number = numbers.get(change.name)
        now = live.tables.get(change.name)
        if number is None:
            tables.append(change)
        elif now is not None and now.number == number:
            tables.append(TableChange("unchanged", change.name, change.table, now))
        else:
            tables.append(TableChange("update" if now else "create", change.name, change.table, now, generation=number))
    return replace(plan, tables=tuple(tables))
