"""Makes events, numbers them, and keeps what waits to be published. Pure: it changes the state it is given, only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from schemas.activity_io import OrderProjection, OrderSnapshot, PublishEvents, SettledEvent
from schemas.event_types import EventType
from schemas.inbound import InboundBody, InboundEvent, OrderAddressUpdated, OrderCreated
from schemas.order import Address, OrderDetails
from schemas.outbound import (
    Cause,
    OrderAddressChanged,
    OrderEventRejected,
    OrderStateChanged,
)
from schemas.states import InboundOutcome, OrderState, OrderStep, ReasonCode
from workflows.life.rules import decide, event_time
from workflows.life.state import OrderRunState, Unpublished
from workflows.life.steps import Verdict

_SHIPPING_PATH: Final = (OrderState.PAID, OrderState.PACKAGE_PREPARED, OrderState.CARRIER_DISPATCHED)
"""The states that an order passes while it ships, in their order."""


def settle_inbox(state: OrderRunState, now: datetime) -> None:
    """Decides every event in the inbox, in order of arrival."""
    while state.inbox:
        # One by one, as an event that ends the order puts what was held back before all that came later.
        settle(state, state.inbox.pop(0), now)


def settle(state: OrderRunState, event: InboundEvent, now: datetime) -> None:
    """Decides one event and does what the decision says."""
    decision = decide(state, event, now)
    if decision.verdict is Verdict.HOLD:
        state.held.append(event)
    elif decision.verdict is Verdict.DUPLICATE:
        state.unpublished.append(Unpublished(settled=_settled(cause_of(event), InboundOutcome.DUPLICATE, now)))
    elif decision.reason is not None:
        reject(state, event, decision.reason, now)
    elif decision.body is not None:
        _note_decided(state, event)
        _apply(state, event, decision.body, now)


def reject(state: OrderRunState, event: InboundEvent, reason: ReasonCode, now: datetime) -> None:
    """Refuses an event, visibly."""
    _note_decided(state, event)
    cause = cause_of(event)
    state.last_sequence += 1
    rejected = OrderEventRejected(
        order_id=state.order_id,
        sequence=state.last_sequence,
        previous_state=state.order_state,
        state=state.order_state,
        occurred_at=now,
        cause=cause,
        reason=reason,
    )
    settled = _settled(cause, InboundOutcome.REJECTED, now, reason)
    state.unpublished.append(Unpublished(event=rejected, settled=settled))


def reject_held(state: OrderRunState, reason: ReasonCode, now: datetime) -> None:
    """Refuses every event that is held; an id that is held twice is refused once and then a duplicate."""
    held, state.held = state.held, []
    for event in held:
        if state.has_decided(event.event_id):
            settled = _settled(cause_of(event), InboundOutcome.DUPLICATE, now)
            state.unpublished.append(Unpublished(settled=settled))
        else:
            reject(state, event, reason, now)


def accept_order(state: OrderRunState, details: OrderDetails, cause: Cause | None) -> None:
    """Takes the order on; the event that says so is made when it has been received."""
    state.details = details
    state.created_by = cause
    state.recorded = OrderProjection(details=details)
    state.step = OrderStep.RECEIVING


def change_state(
    state: OrderRunState,
    to: OrderState,
    now: datetime,
    *,
    reason: ReasonCode | None = None,
    cause: Cause | None = None,
) -> None:
    """Makes a transition, and its event.

    Args:
        state: the run's.
        to: the new state; a final one ends the run's work.
        now: the workflow's time.
        reason: why the order took this branch; None on the straight road.
        cause: the inbound event that is applied by it; None where time or our own work led to it.
    """
    details = state.details
    state.last_sequence += 1
    changed = OrderStateChanged(
        order_id=state.order_id,
        sequence=state.last_sequence,
        previous_state=state.order_state,
        state=to,
        occurred_at=now,
        cause=cause,
        reason=reason,
        payment_id=details.payment_id if details else None,
        amount=details.amount if details else None,
        currency=details.currency if details else None,
        tracking_id=state.tracking_id,
    )
    settled = _settled(cause, InboundOutcome.APPLIED, now) if cause else None
    state.unpublished.append(Unpublished(event=changed, settled=settled))
    state.order_state = to
    state.reason = reason
    if to.is_final:
        # What was held for later has no later any more.
        state.step = OrderStep(to.value)
        state.release_held()


def reach_milestone(state: OrderRunState, milestone: OrderState, tracking_id: str | None, now: datetime) -> None:
    """Makes the transitions up to a shipping milestone; one that was reached before is nothing new."""
    if state.step is not OrderStep.SHIPPING or state.order_state not in _SHIPPING_PATH:
        return
    if milestone not in _SHIPPING_PATH:
        return
    here, there = _SHIPPING_PATH.index(state.order_state), _SHIPPING_PATH.index(milestone)
    for reached in _SHIPPING_PATH[here + 1 : there + 1]:
        if reached is OrderState.CARRIER_DISPATCHED:
            state.tracking_id = tracking_id
        change_state(state, reached, now)


def next_batch(state: OrderRunState, batch_max: int) -> PublishEvents:
    """The oldest of what waits, with the order as it is after exactly these events."""
    entries = state.unpublished[:batch_max]
    return PublishEvents(
        order_id=state.order_id,
        events=tuple(entry.event for entry in entries if entry.event is not None),
        settled=tuple(entry.settled for entry in entries if entry.settled is not None),
        projection=_projection_after(state.recorded, entries),
    )


def batch_was_published(state: OrderRunState, batch: PublishEvents, size: int) -> None:
    """Drops what is recorded and acknowledged."""
    state.recorded = batch.projection or state.recorded
    for one in batch.settled:
        if one.outcome is not InboundOutcome.DUPLICATE:
            state.unrecorded.pop(one.event_id, None)
    del state.unpublished[:size]


def renumber(state: OrderRunState, snapshot: OrderSnapshot) -> None:
    """Puts what is not recorded behind what another run has recorded meanwhile; for runs without `RECORDS_FIRST`.

    A transition that the other run made as well, and an event that it settled, are dropped: they are recorded.
    """
    made = [entry.event.state for entry in state.unpublished if isinstance(entry.event, OrderStateChanged)]
    overtaken = made[: made.index(snapshot.state) + 1] if snapshot.state in made else []
    sequence, previous = snapshot.last_sequence, snapshot.state
    kept: list[Unpublished] = []
    for entry in state.unpublished:
        if entry.settled is not None and entry.settled.event_id in snapshot.settled_event_ids:
            continue
        event = entry.event
        if isinstance(event, OrderStateChanged) and event.state in overtaken:
            continue
        if event is None:
            kept.append(entry)
            continue
        sequence += 1
        after = event.state if isinstance(event, OrderStateChanged) else previous
        moved = event.model_copy(update={"sequence": sequence, "previous_state": previous, "state": after})
        kept.append(entry.model_copy(update={"event": moved}))
        previous = after
    state.unpublished = kept
    state.last_sequence = sequence
    if snapshot.details is not None:
        state.recorded = projection_of(snapshot)


def projection_of(snapshot: OrderSnapshot) -> OrderProjection | None:
    """The order's row as the database has it; None where it has none."""
    if snapshot.details is None:
        return None
    return OrderProjection(
        state=snapshot.state,
        details=snapshot.details,
        address_updated_at=snapshot.address_updated_at,
        tracking_id=snapshot.tracking_id,
        reason=snapshot.reason,
    )


