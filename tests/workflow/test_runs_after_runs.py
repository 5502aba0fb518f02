"""A run that finds what another run has left: an order in mid-life, or one whose life is over."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from activities.ports import SequenceConflictError
from schemas.activity_io import LateAnswers, OrderProjection, PublishEvents
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.outbound import OrderStateChanged
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import LateEventInput, OrderWorkflowInput
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.test_order_life import STRAIGHT_ROAD
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, FAILS, Bench
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_WORKFLOW, late_workflow_id, order_workflow_id
from workflows.policies import CONFLICTS_MAX
from workflows.publisher import ORDER_WRITTEN_ELSEWHERE

GATES: dict[str, Callable[[Bench], asyncio.Event]] = {
    "APPROVED": lambda bench: bench.gateway.hold("charge"),
    "PAID": lambda bench: bench.carrier.hold("prepare"),
    "PACKAGE_PREPARED": lambda bench: bench.carrier.hold("dispatch"),
}


async def left_at(bench: Bench, order_id: str, state: str, **body: object) -> asyncio.Event:
    """Leaves an order at a recorded state, its run terminated; returns the gate that the next run will come to."""
    gate = GATES[state](bench) if state in GATES else bench.gateway.hold("refund")
    gate.clear()
    await bench.send(order_id, CREATED, "created", **body)
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


async def test_an_order_that_was_never_recorded_begins_anew_when_its_event_comes_again(
    bench: Bench, order_id: str
) -> None:
    gate = bench.store.hold("record")
    await bench.send(order_id, CREATED, "created")
    await assert_eventually(bench.store.reached["record"].is_set)
    await bench.handle(order_id).terminate()
    bench.store.fail_next(1, "record")
    gate.set()
    await bench.send(order_id, APPROVED)
    await bench.send(order_id, CREATED, "created")
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


async def test_what_an_ended_run_has_recorded_is_published_before_anything_is_charged_for_it(
    bench: Bench, order_id: str
) -> None:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED, "created")
    await bench.publishes(order_id, 2)
    calls, gate = bench.publisher.calls["publish"], bench.publisher.hold("publish")
    await bench.send(order_id, APPROVED, "approved")
    await assert_eventually(lambda: OrderState.APPROVED in bench.states(order_id))
    await bench.handle(order_id).terminate("the test ends this run")
    await bench.send(order_id, CREATED, "created")
    status = await bench.reaches(order_id, OrderStep.CHARGING_PAYMENT)
    assert status.waits_for == "its events to be recorded and published, and then for the payment provider"
    # One of the ended run, and one of this run, which has nothing to record.
    await assert_eventually(lambda: bench.publisher.calls["publish"] >= calls + 2)
    assert bench.gateway.calls["charge"] == 0
    gate.set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD


async def terminated_while_it_records(bench: Bench, order_id: str, event_type: EventType, **body: object) -> None:
    """Leaves an order that awaits approval: one more event was decided, and its batch is still on its way."""
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED, "created", shipping_address={"street": "Old 1"})
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    bench.store.hold("record")
    bench.store.reached["record"].clear()
    await bench.send(order_id, event_type, "told-the-first", **body)
    await assert_eventually(bench.store.reached["record"].is_set)
    await bench.handle(order_id).terminate("the test ends this run")


async def looks_up(
    bench: Bench, order_id: str, event_type: EventType | None = None, event_id: str = "told-the-first"
) -> None:
    """The next run begins, with an event or with none, and sees nothing of what is on its way."""
    calls = bench.store.calls["look_up"]
    if event_type is None:
        await bench.signal_with_start(order_id, "no_event", [])
    else:
        await bench.send(order_id, event_type, event_id)
    await assert_eventually(lambda: bench.store.calls["look_up"] > calls)


async def test_what_an_ended_run_still_writes_is_taken_over_where_it_is_the_same_decision(
    bench: Bench, order_id: str
) -> None:
    """With another time, which the event that was recorded first keeps; nothing begins again for that."""
    await terminated_while_it_records(bench, order_id, APPROVED)
    await looks_up(bench, order_id, APPROVED)
    await bench.comes_to(order_id, OrderState.APPROVED)
    run_id = (await bench.handle(order_id).describe()).run_id
    bench.store.hold("record").set()
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert bench.story(order_id) == STRAIGHT_ROAD
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}
    assert (await bench.handle(order_id).describe()).run_id == run_id


async def test_an_approval_that_an_ended_run_still_writes_is_not_undone(bench: Bench, order_id: str) -> None:
    await terminated_while_it_records(bench, order_id, APPROVED)
    await looks_up(bench, order_id)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    bench.store.hold("record").set()
    await bench.publishes(order_id, 3)
    # Would be applied by what this run knows; by what is recorded it is refused.
    cancelled = await bench.send(order_id, CANCELLED)
    assert (await bench.result(order_id)).state is OrderState.COMPLETED
    assert [word for word in bench.story(order_id) if word != "already_charged"] == STRAIGHT_ROAD
    assert bench.outcome(order_id, cancelled) == "already_charged"
    assert bench.gateway.ledger == {("charge", f"pay-{order_id}"): 1}


async def test_an_address_that_an_ended_run_still_writes_is_the_one_that_is_shipped_to(
    bench: Bench, order_id: str
) -> None:
    await terminated_while_it_records(bench, order_id, ADDRESS, address={"street": "New 2"})
    await looks_up(bench, order_id)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    bench.store.hold("record").set()
    await bench.publishes(order_id, 3)
    await bench.send(order_id, ADDRESS, address={"city": "Oslo"})
    await bench.send(order_id, APPROVED)
    result = await bench.result(order_id)
    details = bench.store.orders[order_id].details
    assert details is not None
    streets = [
        address.street for address in (bench.carrier.addresses[order_id], details.address, result.address) if address
    ]
    assert streets == ["New 2"] * 3
    assert details.address.city == "Oslo"


async def test_what_a_run_accepted_is_answered_when_another_has_ended_its_order(bench: Bench, order_id: str) -> None:
    await terminated_while_it_records(bench, order_id, CANCELLED)
    await looks_up(bench, order_id, APPROVED, "approved")
    await bench.comes_to(order_id, OrderState.APPROVED)
    bench.store.hold("record").set()
    assert (await bench.result(order_id)).state is OrderState.CANCELLED
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "CANCELLED", "order_closed"]
    assert bench.outcome(order_id, "approved") == "order_closed"
    assert not bench.gateway.ledger, "nothing is charged before the approval is recorded"


@pytest.mark.parametrize("port", ["record", "publish"])
async def test_nothing_is_charged_before_the_approval_is_recorded(bench: Bench, order_id: str, port: str) -> None:
    """A run that is terminated here leaves an order that may still expire, or be cancelled."""
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED, "created")
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    unreliable = bench.store if port == "record" else bench.publisher
    gate = unreliable.hold(port)
    await bench.send(order_id, APPROVED, "approved")
    status = await bench.comes_to(order_id, OrderState.APPROVED)
    assert status.waits_for == "its events to be recorded and published, and then for the payment provider"
    assert bench.gateway.calls["charge"] == 0
    await bench.handle(order_id).terminate("the test ends this run")
    unreliable.fail_next(1, port)
    gate.set()
    await bench.send(order_id, CANCELLED, "cancelled")
    result = await bench.result(order_id)
    # What was recorded cannot be taken back, and what was not was never begun.
    recorded = {
        "record": (OrderState.CANCELLED, {}),
        "publish": (OrderState.COMPLETED, {("charge", f"pay-{order_id}"): 1}),
    }
    assert (result.state, dict(bench.gateway.ledger)) == recorded[port]
    if port == "record":
        bench.sent[order_id].discard("approved")  # Lost with the run, until upstream sends it again.


async def test_nothing_is_given_back_before_the_failure_of_shipping_is_recorded(bench: Bench, order_id: str) -> None:
    """A run that took the order up as PAID would ship it after all."""
    bench.new_policy(activity_start_to_close=timedelta(minutes=1), shipping_attempts=1)
    gate = bench.carrier.hold("prepare")
    await bench.send(order_id, CREATED, "created", shipping_address={"zip_code": FAILS})
    await bench.send(order_id, APPROVED, "approved")
    await bench.publishes(order_id, 4)
    published = bench.publisher.hold("publish")
    gate.set()
    await bench.comes_to(order_id, OrderState.SHIPPING_FAILED)
    assert bench.gateway.calls["refund"] == 0
    published.set()
    assert (await bench.result(order_id)).state is OrderState.REFUNDED
    assert bench.gateway.ledger["refund", f"pay-{order_id}"] == 1


async def test_an_order_whose_numbers_are_always_taken_gives_up(bench: Bench, order_id: str) -> None:
    # Twice in each run: at its opening, and then by what it knows.
    bench.store.fail_next(2 * (CONFLICTS_MAX + 1), "record", SequenceConflictError("always another's"))
    await bench.send(order_id, CREATED, "created")
    with pytest.raises(WorkflowFailureError) as failure:
        await bench.result(order_id)
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == ORDER_WRITTEN_ELSEWHERE
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, CANCELLED, "cancelled")
    assert (await bench.result(order_id)).state is OrderState.CANCELLED


async def test_a_run_begins_again_when_another_has_ended_its_order(bench: Bench, order_id: str) -> None:
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
    assert (await bench.result(order_id)).state is OrderState.EXPIRED
    assert bench.story(order_id) == ["RECEIVED", "VALIDATED", "EXPIRED", "order_closed"]


async def test_a_finished_order_answers_in_a_new_run_and_nothing_takes_effect(bench: Bench, order_id: str) -> None:
    """As after Temporal's retention: the finished run is gone, and every message comes again."""
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, APPROVED, "approved")
    await bench.result(order_id)
    gate = bench.store.hold("answer_late")
    handle = await bench.client.start_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id, shipping_task_queue=bench.shipping_queue),
        id=order_workflow_id(order_id),
        task_queue=bench.order_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=INBOUND[CREATED].signal,
        start_signal_args=[InboundEvent(event_id="created", type=CREATED)],
    )
    await bench.send(order_id, APPROVED, "approved")
    await assert_eventually(bench.store.reached["answer_late"].is_set)
    late = [await bench.send(order_id, event_type) for event_type in EventType]
    status = await bench.status(order_id)
    gate.set()
    await handle.result()
    result = await bench.result(order_id)
    assert (status.step, result.state) == (OrderStep.COMPLETED, OrderState.COMPLETED)
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
            id=late_workflow_id(order_id, CANCELLED, event_id),
            task_queue=bench.order_queue,
            result_type=LateAnswers,
        )
        assert [one.event_id for one in outcome.outcomes] == [event_id]
    assert bench.story(order_id)[-2:] == ["CANCELLED", "order_closed"]
