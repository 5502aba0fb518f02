"""Decides what an inbound event does, by the rules of the table of steps. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.event_types import EventType, read_body
from schemas.inbound import InboundBody, InboundEvent, OrderAddressUpdated
from schemas.states import OrderState, ReasonCode
from workflows.life.state import OrderRunState
from workflows.life.steps import STEPS, Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one event."""

    verdict: Verdict
    reason: ReasonCode | None = None
    """Why it is refused; None otherwise."""
    body: InboundBody | None = None
    """The event's body, where it was looked at and could be read; always there where the event is applied."""


HELD_EVENTS_MAX: Final = 500
"""Most events that wait for their order: all of them must fit into one payload (2 MiB). Events beyond this are refused
as of an unknown order."""


def decide(state: OrderRunState, event: InboundEvent, now: datetime) -> Decision:
    """Decides an event, and changes nothing.

    Args:
        state: the run's.
        event: with its id and type filled in.
        now: the workflow's time, which stands for the arrival of an event that has none.
    """
    if STEPS[state.step].holds_everything:
        return Decision(Verdict.HOLD)
    if state.has_decided(event):
        return Decision(Verdict.DUPLICATE)
    body = read_body(event, state.order_id)
    if state.reuses_an_id(event):
        return Decision(Verdict.REJECT, ReasonCode.EVENT_ID_REUSED, body)
    if (first := state.held_under(event.event_id)) is not None:
        # The first event of an id counts: one behind it waits, whatever it says, while there is room.
        same = event.type == first.type
        beyond = Decision(Verdict.DUPLICATE) if same else Decision(Verdict.REJECT, ReasonCode.EVENT_ID_REUSED, body)
        return Decision(Verdict.HOLD) if len(state.held) < HELD_EVENTS_MAX else beyond
    if body is None:
        return Decision(Verdict.REJECT, ReasonCode.INVALID)
    return _decide_valid(state, event, body, now)


def _decide_valid(state: OrderRunState, event: InboundEvent, body: InboundBody, now: datetime) -> Decision:
    rule = STEPS[state.step].rules[EventType(event.type)]
    if rule is Verdict.HOLD and len(state.held) >= HELD_EVENTS_MAX:
        rule = ReasonCode.UNKNOWN_ORDER
    elif isinstance(body, OrderAddressUpdated) and rule is Verdict.APPLY and _is_stale(state, event, body, now):
        rule = ReasonCode.STALE
    elif event.type == EventType.ORDER_APPROVED and rule is Verdict.APPLY and state.state is OrderState.APPROVED:
        # A second approval, while the first is being recorded and published.
        rule = ReasonCode.ALREADY_APPROVED
    elif rule is Verdict.APPLY and _was_looked_at_before_it_changed(state, event):
        rule = ReasonCode.ORDER_CHANGED
    if isinstance(rule, ReasonCode):
        return Decision(Verdict.REJECT, rule, body)
    return Decision(rule, body=body)


def _was_looked_at_before_it_changed(state: OrderRunState, event: InboundEvent) -> bool:
    """Whether the event was sent for an order that is another by now.

    Looked at last of all, where the event would be applied: what forbids it anyhow says more of why it is refused.
    """
    return event.expected_sequence is not None and event.expected_sequence != state.last_sequence


def event_time(event: InboundEvent, body: InboundBody, now: datetime) -> datetime:
    """When the event happened: what the envelope says, else what the body says, else when it arrived.

    Never later than it arrived: a sender whose clock is ahead would make all later events look older than its own.
    """
    arrived_at = event.arrived_at or now
    return min(event.occurred_at or body.occurred_at or arrived_at, arrived_at)


def _is_stale(state: OrderRunState, event: InboundEvent, body: OrderAddressUpdated, now: datetime) -> bool:
    return state.address_updated_at is not None and event_time(event, body, now) < state.address_updated_at
