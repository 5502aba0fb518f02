"""The rules of an order's journal, which is the list of its numbered events. Pure, and the same for every store."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from activities.ports import RecordedEarlierError, SequenceConflictError, StoredEvent
from activities.tracing import current_trace
from schemas.activity_io import EventOutcome
from schemas.event_types import fingerprint_of, read_body
from schemas.inbound import InboundBody, InboundEvent
from schemas.outbound import OUTBOUND_EVENT, Cause, OrderEventRejected, OrderStateChanged, OutboundEvent
from schemas.states import InboundOutcome, OrderState, ReasonCode


def stored(event: OutboundEvent) -> StoredEvent:
    """The event as the audit table holds it. Its bytes are fixed here, once and for all, and with them its trace."""
    trace, cause = current_trace(), event.cause
    return StoredEvent(
        order_id=event.order_id,
        sequence=event.sequence,
        type=event.type,
        payload_json=event.model_dump_json(),
        traceparent=None if trace is None else trace.of_event(None if cause is None else cause.event_id),
    )


def unrecorded(
    order_id: str, events: Sequence[OutboundEvent], recorded: Mapping[int, str], last_sequence: int
) -> tuple[OutboundEvent, ...]:
    """The events of a batch that the journal does not hold yet.

    Args:
        order_id: the journal's order.
        events: the batch, which may have been recorded before in whole or in part.
        recorded: for each sequence of the batch that the journal holds, its payload.
        last_sequence: the journal's last; 0 where it is empty.

    Raises:
        RecordedEarlierError: the same decisions end the journal, made at another time.
        SequenceConflictError: another event stands under one of the sequences or behind them, or a gap would be left.
    """
    fresh: list[OutboundEvent] = []
    earlier: list[OutboundEvent] = []
    expected = last_sequence + 1
    for event in events:
        if event.order_id != order_id:
            raise SequenceConflictError(f"order {order_id}: an event of another order, {event.order_id}")
        payload = recorded.get(event.sequence)
        if payload is not None:
            # Compared as values: a newer version may write a model with more fields than the row was written with.
            found = OUTBOUND_EVENT.validate_json(payload)
            if not is_same_decision(found, event):
                raise SequenceConflictError(f"order {order_id}: another event stands under sequence {event.sequence}")
            if found != event:
                earlier.append(found)
            continue
        if event.sequence != expected:
            raise SequenceConflictError(
                f"order {order_id}: sequence {event.sequence} would leave a gap after {expected - 1}"
            )
        fresh.append(event)
        expected += 1
    if earlier and last_sequence > events[-1].sequence:
        raise SequenceConflictError(f"order {order_id}: what another run decided stands behind {events[-1].sequence}")
    if earlier:
        raise RecordedEarlierError(tuple(earlier))
    return tuple(fresh)


_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def is_same_decision(one: OutboundEvent, other: OutboundEvent) -> bool:
    """Whether two events are one decision, made at the same time or at another."""
    return _at_no_time(one) == _at_no_time(other)


def _at_no_time(event: OutboundEvent) -> OutboundEvent:
    """The event without what follows from the moment of its decision: that moment, and the deadline counted from it."""
    times: dict[str, datetime] = {"occurred_at": _NO_TIME}
    if isinstance(event, OrderStateChanged) and event.approval_deadline is not None:
        times["approval_deadline"] = _NO_TIME
    return event.model_copy(update=times)


def outcomes_kept(outcomes: Iterable[EventOutcome]) -> tuple[EventOutcome, ...]:
    """The outcomes that are recorded: of each event id and type the first that is not a duplicate.

    A duplicate may be answered while the first event of its id is still held. The first event's outcome counts.
    """
    kept: dict[tuple[str, str], EventOutcome] = {}
    for one in outcomes:
        if one.outcome is not InboundOutcome.DUPLICATE:
            kept.setdefault((one.event_id, one.type), one)
    return tuple(kept.values())


def late_rejection(
    order_id: str,
    sequence: int,
    event: InboundEvent,
    state: OrderState | None,
    at: datetime,
    *,
    reused: bool = False,
) -> OrderEventRejected:
    """The answer to an event that came after its order's life.

    Args:
        order_id: the order.
        sequence: the answer's own number.
        event: the late event.
        state: the order's last state; None where the order is not known.
        at: when it was decided.
        reused: whether its id was used for an event of another type.
    """
    body = read_body(event, order_id)
    return OrderEventRejected(
        order_id=order_id,
        sequence=sequence,
        previous_state=state,
        state=state,
        occurred_at=at,
        cause=Cause.of(event, body),
        reason=ReasonCode.EVENT_ID_REUSED if reused else _late_reason(body, state),
    )


def _late_reason(body: InboundBody | None, state: OrderState | None) -> ReasonCode:
    if body is None:
        return ReasonCode.INVALID
    if state is None:
        return ReasonCode.UNKNOWN_ORDER
    return ReasonCode.ORDER_CLOSED


def answer_late(
    order_id: str,
    events: Sequence[InboundEvent],
    *,
    decided: Collection[tuple[str, str]],
    state: OrderState | None,
    last_sequence: int,
    at: datetime,
) -> tuple[tuple[EventOutcome, ...], tuple[OrderEventRejected, ...]]:
    """Decides late events: one whose id and type are decided is a duplicate, any other is rejected.

    Each rejection has the next number.

    Args:
        order_id: the order.
        events: the late events, in order.
        decided: id and type of this order's inbound events that are recorded already.
        state: the order's last state; None where the order is not known.
        last_sequence: the journal's last.
        at: when the events are decided.

    Returns:
        How each event was decided, and the rejections to record and publish.
    """
    seen = set(decided)
    ids = {event_id for event_id, _ in decided}
    outcomes: list[EventOutcome] = []
    rejections: list[OrderEventRejected] = []
    for event in events:
        if (event.event_id, event.type) in seen:
            one = EventOutcome(event_id=event.event_id, type=event.type, outcome=InboundOutcome.DUPLICATE, at=at)
        else:
            sequence = last_sequence + len(rejections) + 1
            rejection = late_rejection(order_id, sequence, event, state, at, reused=event.event_id in ids)
            seen.add((event.event_id, event.type))
            ids.add(event.event_id)
            rejections.append(rejection)
            one = EventOutcome(
                event_id=event.event_id,
                type=event.type,
                outcome=InboundOutcome.REJECTED,
                reason=rejection.reason,
                at=at,
                body_digest=fingerprint_of(event, order_id),
                sequence=sequence,
            )
        outcomes.append(one)
    return tuple(outcomes), tuple(rejections)
