"""Every event becomes one signal to its order's workflow, and a late one a workflow of its own."""

from datetime import timedelta
from typing import Any

import pytest

from bridge import Call, Record
from orders.mapping import OrderMapping
from schemas.event_types import EventType
from schemas.inbound import InboundEvent
from schemas.order import OrderPolicy
from schemas.workflow_io import LateEventInput, OrderWorkflowInput
from workflows.names import late_workflow_id

EXPECTED_SIGNALS = {
    EventType.ORDER_CREATED: "order_created",
    EventType.ORDER_APPROVED: "approve_order",
    EventType.ORDER_CANCELLED: "cancel_order",
    EventType.ORDER_ADDRESS_UPDATED: "update_address",
}
POLICY = OrderPolicy(approval_timeout=timedelta(seconds=7), early_event_time_to_live=timedelta(minutes=9))
MAPPING = OrderMapping({"in": EventType.ORDER_CREATED}, POLICY, run_timeout=timedelta(days=2), task_queue="tq")


@pytest.mark.parametrize("event_type", EventType)
def test_an_event_is_a_signal_to_the_workflow_under_the_order_s_id(event_type: EventType) -> None:
    event = InboundEvent(event_id="e-1", type=event_type.value)
    call = MAPPING.call_for("o-1", event_type, event)
    assert (call.workflow, call.workflow_id, call.task_queue) == ("OrderWorkflow", "order:o-1", "tq")
    assert call.argument == OrderWorkflowInput(order_id="o-1", policy=POLICY)
    assert (call.signal, call.run_timeout, call.lane) == (EXPECTED_SIGNALS[event_type], timedelta(days=2), None)
    assert call.signal_argument is event
    assert call.run_again_after_failure, "a failed run may begin anew"
    assert call.summary == "order o-1"
    assert call.details == (
        f"Begun by `{event_type.value}`. It waits 0:09:00 for its `order.created`, and then 0:00:07 for approval. "
        "All that is known of it: `orders explain o-1`"
    )


def late(call: Call) -> Call:
    made: Any = call.when_closed
    found = made()
    assert isinstance(found, Call)
    return found


def test_an_event_of_an_order_that_is_over_starts_a_workflow_of_its_own() -> None:
    event = InboundEvent(event_id="e-1", type="order.approved")
    call = late(MAPPING.call_for("o-1", EventType.ORDER_APPROVED, event))
    assert (call.workflow, call.workflow_id, call.task_queue) == (
        "LateEventWorkflow",
        late_workflow_id("o-1", "order.approved", "e-1"),
        "tq",
    )
    assert call.argument == LateEventInput(order_id="o-1", event=event, policy=POLICY)
    assert (call.signal, call.run_timeout, call.when_closed) == (None, None, None)
    assert call.summary == "order.approved for order o-1, which was over"


def test_a_record_becomes_the_call_of_its_event() -> None:
    record = Record("in", 0, 7, 1_000, b"o-1", b'{"order_id": "o-1", "payment_id": "p-1"}')
    call = MAPPING.translate(record)
    assert MAPPING.topics == ("in",)
    assert (call.workflow_id, call.signal) == ("order:o-1", "order_created")
    assert call.signal_argument == MAPPING.read(record).event
    assert late(call).workflow_id == late_workflow_id("o-1", "order.created", record.identity)
