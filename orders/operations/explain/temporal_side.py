"""What Temporal knows of an order: its runs, where the last one is, and what it tries."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from orders.clients.opened import Clients
from orders.clients.temporal import reaching_temporal
from schemas.workflow_io import OrderResult, OrderStatus
from workflows.names import STATUS_QUERY

RUNS_MAX: Final = 50
_CALL_TIMEOUT: Final = timedelta(seconds=5)
_PLAIN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What may stand in a query without quoting; no other id can be an order's."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One workflow run that is part of the order's life."""

    workflow_id: str
    run_id: str
    type: str
    status: str
    started_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class PendingActivity:
    """An activity that the last run waits for: under way, or tried again and again."""

    type: str
    attempt: int
    last_failure: str | None
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class TemporalSide:
    """What was found in Temporal."""

    runs: tuple[RunView, ...]
    """The order's own, its shipping attempts, and the answers to late events; oldest first."""
    runs_cut: bool
    status: OrderStatus | None
    """The last run's own answer."""
    result: OrderResult | None
    """What the last run came to, where it completed."""
    failure: str | None
    """Why the last run failed."""
    silent: bool
    """Whether the run goes on but no worker answers for it."""
    pending: tuple[PendingActivity, ...]


async def look_in_temporal(clients: Clients, order_id: str) -> TemporalSide:
    """Asks Temporal for everything about the order.

    Raises:
        UnreachableError: it does not answer.
        WrongSettingsError: it does not let us in, has no such namespace, or holds payloads that need other keys.
    """
    client = await clients.temporal()
    with reaching_temporal(clients.settings):
        return await _look(client, order_id)


async def _look(client: Client, order_id: str) -> TemporalSide:
    description = await _describe(client, order_id)
    if description is None:
        runs, cut = await _runs(client, order_id)
        return TemporalSide(runs, cut, None, None, None, silent=False, pending=())
    runs, cut = await _runs(client, order_id, description)
    status, silent = await _status(client, order_id, description)
    result, failure = await _outcome(client, order_id, description)
    pending = await _pending(client, description)
    return TemporalSide(runs, cut, status, result, failure, silent, pending)


async def _describe(client: Client, order_id: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(order_id).describe(rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            return None
        raise


async def _runs(
    client: Client, order_id: str, description: WorkflowExecutionDescription | None = None
) -> tuple[tuple[RunView, ...], bool]:
    """The runs that Temporal lists, and the last one, which the list may not have yet."""
    found = {} if description is None else {description.run_id: _run_view(description)}
    cut = False
    if _PLAIN_ID.fullmatch(order_id):
        query = (
            f'WorkflowId = "{order_id}" OR WorkflowId STARTS_WITH "shipping:{order_id}:" '
            f'OR WorkflowId STARTS_WITH "late:{order_id}:"'
        )
        async for execution in client.list_workflows(query, limit=RUNS_MAX + 1, rpc_timeout=_CALL_TIMEOUT):
            if len(found) >= RUNS_MAX and execution.run_id not in found:
                cut = True
                break
            found[execution.run_id] = _run_view(execution)
    return tuple(sorted(found.values(), key=lambda run: run.started_at)), cut


def _run_view(execution: WorkflowExecution) -> RunView:
    return RunView(
        execution.id,
        execution.run_id,
        execution.workflow_type,
        execution.status.name if execution.status else "UNKNOWN",
        execution.start_time,
        execution.close_time,
    )


async def _status(
    client: Client, order_id: str, description: WorkflowExecutionDescription
) -> tuple[OrderStatus | None, bool]:
    """The run's own answer, and whether it should have answered and did not."""
    running = description.status is WorkflowExecutionStatus.RUNNING
    try:
        handle = client.get_workflow_handle(order_id)
        return await handle.query(STATUS_QUERY, result_type=OrderStatus, rpc_timeout=_CALL_TIMEOUT), False
    except (RPCError, WorkflowQueryFailedError):
        return None, running


async def _outcome(
    client: Client, order_id: str, description: WorkflowExecutionDescription
) -> tuple[OrderResult | None, str | None]:
    if description.status is WorkflowExecutionStatus.RUNNING:
        return None, None
    try:
        handle = client.get_workflow_handle(order_id, run_id=description.run_id, result_type=OrderResult)
        return await handle.result(follow_runs=False, rpc_timeout=_CALL_TIMEOUT), None
    except WorkflowFailureError as error:
        return None, str(error.cause)


async def _pending(client: Client, description: WorkflowExecutionDescription) -> tuple[PendingActivity, ...]:
    raw: Any = description.raw_description
    return tuple(
        [
            PendingActivity(
                type=one.activity_type.name,
                attempt=one.attempt,
                last_failure=await _message(client, one.last_failure) if one.HasField("last_failure") else None,
                next_attempt_at=(
                    one.next_attempt_schedule_time.ToDatetime(UTC)
                    if one.HasField("next_attempt_schedule_time")
                    else None
                ),
            )
            for one in raw.pending_activities
        ]
    )


async def _message(client: Client, failure: Failure) -> str:
    """What a failure says; it may be encrypted."""
    own = Failure()
    own.CopyFrom(failure)  # Decoding changes what it is given.
    error = await client.data_converter.decode_failure(own)
    return error.message if isinstance(error, FailureError) else str(error)
