"""Every event becomes one signal to its order's workflow."""

import pytest

from bridge.calls import late_workflow_id
from bridge.router import route
from schemas.event_types import EventType
from schemas.inbound import InboundEvent

EXPECTED_SIGNALS = {
    EventType.ORDER_CREATED: "order_created",
    EventType.ORDER_APPROVED: "approve_order",
    EventType.ORDER_CANCELLED: "cancel_order",
    EventType.ORDER_ADDRESS_UPDATED: "update_address",
}


@pytest.mark.parametrize("event_type", EventType)
def test_an_event_is_a_signal_to_the_workflow_under_the_order_s_id(event_type: EventType) -> None:
    event = InboundEvent(event_id="e-1", type=event_type.value)
    call = route("o-1", event_type, event)
    assert (call.workflow_id, call.order_id, call.signal) == ("o-1", "o-1", EXPECTED_SIGNALS[event_type])
    assert call.event is event


def test_a_late_workflow_s_id_is_the_same_for_the_same_event_only() -> None:
    assert late_workflow_id("o-1", "/shop|e-1") == late_workflow_id("o-1", "/shop|e-1")
    ids = {late_workflow_id(order, event) for order in ("o-1", "o-2") for event in ("", "e", "e \N{SNOWMAN}\n/")}
    assert len(ids) == 6
    assert all(len(late_id) <= len("late:") + 3 + 1 + 32 for late_id in ids)


def test_a_late_workflow_s_id_never_changes() -> None:
    """Open late workflows of an older release must be found again."""
    assert late_workflow_id("o-1", "e-1") == "late:o-1:b94f523196aaacd8bdb9ef0d8cf2e1d8"