def cause_of(event: InboundEvent) -> Cause:
    """The event as the cause of another."""
    return Cause(event_id=event.event_id, type=event.type)


def _note_decided(state: OrderRunState, event: InboundEvent) -> None:
    state.remember(event.event_id)
    state.unrecorded[event.event_id] = event


def _apply(state: OrderRunState, event: InboundEvent, body: InboundBody, now: datetime) -> None:
    cause = cause_of(event)
    if isinstance(body, OrderCreated):
        accept_order(state, _details(body), cause)
    elif isinstance(body, OrderAddressUpdated):
        _change_address(state, cause, body, event_time(event, body, now), now)
    elif event.type == EventType.ORDER_APPROVED:
        change_state(state, OrderState.APPROVED, now, cause=cause)
    else:
        change_state(state, OrderState.CANCELLED, now, reason=ReasonCode.CANCELLED_BY_REQUEST, cause=cause)


def _details(body: OrderCreated) -> OrderDetails:
    return OrderDetails(
        payment_id=body.payment_id,
        customer_id=body.customer_id,
        currency=body.currency,
        amount=body.total,
        items=body.items,
        address=body.shipping_address or Address(),
    )


def _change_address(
    state: OrderRunState, cause: Cause, body: OrderAddressUpdated, updated_at: datetime, now: datetime
) -> None:
    if state.details is None:
        raise AssertionError("the rules apply an address to a known order only")
    address = state.details.address.merged_with(body.address)
    state.details = state.details.model_copy(update={"address": address})
    state.address_updated_at = updated_at
    state.last_sequence += 1
    changed = OrderAddressChanged(
        order_id=state.order_id,
        sequence=state.last_sequence,
        previous_state=state.order_state,
        state=state.order_state,
        occurred_at=now,
        cause=cause,
        address=address,
    )
    settled = _settled(cause, InboundOutcome.APPLIED, now)
    state.unpublished.append(Unpublished(event=changed, settled=settled, address_updated_at=updated_at))


def _settled(cause: Cause, outcome: InboundOutcome, now: datetime, reason: ReasonCode | None = None) -> SettledEvent:
    return SettledEvent(event_id=cause.event_id, type=cause.type, outcome=outcome, reason=reason, at=now)


def _projection_after(base: OrderProjection | None, entries: Iterable[Unpublished]) -> OrderProjection | None:
    """Folds events over the order's row, so that row and audit table agree after every batch."""
    if base is None:
        return None
    row = base
    for entry in entries:
        event = entry.event
        if isinstance(event, OrderStateChanged):
            row = row.model_copy(
                update={"state": event.state, "reason": event.reason, "tracking_id": event.tracking_id}
            )
        elif isinstance(event, OrderAddressChanged):
            details = row.details.model_copy(update={"address": event.address})
            row = row.model_copy(update={"details": details, "address_updated_at": entry.address_updated_at})
    return row
