"""Makes events, numbers them, and keeps what waits to be published. Pure: it changes the state it is given, only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.activity_io import EventOutcome, OrderProjection, PublishEvents, ValidationResult
from schemas.event_types import EventType, fingerprint_of, read_body
from schemas.inbound import InboundBody, InboundEvent, OrderAddressUpdated, OrderCreated
from schemas.order import Address, OrderDetails
from schemas.outbound import Cause, OrderAddressChanged, OrderEventRejected, OrderStateChanged, OutboundEvent
from schemas.states import InboundOutcome, OrderState, OrderStep, ReasonCode
from workflows.life.rules import decide, event_time
from workflows.life.state import DefectError, OrderRunState, Unpublished, identity_of
from workflows.life.steps import STEPS, Verdict

_SHIPPING_PATH: Final = (OrderState.PAID, OrderState.PACKAGE_PREPARED, OrderState.CARRIER_DISPATCHED)
"""The states that an order passes while it ships, in their order."""


def answer_inbox(state: OrderRunState, now: datetime) -> None:
    """Decides every event in the inbox, in order of arrival."""
    while state.inbox:
        # One by one, as an event that ends the order puts the held events before all that came later.
        answer(state, state.inbox.pop(0), now)


def answer(state: OrderRunState, event: InboundEvent, now: datetime) -> None:
    """Decides one event and does what the decision says."""
    decision = decide(state, event, now)
    if decision.verdict is Verdict.HOLD:
        state.held.append(event)
    elif decision.verdict is Verdict.DUPLICATE:
        _note_duplicate(state, event, now)
    elif decision.reason is not None:
        reject(state, event, decision.reason, now, body=decision.body)
    elif decision.body is not None:
        _note_decided(state, event)
        _apply(state, event, decision.body, now)


def reject(
    state: OrderRunState, event: InboundEvent, reason: ReasonCode, now: datetime, *, body: InboundBody | None
) -> None:
    """Refuses an event, visibly; with its body, where that can be read, for who sent it and why."""
    _note_decided(state, event, reused=reason is ReasonCode.EVENT_ID_REUSED)
    cause = Cause.of(event, body)
    rejected = OrderEventRejected(
        order_id=state.order_id,
        sequence=state.last_sequence + 1,
        previous_state=state.state,
        state=state.state,
        occurred_at=now,
        cause=cause,
        reason=reason,
    )
    _add(state, rejected, _outcome(state, cause, InboundOutcome.REJECTED, now, reason))


def reject_held(state: OrderRunState, reason: ReasonCode, now: datetime) -> None:
    """Refuses every event that is held; one that is held twice is refused once and then a duplicate."""
    held, state.held = state.held, []
    for event in held:
        if state.has_decided(event):
            _note_duplicate(state, event, now)
        else:
            refused_as = ReasonCode.EVENT_ID_REUSED if state.reuses_an_id(event) else reason
            reject(state, event, refused_as, now, body=read_body(event, state.order_id))


def accept_order(state: OrderRunState, details: OrderDetails, cause: Cause | None) -> None:
    """Takes the order on. The transition that says so is made when the order has been received.

    Args:
        state: the run's.
        details: what is ordered.
        cause: the ``order.created``; None where the order is kept in the database already.
    """
    state.details = details
    state.created_by = cause
    state.row = OrderProjection(details=details)
    state.step = OrderStep.RECEIVING


def receive(state: OrderRunState, now: datetime) -> None:
    """Makes the transition that takes the order on, and decides what waited for it."""
    change_state(state, OrderState.RECEIVED, now, cause=state.created_by)
    state.step = OrderStep.VALIDATING
    state.release_held()
    answer_inbox(state, now)


def conclude_validation(
    state: OrderRunState, validation: ValidationResult, now: datetime, approval_timeout: timedelta
) -> None:
    """Makes the transition that the rules of the house lead to, unless an event has ended the order before.

    Args:
        state: the run's, of an order that was received.
        validation: what the rules say.
        now: the workflow's time.
        approval_timeout: how long approval is awaited from now on.
    """
    if state.is_ended:
        return
    if not validation.valid:
        change_state(state, OrderState.REJECTED, now, reason=validation.reason)
        return
    state.approval_deadline = now + approval_timeout
    change_state(state, OrderState.VALIDATED, now)
    state.step = OrderStep.AWAITING_MANUAL_APPROVAL
    state.release_held()
    answer_inbox(state, now)


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

    Raises:
        DefectError: `STEPS` has no such transition.
    """
    if to not in STEPS[state.step].transitions.get(state.state, ()):
        raise DefectError(f"an order at {state.step} does not come from {state.state} to {to}")
    details = state.details
    changed = OrderStateChanged(
        order_id=state.order_id,
        sequence=state.last_sequence + 1,
        previous_state=state.state,
        state=to,
        occurred_at=now,
        cause=cause,
        reason=reason,
        payment_id=details.payment_id if details else None,
        amount=details.amount if details else None,
        adjustments=details.adjustments if details else (),
        currency=details.currency if details else None,
        tracking_id=state.tracking_id,
        approval_deadline=state.approval_deadline if to is OrderState.VALIDATED else None,
    )
    _add(state, changed, _outcome(state, cause, InboundOutcome.APPLIED, now) if cause else None)
    state.state = to
    state.reason = reason
    if to.is_final:
        # The events that were held for later have no later any more.
        state.step = OrderStep(to.value)
        state.release_held()


