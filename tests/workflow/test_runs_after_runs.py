"""A run that finds what another run has left: an order in mid-life, or one whose life is over."""

import asyncio
from collections.abc import Callable

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from schemas.inbound import InboundEvent
from schemas.orchestration import (
    LateEventInput,
    OrderProjection,
    OrderWorkflowInput,
    PublishEvents,
    SettledLateEvents,
)
from schemas.outbound import OrderStateChanged
from schemas.states import EventType, OrderState, OrderStep
from tests.helpers.waiting import assert_eventually
from tests.workflow.bench import APPROVED, CANCELLED, CREATED, FAILS, Bench
from tests.workflow.test_order_life import STRAIGHT_ROAD
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_WORKFLOW, SIGNALS
from workflows.publisher import ORDER_WRITTEN_ELSEWHERE

GATES: dict[str, Callable[[Bench], asyncio.Event]] = {
    "RECEIVED": lambda bench: bench.validation,
    "APPROVED": lambda bench: bench.gateway.hold("charge"),
    "PAID": lambda bench: bench.carrier.hold("prepare"),
    "PACKAGE_PREPARED": lambda bench: bench.carrier.hold("dispatch"),
    "CARRIER_DISPATCHED": lambda bench: bench.store.hold("mark_shipped"),
}


async def left_at(bench: Bench, order_id: str, state: str, **body: object) -> asyncio.Event:
    """Leaves an order at a recorded state, its run terminated; returns the gate that the next run will come to."""
    gate = GATES[state](bench) if state in GATES else bench.gateway.hold("refund")
    gate.clear()
    await bench.send(order_id, CREATED, "created", **body)
    if state != "RECEIVED":
        await bench.send(order_id, APPROVED, "approved")
    await assert_eventually(lambda: state in bench.story(order_id), message=f"{order_id} is recorded as {state}")
    await bench.handle(order_id).terminate("the test ends this run")
    return gate


@pytest.mark.parametrize("state", list(GATES))
async def test_a_resumed_order_goes_on_from_what_is_recorded(bench: Bench, order_id: str, state: str) -> None:
    gate = await left_at(bench, order_id, state)
    gate.set()
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, APPROVED, "approved")
    result = await bench.result(order_id)
    assert (result.state, result.last_sequence) == (OrderState.COMPLETED, 8)
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}


async def test_an_order_that_was_being_refunded_is_refunded_once(bench: Bench, order_id: str) -> None:
    bench.new_policy(shipping_attempts=1)
    gate = await left_at(bench, order_id, "SHIPPING_FAILED", shipping_address={"zip_code": FAILS})
    gate.set()
    await bench.send(order_id, CREATED, "created")
    assert (await bench.result(order_id)).state is OrderState.REFUNDED
    assert bench.story(order_id)[-2:] == ["SHIPPING_FAILED", "REFUNDED"]
    assert bench.gateway.ledger["refund", f"pay-{order_id}"] == 1


async def test_a_resumed_order_that_awaits_approval_awaits_it_anew(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 2)
    await bench.handle(order_id).terminate()
    await bench.send(order_id, CREATED, "created")
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    assert bench.story(order_id) == STRAIGHT_ROAD


@pytest.mark.parametrize("state", ["APPROVED", "PAID"])
async def test_a_resumed_order_is_no_longer_cancelled_once_its_charge_may_have_been_scheduled(
    bench: Bench, order_id: str, state: str
) -> None:
    gate = await left_at(bench, order_id, state)
    gate.set()
    cancelled = await bench.send(order_id, CANCELLED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.outcome(order_id, cancelled) == "already_charged"


async def test_an_order_that_was_kept_but_never_recorded_is_received_by_the_next_run(
    bench: Bench, order_id: str
) -> None:
    gate = bench.store.hold("record")
    await bench.send(order_id, CREATED, "created")
    await assert_eventually(bench.store.reached["record"].is_set)
    await bench.handle(order_id).terminate()
    bench.store.fail_next(1, "record")
    gate.set()
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    assert bench.story(order_id) == STRAIGHT_ROAD
    # The run that took `created` on was ended before it settled it: upstream sends it again or it stays unsettled.
    bench.sent[order_id].discard("created")


async def test_what_an_ended_run_still_writes_is_not_written_again(bench: Bench, order_id: str) -> None:
    """The ended run's batch is recorded after the new run has looked the order up: a sequence conflict."""
    bench.validation.clear()
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 1)
    gate = bench.store.hold("record")
    bench.store.reached["record"].clear()
    bench.validation.set()
    await assert_eventually(bench.store.reached["record"].is_set)
    await bench.handle(order_id).terminate()
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, APPROVED, "approved")
    calls = bench.store.calls["record"]
    await assert_eventually(lambda: bench.store.calls["record"] > calls)
    gate.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


async def test_a_run_stops_when_another_has_ended_its_order(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 2)
    event = OrderStateChanged(
        order_id=order_id,
        sequence=3,
        previous_state=OrderState.VALIDATED,
        state=OrderState.EXPIRED,
        occurred_at=bench.events(order_id)[-1].occurred_at,
    )
    details = bench.store.orders[order_id].details
    assert details is not None
    projection = OrderProjection(state=OrderState.EXPIRED, details=details)
    await bench.store.record(PublishEvents(order_id=order_id, events=(event,), projection=projection))
    await bench.send(order_id, CANCELLED, "cancelled")
    with pytest.raises(WorkflowFailureError) as failure:
        await bench.result(order_id)
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == ORDER_WRITTEN_ELSEWHERE
    await bench.send(order_id, CANCELLED, "cancelled")
    assert (await bench.result(order_id)).state is OrderState.EXPIRED
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "EXPIRED", "order_closed"]


async def test_a_finished_order_answers_in_a_new_run_and_nothing_takes_effect(bench: Bench, order_id: str) -> None:
    """As after Temporal's retention: the finished run is gone, and every message comes again."""
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, APPROVED, "approved")
    await bench.result(order_id)
    gate = bench.store.hold("settle_late")
    handle = await bench.client.start_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id, shipping_task_queue=bench.shipping_queue),
        id=order_id,
        task_queue=bench.order_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=SIGNALS[CREATED],
        start_signal_args=[InboundEvent(event_id="created", type=CREATED)],
    )
    await bench.send(order_id, APPROVED, "approved")
    await assert_eventually(bench.store.reached["settle_late"].is_set)
    late = [await bench.send(order_id, event_type) for event_type in EventType]
    status = await bench.status(order_id)
    gate.set()
    await handle.result()
    result = await bench.result(order_id)
    assert (status.state, result.state) == (OrderStep.COMPLETED, OrderState.COMPLETED)
    assert bench.story(order_id) == [*STRAIGHT_ROAD, *["order_closed"] * 4]
    assert [bench.outcome(order_id, event_id) for event_id in late] == ["order_closed"] * 4
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}


async def test_a_late_event_is_answered_by_a_workflow_of_its_own(bench: Bench, order_id: str) -> None:
    await bench.send(order_id, CREATED)
    cancelled = await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    bench.publisher.fail_next(4, "publish")
    for event_id in ("late", cancelled):
        outcome = await bench.client.execute_workflow(
            LATE_EVENT_WORKFLOW,
            LateEventInput(order_id=order_id, event=InboundEvent(event_id=event_id, type=CANCELLED)),
            id=f"late:{order_id}:{event_id}",
            task_queue=bench.order_queue,
            result_type=SettledLateEvents,
        )
        assert [one.event_id for one in outcome.settled] == [event_id]
    assert bench.story(order_id) == ["RECEIVED", "CANCELLED", "order_closed"]
