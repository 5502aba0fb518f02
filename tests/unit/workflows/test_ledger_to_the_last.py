"""What a change of one sign in the ledger would change, and no sequence of events shows."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.activity_io import OrderProjection
from schemas.event_types import EventType
from schemas.states import InboundOutcome, OrderState, OrderStep, ReasonCode
from workflows.life.event_table import state_at, valid_event
from workflows.life.ledger import answer, change_state, next_batch, reach_milestone, reject_held
from workflows.life.state import DefectError, OrderRunState

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=1)


def test_an_event_that_is_held_twice_is_refused_once_and_is_a_duplicate_then() -> None:
    state = state_at(OrderStep.AWAITING_ORDER)
    state.held = [valid_event(EventType.ORDER_APPROVED)] * 2
    reject_held(state, ReasonCode.UNKNOWN_ORDER, NOW)
    outcomes = [entry.outcome.outcome for entry in state.unpublished if entry.outcome]
    assert outcomes == [InboundOutcome.REJECTED, InboundOutcome.DUPLICATE]
    assert state.held == []


@pytest.mark.parametrize(
    ("step", "state"),
    [
        (OrderStep.REFUNDING_PAYMENT, OrderState.PAID),
        (OrderStep.MARKING_SHIPPED, OrderState.CARRIER_DISPATCHED),
        (OrderStep.SHIPPING, OrderState.SHIPPING_FAILED),
    ],
)
def test_a_milestone_of_an_attempt_that_is_over_is_ignored(step: OrderStep, state: OrderState) -> None:
    run = OrderRunState(order_id="o-1", step=step, state=state)
    reach_milestone(run, OrderState.PACKAGE_PREPARED, "late", NOW)
    reach_milestone(run, OrderState.CARRIER_DISPATCHED, "late", NOW)
    assert (run.state, run.tracking_id, run.unpublished) == (state, None, [])


def test_a_new_address_is_merged_with_the_one_of_before() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    for number, address in enumerate(({"city": "Oslo", "street": "One"}, {"city": "Bergen"})):
        event = valid_event(EventType.ORDER_ADDRESS_UPDATED, f"e-{number}")
        answer(state, event.model_copy(update={"body": {"order_id": "o-1", "address": address}}), NOW)
    assert state.details is not None
    assert (state.details.address.city, state.details.address.street) == ("Bergen", "One")


def test_an_address_of_an_order_that_is_not_known_is_a_defect() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    state.details = None
    with pytest.raises(DefectError, match="an address to a known order only"):
        answer(state, valid_event(EventType.ORDER_ADDRESS_UPDATED), NOW)


def test_the_id_of_an_event_that_was_applied_is_refused_on_another_type() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    answer(state, valid_event(EventType.ORDER_ADDRESS_UPDATED, "e"), NOW)
    answer(state, valid_event(EventType.ORDER_CANCELLED, "e"), NOW)
    assert [entry.outcome.reason for entry in state.unpublished if entry.outcome] == [None, ReasonCode.EVENT_ID_REUSED]


def row_of(state: OrderRunState) -> OrderProjection:
    row = next_batch(state, len(state.unpublished)).projection
    assert row is not None
    return row


def test_the_row_has_the_address_as_it_is_and_when_it_was_changed() -> None:
    state = state_at(OrderStep.AWAITING_MANUAL_APPROVAL)
    assert state.details is not None
    state.row = OrderProjection(details=state.details)
    body = {"order_id": "o-1", "address": {"city": "Bergen"}}
    event = valid_event(EventType.ORDER_ADDRESS_UPDATED).model_copy(update={"body": body, "occurred_at": EARLIER})
    answer(state, event, NOW)
    assert (row_of(state).details.address.city, row_of(state).address_updated_at) == ("Bergen", EARLIER)


def test_the_row_has_why_the_order_is_where_it_is_and_what_the_carrier_calls_it() -> None:
    details = state_at(OrderStep.SHIPPING).details
    assert details is not None
    state = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, state=OrderState.PAID, details=details)
    state.row = OrderProjection(details=details)
    reach_milestone(state, OrderState.CARRIER_DISPATCHED, "track", NOW)
    assert (row_of(state).state, row_of(state).tracking_id) == (OrderState.CARRIER_DISPATCHED, "track")
    lost = OrderRunState(order_id="o-1", step=OrderStep.SHIPPING, state=OrderState.PAID, details=details)
    lost.row = OrderProjection(details=details)
    change_state(lost, OrderState.SHIPPING_FAILED, NOW, reason=ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED)
    assert row_of(lost).reason is ReasonCode.SHIPPING_ATTEMPTS_EXHAUSTED
