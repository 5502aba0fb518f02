"""What an operator sees and does in Temporal: the status, the details, the cancel button."""

from datetime import timedelta

import pytest

from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CREATED, Bench

OPEN_STEPS = [
    OrderStep.AWAITING_ORDER,
    OrderStep.RECEIVING,
    OrderStep.VALIDATING,
    OrderStep.AWAITING_MANUAL_APPROVAL,
    OrderStep.CHARGING_PAYMENT,
    OrderStep.SHIPPING,
    OrderStep.REFUNDING_PAYMENT,
    OrderStep.MARKING_SHIPPED,
]


@pytest.mark.parametrize("step", OPEN_STEPS)
async def test_the_status_says_what_the_order_waits_for(bench: Bench, order_id: str, step: OrderStep) -> None:
    go_on = await bench.brought_to(order_id, step)
    status = await bench.status(order_id)
    assert status.step is step
    assert status.waits_for
    go_on()
    await bench.send(order_id, CREATED, f"created-{order_id}")
    await bench.send(order_id, APPROVED, f"approved-{order_id}")
    await bench.result(order_id)
    status = await bench.status(order_id)
    assert status.waits_for is None
    assert status.last_sequence == len(bench.events(order_id))


async def test_the_current_details_name_the_step_and_nothing_personal(bench: Bench, order_id: str) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED, customer_id="customer-canary", shipping_address={"street": "street-canary"})
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    metadata = await bench.handle(order_id).query("__temporal_workflow_metadata")
    assert "AWAITING_MANUAL_APPROVAL" in str(metadata)
    assert "canary" not in str(metadata)


@pytest.mark.parametrize("step", [OrderStep.VALIDATING, OrderStep.AWAITING_MANUAL_APPROVAL])
async def test_temporals_cancellation_is_a_request_to_cancel_the_order(
    bench: Bench, order_id: str, step: OrderStep
) -> None:
    go_on = await bench.brought_to(order_id, step)
    await bench.handle(order_id).cancel()
    assert (await bench.result(order_id)).state is OrderState.CANCELLED
    go_on()


@pytest.mark.parametrize("step", [OrderStep.CHARGING_PAYMENT, OrderStep.SHIPPING, OrderStep.MARKING_SHIPPED])
async def test_temporals_cancellation_after_the_charge_is_refused_and_the_order_goes_on(
    bench: Bench, order_id: str, step: OrderStep
) -> None:
    go_on = await bench.brought_to(order_id, step)
    await bench.handle(order_id).cancel()
    await assert_eventually(lambda: "already_charged" in bench.story(order_id))
    go_on()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
