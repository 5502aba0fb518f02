"""How long orders waited for a decision, measured as their workflows publish it.

The times are the order's own: from VALIDATED to the transition that ended the wait. A replay measures nothing, and a
run that continues another is told when the wait began.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

import temporalio.worker
from prometheus_client import Histogram
from temporalio import workflow
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ContinueAsNewInput,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from schemas.states import OrderState
from workflows.life.steps import STEPS

_HEADER: Final = "_orders-awaiting-since"
_OBSERVE: Final = "__orders_approval_wait"
_CONVERTER: Final = PayloadConverter.default

APPROVAL_WAIT_SECONDS: Final = Histogram(
    "orders_approval_wait_seconds",
    "How long an order waited for its decision, from VALIDATED on, by the state that ended the wait; 0 where its "
    "approval had come before.",
    ("state",),
    buckets=(1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0),
)


class ApprovalWaits(temporalio.worker.Interceptor):
    """The interceptor of a worker that runs orders' workflows."""

    def __init__(self) -> None:
        for state in {to for step in STEPS.values() for to in step.transitions.get(OrderState.VALIDATED, ())}:
            # At 0 from the start: Prometheus sees no increase in a series whose first value is 1.
            APPROVAL_WAIT_SECONDS.labels(state)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 -- the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        """The SDK's hook for workflows."""
        input.unsafe_extern_functions[_OBSERVE] = _observe
        return _Inbound


def _observe(state: str, seconds: float) -> None:
    APPROVAL_WAIT_SECONDS.labels(state).observe(max(0.0, seconds))


class _Inbound(WorkflowInboundInterceptor):
    """Has what a run asks of the SDK pass through `_Outbound`; changes nothing that comes in."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        """Puts `_Outbound` between the run and the SDK."""
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    """Looks at the events that a run hands to its activities."""

    def __init__(self, following: WorkflowOutboundInterceptor) -> None:
        super().__init__(following)
        self._since: datetime | None = None
        self._seen = 0
        """Number of the last event that was counted: a batch that failed is handed over again."""

    def start_activity(self, input: StartActivityInput) -> "workflow.ActivityHandle[Any]":  # noqa: A002 -- the SDK's name
        """Looks at an activity's parameter."""
        self._look(input.args)
        return super().start_activity(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:  # noqa: A002 -- the SDK's name
        """Tells the next run since when the order waits."""
        if self._since is not None:
            input.headers = {**input.headers, _HEADER: _CONVERTER.to_payload(self._since.isoformat())}
        super().continue_as_new(input)

    def _look(self, arguments: Sequence[Any]) -> None:
        for event in (event for one in arguments for event in getattr(one, "events", ())):
            sequence = getattr(event, "sequence", 0)
            if sequence > self._seen:
                self._seen = sequence
                self._note(event)

    def _note(self, event: Any) -> None:
        if event.state == OrderState.VALIDATED and event.previous_state != OrderState.VALIDATED:
            self._since = event.occurred_at
        elif event.previous_state == OrderState.VALIDATED and event.state != OrderState.VALIDATED:
            since, self._since = self._since or _carried(), None
            if since is not None and not workflow.unsafe.is_replaying():
                observe: Callable[[str, float], None] = workflow.extern_functions()[_OBSERVE]
                observe(str(event.state), (event.occurred_at - since).total_seconds())


def _carried() -> datetime | None:
    """When the wait began, as the previous run tells; None where there was none, or it did not wait."""
    payload = workflow.info().headers.get(_HEADER)
    return None if payload is None else datetime.fromisoformat(_CONVERTER.from_payload(payload, str))