def reach_milestone(state: OrderRunState, milestone: OrderState, tracking_id: str | None, now: datetime) -> None:
    """Makes the transitions up to a shipping milestone; one that was reached before is nothing new."""
    if state.step is not OrderStep.SHIPPING or state.state not in _SHIPPING_PATH:
        return
    if milestone not in _SHIPPING_PATH:
        return
    here, there = _SHIPPING_PATH.index(state.state), _SHIPPING_PATH.index(milestone)
    for reached in _SHIPPING_PATH[here + 1 : there + 1]:
        if reached is OrderState.CARRIER_DISPATCHED:
            state.tracking_id = tracking_id
        change_state(state, reached, now)


def next_batch(state: OrderRunState, batch_max: int) -> PublishEvents:
    """The oldest decisions that wait, with the order's row as it is after exactly these."""
    entries = state.unpublished[:batch_max]
    return PublishEvents(
        order_id=state.order_id,
        events=tuple(entry.event for entry in entries if entry.event is not None),
        outcomes=tuple(entry.outcome for entry in entries if entry.outcome is not None),
        projection=_row_after(state.row, entries),
    )


def batch_was_published(state: OrderRunState, batch: PublishEvents, size: int) -> None:
    """Drops the decisions of a batch that is recorded and acknowledged."""
    state.owes_publication = False
    state.row = batch.projection or state.row
    for one in batch.outcomes:
        if one.outcome is not InboundOutcome.DUPLICATE:
            state.undelivered_outcomes.pop(identity_of(one.event_id, one.type), None)
    del state.unpublished[:size]


def take_over(state: OrderRunState, recorded: Sequence[OutboundEvent]) -> None:
    """Takes events for the run's own that are recorded already: its decisions, made at another time."""
    by_number = {event.sequence: event for event in recorded}
    for index, entry in enumerate(state.unpublished):
        event = by_number.get(entry.event.sequence) if entry.event is not None else None
        if event is not None:
            state.unpublished[index] = entry.model_copy(update={"event": event})
            if isinstance(event, OrderStateChanged) and event.approval_deadline is not None:
                state.approval_deadline = event.approval_deadline


# What an event does when it is applied -------------------------------------------------------------------------------


def _order_created(state: OrderRunState, event: InboundEvent, body: OrderCreated, now: datetime) -> None:  # noqa: ARG001
    details = OrderDetails(
        payment_id=body.payment_id,
        customer_id=body.customer_id,
        currency=body.currency,
        amount=body.total,
        is_priced=body.is_priced,
        items=body.items,
        adjustments=body.adjustments,
        address=body.shipping_address or Address(),
    )
    accept_order(state, details, Cause.of(event, body))


def _order_approved(state: OrderRunState, event: InboundEvent, body: InboundBody, now: datetime) -> None:
    change_state(state, OrderState.APPROVED, now, cause=Cause.of(event, body))


