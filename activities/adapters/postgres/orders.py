"""Orders, their journals and their inbound events in Postgres.

Whoever writes to an order's journal first locks its row in `journals`, which exists for every order id ever seen, also
where no order was accepted. So writers of one order come one after the other, in whatever process they are, and each
sees what those before it committed. Those of one process wait for each other before they take a connection: with one
each, an order with many late events would hold all of the pool's, and all other orders wait for it (I18).

The usual batch follows what the journal holds: one statement moves the journal's end from just there, and writes all
the rest. Only where the journal does not stand there, as after a repeat, does a transaction look at what it holds.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import RowMapping, Text, bindparam, cast, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities import journal
from activities.adapters.postgres import rows
from activities.adapters.postgres.driver import fetch
from activities.adapters.postgres.engine import single_statements, transaction
from activities.adapters.postgres.order_statements import (
    LOCK_JOURNAL,
    RECORDS,
    Journal,
    Row,
)
from activities.adapters.postgres.published import PublishedMarks
from activities.adapters.postgres.schema import events, inbound_events, journals, orders
from activities.ports import OrderStore, SequenceConflictError, StoredEvent
from schemas.activity_io import DecidedEvent, EventOutcome, OrderSnapshot, PublishEvents
from schemas.inbound import InboundEvent
from schemas.outbound import OutboundEvent, OutboundType
from schemas.states import OrderState, ReasonCode

DECIDED_EVENTS_MAX: Final = 10_000
"""Most event ids that a snapshot carries, the newest: Temporal's own limit of signals in a run, so no run saw more."""
DECIDED_BYTES_MAX: Final = 1_000_000
"""Most bytes of decided events that a snapshot carries: half of what Temporal takes as one payload."""
_DECIDED_OVERHEAD_BYTES: Final = 80
"""What JSON adds to an event id: the names of the members, and the type."""

Value = TypeVar("Value")

REMEMBERED_MAX: Final = 10_000
"""Most orders of which something is remembered from one call to the next: more than are under way at once."""


