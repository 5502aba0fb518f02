"""From an event to the call that it becomes."""

from dataclasses import dataclass

from schemas.event_types import INBOUND, EventType
from schemas.inbound import InboundEvent


@dataclass(frozen=True, slots=True)
class WorkflowCall:
    """One idempotent call on Temporal: this signal to this order's workflow, which is started where there is none."""

    workflow_id: str
    signal: str
    event: InboundEvent

    @property
    def order_id(self) -> str:
        """The order's id, which is the workflow's."""
        return self.workflow_id


def route(order_id: str, event_type: EventType, event: InboundEvent) -> WorkflowCall:
    """The call for an event: every event type is a signal, and every order is a workflow under its own id."""
    return WorkflowCall(workflow_id=order_id, signal=INBOUND[event_type].signal, event=event)
