"""How an order begins that nobody knows, told before the database is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.activity_io import OrderSnapshot, ValidationResult
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.states import OrderState, OrderStep
from workflows.life.batches import BATCH_MAX
from workflows.life.event_table import valid_event
from workflows.life.ledger import answer_inbox, batch_was_published, conclude_validation, next_batch, receive
from workflows.life.opening import Opening, opening_of
from workflows.life.recovery import recover
from workflows.life.state import OrderRunState

ORDER_ID = "o-1"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIMEOUT = timedelta(seconds=30)
LATER = st.integers(0, 100_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
more_events = st.lists(st.sampled_from([EventType.ORDER_CREATED, EventType.ORDER_ADDRESS_UPDATED]), max_size=4)


def event_of(event_type: EventType, event_id: str) -> InboundEvent:
    return valid_event(event_type).model_copy(update={"event_id": event_id, "arrived_at": NOW})


def run_with(*event_types: EventType) -> OrderRunState:
    inbox = [event_of(event_type, f"e-{number}") for number, event_type in enumerate(event_types, 1)]
    return OrderRunState(order_id=ORDER_ID, inbox=inbox)


def told(state: OrderRunState) -> Opening:
    opening = opening_of(state, NOW, TIMEOUT)
    assert opening is not None
    return opening


@given(event_types=more_events, opened_at=LATER)
def test_the_run_after_its_opening_is_the_run_that_took_every_step_at_that_time(
    event_types: list[EventType], opened_at: datetime
) -> None:
    state = run_with(EventType.ORDER_CREATED, *event_types)
    told(state).become(state, opened_at)

    stepwise = run_with(EventType.ORDER_CREATED, *event_types)
    recover(stepwise, OrderSnapshot())
    answer_inbox(stepwise, NOW)
    receive(stepwise, opened_at)
    conclude_validation(stepwise, ValidationResult(valid=True), opened_at, TIMEOUT)
    batch_was_published(stepwise, next_batch(stepwise, BATCH_MAX), len(stepwise.unpublished))

    assert state.model_dump() == stepwise.model_dump()
    assert state.approval_deadline == opened_at + TIMEOUT


@given(event_types=more_events, opened_at=LATER)
def test_what_is_recorded_is_of_one_moment_and_the_deadline_is_counted_from_it(
    event_types: list[EventType], opened_at: datetime
) -> None:
    recorded = told(run_with(EventType.ORDER_CREATED, *event_types)).request.made_at(opened_at)

    assert {event.occurred_at for event in recorded.events} == {opened_at}
    assert {outcome.at for outcome in recorded.outcomes} == {opened_at}
    assert [event.state for event in recorded.events][-1] is OrderState.VALIDATED
    assert recorded.projection.approval_deadline == opened_at + TIMEOUT


def test_telling_it_leaves_the_run_as_it_is() -> None:
    state = run_with(EventType.ORDER_CREATED, EventType.ORDER_ADDRESS_UPDATED)
    before = state.model_copy(deep=True)
    told(state)
    assert state == before


def test_what_comes_while_it_is_recorded_waits_for_its_decision() -> None:
    state = run_with(EventType.ORDER_CREATED)
    opening = told(state)
    approved = event_of(EventType.ORDER_APPROVED, "e-9")
    state.inbox.append(approved)

    opening.become(state, NOW)

    assert state.inbox == [approved]
    assert (state.step, state.state) == (OrderStep.AWAITING_MANUAL_APPROVAL, OrderState.VALIDATED)


@pytest.mark.parametrize(
    "event_types",
    [
        (),
        (EventType.ORDER_APPROVED,),
        (EventType.ORDER_CREATED, EventType.ORDER_CANCELLED),
    ],
    ids=["nothing is here", "no order", "it is over before it is validated"],
)
def test_an_order_that_does_not_begin_as_most_do_has_none(event_types: tuple[EventType, ...]) -> None:
    assert opening_of(run_with(*event_types), NOW, TIMEOUT) is None


def test_an_opening_that_one_call_cannot_hold_is_none() -> None:
    early = [EventType.ORDER_ADDRESS_UPDATED] * BATCH_MAX
    assert opening_of(run_with(EventType.ORDER_CREATED, *early), NOW, TIMEOUT) is None
