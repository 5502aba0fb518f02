"""The way out: outages, repeats and batches."""

import pytest

from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.test_order_life import STRAIGHT_ROAD
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CREATED, Bench
from workflows.life.batches import BATCH_MAX


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
    count = 2 * BATCH_MAX + 10
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