def _order_cancelled(state: OrderRunState, event: InboundEvent, body: InboundBody, now: datetime) -> None:
    reason = ReasonCode.CANCELLED_BY_REQUEST
    change_state(state, OrderState.CANCELLED, now, reason=reason, cause=Cause.of(event, body))


def _address_updated(state: OrderRunState, event: InboundEvent, body: OrderAddressUpdated, now: datetime) -> None:
    if state.details is None:
        raise DefectError("the rules apply an address to a known order only")
    address = state.details.address.merged_with(body.address)
    state.details = state.details.model_copy(update={"address": address})
    state.address_updated_at = event_time(event, body, now)
    cause = Cause.of(event, body)
    changed = OrderAddressChanged(
        order_id=state.order_id,
        sequence=state.last_sequence + 1,
        previous_state=state.state,
        state=state.state,
        occurred_at=now,
        cause=cause,
        address=address,
    )
    outcome = _outcome(state, cause, InboundOutcome.APPLIED, now)
    _add(state, changed, outcome, address_updated_at=state.address_updated_at)


Effect = Callable[[OrderRunState, InboundEvent, Any, datetime], None]
"""Applies an event. The body is of the model that `INBOUND` has for the event's type."""

EFFECTS: Final[Mapping[EventType, Effect]] = {
    EventType.ORDER_CREATED: _order_created,
    EventType.ORDER_APPROVED: _order_approved,
    EventType.ORDER_CANCELLED: _order_cancelled,
    EventType.ORDER_ADDRESS_UPDATED: _address_updated,
}
"""What each type of event does where a step's rule applies it."""


def _apply(state: OrderRunState, event: InboundEvent, body: InboundBody, now: datetime) -> None:
    effect = EFFECTS.get(EventType(event.type))
    if effect is None:
        raise DefectError(f"the rules apply {event.type}, and no effect is known of it")
    effect(state, event, body, now)


# Keeping what was decided --------------------------------------------------------------------------------------------


def _add(
    state: OrderRunState,
    event: OutboundEvent,
    outcome: EventOutcome | None,
    *,
    address_updated_at: datetime | None = None,
) -> None:
    state.last_sequence = event.sequence
    state.unpublished.append(Unpublished(event=event, outcome=outcome, address_updated_at=address_updated_at))


def _note_decided(state: OrderRunState, event: InboundEvent, *, reused: bool = False) -> None:
    state.remember(event.event_id, event.type, reused=reused)
    state.undelivered_outcomes[identity_of(event.event_id, event.type)] = event


def _note_duplicate(state: OrderRunState, event: InboundEvent, now: datetime) -> None:
    duplicate = EventOutcome(event_id=event.event_id, type=event.type, outcome=InboundOutcome.DUPLICATE, at=now)
    state.unpublished.append(Unpublished(outcome=duplicate))


def _outcome(
    state: OrderRunState, cause: Cause, outcome: InboundOutcome, now: datetime, reason: ReasonCode | None = None
) -> EventOutcome:
    """What became of an event that is noted as decided, with the fingerprint of what it said.

    The event that says so is the next one to be made.
    """
    event = state.undelivered_outcomes.get(identity_of(cause.event_id, cause.type))
    return EventOutcome(
        event_id=cause.event_id,
        type=cause.type,
        outcome=outcome,
        reason=reason,
        at=now,
        body_digest=None if event is None else fingerprint_of(event, state.order_id),
        sequence=state.last_sequence + 1,
    )


def _row_after(base: OrderProjection | None, entries: Iterable[Unpublished]) -> OrderProjection | None:
    """Folds events over the order's row, so that row and audit table agree after every batch."""
    if base is None:
        return None
    row = base
    for entry in entries:
        event = entry.event
        if isinstance(event, OrderStateChanged):
            changes: dict[str, Any] = {"state": event.state, "reason": event.reason, "tracking_id": event.tracking_id}
            if event.approval_deadline is not None:
                changes["approval_deadline"] = event.approval_deadline
            if event.cause is not None:
                changes["decided_by"] = event.cause.by
            row = row.model_copy(update=changes)
        elif isinstance(event, OrderAddressChanged):
            details = row.details.model_copy(update={"address": event.address})
            row = row.model_copy(update={"details": details, "address_updated_at": entry.address_updated_at})
    return row
