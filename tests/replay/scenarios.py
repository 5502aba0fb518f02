"""The branches of an order's life, each played by a function: what `make record-histories` records.

To add one: write the function, put it into `SCENARIOS`, and run `make record-histories`.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from activities.ports import ShipmentRefusedError
from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent
from schemas.order import Address
from schemas.states import OrderState, OrderStep
from schemas.workflow_io import LateEventInput, OrderWorkflowInput, ShippingInput, ShippingMilestone
from tests.helpers.fakes import FLAKY_ZIP_CODE
from tests.helpers.system.waiting import assert_eventually
from tests.workflow.workbench.bench import ADDRESS, APPROVED, CANCELLED, CREATED, FAILS, Bench
from workflows.life.batches import BATCH_MAX
from workflows.names import (
    LATE_EVENT_WORKFLOW,
    ORDER_WORKFLOW,
    SHIPPING_MILESTONE_SIGNAL,
    SHIPPING_WORKFLOW,
    late_workflow_id,
    order_workflow_id,
    shipping_workflow_id,
)

Scenario = Callable[[Bench, str], Awaitable[list[str]]]
"""Plays one branch with an order id, and returns the ids of the workflows whose histories are kept."""

SHORT: Final = timedelta(seconds=0.5)
"""A deadline that is waited for in real time."""


async def completed(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"city": "Oslo"})
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id), shipping_workflow_id(order_id, 1)]


async def early_events(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, APPROVED)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, ADDRESS, "same")
    await bench.send(order_id, ADDRESS, "same")
    await bench.send(order_id, CREATED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def orphaned(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, APPROVED, "same")
    await bench.send(order_id, APPROVED, "same")
    await _fails(bench, order_id)
    return [order_workflow_id(order_id)]


async def order_while_its_orphans_are_refused(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(early_event_time_to_live=SHORT)
    await bench.send(order_id, CANCELLED)
    await bench.reaches(order_id, OrderStep.AWAITING_ORDER)
    gate = bench.publisher.hold("publish")
    await bench.reaches(order_id, OrderStep.ORPHANED)
    for event_type in (ADDRESS, APPROVED, CANCELLED, CREATED):
        await bench.send(order_id, event_type)
    await bench.send(order_id, APPROVED)
    gate.set()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def told_all_before_the_charge(step: OrderStep, ending: EventType, bench: Bench, order_id: str) -> list[str]:
    """Every event at a step that comes before the charge; the last one approves or cancels the order."""
    go_on = await bench.brought_to(order_id, step)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, CREATED, "second")
    await bench.send(order_id, ending)
    await bench.send(order_id, CREATED, "second")
    go_on()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def told_all_after_the_charge(step: OrderStep, bench: Bench, order_id: str) -> list[str]:
    """Every event, and none at all, at a step that no event ends any more."""
    go_on = await bench.brought_to(order_id, step)
    before = len(bench.events(order_id))
    for event_type in (CREATED, APPROVED, CANCELLED, ADDRESS):
        await bench.send(order_id, event_type)
    await bench.signal_with_start(order_id, "approve_order", ["no event"])
    await bench.signal_with_start(order_id, "no_such_signal", [])
    for milestone in ("no milestone", ShippingMilestone(state=OrderState.SHIPPED, attempt=1)):
        await bench.signal_with_start(order_id, SHIPPING_MILESTONE_SIGNAL, [milestone])
    if step is not OrderStep.MARKING_SHIPPED:  # Who finds its order there answers once it has found it.
        await bench.publishes(order_id, before + 5)
    go_on()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def stale_and_invalid(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.send(order_id, ADDRESS, at="2020-01-02T00:00:00Z")
    await bench.send(order_id, ADDRESS, at="2020-01-01T00:00:00Z")
    await bench.send(order_id, ADDRESS, address={})
    await bench.signal_with_start(order_id, "approve_order", [])
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def decided_on_what_was_seen(bench: Bench, order_id: str) -> list[str]:
    """Decisions with who made them, on the order as they saw it: of before an address came, and of after."""
    await bench.send(order_id, APPROVED, approved_by="eve", expected_sequence=1)
    await bench.send(order_id, CREATED)
    await bench.publishes(order_id, 3)
    await bench.send(order_id, ADDRESS, expected_sequence=3)
    await bench.send(order_id, CANCELLED, cancelled_by="ada", reason="ordered twice", expected_sequence=3)
    await bench.send(order_id, APPROVED, approved_by="bob", note="as agreed", expected_sequence=5)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def cancelled_in_temporal(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.handle(order_id).cancel()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def rejected(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, amount=10**9)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def rejected_without_an_amount(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, amount=None)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def one_id_on_two_types(bench: Bench, order_id: str) -> list[str]:
    """The first counts, and each of the others is refused once; of those that are held likewise."""
    await bench.send(order_id, CANCELLED, "early")
    await bench.send(order_id, ADDRESS, "early")
    await bench.send(order_id, CREATED, "created", adjustments=[{"kind": "discount", "amount": -100}])
    await bench.send(order_id, APPROVED, "created")
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def payment_declined(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, payment_id="decline-1")
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def payment_of_another_order(bench: Bench, order_id: str) -> list[str]:
    for one in (f"{order_id}-first", order_id):
        await bench.send(one, CREATED, payment_id="pay-shared")
        await bench.send(one, APPROVED)
        await bench.result(one)
    return [order_workflow_id(order_id)]


async def payment_outcome_unknown(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(provider_time_allowed=timedelta(seconds=10))
    bench.gateway.lose_next_answers(100, "charge")
    bench.gateway.fail_next(100, "look_up")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def shipped_at_the_third_attempt(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FLAKY_ZIP_CODE})
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id), shipping_workflow_id(order_id, 2)]


async def refunded(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED, shipping_address={"zip_code": FAILS})
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def attempt_of_an_ended_run_holds_the_id(bench: Bench, order_id: str) -> list[str]:
    """The order waits until the id is free; the attempt of the ended run has nobody to tell."""
    left = await _attempt_left_behind(bench, order_id)
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await _is_refused_the_id(bench, order_id)
    bench.carrier.hold("prepare").set()
    await left.result()
    alone = f"shipping:{order_id}:alone"
    await bench.client.execute_workflow(
        SHIPPING_WORKFLOW, _shipping_of(bench, order_id), id=alone, task_queue=bench.shipping_queue
    )
    await bench.result(order_id)
    return [order_workflow_id(order_id), alone]


async def cancelled_while_its_approval_is_recorded(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1))
    await bench.send(order_id, CREATED)
    await bench.reaches(order_id, OrderStep.AWAITING_MANUAL_APPROVAL)
    await bench.publishes(order_id, 2)
    gate = bench.store.hold("record")
    for event_type in (APPROVED, ADDRESS, APPROVED, CANCELLED):
        await bench.send(order_id, event_type)
    await bench.reaches(order_id, OrderStep.CANCELLED)
    gate.set()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def address_while_its_payment_is_recorded(bench: Bench, order_id: str) -> list[str]:
    charge = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    gate = bench.store.hold("record")
    charge()
    await bench.comes_to(order_id, OrderState.PAID)
    await bench.send(order_id, ADDRESS)
    await bench.send(order_id, CANCELLED)
    gate.set()
    await bench.result(order_id)
    return [order_workflow_id(order_id), shipping_workflow_id(order_id, 1)]


async def carrier_given_up(bench: Bench, order_id: str) -> list[str]:
    bench.new_policy(provider_time_allowed=timedelta(seconds=10), shipping_attempts=1)
    bench.carrier.fail_next(100, "dispatch")
    await bench.send(order_id, CREATED)
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id), shipping_workflow_id(order_id, 1)]


async def activity_failed_by_hand(bench: Bench, order_id: str) -> list[str]:
    """It is begun anew, as nothing but an answer ends an order."""
    go_on = await bench.brought_to(order_id, OrderStep.CHARGING_PAYMENT)
    await assert_eventually(bench.gateway.reached["charge"].is_set)
    pending: Any = (await bench.handle(order_id).describe()).raw_description.pending_activities
    by_hand = bench.client.get_async_activity_handle(
        workflow_id=order_workflow_id(order_id), run_id=None, activity_id=pending[0].activity_id
    )
    await by_hand.fail(ApplicationError("by hand", non_retryable=True))
    go_on()
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def _attempt_left_behind(bench: Bench, order_id: str) -> WorkflowHandle[Any, Any]:
    bench.new_policy(activity_start_to_close=timedelta(minutes=1), shipping_retry_delay=SHORT)
    bench.carrier.hold("prepare")
    left = await bench.client.start_workflow(
        SHIPPING_WORKFLOW,
        _shipping_of(bench, order_id),
        id=shipping_workflow_id(order_id, 1),
        task_queue=bench.shipping_queue,
    )
    await assert_eventually(bench.carrier.reached["prepare"].is_set)
    return left


def _shipping_of(bench: Bench, order_id: str) -> ShippingInput:
    return ShippingInput(order_id=order_id, address=Address(), attempt=1, policy=bench.policy)


async def _is_refused_the_id(bench: Bench, order_id: str) -> None:
    async def was_refused() -> bool:
        history = await bench.handle(order_id).fetch_history()
        return any(event.HasField("start_child_workflow_execution_failed_event_attributes") for event in history.events)

    await assert_eventually(was_refused)


async def outage_of_the_way_out(bench: Bench, order_id: str) -> list[str]:
    """More than one batch waits behind an outage of Kafka; and an activity that gives up is begun anew."""
    bench.new_policy(retry_maximum_interval=SHORT)
    bench.store.fail_next(1, "record", ShipmentRefusedError("no error of this activity"), after=1)
    await bench.send(order_id, CREATED)
    await bench.publishes(order_id, 2)
    gate = bench.publisher.hold("publish")
    bench.publisher.fail_next(2, "publish")
    for number in range(BATCH_MAX + 2):
        await bench.send(order_id, ADDRESS, address={"street": str(number)})
    gate.set()
    await bench.send(order_id, APPROVED)
    await bench.result(order_id)
    return [order_workflow_id(order_id)]


async def late_event(bench: Bench, order_id: str) -> list[str]:
    await bench.send(order_id, CREATED)
    await bench.send(order_id, CANCELLED)
    await bench.result(order_id)
    late_id = late_workflow_id(order_id, APPROVED, "late")
    event = InboundEvent(event_id="late", type=APPROVED)
    await bench.client.execute_workflow(
        LATE_EVENT_WORKFLOW,
        LateEventInput(order_id=order_id, event=event),
        id=late_id,
        task_queue=bench.order_queue,
    )
    return [late_id]


async def answered_after_the_end(bench: Bench, order_id: str) -> list[str]:
    """As after Temporal's retention: a run for an order whose finished run is gone."""
    await bench.send(order_id, CREATED, "created")
    await bench.send(order_id, CANCELLED, "cancelled")
    await bench.result(order_id)
    await bench.client.execute_workflow(
        ORDER_WORKFLOW,
        OrderWorkflowInput(order_id=order_id, shipping_task_queue=bench.shipping_queue),
        id=order_workflow_id(order_id),
        task_queue=bench.order_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=INBOUND[APPROVED].signal,
        start_signal_args=[InboundEvent(event_id="late", type=APPROVED)],
    )
    return [order_workflow_id(order_id)]


