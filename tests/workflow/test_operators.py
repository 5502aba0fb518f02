"""What an operator sees and does in Temporal: the status, the details, the cancel button."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import APPROVED, CREATED, OPEN_STEPS, Bench
from workflows.names import order_workflow_id


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


@pytest.mark.parametrize("step", [OrderStep.CHARGING_PAYMENT, OrderStep.SHIPPING])
async def test_temporals_cancellation_after_the_charge_is_refused_and_the_order_goes_on(
    bench: Bench, order_id: str, step: OrderStep
) -> None:
    go_on = await bench.brought_to(order_id, step)
    await bench.handle(order_id).cancel()
    await assert_eventually(lambda: "already_charged" in bench.story(order_id))
    go_on()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED


async def test_an_activity_that_an_operator_fails_by_hand_is_begun_anew(bench: Bench, order_id: str) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    await assert_eventually(bench.gateway.reached["charge"].is_set)
    pending: Any = (await bench.handle(order_id).describe()).raw_description.pending_activities
    by_hand = bench.client.get_async_activity_handle(
        workflow_id=order_workflow_id(order_id), run_id=None, activity_id=pending[0].activity_id
    )
    await by_hand.fail(ApplicationError("by hand", non_retryable=True))
    go_on()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert (await bench.status(order_id)).shipping_attempt == 1
