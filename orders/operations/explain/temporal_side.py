"""What Temporal knows of an order: its runs, where the last one is, and what it tries."""

import re
from collections.abc import Iterable
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
from orders.operations.view import held_by_another
from schemas.base import IDENTIFIER_PATTERN
from schemas.workflow_io import OrderResult, OrderStatus
from workflows.names import (
    LATE_EVENT_WORKFLOW,
    ORDER_WORKFLOW,
    SHIPPING_WORKFLOW,
    STATUS_QUERY,
    order_id_of,
    order_workflow_id,
)

RUNS_MAX: Final = 50
_CALL_TIMEOUT: Final = timedelta(seconds=5)
_ORDER_ID: Final = re.compile(IDENTIFIER_PATTERN)
_OUR_TYPES: Final = frozenset({ORDER_WORKFLOW, SHIPPING_WORKFLOW, LATE_EVENT_WORKFLOW})
_LISTED_MAX: Final = 1_000
"""Most runs that are looked at. Temporal lists by the beginning of an id: with the attempts of an order `a` it lists
those of an order `a:b`."""


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
    in_the_way: str | None = None
    """What to do about a workflow of another type that has the id of the order's; None for nearly all orders."""


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
    if description.workflow_type != ORDER_WORKFLOW:
        # Another team's workflow is asked nothing, and is no run of the order.
        runs, cut = await _runs(client, order_id)
        in_the_way = held_by_another(description.id, description.workflow_type)
        return TemporalSide(runs, cut, None, None, None, silent=False, pending=(), in_the_way=in_the_way)
    runs, cut = await _runs(client, order_id, description)
    status, silent = await _status(client, description)
    result, failure = await _outcome(client, description)
    pending = await _pending(client, description)
    return TemporalSide(runs, cut, status, result, failure, silent, pending)


async def _describe(client: Client, order_id: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(order_workflow_id(order_id)).describe(rpc_timeout=_CALL_TIMEOUT)
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            return None
        raise


async def _runs(
    client: Client, order_id: str, description: WorkflowExecutionDescription | None = None
) -> tuple[tuple[RunView, ...], bool]:
    """The runs that Temporal lists, and the last one, which the list may not have yet."""
    found = {} if description is None else {description.run_id: _run_view(description)}
    listed = 0
    if _ORDER_ID.fullmatch(order_id):  # No other may stand in a query without quoting, and none is an order's.
        query = (
            f'WorkflowId = "{order_workflow_id(order_id)}" OR WorkflowId STARTS_WITH "shipping:{order_id}:" '
            f'OR WorkflowId STARTS_WITH "late:{order_id}:"'
        )
        async for execution in client.list_workflows(query, limit=_LISTED_MAX, rpc_timeout=_CALL_TIMEOUT):
            listed += 1
            if order_id_of(execution.id) != order_id or execution.workflow_type not in _OUR_TYPES:
                continue
            if len(found) >= RUNS_MAX and execution.run_id not in found:
                return _by_time(found.values()), True
            found[execution.run_id] = _run_view(execution)
    return _by_time(found.values()), listed == _LISTED_MAX


def _by_time(runs: Iterable[RunView]) -> tuple[RunView, ...]:
    return tuple(sorted(runs, key=lambda run: run.started_at))


def _run_view(execution: WorkflowExecution) -> RunView:
    return RunView(
        execution.id,
        execution.run_id,
        execution.workflow_type,
        execution.status.name if execution.status else "UNKNOWN",
        execution.start_time,
        execution.close_time,
    )


async def _status(client: Client, description: WorkflowExecutionDescription) -> tuple[OrderStatus | None, bool]:
    """The run's own answer, and whether it should have answered and did not."""
    running = description.status is WorkflowExecutionStatus.RUNNING
    try:
        handle = client.get_workflow_handle(description.id)
        return await handle.query(STATUS_QUERY, result_type=OrderStatus, rpc_timeout=_CALL_TIMEOUT), False
    except (RPCError, WorkflowQueryFailedError):
        return None, running


async def _outcome(client: Client, description: WorkflowExecutionDescription) -> tuple[OrderResult | None, str | None]:
    if description.status is WorkflowExecutionStatus.RUNNING:
        return None, None
    try:
        handle = client.get_workflow_handle(description.id, run_id=description.run_id, result_type=OrderResult)
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
