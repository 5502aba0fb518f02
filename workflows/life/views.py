"""What a run shows of itself: its status, its result, and a line for the Temporal UI. Pure."""

from datetime import datetime
from typing import Final

from schemas.states import OrderState, OrderStep
from schemas.workflow_io import EventQuery, EventStatus, OrderResult, OrderStatus
from workflows.life.state import BacklogWait, DefectError, OrderRunState
from workflows.life.steps import NEXT_STEPS, STEPS


def status_of(state: OrderRunState) -> OrderStatus:
    """The answer to the ``status`` query."""
    details = state.details
    return OrderStatus(
        order_id=state.order_id,
        step=state.step,
        state=state.state,
        reason=state.reason,
        waits_for=waits_for(state),
        waits_until=waits_until(state),
        approved=is_approved(state),
        payment_id=details.payment_id if details else None,
        amount=details.amount if details else None,
        currency=details.currency if details else None,
        address=details.address if details else None,
        tracking_id=state.tracking_id,
        shipping_attempt=state.shipping_attempt,
        last_sequence=state.last_sequence,
        held_events=state.held_events,
    )


def event_status_of(state: OrderRunState, asked: EventQuery) -> EventStatus:
    """The answer to the ``event`` query."""
    held = any((event.event_id, event.type) == (asked.event_id, asked.type) for event in state.held)
    return EventStatus(held=held, waits_for=waits_for(state), waits_until=waits_until(state))


def result_of(state: OrderRunState) -> OrderResult:
    """What the workflow returns, once its order has reached a final state."""
    if state.state is None:
        raise DefectError("an order that was never received has no result")
    return OrderResult(
        order_id=state.order_id,
        state=state.state,
        reason=state.reason,
        address=state.details.address if state.details else None,
        tracking_id=state.tracking_id,
        last_sequence=state.last_sequence,
    )


def waits_for(state: OrderRunState) -> str | None:
    """What has to happen next, for a person; None once nothing has to."""
    if not state.is_looked_up:
        return "the database to keep the order, or to say what it knows of it"
    if state.is_ended:
        return "its last events to be published" if state.unpublished else None
    next_step = None if state.state is None else STEPS[NEXT_STEPS[state.state]]
    if next_step is not None and next_step.publishes_first and state.has_unpublished_transitions:
        return f"its events to be recorded and published, and then for {next_step.waits_for}"
    if state.backlog is not None:
        return _waits_for_backlog(state.backlog)
    text = STEPS[state.step].waits_for
    return f"{text}, until {_utc(state.deadline)}" if state.deadline else text


def waits_until(state: OrderRunState) -> datetime | None:
    """When that wait ends by itself; None where it does not."""
    return state.deadline if state.is_looked_up else None


def _waits_for_backlog(wait: BacklogWait) -> str:
    if wait.partitions is None:
        return f"Kafka to say whether all that it held at the deadline was handed over (since {_utc(wait.since)})"
    behind = ", ".join(one.in_words for one in wait.partitions)
    return f"what was in Kafka at the deadline to be handed over (since {_utc(wait.since)}: {behind})"


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def summary_of(state: OrderRunState) -> str:
    """A line of markdown for the Temporal UI. No personal data: the details are shown unencrypted."""
    line = f"**{state.step}**"
    if state.step is OrderStep.SHIPPING and state.shipping_attempt:
        line += f", attempt {state.shipping_attempt}"
    waiting = waits_for(state)
    return f"{line}: waits for {waiting}" if waiting else line


def is_approved(state: OrderRunState) -> bool:
    """Whether the order's approval was applied."""
    return state.state not in _NOT_APPROVED


_NOT_APPROVED: Final = frozenset(
    {
        None,
        OrderState.RECEIVED,
        OrderState.VALIDATED,
        OrderState.REJECTED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
    }
)
"""States in which no approval counts. A cancelled order may have been approved in the moment of the cancel."""
