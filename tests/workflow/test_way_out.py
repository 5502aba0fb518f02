"""The way out: outages, repeats and batches."""

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType as HistoryEventType

from schemas.states import OrderState, OrderStep
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.test_order_life import STRAIGHT_ROAD
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CREATED, Bench
from workflows.life.batches import BATCH_MAX

AN_HOUR = timedelta(hours=1)
MORE_THAN_AN_HOUR = 500
"""Calls that fail: one every 10 s at last."""
SPOILED_TASKS = (
    HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    HistoryEventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
)


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
async def test_an_outage_of_an_hour_is_waited_out_in_plain_sight_and_holds_no_workflow_task(
    bench: Bench, order_id: str, port: str
) -> None:
    await bench.send(order_id, CREATED)
    await bench.publishes(order_id, 2)
    (bench.store if port == "record" else bench.publisher).fail_next(MORE_THAN_AN_HOUR, port)
    approved = await bench.send(order_id, APPROVED)
    await assert_eventually(lambda: _has_decided(bench, order_id, 3), 60)

    await bench.skip(AN_HOUR)

    status = await bench.status(order_id)
    assert (status.step, status.state) == (OrderStep.AWAITING_MANUAL_APPROVAL, OrderState.APPROVED)
    # What comes meanwhile is taken, and told about.
    await bench.send(order_id, ADDRESS, "moved", address={"street": "Elsewhere 1"})
    await assert_eventually(lambda: _has_decided(bench, order_id, 4), 60)
    (waiting,) = (await bench.handle(order_id).describe()).raw_description.pending_activities
    assert waiting.attempt > AN_HOUR / bench.policy.retry_maximum_interval
    assert (waiting.activity_type.name, bool(waiting.last_failure.message)) == ("publish_events", True)
    assert bench.gateway.calls["charge"] == 0

    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == [*STRAIGHT_ROAD[:3], "address", *STRAIGHT_ROAD[3:]]
    assert (bench.outcome(order_id, approved), bench.outcome(order_id, "moved")) == ("applied", "applied")
    history = await bench.handle(order_id).fetch_history()
    # A task that is held for an outage times out every 10 s of it; one or two may on a machine that is busy.
    assert sum(one.event_type in SPOILED_TASKS for one in history.events) <= 2


async def _has_decided(bench: Bench, order_id: str, count: int) -> bool:
    return (await bench.status(order_id)).last_sequence >= count


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
