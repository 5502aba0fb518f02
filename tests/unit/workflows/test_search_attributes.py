"""What an order shows of itself to Temporal's search, and what it keeps for itself."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from schemas.order import OrderDetails
from schemas.states import OrderStep
from workflows.life.state import OrderRunState
from workflows.search_attributes import (
    ORDER_CUSTOMER_ID,
    ORDER_PAYMENT_ID,
    ORDER_STEP,
    ORDER_STEP_SINCE,
    SEARCH_ATTRIBUTES,
    changed_attributes,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def changed(
    state: OrderRunState, shown: dict[SearchAttributeKey[Any], Any] | None = None, now: datetime = NOW
) -> dict[SearchAttributeKey[Any], Any]:
    pairs = [SearchAttributePair(key, value) for key, value in (shown or {}).items()]
    return {update.key: update.value for update in changed_attributes(state, TypedSearchAttributes(pairs), now)}


def order(customer_id: str | None = "c-42") -> OrderRunState:
    details = OrderDetails(payment_id="p-1", customer_id=customer_id)
    return OrderRunState(order_id="o-1", step=OrderStep.AWAITING_MANUAL_APPROVAL, details=details)


def test_a_run_without_an_order_shows_its_step_alone() -> None:
    assert changed(OrderRunState(order_id="o-1")) == {ORDER_STEP: "AWAITING_ORDER", ORDER_STEP_SINCE: NOW}


def test_an_order_shows_all_of_them() -> None:
    shown = changed(order())
    assert shown == {
        ORDER_STEP: "AWAITING_MANUAL_APPROVAL",
        ORDER_STEP_SINCE: NOW,
        ORDER_CUSTOMER_ID: "c-42",
        ORDER_PAYMENT_ID: "p-1",
    }
    assert set(shown) == set(SEARCH_ATTRIBUTES)


def test_what_is_shown_already_is_not_shown_again() -> None:
    assert changed(order(), changed(order()), NOW + timedelta(hours=1)) == {}


def test_the_time_moves_with_the_step_only() -> None:
    shown = changed(order())
    later = NOW + timedelta(seconds=9)
    assert changed(order("c-43"), shown, later) == {ORDER_CUSTOMER_ID: "c-43"}
    moved = order().model_copy(update={"step": OrderStep.CHARGING_PAYMENT})
    assert changed(moved, shown, later) == {ORDER_STEP: "CHARGING_PAYMENT", ORDER_STEP_SINCE: later}


@pytest.mark.parametrize("customer_id", ["ada@example.org", "+4712345678", "Ada Lovelace", "", "c" * 129, "c-1\n", "é"])
def test_a_customer_id_that_is_no_opaque_one_is_not_shown(customer_id: str) -> None:
    """It may be personal, and search attributes are never encrypted."""
    assert ORDER_CUSTOMER_ID not in changed(order(customer_id))
