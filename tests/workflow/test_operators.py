"""What an operator sees and does in Temporal: the status, the details, the cancel button; and outages on the way."""

from datetime import timedelta

import pytest

from schemas.states import OrderState, OrderStep
from tests.helpers.waiting import assert_eventually
from tests.workflow.bench import ADDRESS, APPROVED, CREATED, Bench
from tests.workflow.test_order_life import STRAIGHT_ROAD
from workflows.policies import PUBLISH_BATCH_MAX

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
    assert status.state is step
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


@pytest.mark.parametrize("port", ["record", "publish"])
async def test_events_go_out_in_order_after_an_outage(bench: Bench, order_id: str, port: str) -> None:
    if port == "record":
        bench.store.fail_next(8, "record")
    else:
        bench.publisher.fail_next(8, "publish")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


@pytest.mark.parametrize("port", ["record", "publish"])
async def test_a_batch_whose_answer_is_lost_is_published_again_to_the_byte(
    bench: Bench, order_id: str, port: str
) -> None:
    if port == "record":
        bench.store.lose_next_answers(3, "record")
    else:
        bench.publisher.lose_next_answers(3, "publish")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


async def test_what_waits_is_published_in_bounded_batches_each_with_the_row_of_its_last_event(
    bench: Bench, order_id: str
) -> None:
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    await bench.publishes(order_id, 3)
    gate = bench.publisher.hold("publish")
    count = 2 * PUBLISH_BATCH_MAX + 10
    for number in range(count):
        await bench.send(order_id, ADDRESS, address={"street": str(number)})
    status = await assert_eventually(lambda: _when_decided(bench, order_id, 3 + count))
    assert status
    recorded = bench.store.calls["record"]
    gate.set()
    await bench.publishes(order_id, 3 + count)
    assert bench.store.calls["record"] - recorded <= 4
    details = bench.store.orders[order_id].details
    assert details is not None
    assert details.address.street == str(count - 1)
    go_on()
    await bench.result(order_id)


async def _when_decided(bench: Bench, order_id: str, count: int) -> bool:
    return (await bench.status(order_id)).last_sequence == count
