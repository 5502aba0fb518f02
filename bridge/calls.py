"""The one call on Temporal that a record becomes."""

import hashlib
from datetime import timedelta
from enum import StrEnum
from typing import Final

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RetryConfig

from bridge.router import WorkflowCall
from schemas.order import OrderPolicy
from schemas.workflow_io import LateEventInput, OrderWorkflowInput
from workflows.names import LATE_EVENT_WORKFLOW, ORDER_TASK_QUEUE, ORDER_WORKFLOW

RPC_TIMEOUT = timedelta(seconds=10)
"""How long one call may take, retries of the client included, before its outcome counts as unknown."""

SINGLE_ATTEMPT: Final = RetryConfig(max_retries=1)
"""For the client of a bridge (``Client.connect(retry_config=...)``), which does its own repeating.

By default the client repeats a call for 10 s by itself, prints each failure past our logging, and meanwhile neither a
drain nor the log of state changes can know of it (temporalio 1.35; 1 means one attempt).
"""

_LATE_HASH_CHARS = 32
"""128 bits: two events of one order never share a late workflow."""


class Settlement(StrEnum):
    """What became of an event that Temporal has acknowledged."""

    DELIVERED = "delivered"
    """The order's workflow has it."""
    LATE = "late"
    """The order's workflow was over: a `LateEventWorkflow` answers the event."""
    DUPLICATE = "duplicate"
    """The order's workflow was over, and the event has been answered as late before."""


class Dispatcher:
    """Hands events to Temporal, as often as one likes: repeating a call changes nothing more.

    Args:
        client: Connected or lazy, with the pydantic data converter; a bridge's with `SINGLE_ATTEMPT`.
        policy: How long and how often, for the workflows that are started.
        run_timeout: Longest run of an order's workflow; None for no limit.
        task_queue: Where the workflows run.
        rpc_timeout: How long one call may take before its outcome counts as unknown.
    """

    def __init__(
        self,
        client: Client,
        policy: OrderPolicy,
        run_timeout: timedelta | None = None,
        *,
        task_queue: str = ORDER_TASK_QUEUE,
        rpc_timeout: timedelta = RPC_TIMEOUT,
    ) -> None:
        self._client = client
        self._policy = policy
        self._run_timeout = run_timeout
        self._task_queue = task_queue
        self._rpc_timeout = rpc_timeout

    async def dispatch(self, call: WorkflowCall) -> Settlement:
        """Signals the order's workflow, which is started where there is none; a late event gets a workflow of its own.

        Race-free, because the server decides in one step which of these it is. When it raises or is cancelled, the
        outcome is unknown, and the call may be repeated.

        Raises:
            temporalio.service.RPCError: Temporal refused or did not answer; `bridge.decisions` says what it means.
        """
        try:
            await self._client.start_workflow(
                ORDER_WORKFLOW,
                OrderWorkflowInput(order_id=call.order_id, policy=self._policy),
                id=call.workflow_id,
                task_queue=self._task_queue,
                run_timeout=self._run_timeout,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                # A failed run may begin anew; a completed one never does (I4).
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                start_signal=call.signal,
                start_signal_args=[call.event],
                static_summary=f"order {call.order_id}",
                static_details=self._details(call),
                rpc_timeout=self._rpc_timeout,
            )
        except WorkflowAlreadyStartedError:
            return await self._dispatch_late(call)
        return Settlement.DELIVERED

    async def _dispatch_late(self, call: WorkflowCall) -> Settlement:
        try:
            await self._client.start_workflow(
                LATE_EVENT_WORKFLOW,
                LateEventInput(order_id=call.order_id, event=call.event, policy=self._policy),
                id=late_workflow_id(call.order_id, call.event.event_id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                # One that failed has not answered: the redelivered event is its next attempt.
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=f"{call.event.type} for order {call.order_id}, which was over",
                rpc_timeout=self._rpc_timeout,
            )
        except WorkflowAlreadyStartedError:
            return Settlement.DUPLICATE
        return Settlement.LATE

    def _details(self, call: WorkflowCall) -> str:
        """What the Temporal UI says of a run for as long as it keeps it; nothing personal, as it may be unencrypted."""
        policy = self._policy
        return (
            f"Begun by `{call.event.type}`. It waits {policy.early_event_time_to_live} for its `order.created`, and "
            f"then {policy.approval_timeout} for approval. All that is known of it: `orders explain {call.order_id}`"
        )


def late_workflow_id(order_id: str, event_id: str) -> str:
    """The id of the workflow that answers a late event; hashed, as an event id may hold any character."""
    digest = hashlib.sha256(event_id.encode()).hexdigest()[:_LATE_HASH_CHARS]
    return f"late:{order_id}:{digest}"
