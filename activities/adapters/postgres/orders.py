"""Orders, their journals and their inbound events in Postgres.

Whoever writes to an order's journal first locks its row in `journals`, which exists for every order id ever seen, also
where no order was accepted. So writers of one order come one after the other, in whatever process they are, and each
sees what those before it committed. Those of one process wait for each other before they take a connection: with one
each, an order with many late events would hold all of the pool's, and all other orders wait for it (I18).
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from weakref import WeakValueDictionary

from sqlalchemy import Text, and_, case, cast, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities import journal
from activities.adapters.postgres import rows
from activities.adapters.postgres.engine import transaction
from activities.adapters.postgres.schema import events, inbound_events, journals, orders
from activities.ports import OrderStore, StoredEvent
from schemas.activity_io import DecidedEvent, EventOutcome, OrderProjection, OrderSnapshot, PublishEvents
from schemas.inbound import InboundEvent
from schemas.order import OrderDetails
from schemas.outbound import OutboundEvent, OutboundType
from schemas.states import FINAL_STATES, OrderState, ReasonCode

DECIDED_EVENTS_MAX: Final = 10_000
"""Most event ids that a snapshot carries, the newest: Temporal's own limit of signals in a run, so no run saw more."""
DECIDED_BYTES_MAX: Final = 1_000_000
"""Most bytes of decided events that a snapshot carries: half of what Temporal takes as one payload."""
_DECIDED_OVERHEAD_BYTES: Final = 80
"""What JSON adds to an event id: the names of the members, and the type."""