class PostgresOrderStore(OrderStore):
    """The port's implementation on a SQLAlchemy engine, which is the caller's to dispose of, after `close`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By order id; gone once nobody holds or awaits it."""
        self._published = PublishedMarks(engine)
        self._ending: dict[str, int] = {}
        """Orders whose last events are recorded and not yet published, with the number of the last one."""
        self._rows: dict[str, tuple[int, int]] = {}
        """Of orders whose row this process wrote: up to which sequence, and the hash of the details in it."""

    async def close(self) -> None:
        """Writes down how far orders are published, as far as that is noted only."""
        await self._published.close()

    async def look_up(self, order_id: str) -> OrderSnapshot:
        """One statement for a new order; for a known one two more, of one snapshot.

        A run goes on from the answer. With events decided of which the sequence knows nothing, it would drop an event
        whose effect another run has recorded since, and then number its own events wrongly.
        """
        async with single_statements(self._engine) as connection:
            found = (await connection.execute(_ORDER_AND_JOURNAL, {"order_id": order_id})).mappings().one()
        decided: tuple[DecidedEvent, ...] = ()
        if found["journal_sequence"] is not None:
            async with transaction(self._engine, one_snapshot=True) as connection:
                found = (await connection.execute(_ORDER_AND_JOURNAL, {"order_id": order_id})).mappings().one()
                state = _state(found)
                if not (state is not None and state.is_final):
                    decided = await _decided_events(connection, order_id)
        return OrderSnapshot(
            details=rows.details(found) if found["id"] is not None else None,
            state=_state(found),
            last_sequence=found["journal_sequence"] or 0,
            decided_events=decided,
            address_updated_at=found["address_updated_at"],
            tracking_id=found["tracking_id"],
            reason=rows.reason_of(found["reason"]),
            approval_deadline=found["approval_deadline"],
            decided_by=found["decided_by"],
            is_published=found["published_sequence"] == found["journal_sequence"],
        )

    async def record(self, batch: PublishEvents) -> tuple[StoredEvent, ...]:
        """See the port. An attempt that still runs elsewhere finishes before this one, or after it."""
        order_id, published = batch.order_id, self._published.of(batch.order_id)
        stored = await self._record_next(batch, published)
        if stored is None:
            stored = await self._record_what_is_new(batch, published)
        self._published.written(order_id, published)
        if batch.projection is not None and batch.events:
            row = (batch.events[-1].sequence, hash(batch.projection.details))
            _remember(self._rows, order_id, row)
            if batch.projection.state is not None and batch.projection.state.is_final:
                self._will_end(order_id, stored)
        return stored

    async def _record_next(self, batch: PublishEvents, published: int) -> tuple[StoredEvent, ...] | None:
        """Records a batch that begins just behind the journal's end, in one statement.

        Returns:
            As `record`; None where the journal does not end there, and nothing was written.
        """
        try:
            before = batch.events[0].sequence - 1 if batch.events else None
            if before is None or before < 0:
                return None
            fresh = journal.unrecorded(batch.order_id, batch.events, {}, before)
        except SequenceConflictError:
            return None  # It contradicts itself: whoever looks at the journal says how.
        values = _values(batch, fresh, published, before, sees_last=True)
        statement = RECORDS[self._usual_form(batch, before)]
        moved = await fetch(self._engine, statement, values, turn=self._turn(batch.order_id))
        if not moved:
            return None
        last_published: int = moved[0]["last_published_sequence"]
        if last_published == before:
            # The usual case: only this batch is unpublished, and its bytes are at hand.
            return rows.stored_in(batch.order_id, values)
        async with single_statements(self._engine) as connection:
            return await _after(connection, batch.order_id, last_published)

    async def _record_what_is_new(self, batch: PublishEvents, published: int) -> tuple[StoredEvent, ...]:
        """Records a batch of which the journal may hold a part."""
        order_id = batch.order_id
        async with transaction(self._engine, turn=self._turn(order_id)) as connection:
            last_sequence, last_published = await _lock_journal(connection, order_id, published)
            recorded = await _payloads(connection, batch, last_sequence)
            fresh = journal.unrecorded(order_id, batch.events, recorded, last_sequence)
            moved = Journal.NEXT if fresh else Journal.UNMOVED
            row = Row.WHOLE if batch.projection is not None and batch.events else Row.UNTOUCHED
            await RECORDS[moved, row].on(connection, _values(batch, fresh, published, last_sequence))
            return await _after(connection, order_id, last_published)

    async def answer_late(
        self, order_id: str, events: tuple[InboundEvent, ...], at: datetime
    ) -> tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]:
        """See the port."""
        published = self._published.of(order_id)
        async with transaction(self._engine, turn=self._turn(order_id)) as connection:
            last_sequence, last_published = await _lock_journal(connection, order_id, published)
            outcomes, rejections = journal.answer_late(
                order_id,
                events,
                decided=await _decided(connection, order_id, events),
                state=_state((await connection.execute(_LAST_STATE_OF, {"order_id": order_id})).mappings().one()),
                last_sequence=last_sequence,
                at=at,
            )
            if rejections:
                answers = PublishEvents(order_id=order_id, events=rejections, outcomes=outcomes)
                values = _values(answers, rejections, published, last_sequence)
                await RECORDS[Journal.NEXT, Row.SEQUENCE].on(connection, values)
            stored = await _after(connection, order_id, last_published)
        self._published.written(order_id, published)
        self._will_end(order_id, stored)
        return outcomes, stored

    async def mark_published(self, order_id: str, sequence: int) -> None:
        """See the port. It is written with the order's next record, or soon; at its life's end before this returns.

        A process that is killed in between loses it. Then the order's next events are published with some that were
        published before, which consumers know by their ids.
        """
        self._published.note(order_id, sequence)
        if sequence >= self._ending.get(order_id, sequence + 1):
            await self._published.write(order_id)
            self._ending.pop(order_id, None)

    def _will_end(self, order_id: str, stored: Sequence[StoredEvent]) -> None:
        """Has `mark_published` wait, once all of these are published: the order may never have another event."""
        self._rows.pop(order_id, None)
        if stored:
            _remember(self._ending, order_id, stored[-1].sequence)

    def _usual_form(self, batch: PublishEvents, before: int) -> tuple[Journal, Row]:
        """Which statement records a batch that follows the journal's end: it writes no column that is as it was."""
        moved = Journal.NEXT if before else Journal.FIRST
        if batch.projection is None:
            return moved, Row.UNTOUCHED
        as_written = (before, hash(batch.projection.details))
        if before and self._rows.get(batch.order_id) == as_written:
            return Journal.NEXT_OF_KNOWN, Row.STATE
        return moved, Row.WHOLE

    def _turn(self, order_id: str) -> asyncio.Lock:
        return self._turns.setdefault(order_id, asyncio.Lock())


# The audit table says what an order's state is; the order's own row follows it.
_LAST_STATE = (
    select(cast(events.c.payload_json, Text))
    .where(events.c.order_id == rows.ORDER_ID, events.c.type == OutboundType.STATE_CHANGED)
    .order_by(events.c.sequence.desc())
    .limit(1)
    .scalar_subquery()
)
_JOURNAL_SEQUENCE = select(journals.c.last_sequence).where(journals.c.order_id == rows.ORDER_ID).scalar_subquery()
_PUBLISHED_SEQUENCE = (
    select(journals.c.last_published_sequence).where(journals.c.order_id == rows.ORDER_ID).scalar_subquery()
)
_ORDER_AND_JOURNAL = select(
    _PUBLISHED_SEQUENCE.label("published_sequence"),
    _JOURNAL_SEQUENCE.label("journal_sequence"),
    _LAST_STATE.label("last_state_payload"),
    *orders.c,
).select_from(select(literal(1)).subquery().outerjoin(orders, orders.c.id == rows.ORDER_ID))