async def _fails(bench: Bench, order_id: str) -> None:
    try:
        await bench.result(order_id)
    except WorkflowFailureError:
        return
    raise AssertionError("the run was to fail")


_BEFORE_THE_CHARGE: Final = (
    OrderStep.AWAITING_ORDER,
    OrderStep.RECEIVING,
    OrderStep.VALIDATING,
    OrderStep.AWAITING_MANUAL_APPROVAL,
)
_AFTER_THE_CHARGE: Final = (
    OrderStep.CHARGING_PAYMENT,
    OrderStep.SHIPPING,
    OrderStep.REFUNDING_PAYMENT,
    OrderStep.MARKING_SHIPPED,
)

_ON_THE_FIRST_SERVER: Final[tuple[Scenario, ...]] = (
    completed,
    early_events,
    orphaned,
    order_while_its_orphans_are_refused,
    stale_and_invalid,
    decided_on_what_was_seen,
    cancelled_in_temporal,
    rejected,
    rejected_without_an_amount,
    one_id_on_two_types,
    payment_declined,
    payment_of_another_order,
    payment_outcome_unknown,
    shipped_at_the_third_attempt,
    refunded,
    attempt_of_an_ended_run_holds_the_id,
    cancelled_while_its_approval_is_recorded,
    address_while_its_payment_is_recorded,
    carrier_given_up,
    activity_failed_by_hand,
    outage_of_the_way_out,
    late_event,
    answered_after_the_end,
)

SCENARIOS: Final[dict[str, Scenario]] = {
    **{scenario.__name__: scenario for scenario in _ON_THE_FIRST_SERVER},
    **{
        f"{word}_at_{step.lower()}": partial(told_all_before_the_charge, step, ending)
        for step in _BEFORE_THE_CHARGE
        for word, ending in (("approved", APPROVED), ("cancelled", CANCELLED))
    },
    **{f"refusals_at_{step.lower()}": partial(told_all_after_the_charge, step) for step in _AFTER_THE_CHARGE},
}
"""By name, which is the file's; played on a server that skips time."""