class PostgresOrderStore(OrderStore):
    """The port's implementation on a SQLAlchemy engine, which is the caller's to dispose of."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By order id; gone once nobody holds or awaits it."""

    async def look_up(self, order_id: str) -> OrderSnapshot:
        """One statement for a new order and two for a known one, of one snapshot.

        A run goes on from the answer. With events decided of which the sequence knows nothing, it would drop an event
        whose effect another run has recorded since, and then number its own events wrongly.
        """
        async with transaction(self._engine, one_snapshot=True) as connection:
            found = (await connection.execute(_ORDER_AND_JOURNAL, {"order_id": order_id})).mappings().one()
            state = rows.state_of(found["last_state_payload"])
            decided: tuple[DecidedEvent, ...] = ()
            if found["journal_sequence"] is not None and not (state is not None and state.is_final):
                decided = await _decided_events(connection, order_id)
        return OrderSnapshot(
            details=rows.details(found) if found["id"] is not None else None,
            state=state,
            last_sequence=found["journal_sequence"] or 0,
            decided_events=decided,
            address_updated_at=found["address_updated_at"],
            tracking_id=found["tracking_id"],
            reason=rows.reason_of(found["reason"]),
            approval_deadline=found["approval_deadline"],
            decided_by=found["decided_by"],
        )

    async def receive(self, order_id: str, details: OrderDetails) -> None:
        """The row's sequence stays 0 until the first projection, whatever the journal holds by then."""
        values = rows.order_values(order_id, details, OrderState.RECEIVED, sequence=0)
        async with transaction(self._engine) as connection:
            await connection.execute(insert(orders).values(values).on_conflict_do_nothing())

    async def mark_shipped(self, order_id: str) -> None:
        """Safe to repeat after the order's end: a final state stays."""
        over = [*FINAL_STATES, OrderState.SHIPPED]
        statement = (
            update(orders)
            .where(orders.c.id == order_id, orders.c.state.not_in(over))
            .values(state=OrderState.SHIPPED, updated_at=func.now())
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def record(self, batch: PublishEvents) -> tuple[StoredEvent, ...]:
        """See the port. An attempt that still runs elsewhere finishes before this one, or after it."""
        async with transaction(self._engine, turn=self._turn(batch.order_id)) as connection:
            last_sequence, last_published = await _lock_journal(connection, batch.order_id)
            recorded = await _payloads(connection, batch, last_sequence)
            fresh = journal.unrecorded(batch.order_id, batch.events, recorded, last_sequence)
            await _append(connection, batch.order_id, fresh)
            await _record_outcomes(connection, batch.order_id, batch.outcomes)
            if batch.projection is not None and batch.events:
                sequence = batch.events[-1].sequence
                await _project(connection, batch.order_id, batch.projection, sequence)
            if last_published == last_sequence:
                # The usual case: only this batch is unpublished, and its bytes are at hand.
                return tuple(journal.stored(event) for event in fresh)
            return await _after(connection, batch.order_id, last_published)

    async def answer_late(
        self, order_id: str, events: tuple[InboundEvent, ...], at: datetime
    ) -> tuple[tuple[EventOutcome, ...], tuple[StoredEvent, ...]]:
        """See the port."""
        async with transaction(self._engine, turn=self._turn(order_id)) as connection:
            last_sequence, last_published = await _lock_journal(connection, order_id)
            found = (await connection.execute(_ORDER_AND_JOURNAL, {"order_id": order_id})).mappings().one()
            outcomes, rejections = journal.answer_late(
                order_id,
                events,
                decided=await _decided(connection, order_id, events),
                state=rows.state_of(found["last_state_payload"]),
                last_sequence=last_sequence,
                at=at,
            )
            await _append(connection, order_id, rejections)
            await _record_outcomes(connection, order_id, outcomes)
            if rejections:
                moved = orders.c.last_sequence.between(1, rejections[-1].sequence - 1)
                await connection.execute(
                    update(orders)
                    .where(orders.c.id == order_id, moved)
                    .values(last_sequence=rejections[-1].sequence, updated_at=func.now())
                )
            return outcomes, await _after(connection, order_id, last_published)

    async def mark_published(self, order_id: str, sequence: int) -> None:
        """See the port."""
        statement = (
            update(journals)
            .where(journals.c.order_id == order_id, journals.c.last_published_sequence < sequence)
            .values(last_published_sequence=func.least(sequence, journals.c.last_sequence))
        )
        async with transaction(self._engine, turn=self._turn(order_id)) as connection:
            await connection.execute(statement)

    def _turn(self, order_id: str) -> asyncio.Lock:
        return self._turns.setdefault(order_id, asyncio.Lock())


# The audit table says what an order's state is: the order's own row may be a step ahead of it, between `receive` or
# `mark_shipped` and the transition's record.
_LAST_STATE = (
    select(cast(events.c.payload_json, Text))
    .where(events.c.order_id == rows.ORDER_ID, events.c.type == OutboundType.STATE_CHANGED)
    .order_by(events.c.sequence.desc())
    .limit(1)
    .scalar_subquery()
)
_JOURNAL_SEQUENCE = select(journals.c.last_sequence).where(journals.c.order_id == rows.ORDER_ID).scalar_subquery()
_ORDER_AND_JOURNAL = select(
    _JOURNAL_SEQUENCE.label("journal_sequence"), _LAST_STATE.label("last_state_payload"), *orders.c
).select_from(select(literal(1)).subquery().outerjoin(orders, orders.c.id == rows.ORDER_ID))


async def _decided_events(connection: AsyncConnection, order_id: str) -> tuple[DecidedEvent, ...]:
    """The newest of the order's decided inbound events, as many as a snapshot may carry."""
    statement = (
        select(inbound_events.c.event_id, inbound_events.c.type, inbound_events.c.reason)
        .where(inbound_events.c.order_id == order_id)
        .order_by(inbound_events.c.ts.desc())
        .limit(DECIDED_EVENTS_MAX)
    )
    kept, size = [], 0
    for event_id, event_type, reason in await connection.execute(statement):
        size += len(event_id.encode()) + _DECIDED_OVERHEAD_BYTES
        if size > DECIDED_BYTES_MAX:
            break
        reused = reason == ReasonCode.EVENT_ID_REUSED
        kept.append(DecidedEvent(event_id=event_id, type=event_type, reused=reused))
    return tuple(kept)


async def _lock_journal(connection: AsyncConnection, order_id: str) -> tuple[int, int]:
    """Makes the order's journal where there is none, locks it until the transaction's end, and reads it.

    Returns:
        Its last sequence and its last published one.
    """
    statement = (
        insert(journals)
        .values(order_id=order_id)
        # Not DO NOTHING, which neither locks the row nor returns it.
        .on_conflict_do_update(index_elements=["order_id"], set_={"order_id": order_id})
        .returning(journals.c.last_sequence, journals.c.last_published_sequence)
    )
    row = (await connection.execute(statement)).one()
    return row[0], row[1]


async def _payloads(connection: AsyncConnection, batch: PublishEvents, last_sequence: int) -> dict[int, str]:
    """The payloads that the journal holds under the batch's sequences; none, without asking, where all are new."""
    if not batch.events or batch.events[0].sequence > last_sequence:
        return {}
    statement = select(events.c.sequence, cast(events.c.payload_json, Text)).where(
        events.c.order_id == batch.order_id,
        events.c.sequence.between(batch.events[0].sequence, batch.events[-1].sequence),
    )
    return {row[0]: row[1] for row in await connection.execute(statement)}


async def _append(connection: AsyncConnection, order_id: str, fresh: Sequence[OutboundEvent]) -> None:
    """Inserts events under the journal's lock, as one statement whatever their number, and moves its end."""
    if not fresh:
        return
    await connection.execute(rows.INSERT_EVENTS, rows.event_arrays(fresh))
    last = fresh[-1].sequence
    await connection.execute(update(journals).where(journals.c.order_id == order_id).values(last_sequence=last))


async def _record_outcomes(connection: AsyncConnection, order_id: str, outcomes: Sequence[EventOutcome]) -> None:
    kept = journal.outcomes_kept(outcomes)
    if kept:
        await connection.execute(rows.INSERT_INBOUND_EVENTS, rows.outcome_arrays(order_id, kept))


async def _decided(connection: AsyncConnection, order_id: str, late: Sequence[InboundEvent]) -> set[tuple[str, str]]:
    """Id and type of the recorded events that have the id of one of these."""
    digests = [rows.digest(event.event_id) for event in late]
    statement = select(inbound_events.c.event_id, inbound_events.c.type).where(
        inbound_events.c.order_id == order_id, inbound_events.c.event_digest.in_(digests)
    )
    return {(row[0], row[1]) for row in await connection.execute(statement)}


async def _project(connection: AsyncConnection, order_id: str, projection: OrderProjection, sequence: int) -> None:
    """Moves the order's row to what it is after `sequence`, unless it is there or further already."""
    state = projection.state or OrderState.RECEIVED
    values: dict[str, Any] = rows.order_values(order_id, projection.details, state, sequence=sequence) | {
        "tracking_id": projection.tracking_id,
        "reason": projection.reason,
        "address_updated_at": projection.address_updated_at,
        "approval_deadline": projection.approval_deadline,
        "decided_by": projection.decided_by,
    }
    statement = insert(orders).values(values)
    new = statement.excluded
    # `mark_shipped` may have come before the transitions that led to it were recorded.
    ahead = and_(orders.c.state == OrderState.SHIPPED, new.state != OrderState.COMPLETED)
    moved_state = case((ahead, orders.c.state), else_=new.state)
    changes = {name: new[name] for name in values if name not in ("id", "state")}
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={
                **changes,
                "state": orders.c.state if projection.state is None else moved_state,
                "updated_at": func.now(),
            },
            where=orders.c.last_sequence < new.last_sequence,
        )
    )


async def _after(connection: AsyncConnection, order_id: str, sequence: int) -> tuple[StoredEvent, ...]:
    """The order's audit rows after a sequence."""
    statement = (
        select(events.c.sequence, events.c.type, cast(events.c.payload_json, Text))
        .where(events.c.order_id == order_id, events.c.sequence > sequence)
        .order_by(events.c.sequence)
    )
    return tuple(
        StoredEvent(order_id=order_id, sequence=row[0], type=row[1], payload_json=row[2])
        for row in await connection.execute(statement)
    )
