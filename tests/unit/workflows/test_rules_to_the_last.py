"""What a change of one sign in the rules would change, and the table of steps does not show."""

from datetime import UTC, datetime

import pytest

from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.states import OrderStep, ReasonCode
from workflows.life.event_table import state_at, valid_event
from workflows.life.rules import HELD_EVENTS_MAX, decide
from workflows.life.steps import STEPS, Verdict

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_so_many_events_are_held_and_the_next_one_of_a_held_id_is_not() -> None:
    assert HELD_EVENTS_MAX == 500, "all of them fit into one payload of 2 MiB: measure before it is raised"
    state = state_at(OrderStep.AWAITING_ORDER)
    approval, cancel = valid_event(EventType.ORDER_APPROVED), valid_event(EventType.ORDER_CANCELLED)
    others = [valid_event(EventType.ORDER_CANCELLED, f"e-{number}") for number in range(HELD_EVENTS_MAX - 2)]
    state.held = [approval, *others]
    assert decide(state, cancel, NOW).verdict is Verdict.HOLD
    state.held.append(valid_event(EventType.ORDER_CANCELLED, "last"))
    assert len(state.held) == HELD_EVENTS_MAX
    assert decide(state, cancel, NOW).reason is ReasonCode.EVENT_ID_REUSED
    assert decide(state, approval, NOW).verdict is Verdict.DUPLICATE


@pytest.mark.parametrize("event_type", list(EventType))
def test_while_the_order_is_received_everything_waits_whatever_it_is(event_type: EventType) -> None:
    state = state_at(OrderStep.RECEIVING)
    state.remember("e-1", event_type)
    assert decide(state, valid_event(event_type), NOW).verdict is Verdict.HOLD
    malformed = InboundEvent(event_id="e-2", type=event_type.value, malformed=True)
    assert decide(state, malformed, NOW).verdict is Verdict.HOLD


def test_what_may_save_an_order_from_its_deadline_is_asked_for_where_it_has_one() -> None:
    asked_for = {step: row.saved_by for step, row in STEPS.items() if row.saved_by}
    assert asked_for == {
        OrderStep.AWAITING_ORDER: (EventType.ORDER_CREATED,),
        OrderStep.AWAITING_MANUAL_APPROVAL: (EventType.ORDER_APPROVED, EventType.ORDER_CANCELLED),
    }