_ARCHIVED_STATES = select(orders.c.archived_states).where(orders.c.id == rows.ORDER_ID).scalar_subquery()
_LAST_STATE_OF: Final = select(
    _LAST_STATE.label("last_state_payload"), _ARCHIVED_STATES.label("archived_states")
)  # fmt: skip
_DECIDED_EVENTS: Final = (
    select(inbound_events.c.event_id, inbound_events.c.type, inbound_events.c.reason)
    .where(inbound_events.c.order_id == rows.ORDER_ID)
    .order_by(inbound_events.c.ts.desc())
    .limit(DECIDED_EVENTS_MAX)
)
_DECIDED: Final = select(inbound_events.c.event_id, inbound_events.c.type).where(
    inbound_events.c.order_id == rows.ORDER_ID, inbound_events.c.event_digest.in_(bindparam("digests", expanding=True))
)
_PAYLOADS: Final = select(events.c.sequence, cast(events.c.payload_json, Text)).where(
    events.c.order_id == rows.ORDER_ID, events.c.sequence.between(bindparam("first"), bindparam("last"))
)
_AFTER: Final = (
    select(events.c.sequence, events.c.type, cast(events.c.payload_json, Text), events.c.traceparent)
    .where(events.c.order_id == rows.ORDER_ID, events.c.sequence > bindparam("sequence"))
    .order_by(events.c.sequence)
)


def _remember(memory: dict[str, Value], order_id: str, value: Value) -> None:
    """Keeps a value for an order; of too many the one that was kept first is dropped."""
    memory.pop(order_id, None)
    memory[order_id] = value
    if len(memory) > REMEMBERED_MAX:
        del memory[next(iter(memory))]


def _state(found: RowMapping) -> OrderState | None:
    """The state that the order's last recorded transition led to, which may be in the archive."""
    state = rows.state_of(found["last_state_payload"])
    archived = found["archived_states"]
    return OrderState(archived[-1]) if state is None and archived else state


def _values(
    batch: PublishEvents, fresh: Sequence[OutboundEvent], published: int, before: int, *, sees_last: bool = False
) -> dict[str, Any]:
    """The parameters of any of `RECORDS`.

    Args:
        batch: what is recorded, in whole or in part.
        fresh: the events of it that are new.
        published: the sequence up to which the order is published, as far as this process knows.
        before: the journal's last sequence until now.
        sees_last: whether nothing is written where the statement does not see the journal's last event, whose link the
            next one follows. Whoever holds the journal's lock sees it, unless it is gone.
    """
    return {
        "order_id": batch.order_id,
        "sees_last": sees_last,
        "before": before,
        "last_sequence": fresh[-1].sequence if fresh else before,
        "published": published,
        "row_sequence": batch.events[-1].sequence if batch.events else 0,
        **rows.event_arrays(fresh),
        **rows.outcome_arrays(journal.outcomes_kept(batch.outcomes)),
        **({} if batch.projection is None else rows.projection_values(batch.projection)),
    }


async def _decided_events(connection: AsyncConnection, order_id: str) -> tuple[DecidedEvent, ...]:
    """The newest of the order's decided inbound events, as many as a snapshot may carry."""
    kept, size = [], 0
    for event_id, event_type, reason in await connection.execute(_DECIDED_EVENTS, {"order_id": order_id}):
        size += len(event_id.encode()) + _DECIDED_OVERHEAD_BYTES
        if size > DECIDED_BYTES_MAX:
            break
        reused = reason == ReasonCode.EVENT_ID_REUSED
        kept.append(DecidedEvent(event_id=event_id, type=event_type, reused=reused))
    return tuple(kept)


async def _lock_journal(connection: AsyncConnection, order_id: str, published: int) -> tuple[int, int]:
    """Makes the order's journal where there is none, locks it until the transaction's end, and reads it.

    Returns:
        Its last sequence and its last published one.
    """
    row = (await LOCK_JOURNAL.on(connection, {"order_id": order_id, "published": published})).one()
    return row.last_sequence, row.last_published_sequence


async def _payloads(connection: AsyncConnection, batch: PublishEvents, last_sequence: int) -> dict[int, str]:
    """The payloads that the journal holds under the batch's sequences; none, without asking, where all are new."""
    if not batch.events or batch.events[0].sequence > last_sequence:
        return {}
    wanted = {
        "order_id": batch.order_id,
        "first": batch.events[0].sequence,
        "last": batch.events[-1].sequence,
    }
    return {row[0]: row[1] for row in await connection.execute(_PAYLOADS, wanted)}


async def _decided(connection: AsyncConnection, order_id: str, late: Sequence[InboundEvent]) -> set[tuple[str, str]]:
    """Id and type of the recorded events that have the id of one of these."""
    wanted = {"order_id": order_id, "digests": [rows.digest(event.event_id) for event in late]}
    return {(row[0], row[1]) for row in await connection.execute(_DECIDED, wanted)}


async def _after(connection: AsyncConnection, order_id: str, sequence: int) -> tuple[StoredEvent, ...]:
    """The order's audit rows after a sequence."""
    found = await connection.execute(_AFTER, {"order_id": order_id, "sequence": sequence})
    return tuple(StoredEvent(order_id, *row) for row in found)
